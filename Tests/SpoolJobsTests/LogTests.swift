// LogTests.swift - what a commit writes, gathered: it is the same as SQLite alone would have written.

import Foundation
import Patience
import SpoolThreads
import Testing

@testable import SpoolJobs

@Suite("The log of a store", .timeLimit(.minutes(10))) struct LogTests {
    private let scratch = Scratch()

    /// Bodies that do not fit into the cache (16 MiB), so that pages are written before the commit.
    private func large(_ byte: UInt8, jobs: Int = 600) -> [NewJob] {
        let body = Body.bytes([UInt8](repeating: byte, count: 40_000))
        return [NewJob](repeating: NewJob(.kind("k"), body: body), count: jobs)
    }

    private func total() throws -> [String] {
        let store = try scratch.store(.existing)
        return [
            "\(try store.check())",
            try scratch.shell("SELECT count(*), sum(length(body)) FROM job"),
            try scratch.shell("PRAGMA integrity_check"),
        ]
    }

    @Test("D3: holds a transaction that is larger than the cache, whose pages were written twice")
    func spilled() throws {
        let store = try scratch.store()
        try store.write("putting jobs") { () throws(SpoolError) in
            for byte: UInt8 in 1...3 { _ = try store.put(large(byte, jobs: 300), now: noon) }
        }
        try store.put([.command("true")], now: noon)
        #expect(try total() == ["[]", "901|36000000", "ok"])
    }

    @Test("D3: keeps what the next one has written after a large transaction was undone")
    func undone() throws {
        let store = try scratch.store()
        let other = try scratch.store()
        try other.put([.command("true")], now: noon)
        #expect(throws: SpoolError.badInput("not this one.")) {
            try store.write("putting jobs") { () throws(SpoolError) in
                _ = try store.put(large(1), now: noon)
                throw SpoolError.badInput("not this one.")
            }
        }
        for _ in 0..<40 { try other.put([.command("true")], now: noon) }
        // It reads the log, and writes it.
        #expect(try store.counts(queue: nil).ready == 41)
        try store.put([.command("true")], now: noon)
        #expect(try total() == ["[]", "42|", "ok"])
    }

    @Test("D3: is whole whoever writes in turn, and however often it begins anew")
    func inTurn() throws {
        let stores = try (0..<3).map { _ in try scratch.store() }
        for (index, store) in stores.enumerated() { store.checkpointPages = Int32(4 + 9 * index) }
        for round in 0..<300 {
            let store = stores[round % 3]
            try store.put(large(2, jobs: 1 + round % 3), now: noon)
            if round % 50 == 0 { #expect(try store.check() == []) }
        }
        #expect(try total() == ["[]", "600|24000000", "ok"])
    }

    private func length() throws -> Int {
        let found = try FileManager.default.attributesOfItem(atPath: scratch.path + "-wal")
        return try #require(found[.size] as? Int)
    }

    @Test("D3: is copied into the database and emptied by the last one that closes the file")
    func lastClose() throws {
        var (first, second): (Store?, Store?) = (try scratch.store(), try scratch.store())
        try first?.put([.command("one")], now: noon)
        try second?.put([.command("two")], now: noon)
        first = nil
        #expect(try length() > 0, "the other one has it open")
        second = nil
        #expect(try length() == 0)
        let copy = scratch.directory + "/copy.db"
        try FileManager.default.copyItem(atPath: scratch.path, toPath: copy)
        #expect(try Store.open(copy, .readOnly).counts(queue: nil).ready == 2)
    }

    @Test("D3: so it is when the last one has only looked")
    func lastLook() throws {
        var (writer, reader): (Store?, Store?) = (try scratch.store(), try scratch.store(.existing))
        try writer?.put([.command("one")], now: noon)
        #expect(try reader?.counts(queue: nil).ready == 1)
        writer = nil
        #expect(try length() > 0, "the other one has it open")
        reader = nil
        #expect(try length() == 0)
        #expect(try scratch.store().counts(queue: nil).ready == 1)
    }

    @Test(
        "D3: so it is when the last one has only looked, and one before was killed as the log was synced",
        arguments: [SyncLedger.Word.running, .gated], [OpenMode.existing, .readOnly])
    func lastLookAfterKill(_ word: SyncLedger.Word, _ mode: OpenMode) throws {
        let store = try scratch.store()
        try store.put([.command("one")], now: noon)
        store.completesAtClose = false  // it is killed
        store.close()
        // In its sync: its beginning was counted, and no end.
        let shared = try File.side(store.files.shared)
        var count: UInt64 = 7
        let place = 8 * (StoreMemory.Place.ledger + word.rawValue)
        #expect(pwrite(shared.descriptor, &count, 8, off_t(place)) == 8)
        var reader: Store? = try Store.open(scratch.path, mode)
        #expect(try reader?.counts(queue: nil).ready == 1)
        reader = nil
        #expect(try length() == 0)
        #expect(try scratch.store().counts(queue: nil).ready == 1)
    }

    @Test("D1: a transaction that changes nothing says of no other one that it is on disk")
    func empty() throws {
        let (store, other) = (try scratch.store(), try scratch.store())
        try other.put([.command("true")], now: noon)
        let ledger = try other.shared().ledger
        var known: [Bool] = []
        // Between the commit of a put and its sync.
        store.surroundings.ring = { _ in
            known.append(ledger.isOnDisk(ledger.commits))
            try? other.write("doing nothing") {}
            try? other.resume(queue: "default")
            known.append(ledger.isOnDisk(ledger.commits))
        }
        try store.put([.command("true")], now: noon)
        #expect(known == [false, false])
        #expect(ledger.isOnDisk(ledger.commits))
    }

    @Test("D3: is copied into the database at rest, though the file is open, and nobody minds")
    func atRest() throws {
        let (store, other) = (try scratch.store(), try scratch.store())
        func copied() throws -> String {
            // Without the log, and by another process: to close it here would drop SQLite's locks.
            let copy = scratch.path + "-copy"
            let process = try Process.run(
                URL(fileURLWithPath: "/bin/cp"), arguments: [scratch.path, copy])
            try process.end()
            return try scratch.shell("SELECT count(*) FROM job", in: copy)
        }
        for jobs in 1...3 {
            try other.put([.command("true")], now: noon)
            try store.tidyLog()
            #expect(try copied() == "\(jobs - 1)", "it was put just now")
            try store.tidyLog()
            #expect(try copied() == "\(jobs)")
        }
        let restarts = "SELECT log_restarts FROM spool"
        let before = try scratch.shell(restarts)
        try store.tidyLog()
        #expect(try scratch.shell(restarts) == before, "nothing has happened")
        #expect(try total() == ["[]", "3|", "ok"])
    }

    @Test("D3: so it is when several close the file at once")
    func closedAtOnce() throws {
        for _ in 0..<100 {
            let crew = try (0..<4).map { _ in
                let store = HandedOn(try scratch.store())
                try store.value?.put([.command("true")], now: noon)
                return SpoolThreads.Thread { store.value = nil }
            }
            for thread in crew { try thread.start() }
            for thread in crew { try thread.join() }
            #expect(try length() == 0)
        }
    }

    /// A store that one thread after the other has.
    private final class HandedOn: @unchecked Sendable {
        var value: Store?
        init(_ store: Store) { value = store }
    }

    @Test("D3: so it is when the last one had it open for reading only")
    func lastReader() throws {
        var store: Store? = try scratch.store()
        try store?.put([.command("true")], now: noon)
        var reader: Store? = try Store.open(scratch.path, .readOnly)
        store = nil
        #expect(try reader?.counts(queue: nil).ready == 1)
        #expect(try length() > 0)
        reader = nil
        #expect(try length() == 0)
    }

    @Test("D3: so it is when a program lets its queue go, in which threads and tasks have waited")
    func queueLetGo() async throws {
        for round in 1...10 {
            do {
                let queue = try JobQueue("work", in: JobStore(scratch.path))
                let waiter = SpoolThreads.Thread { try queue.taskDone(queue.get()) }
                try waiter.start()
                try await queue.put("x")
                try await waiter.join()
                try await queue.join()
            }
            // A thread of the queue's that is about to end may hold it last.
            let isEmpty = try Patience.eventually { try length() == 0 }
            try #require(isEmpty, "\(round)")
        }
    }

    @Test("D3: stays as it is at the last close when a sync of it has failed")
    func lastCloseOfBroken() throws {
        var store: Store? = try scratch.store()
        try store?.put([.command("one")], now: noon)
        try store?.shared().ledger.fail()
        store = nil
        #expect(try length() > 0)
        #expect(try scratch.store().counts(queue: nil).ready == 1)
    }

    @Test("D3: grows for many commits at once, and again after another program has cut it off")
    func growth() throws {
        let store = try scratch.store()
        for _ in 0..<2 {
            try store.put([.command("true")], now: noon)
            try store.put([.command("true")], now: noon)
            let before = try length()
            #expect(before >= 256 << 10)
            for _ in 0..<5 { try store.put([.command("true")], now: noon) }
            #expect(try length() == before)
            #expect(try scratch.shell("PRAGMA wal_checkpoint(TRUNCATE)").hasPrefix("0|"))
            #expect(try length() == 0)
        }
        try store.put([.command("true")], now: noon)
        #expect(try total() == ["[]", "15|", "ok"])
    }
}
