// MemoryQueue+Async.swift - the same verbs for tasks: they never block a thread of the cooperative pool, and a
// task that is cancelled while it waits has neither put nor taken anything.

public import SpoolThreads
private import Synchronization

extension MemoryQueue where Storage: ~Copyable {
    /// Puts an item, suspending the task while the queue is full.
    /// - Parameter timeout: Longest wait; nil waits for ever, zero only looks.
    /// - Throws: as the blocking form, and `CancellationError` when the task is cancelled before there is room: then
    ///   nothing was put.
    @inlinable public func put(_ item: Item, timeout: Duration? = nil) async throws {
        try check(timeout)
        try Task.checkCancellation()
        if try tryPut(item) { return }
        let deadline = Deadline(after: timeout)
        let isPut = try await waitAsync(in: .putters, until: deadline) { () throws(SpoolError) in
            try tryPut(item) ? true : nil
        }
        guard isPut != nil else { throw SpoolError.full }
    }

    /// Takes the next item, suspending the task while the queue is empty.
    /// - Parameter timeout: Longest wait; nil waits for ever, zero only looks.
    /// - Throws: as the blocking form, and `CancellationError` when the task is cancelled before there is an
    ///   item: then none was taken.
    @inlinable public func get(timeout: Duration? = nil) async throws -> Item {
        try check(timeout)
        try Task.checkCancellation()
        if let item = try tryGet() { return item }
        let deadline = Deadline(after: timeout)
        let item = try await waitAsync(in: .getters, until: deadline) { () throws(SpoolError) in
            try tryGet()
        }
        guard let item else { throw SpoolError.empty }
        return item
    }

    /// Waits until everything that was put is finished, what is put meanwhile too.
    /// - Parameter timeout: Longest wait; nil waits for ever, zero only looks.
    /// - Returns: False when the time was up before.
    /// - Throws: `badInput` for a negative time, `CancellationError` when the task is cancelled while it waits.
    @discardableResult
    public func join(timeout: Duration? = nil) async throws -> Bool {
        try check(timeout)
        guard unfinished > 0 else { return true }
        let deadline = Deadline(after: timeout)
        tally.pointee.joining.add(1, ordering: .sequentiallyConsistent)
        defer { tally.pointee.joining.subtract(1, ordering: .relaxed) }
        return try await waitAsync(in: .joiners, until: deadline) { unfinished == 0 ? true : nil }
            ?? false
    }

    /// Takes the next item, runs `body` on it, and says that it is finished, also when `body` throws.
    /// - Returns: What `body` returns.
    /// - Throws: as the async ``get(timeout:)``, and what `body` throws.
    @inlinable @discardableResult
    public nonisolated(nonsending) func work<Value>(
        timeout: Duration? = nil, _ body: nonisolated(nonsending) (Item) async throws -> Value
    ) async throws -> Value {
        let item = try await get(timeout: timeout)
        do {
            let value = try await body(item)
            try taskDone()
            return value
        } catch {
            try taskDone()
            throw error
        }
    }

    /// Looks and suspends in turn until `look` finds something; looks a last time when the deadline has passed.
    @inlinable func waitAsync<Value>(
        in line: QueueLine, until deadline: Deadline, _ look: () throws(SpoolError) -> Value?
    ) async throws -> Value? {
        var hasSlept = false
        while !deadline.isPast {
            let waiter = TaskWaiter(self, lock, waiters(line))
            let outcome = try await waiter.wait(atFront: hasSlept, until: deadline) { isVain(line) }
            if outcome == .cancelled { throw CancellationError() }
            hasSlept = outcome == .woken
            if let value = try look() { return value }
        }
        return nil
    }

    /// The items as they come, until the queue is shut down and empty or the task is cancelled.
    ///
    /// Several loops may share one queue: each item goes to one of them. Say ``taskDone()`` for each. As AsyncStream,
    /// but bounded by the queue, and with as many consumers as you like.
    @inlinable public var items: QueueItems<Storage> { QueueItems(self) }
}

/// The items of a ``MemoryQueue`` as an AsyncSequence.
public struct QueueItems<Storage: QueueStorage & ~Copyable>: AsyncSequence, Sendable {
    /// What the loop gets.
    public typealias Element = Storage.Item
    /// A loop ends, it does not throw.
    public typealias Failure = Never

    @usableFromInline let queue: MemoryQueue<Storage>

    @inlinable init(_ queue: MemoryQueue<Storage>) { self.queue = queue }

    /// Takes items for one loop.
    @inlinable public func makeAsyncIterator() -> Iterator { Iterator(queue) }

    /// One loop over the items.
    public struct Iterator: AsyncIteratorProtocol {
        @usableFromInline let queue: MemoryQueue<Storage>

        @inlinable init(_ queue: MemoryQueue<Storage>) { self.queue = queue }

        /// The next item; nil when the queue is shut down and empty, the task is cancelled, or the storage fails.
        @inlinable public mutating func next() async -> Storage.Item? {
            // Whatever the error is, it is the end of the loop, and no item is lost with it.
            try? await queue.get()
        }

        /// As ``next()``; the queue runs on no actor.
        @inlinable public mutating func next(
            isolation actor: isolated (any Actor)?
        ) async -> Storage.Item? {
            let queue = queue
            return try? await queue.get()  // as in next()
        }
    }
}
