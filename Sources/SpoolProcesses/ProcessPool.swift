// ProcessPool.swift - runs tasks in a few processes that are made when they are needed, and gives futures for them.
//
// The pool is a handle: its processes, its queues and the threads that serve them are a PoolCrew.

public import SpoolQueues
public import SpoolThreads

/// Runs registered entries in processes of its own. See concurrent.futures.ProcessPoolExecutor in Python, which a
/// killed process breaks as a whole: here the task that it ran fails or is tried again, and the process is replaced.
///
/// Processes are made with the tasks, never before, and only while none is free. They are daemons: they end with this
/// process however it ends, and may have no children. Safe from any thread and any task of one process; a forked child
/// must not use its parent's. A pool that is dropped, and a process that ends, still do what was submitted.
public final class ProcessPool: Sendable {
    let crew: PoolCrew

    /// A pool without processes yet.
    /// - Parameters:
    ///   - maxWorkers: Most processes at a time, above 0; nil: as many as there are processors for this process.
    ///   - maxTasksPerWorker: After so many tasks a process ends and is replaced, above 0; nil: never.
    ///   - retries: How often a task is tried again when the process that runs it dies; then its future fails with
    ///     `noWorker`. A task that is tried again may have done something the first time.
    ///   - method: How processes are made: ``StartMethod/forkServer`` or ``StartMethod/spawn``.
    ///   - bytes: Room for the inputs of tasks that are handed out, and as much for results that are not read yet.
    /// - Throws: `badInput` for a number out of range or the method fork; `system` when memory or descriptors are
    ///   short.
    public convenience init(
        maxWorkers: Int? = nil, maxTasksPerWorker: Int? = nil, retries: Int = 0,
        method: StartMethod = .forkServer, bytes: Int = 4 << 20
    ) throws(SpoolError) {
        try self.init(
            maxWorkers: maxWorkers, maxTasksPerWorker: maxTasksPerWorker, retries: retries,
            method: method, bytes: bytes, initializer: nil, [])
    }

    /// A pool whose processes run an entry before their first task.
    ///
    /// When it throws, the pool is broken: what has not finished fails with `noWorker`, and nothing more is taken.
    /// - Throws: as ``init(maxWorkers:maxTasksPerWorker:retries:method:bytes:)``; `usage` when the entry is not
    ///   registered; `badInput` when its input cannot be encoded.
    public convenience init<Input>(
        maxWorkers: Int? = nil, maxTasksPerWorker: Int? = nil, retries: Int = 0,
        method: StartMethod = .forkServer, bytes: Int = 4 << 20,
        initializer: ChildEntry<Input, Void>, _ input: Input
    ) throws(SpoolError) {
        _ = try EntryRegistry.shared.find(initializer.name)
        try self.init(
            maxWorkers: maxWorkers, maxTasksPerWorker: maxTasksPerWorker, retries: retries,
            method: method, bytes: bytes, initializer: initializer.name,
            BinaryEncoder().encode(input))
    }

    private init(
        maxWorkers: Int?, maxTasksPerWorker: Int?, retries: Int, method: StartMethod, bytes: Int,
        initializer: String?, _ input: [UInt8]
    ) throws(SpoolError) {
        let maxWorkers = maxWorkers ?? ChildProcess.cpuCount
        guard maxWorkers > 0 else { throw .badInput("a pool's maxWorkers must be above 0.") }
        guard maxTasksPerWorker ?? 1 > 0 else {
            throw .badInput("a pool's maxTasksPerWorker must be above 0.")
        }
        guard retries >= 0 else { throw .badInput("a pool's retries cannot be negative.") }
        guard method != .fork else {
            throw .badInput(
                "a pool cannot fork this process, since it has threads; use forkServer.")
        }
        let worker = PoolWorker(
            calls: try SharedQueue(bytes: bytes), answers: try SharedQueue(bytes: bytes),
            retries: retries, maxTasks: maxTasksPerWorker, initializer: initializer,
            initialInput: input)
        crew = PoolCrew(worker, method, maxWorkers)
    }

    deinit { crew.shutdown(cancelFutures: false) }

    /// The process ids of the workers that there are now: a hint.
    public var workers: [Int32] { crew.pids }

    /// Runs an entry in one of the processes; the future gets what it returns, or a ``RemoteError`` with what it
    /// throws, or `noWorker` when its process dies. Never waits, but for a process that has to be made: a millisecond.
    ///
    /// The future runs, and cannot be cancelled, when a process has the task or is about to.
    /// - Throws: `usage` when the entry is not registered; `badInput` when the input cannot be encoded; `tooLarge` when
    ///   that takes more than 1 GiB; `shutDown`; `noWorker` and `system` when the pool is broken, or not even one
    ///   process can be made. The task is not run then. An input that has no room in the pool's `bytes` is the
    ///   future's error.
    @discardableResult
    public func submit<Input, Output>(
        _ entry: ChildEntry<Input, Output>, _ input: Input
    ) throws(SpoolError) -> Future<Output> {
        let future = Future<Output>()
        try submit(entry, [input], future) { results in try results[0].get() }
        return future
    }

    /// Runs an entry without input.
    /// - Throws: as ``submit(_:_:)``.
    @discardableResult
    public func submit<Output>(
        _ entry: ChildEntry<NoInput, Output>
    ) throws(SpoolError) -> Future<Output> { try submit(entry, NoInput()) }

    /// Runs an entry on each item, and gives the results in the order of the items.
    ///
    /// All is submitted at once and runs whether the results are read or not. After an error of one item the others
    /// of its chunk have run too. See Executor.map in Python.
    /// - Parameters:
    ///   - items: Read to the end at once.
    ///   - chunk: How many items one task takes: more cost less when the entry is short.
    ///   - timeout: Longest time from this call until the last result is read; nil waits for ever.
    /// - Throws: `badInput` for a chunk below 1 or a negative time, and as ``submit(_:_:)``: then what has not begun is
    ///   cancelled.
    public func map<Input, Output>(
        _ entry: ChildEntry<Input, Output>, _ items: some Sequence<Input>, chunk: Int = 1,
        timeout: Duration? = nil
    ) throws(SpoolError) -> MapResults<Output> {
        guard chunk >= 1 else { throw .badInput("a chunk must have at least 1 item.") }
        let deadline = try Deadline(checking: timeout)
        var futures: [Future<MapResults<Output>.Chunk>] = []
        var next: [Input] = []
        do throws(SpoolError) {
            for item in items {
                next.append(item)
                guard next.count == chunk else { continue }
                futures.append(try submit(chunk: next, entry))
                next.removeAll(keepingCapacity: true)
            }
            if !next.isEmpty { futures.append(try submit(chunk: next, entry)) }
        } catch {
            for future in futures { future.cancel() }
            throw error
        }
        return MapResults(futures, deadline)
    }

    private func submit<Input, Output>(
        chunk: [Input], _ entry: ChildEntry<Input, Output>
    ) throws(SpoolError) -> Future<MapResults<Output>.Chunk> {
        let future = Future<MapResults<Output>.Chunk>()
        try submit(entry, chunk, future) { results in
            results.map { result in result.mapError(PoolFailure.bare) }
        }
        return future
    }

    private func submit<Input, Output, Value>(
        _ entry: ChildEntry<Input, Output>, _ inputs: [Input], _ future: Future<Value>,
        _ gather: @escaping @Sendable ([Result<Output, PoolFailure>]) throws -> Value
    ) throws(SpoolError) {
        _ = try EntryRegistry.shared.find(entry.name)
        let encoder = BinaryEncoder()
        var encoded: [[UInt8]] = []
        for input in inputs { encoded.append(try encoder.encode(input)) }
        let decode = entry.decode
        future.source = PoolTicket(crew)
        try crew.submit(
            entry.name, encoded,
            begin: {
                // A future that somebody else completed is not to be run either.
                (try? future.setRunningOrNotifyCancel()) ?? false
            }, isWatched: { future.isWatched },
            finish: { outcome in
                // A second answer, of a process that died after the first, comes too late.
                do {
                    let results = try outcome.get().map { result in
                        result.mapError(PoolFailure.remote).flatMap { bytes in
                            Result { () throws(SpoolError) in try decode(bytes) }
                                .mapError(PoolFailure.local)
                        }
                    }
                    let value = try gather(results)
                    try? future.setResult(value)
                } catch {
                    try? future.setException(PoolFailure.bare(error))
                }
            }, cancel: { future.cancel() })
    }

    /// Takes no more tasks; the processes end when all that was submitted is done.
    ///
    /// Calling it again is harmless. Blocks the thread; tasks use the async form.
    /// - Parameters:
    ///   - wait: Whether to return only when the processes have ended.
    ///   - cancelFutures: Cancels what has not begun.
    public func shutdown(wait: Bool = true, cancelFutures: Bool = false) {
        crew.shutdown(cancelFutures: cancelFutures)
        if wait { crew.join() }
    }

    /// As the blocking form, suspending the task.
    /// - Throws: `CancellationError` when the task is cancelled while it waits; the pool is shut down then, too.
    public func shutdown(wait: Bool = true, cancelFutures: Bool = false) async throws {
        crew.shutdown(cancelFutures: cancelFutures)
        if wait { try await crew.join() }
    }

    /// Ends the pool at once: kills its processes, and waits for their end. What has not begun is cancelled, what runs
    /// fails with `noWorker`. Python's kill_workers().
    public func kill() {
        crew.kill()
        crew.join()
    }

    /// Runs `body` with a new pool, and then waits until all is done that was submitted, also when `body` throws.
    ///
    /// As `with ProcessPoolExecutor() as pool:` in Python.
    /// - Throws: as ``init(maxWorkers:maxTasksPerWorker:retries:method:bytes:)``, and what `body` throws.
    public static func with<Value>(
        maxWorkers: Int? = nil, _ body: (ProcessPool) throws -> Value
    ) throws -> Value {
        let pool = try ProcessPool(maxWorkers: maxWorkers)
        defer { pool.shutdown() }
        return try body(pool)
    }
}

/// Why there is no result: what was thrown there, or what went wrong here.
enum PoolFailure: Error {
    case remote(RemoteError)
    case local(SpoolError)

    /// What a reader of a future gets.
    static func bare(_ error: any Error) -> any Error {
        switch error as? PoolFailure {
        case .remote(let error): error
        case .local(let error): error
        case nil: error
        }
    }
}
