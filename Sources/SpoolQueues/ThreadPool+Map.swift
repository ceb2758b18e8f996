// ThreadPool+Map.swift - one task for each element, or for each chunk of them, with results in order.

public import SpoolThreads

extension ThreadPool {
    /// Runs `body` on each item in the threads of the pool, and gives the results in the order of the items.
    ///
    /// All is submitted at once and runs whether the results are read or not. See Executor.map in Python.
    /// - Parameters:
    ///   - items: Read to the end at once.
    ///   - chunk: How many items one task takes: more cost less when `body` is short.
    ///   - timeout: Longest time from this call until the last result is read; nil waits for ever.
    /// - Throws: `badInput` for a chunk below 1 or a negative time, and as ``submit(_:)``: then what has
    ///   not begun is cancelled.
    @inlinable public func map<Item: Sendable, Value: Sendable>(
        _ items: some Sequence<Item>, chunk: Int = 1, timeout: Duration? = nil,
        _ body: @escaping @Sendable (Item) throws -> Value
    ) throws(SpoolError) -> MapResults<Value> {
        guard chunk >= 1 else { throw .badInput("a chunk must have at least 1 item.") }
        if let timeout, timeout < .zero { throw .badInput("a timeout cannot be negative.") }
        let deadline = Deadline(after: timeout)
        var futures: [Future<MapResults<Value>.Chunk>] = []
        var next: [Item] = []
        do throws(SpoolError) {
            for item in items {
                next.append(item)
                guard next.count == chunk else { continue }
                futures.append(try submit(chunk: next, body))
                next.removeAll()
            }
            if !next.isEmpty { futures.append(try submit(chunk: next, body)) }
        } catch {
            for future in futures { future.cancel() }
            throw error
        }
        return MapResults(futures, deadline)
    }

    @inlinable func submit<Item: Sendable, Value: Sendable>(
        chunk: [Item], _ body: @escaping @Sendable (Item) throws -> Value
    ) throws(SpoolError) -> Future<MapResults<Value>.Chunk> {
        try submit { chunk.map { item in Result { try body(item) } } }
    }
}

/// The results of ``ThreadPool/map(_:chunk:timeout:_:)``, in the order of the items: for one reader, thread or task.
///
/// After an error, the item's own or `timedOut`, what has not begun is cancelled, and nothing more is given. What was
/// given is not kept.
public final class MapResults<Value: Sendable>: AsyncSequence,
    @unchecked Sendable  // what changes is guarded by the lock
{
    /// What a loop gets.
    public typealias Element = Value

    @usableFromInline package typealias Chunk = [Result<Value, any Error>]

    private let lock = Lock()
    private let deadline: Deadline
    // Both backwards, so that what was given can be dropped from the end.
    private var futures: [Future<Chunk>]
    private var chunk: Chunk = []

    @usableFromInline package init(_ futures: [Future<Chunk>], _ deadline: Deadline) {
        self.futures = futures.reversed()
        self.deadline = deadline
    }

    /// The result of the next item, waiting until it is there; nil after the last. Blocks the thread.
    /// - Throws: what the item's run threw, `timedOut`, `CancellationError` when its future was cancelled.
    public func next() throws -> Value? {
        while true {
            if let result = takeResult() { return try give(result) }
            guard let future = takeFuture() else { return nil }
            do {
                open(try future.result(timeout: deadline.remaining()))
            } catch {
                future.cancel()
                open([.failure(error)])
            }
        }
    }

    /// The same for a task: suspends it.
    /// - Throws: as the blocking form, and `CancellationError` when the task is cancelled.
    public func next() async throws -> Value? {
        while true {
            if let result = takeResult() { return try give(result) }
            guard let future = takeFuture() else { return nil }
            do {
                open(try await future.result(timeout: deadline.remaining()))
            } catch {
                future.cancel()
                open([.failure(error)])
            }
        }
    }

    /// All that are left, in order. Blocks the thread.
    /// - Throws: as ``next()``; the results before the error are lost then.
    public func all() throws -> [Value] {
        var values: [Value] = []
        while let value = try next() { values.append(value) }
        return values
    }

    /// The same for a task: suspends it.
    /// - Throws: as ``next()``.
    public func all() async throws -> [Value] {
        var values: [Value] = []
        while let value = try await next() { values.append(value) }
        return values
    }

    private func takeResult() -> Result<Value, any Error>? { lock.withLock { chunk.popLast() } }

    private func takeFuture() -> Future<Chunk>? { lock.withLock { futures.popLast() } }

    private func open(_ results: Chunk) { lock.withLock { chunk = results.reversed() } }

    private func give(_ result: Result<Value, any Error>) throws -> Value {
        if case .failure = result {
            let rest = lock.withLock { () -> [Future<Chunk>] in
                defer { (futures, chunk) = ([], []) }
                return futures
            }
            for future in rest { future.cancel() }
        }
        return try result.get()
    }

    /// Reads on where the last one stopped.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(results: self) }

    /// One loop of a task.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let results: MapResults

        /// The result of the next item.
        public mutating func next() async throws -> Value? {
            let next: Value? = try await results.next()
            return next
        }
    }
}
