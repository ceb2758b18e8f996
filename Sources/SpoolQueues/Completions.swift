// Completions.swift - futures in the order in which they are done.
//
// Each future that is not done tells a queue of its own when it is; reading is taking from that queue. What was read is
// not kept. Who stops reading before the end takes its watchers back from the rest.

public import SpoolThreads

/// Futures as they are done: for one reader, thread or task, with or without a time limit.
public final class Completions<Value: Sendable>: AsyncSequence,
    @unchecked Sendable  // the lock guards what is pending
{
    /// What a loop gets.
    public typealias Element = Future<Value>

    private let arrived = Queue<Future<Value>>()
    private let deadline: Deadline
    private let lock = Lock()
    private var pending: Set<Future<Value>>
    private let total: Int

    init(_ futures: some Sequence<Future<Value>>, _ deadline: Deadline) {
        pending = Set(futures)
        total = pending.count
        self.deadline = deadline
        let owner = ObjectIdentifier(arrived)
        for future in pending {
            future.watch(owner: owner) { [arrived] in try arrived.put($0) }
        }
    }

    deinit {
        let owner = ObjectIdentifier(arrived)
        for future in pending { future.unwatch(owner) }
    }

    /// The next future that is done, waiting until one is; nil when all were given. Blocks the thread.
    /// - Throws: `timedOut`, with how many are left, when the time for all of them is up.
    public func next() throws(SpoolError) -> Future<Value>? {
        guard !isAtEnd else { return nil }
        do throws(SpoolError) {
            return take(try arrived.get(timeout: deadline.remaining()))
        } catch .empty {
            throw timeIsUp
        }
    }

    /// The same for a task: suspends it.
    /// - Throws: as the blocking form, and `CancellationError` when the task is cancelled.
    public func next() async throws -> Future<Value>? {
        guard !isAtEnd else { return nil }
        do {
            return take(try await arrived.get(timeout: deadline.remaining()))
        } catch SpoolError.empty {
            throw timeIsUp
        }
    }

    private var isAtEnd: Bool { lock.withLock { pending.isEmpty } }

    private func take(_ future: Future<Value>) -> Future<Value> {
        lock.withLock { _ = pending.remove(future) }
        return future
    }

    private var timeIsUp: SpoolError {
        .timedOut("\(lock.withLock { pending.count }) (of \(total)) futures unfinished.")
    }

    /// Reads on where the last one stopped.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(completions: self) }

    /// One loop of a task.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let completions: Completions

        /// As ``Completions/next()-async``.
        public mutating func next() async throws -> Future<Value>? {
            let next: Future<Value>? = try await completions.next()
            return next
        }
    }
}

/// Futures as they are done, without a time limit: for `for` and for `for try await`.
public struct AsCompleted<Value: Sendable>: Sequence, AsyncSequence, Sendable {
    /// What a loop gets.
    public typealias Element = Future<Value>

    let completions: Completions<Value>

    /// Blocks the thread that loops.
    public func makeIterator() -> Iterator { Iterator(completions: completions) }

    /// Suspends the task that loops; it throws `CancellationError` when it is cancelled.
    public func makeAsyncIterator() -> Completions<Value>.AsyncIterator {
        completions.makeAsyncIterator()
    }

    /// One loop of a thread.
    public struct Iterator: IteratorProtocol {
        let completions: Completions<Value>

        /// The next future that is done; nil when all were given.
        public mutating func next() -> Future<Value>? {
            // Without a time limit there is no error.
            try? completions.next()
        }
    }
}

extension Future {
    /// The futures in the order in which they are done; those that are already come first.
    ///
    /// `for future in Future.asCompleted(futures)` blocks the thread, `for try await` suspends the task. One that is
    /// given twice comes once. What was given is not kept. See concurrent.futures.as_completed in Python.
    public static func asCompleted(_ futures: some Sequence<Future>) -> AsCompleted<Value> {
        AsCompleted(completions: Completions(futures, .never))
    }

    /// The same with a time limit for all of them: `while let future = try completions.next()`, or `for try await`,
    /// as a plain `for` cannot throw.
    /// - Parameter timeout: Counted from this call; zero gives what is done already.
    /// - Throws: `badInput` for a negative time; reading throws `timedOut`.
    public static func asCompleted(
        _ futures: some Sequence<Future>, timeout: Duration
    ) throws(SpoolError) -> Completions<Value> {
        guard timeout >= .zero else { throw .badInput("a timeout cannot be negative.") }
        return Completions(futures, Deadline(after: timeout))
    }
}
