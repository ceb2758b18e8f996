// StorageTests.swift - the orders, each beside a plain model; and storages that fail.

import SpoolThreads
import Testing

@testable import SpoolQueues

@Suite("The storage of a queue", .timeLimit(.minutes(10))) struct StorageTests {
    /// Appends and removes at random, beside an array from which `next` says which item is due.
    private func compare<Storage: QueueStorage & ~Copyable>(
        _ storage: consuming Storage, _ next: ([Int]) -> Int
    ) throws where Storage.Item == Int {
        var model: [Int] = []
        for step in 0..<5000 {
            let grows = step < 2500 ? 0..<3 : 0..<1
            if model.isEmpty || grows.contains(Int.random(in: 0..<4)) {
                let item = Int.random(in: 0..<50)
                try storage.append(item)
                model.append(item)
            } else {
                let due = model.remove(at: next(model))
                #expect(try storage.removeNext() == due)
            }
            #expect(storage.count == model.count)
        }
    }

    @Test("gives back the oldest, the newest or the smallest, over every size")
    func orders() throws {
        try compare(Ring<Int>()) { _ in 0 }
        try compare(Stack<Int>()) { $0.count - 1 }
        try compare(Heap<Int>()) { model in
            model.indices.min { (model[$0], $0) < (model[$1], $1) } ?? 0
        }
    }

    @Test("cQ5: equals come out in the order in which they came")
    func ties() throws {
        let queue = PriorityQueue<PrioritizedItem<Int>>()
        for item in 0..<200 { try queue.put(PrioritizedItem(item, priority: item % 3)) }
        let got = try (0..<200).map { _ in try queue.get().item }
        #expect(got == (0..<3).flatMap { level in (0..<200).filter { $0 % 3 == level } })
    }

    @Test("releases its items with the queue, and with an immediate shutdown")
    func release() throws {
        weak var left: Canary?
        weak var dropped: Canary?
        do {
            let queue = Queue<Canary>()
            for _ in 0..<40 { try queue.put(Canary()) }
            for _ in 0..<30 { _ = try queue.get() }
            let one = Canary()
            left = one
            try queue.put(one)
        }
        let queue = LifoQueue<Canary>()
        do {
            let one = Canary()
            dropped = one
            try queue.put(one)
        }
        queue.shutdown(immediate: true)
        #expect(left == nil && dropped == nil)
    }

    @Test("cQ26: an item that puts another one when it ends neither deadlocks nor loses it")
    func reentrancy() throws {
        let queue = Queue<Canary>()
        let last = Queue<Int>()
        for round in 0..<10_000 {
            try queue.put(Canary { try? last.putNowait(round) })
            _ = try queue.get()
        }
        try queue.put(Canary { try? queue.putNowait(Canary()) })
        queue.shutdown(immediate: true)
        #expect(try (0..<10_000).map { _ in try last.getNowait() } == Array(0..<10_000))
    }

    @Test("cQ15, cQ17: a put that the storage refuses leaves the place to the next")
    func failingPut() throws {
        let queue = MemoryQueue<Fragile>(maxsize: 1)
        #expect(throws: Fragile.refusal) { try queue.putNowait(Fragile.bad) }
        #expect(throws: Fragile.refusal) { try queue.put(Fragile.bad, timeout: patience) }
        #expect(queue.isEmpty && queue.unfinished == 0)
        try queue.put(1)
        let refused = Crew()
        try refused.start { try queue.put(Fragile.bad) }
        #expect(try eventually { queue.waiting(in: .putters) == 1 })
        let next = Crew()
        try next.start { try queue.put(2) }
        #expect(try eventually { queue.waiting(in: .putters) == 2 })
        #expect(try queue.get() == 1)
        try refused.end()
        try next.end()
        #expect(refused.failures == [Fragile.refusal] && next.failures.isEmpty)
        #expect(try queue.getNowait() == 2)
    }

    @Test("cQ16: a get that the storage refuses leaves the item to the next")
    func failingGet() throws {
        let queue = MemoryQueue<Fragile>()
        let refused = Crew()
        try refused.collect(2) { [try queue.get()] }
        #expect(try eventually { queue.waiting(in: .getters) == 2 })
        try queue.put(Fragile.stuck)
        let got = try refused.end()
        #expect(refused.failures == [Fragile.refusal] && got == [Fragile.stuck])
        #expect(queue.isEmpty)
        try queue.put(Fragile.stuck)
        #expect(throws: Fragile.refusal) { try queue.getNowait() }
        #expect(queue.count == 1)
        #expect(try queue.get(timeout: patience) == Fragile.stuck)
    }
}

/// Tells when it ends.
private final class Canary: Sendable {
    let end: @Sendable () -> Void
    init(_ end: @escaping @Sendable () -> Void = {}) { self.end = end }
    deinit { end() }
}

/// Refuses one number, and gives another one back at the second try only.
private struct Fragile: QueueStorage {
    static let bad = -1
    static let stuck = -2
    static let refusal = SpoolError.badInput("refused")

    var items: [Int] = []
    var hasRefused = false
    var count: Int { items.count }

    mutating func append(_ item: consuming Int) throws(SpoolError) {
        guard item != Fragile.bad else { throw Fragile.refusal }
        items.append(item)
    }

    mutating func removeNext() throws(SpoolError) -> Int {
        if items[0] == Fragile.stuck, !hasRefused {
            hasRefused = true
            throw Fragile.refusal
        }
        hasRefused = false
        return items.removeFirst()
    }
}
