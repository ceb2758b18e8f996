// Gate.swift - what tests of futures share: a gate that tasks wait at, and patience.

import Patience
import SpoolQueues
import SpoolThreads
import Testing

/// The longest that anything in these tests may take.
let patience = Patience.longest

/// Closed until somebody opens it; then open for ever.
final class Gate: Sendable {
    fileprivate let queue = Queue<Void>()

    func open() { queue.shutdown() }

    /// Waits until it is open.
    func pass() throws {
        do {
            try queue.get(timeout: patience)
        } catch SpoolError.shutDown {
            return
        }
    }
}

extension Gate {
    /// The same for a task.
    func pass() async throws {
        do {
            try await queue.get(timeout: patience)
        } catch SpoolError.shutDown {
            return
        }
    }
}

struct Mishap: Error, Equatable {
    var number = 0
}

/// A list that threads append to.
final class Notes<Item: Sendable>: @unchecked Sendable {  // touched with the lock held only
    private let lock = Lock()
    private var items: [Item] = []

    func add(_ item: Item) { lock.withLock { items.append(item) } }
    var all: [Item] { lock.withLock { items } }
}

/// Looks until it holds.
func eventually(_ holds: () throws -> Bool) throws -> Bool {
    let deadline = Deadline(after: patience)
    while try !holds() {
        guard !deadline.isPast else { return false }
        Pause.briefly(upTo: .milliseconds(1))
    }
    return true
}

/// The same in a task: the pool's few threads are left to the other tasks meanwhile.
func eventually(_ holds: () throws -> Bool) async throws -> Bool {
    let deadline = Deadline(after: patience)
    while try !holds() {
        guard !deadline.isPast else { return false }
        await Task.yield()
    }
    return true
}

/// Futures in each state that tests need.
enum Made {
    static func pending() -> Future<Int> { Future() }

    static func running() throws -> Future<Int> {
        let future = Future<Int>()
        _ = try future.setRunningOrNotifyCancel()
        return future
    }

    static func cancelled() -> Future<Int> {
        let future = Future<Int>()
        future.cancel()
        return future
    }

    static func failed(_ number: Int = 0) throws -> Future<Int> {
        let future = try running()
        try future.setException(Mishap(number: number))
        return future
    }

    static func finished(_ value: Int = 42) throws -> Future<Int> {
        let future = try running()
        try future.setResult(value)
        return future
    }
}
