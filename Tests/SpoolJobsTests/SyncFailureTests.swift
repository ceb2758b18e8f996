// SyncFailureTests.swift - a sync that failed, as several processes on one file hear of it.

import CFaultDisk
import CSQLite
import SpoolThreads
import Synchronization
import Testing

@testable import SpoolJobs

@Suite("A sync that failed", .serialized) struct SyncFailureTests {
    private let scratch = Scratch()

    init() throws {
        _ = try scratch.store()
        #expect(fault_disk_begin(scratch.path) == 0)
        fault_disk_end()  // nothing is to be remembered
    }

    private func failing(times: Int32 = 1, _ body: () throws -> Void) rethrows {
        fault_disk_fail(Int32(FAULT_DISK_SYNC), 0, times, SQLITE_IOERR | 4 << 8)
        defer { fault_disk_heal() }
        try body()
    }

    private func put(_ store: Store) -> SpoolError? {
        do throws(SpoolError) {
            try store.put([.command("true")], now: noon)
            return nil
        } catch {
            return error
        }
    }

    @Test("D5: is told to one only, though each open file hears of it")
    func toldOnce() throws {
        let stores = try (0..<4).map { _ in try scratch.store() }
        for store in stores { #expect(put(store) == nil) }
        failing {
            guard case .outcomeUnknown = put(stores[0]) else {
                Issue.record("it was put, and nobody can tell whether it stays")
                return
            }
        }
        for store in stores.reversed() + stores { #expect(put(store) == nil) }
        #expect(try stores[0].check() == [])
        #expect(try stores[0].counts(queue: nil).ready == 13)
    }

    @Test("D1: is everybody's to mend, when the one who knew of it could not")
    func notMended() throws {
        let worker = try scratch.store()
        #expect(put(worker) == nil)
        let ledger = try worker.shared().ledger
        // Somebody is killed in a sync.
        let running = StoreMemory.Place.ledger + SyncLedger.Word.running.rawValue
        let memory = try StoreMemory(worker.files)
        memory.word(running).pointee.add(1, ordering: .relaxed)
        let late = try scratch.store()
        #expect(try late.shared().ledger.isDoubtful && !ledger.isDoubtful)
        // The disk fails as it writes the log again.
        failing(times: 2) { #expect(put(late) != nil) }
        #expect(ledger.isDoubtful)
        #expect(put(worker) == nil && put(late) == nil)
        #expect(!ledger.isDoubtful)
    }
}
