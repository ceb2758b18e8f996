// Ledger.swift - what the processes of the storm have done, in shared memory: it outlives them.

import SpoolThreads
import Synchronization

@testable import SpoolProcesses

/// Counts per process and per item. Safe from any process of the rig.
struct Ledger: @unchecked Sendable {  // touched by atomic operations only
    static let items = 100_000
    static let processes = 8

    /// What a process is doing, so that the rig knows what it has struck.
    enum Doing: UInt32, CaseIterable {
        case other, putting, waiting, holding, finishing, joining
    }

    private enum Column: Int, CaseIterable {
        case acknowledged, processed, deliveries, holder
    }

    enum Fault: Int, CaseIterable {
        case twoLivingHolders, damaged, joinedTooEarly, miscounted
    }

    private let memory: SharedMemory
    private let words: UnsafeMutablePointer<Atomic<UInt32>>

    init() throws(SpoolError) {
        memory = try .make(bytes: 4 * (64 + Self.items * Column.allCases.count))
        words = memory.base.assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    // MARK: - Of processes

    var isStopped: Bool { words[0].load(ordering: .acquiring) != 0 }
    func stop() { words[0].store(1, ordering: .releasing) }

    func say(_ doing: Doing, _ process: Int) {
        words[8 + process].store(doing.rawValue, ordering: .relaxed)
    }

    func doing(_ process: Int) -> Doing {
        Doing(rawValue: words[8 + process].load(ordering: .relaxed)) ?? .other
    }

    /// Numbers that a producer has used up, whatever became of them.
    func used(_ producer: Int) -> Int { Int(words[24 + producer].load(ordering: .acquiring)) }

    /// The next number of a producer: none is used twice, whoever dies.
    func takeNumber(_ producer: Int) -> Int? {
        let count = Int(words[24 + producer].add(1, ordering: .acquiringAndReleasing).oldValue)
        let number = count * 2 + producer
        return number < Self.items ? number : nil
    }

    func count(_ fault: Fault) { words[32 + fault.rawValue].add(1, ordering: .relaxed) }
    func faults(_ fault: Fault) -> Int { Int(words[32 + fault.rawValue].load(ordering: .relaxed)) }

    // MARK: - Of items

    private func word(_ column: Column, _ item: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
        words + 64 + column.rawValue * Self.items + item
    }

    func acknowledge(_ item: Int) {
        word(.acknowledged, item).pointee.store(1, ordering: .releasing)
    }
    func isAcknowledged(_ item: Int) -> Bool {
        item < Self.items && word(.acknowledged, item).pointee.load(ordering: .acquiring) != 0
    }

    func process(_ item: Int) { word(.processed, item).pointee.add(1, ordering: .releasing) }
    func processed(_ item: Int) -> Int {
        Int(word(.processed, item).pointee.load(ordering: .acquiring))
    }

    /// How often it was seen to be delivered, this time included.
    func deliver(_ item: Int) -> Int {
        Int(word(.deliveries, item).pointee.add(1, ordering: .relaxed).newValue)
    }

    /// Says who holds it, 0 for nobody; gives who did before.
    func hold(_ item: Int, _ process: Int32) -> Int32 {
        Int32(
            word(.holder, item).pointee.exchange(
                UInt32(process), ordering: .sequentiallyConsistent))
    }
}
