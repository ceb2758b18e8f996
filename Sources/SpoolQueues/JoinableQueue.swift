// JoinableQueue.swift - the contract of a queue, the same at every distance: put, get, taskDone, join.
//
// Only the blocking verbs are required. An async requirement would be satisfied silently by a blocking method of the
// same name, so each distance has its async forms beside it (here: MemoryQueue+Async.swift).

public import SpoolThreads

/// A queue whose producers can wait until everything that they put is finished. See queue.Queue in Python.
///
/// Every item that was put stays *unfinished* until one `taskDone` for it. Safe from any thread.
public protocol JoinableQueue<Item>: Sendable {
    /// What is put and got.
    associatedtype Item: Sendable

    /// Puts an item, waiting while the queue is full.
    /// - Parameter timeout: Longest wait; nil waits for ever, zero only looks.
    /// - Throws: `full` when the time is up, `shutDown` after ``shutdown(immediate:)``, `badInput` for a
    ///   negative time; the item was not put then.
    func put(_ item: Item, timeout: Duration?) throws(SpoolError)

    /// Takes the next item, waiting while the queue is empty. Follow it with ``taskDone()`` when the work is
    /// finished.
    /// - Parameter timeout: Longest wait; nil waits for ever, zero only looks.
    /// - Throws: `empty` when the time is up, `shutDown` when the queue is shut down and empty, `badInput` for a
    ///   negative time.
    func get(timeout: Duration?) throws(SpoolError) -> Item

    /// Says that one item that was got is finished. The last one wakes who joins.
    /// - Throws: `taskDoneTooOften` when nothing is unfinished; nothing changes then.
    func taskDone() throws(SpoolError)

    /// Waits until everything that was put is finished, what is put meanwhile too.
    /// - Parameter timeout: Longest wait; nil waits for ever, zero only looks.
    /// - Returns: False when the time was up before.
    /// - Throws: `badInput` for a negative time.
    @discardableResult func join(timeout: Duration?) throws(SpoolError) -> Bool

    /// How many items can be got: a hint, as it may have changed when you read it. Python's qsize.
    var count: Int { get }

    /// How many items were put and are not finished: a hint. Python's unfinished_tasks.
    var unfinished: Int { get }

    /// Whether a put would have to wait: a hint.
    var isFull: Bool { get }

    /// Ends the queue and wakes everybody who waits: put throws `shutDown`, and get does when nothing is left.
    ///
    /// Calling it again is harmless. See queue.Queue.shutdown in Python 3.13.
    /// - Parameter immediate: Also drops what was not got yet and counts it as finished.
    func shutdown(immediate: Bool)
}

extension JoinableQueue {
    /// Puts an item, waiting as long as the queue is full.
    /// - Throws: `shutDown`.
    @inlinable public func put(_ item: Item) throws(SpoolError) { try put(item, timeout: nil) }

    /// As ``put(_:timeout:)`` without waiting. Python's put_nowait.
    /// - Throws: `full`, `shutDown`.
    @inlinable public func putNowait(_ item: Item) throws(SpoolError) {
        try put(item, timeout: .zero)
    }

    /// Takes the next item, waiting until there is one.
    /// - Throws: `shutDown`.
    @inlinable public func get() throws(SpoolError) -> Item { try get(timeout: nil) }

    /// As ``get(timeout:)`` without waiting. Python's get_nowait.
    /// - Throws: `empty`, `shutDown`.
    @inlinable public func getNowait() throws(SpoolError) -> Item { try get(timeout: .zero) }

    /// Waits until everything that was put is finished.
    public func join() throws(SpoolError) { try join(timeout: nil) }

    /// Whether there is nothing to get: a hint.
    @inlinable public var isEmpty: Bool { count == 0 }

    /// Ends the queue; what is in it can still be got.
    public func shutdown() { shutdown(immediate: false) }

    /// Takes the next item, runs `body` on it, and says that it is finished, also when `body` throws: the
    /// ordinary way to consume, in which `taskDone` cannot be forgotten.
    /// - Returns: What `body` returns.
    /// - Throws: as ``get(timeout:)``, and what `body` throws.
    @_disfavoredOverload  // else a task would take it for a body that awaits nothing
    @inlinable @discardableResult
    public func work<Value>(
        timeout: Duration? = nil, _ body: (Item) throws -> Value
    ) throws -> Value {
        let item = try get(timeout: timeout)
        let outcome = Result { try body(item) }
        try taskDone()
        return try outcome.get()
    }
}
