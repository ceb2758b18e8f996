// ThreadPool.swift - runs tasks in a few threads that are made when they are needed, and gives futures for them.
//
// The pool is a handle: its threads and its queue are a Workforce, which ends by itself when all is done.

public import SpoolThreads
private import Glibc
private import Synchronization

/// Runs what is submitted in threads of its own. See concurrent.futures.ThreadPoolExecutor in Python.
///
/// Threads are made with the tasks, never before, and only while none is free. Safe from any thread and any task of one
/// process; a forked child must not use its parent's. A pool that is dropped, and a process that ends, still do what
/// was submitted: the threads are no daemons. ``withThreadPool(maxWorkers:threadNamePrefix:initializer:_:)`` is the
/// scoped form.
public final class ThreadPool: Sendable {
    @usableFromInline let crew: Workforce

    /// A pool without threads yet.
    /// - Parameters:
    ///   - maxWorkers: Most threads at a time, above 0; nil stands for 4 more than there are processors, at most 32, as
    ///     in Python.
    ///   - threadNamePrefix: Threads are called by it and their number; Linux shows 15 bytes.
    ///   - initializer: Runs in each thread before its first task. When it throws, the pool is broken: what has not
    ///     begun fails with `noWorker`, and nothing more is taken.
    public init(
        maxWorkers: Int? = nil, threadNamePrefix: String = "pool",
        initializer: (@Sendable () throws -> Void)? = nil
    ) {
        precondition(maxWorkers ?? 1 > 0, "a pool's maxWorkers must be above 0.")
        crew = Workforce(
            maxWorkers ?? ThreadPool.defaultWorkers, threadNamePrefix, initializer)
    }

    deinit { crew.shutdown(cancelFutures: false) }

    /// How many threads a pool has at most that is not told: min(32, processors + 4).
    static let defaultWorkers = min(32, max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) + 4)

    /// How many threads it has now: a hint.
    public var threads: Int { crew.threads.load(ordering: .relaxed) }

    /// Runs `body` in one of the threads; the future gets what it returns or throws. Never waits.
    /// - Throws: `shutDown` after ``shutdown(wait:cancelFutures:)`` or while the process ends, `noWorker` when the
    ///   initializer failed, `system` when not even one thread can be made; the task is not run then.
    @discardableResult @inlinable public func submit<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) throws(SpoolError) -> Future<Value> {
        let future = Future<Value>(pool: crew.number, body)
        try crew.submit(PoolTask(future))
        return future
    }

    /// Shuts all pools of the process down, and waits until all is done: for who ends it with `_exit`.
    package static func endAll() { OpenPools.shared.end() }

    /// Takes no more tasks; the threads end when all that was submitted is done.
    ///
    /// Calling it again is harmless. Blocks the thread; tasks use the async form.
    /// - Parameters:
    ///   - wait: Whether to return only when the threads have ended. Not in one of them: that is a mistake which stops
    ///     the program.
    ///   - cancelFutures: Cancels what has not begun.
    public func shutdown(wait: Bool = true, cancelFutures: Bool = false) {
        precondition(
            !wait || Worker.current?.crew !== crew,
            "a task cannot wait for the end of its own pool; use shutdown(wait: false).")
        crew.shutdown(cancelFutures: cancelFutures)
        if wait { crew.join() }
    }

    /// As the blocking form, suspending the task.
    /// - Throws: `CancellationError` when the task is cancelled while it waits; the pool is shut down then, too.
    public func shutdown(wait: Bool = true, cancelFutures: Bool = false) async throws {
        crew.shutdown(cancelFutures: cancelFutures)
        if wait { try await crew.join() }
    }
}

/// Runs `body` with a pool, and then waits until all is done that was submitted, also when `body` throws.
///
/// As `with ThreadPoolExecutor() as pool:` in Python.
/// - Parameters:
///   - maxWorkers: as in ``ThreadPool/init(maxWorkers:threadNamePrefix:initializer:)``.
///   - threadNamePrefix: the same.
///   - initializer: the same.
/// - Returns: What `body` returns.
/// - Throws: What `body` throws.
public func withThreadPool<Value, Failure: Error>(
    maxWorkers: Int? = nil, threadNamePrefix: String = "pool",
    initializer: (@Sendable () throws -> Void)? = nil,
    _ body: (ThreadPool) throws(Failure) -> Value
) throws(Failure) -> Value {
    let pool = ThreadPool(
        maxWorkers: maxWorkers, threadNamePrefix: threadNamePrefix, initializer: initializer)
    defer { pool.shutdown() }
    return try body(pool)
}

/// As the blocking form, suspending the task; it waits for what was submitted also when the task is cancelled.
/// - Parameters:
///   - maxWorkers: as in ``ThreadPool/init(maxWorkers:threadNamePrefix:initializer:)``.
///   - threadNamePrefix: the same.
///   - initializer: the same.
///   - isolation: Where `body` runs: where the caller does.
/// - Returns: What `body` returns.
/// - Throws: What `body` throws.
public func withThreadPool<Value>(
    maxWorkers: Int? = nil, threadNamePrefix: String = "pool",
    initializer: (@Sendable () throws -> Void)? = nil,
    isolation: isolated (any Actor)? = #isolation,
    _ body: (ThreadPool) async throws -> Value
) async throws -> Value {
    let pool = ThreadPool(
        maxWorkers: maxWorkers, threadNamePrefix: threadNamePrefix, initializer: initializer)
    let outcome: Result<Value, any Error>
    do { outcome = .success(try await body(pool)) } catch { outcome = .failure(error) }
    // A task of its own is not cancelled with this one, so the wait has no error.
    await Task { try? await pool.shutdown() }.value
    return try outcome.get()
}
