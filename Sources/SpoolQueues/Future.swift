// Future.swift - what a task will have returned: waited for by threads and by tasks.
//
// Invariants: the outcome is written once, before the phase says that the future is finished; it is nil in one that was
// cancelled. Watchers (callbacks, and those that wait for one of many) are told once, in the order in which they came,
// by who finishes or cancels the future, after the lock is released. See FutureCell.swift for the phases.

public import SpoolThreads
private import Synchronization

/// The result of a task that may not have run yet. See concurrent.futures.Future in Python.
///
/// ``ThreadPool/submit(_:)`` makes one. Safe from any thread and any task of one process; a forked child must not use a
/// future of its parent. Two futures are equal when they are the same one.
public final class Future<Value: Sendable>: @unchecked Sendable {  // guarded by the cell's lock
    @usableFromInline let cell = FutureCell()
    /// The pool that runs the task; 0 for none.
    @usableFromInline let pool: UInt64
    // The phase tells who may touch these, so that there is nothing to check at run time.
    @usableFromInline @exclusivity(unchecked) var outcome: Result<Value, any Error>?
    /// The task; who begins or cancels it takes it out.
    @usableFromInline @exclusivity(unchecked) var body: (@Sendable () throws -> Value)?
    @usableFromInline @exclusivity(unchecked) var watchers: [FutureWatcher] = []
    /// Who makes it done, if that can be helped by those that wait. Set before anybody else has the future.
    @usableFromInline @exclusivity(unchecked) package var source: (any FutureSource)?
    /// The pool some of whose own workers wait for this future.
    @usableFromInline @exclusivity(unchecked) var blocked: WorkerWaits?

    /// A pending future, to be completed by ``setResult(_:)`` or ``setException(_:)``: for executors of your own.
    public convenience init() { self.init(pool: 0, nil) }

    @inlinable init(pool: UInt64, _ body: (@Sendable () throws -> Value)?) {
        self.pool = pool
        self.body = body
    }

    @inlinable deinit { cell.free() }

    // MARK: - Looking

    /// Whether the task is being run: it can't be cancelled any more.
    public var running: Bool { cell.phase == FuturePhase.running }

    /// Whether it has finished or was cancelled.
    @inlinable public var done: Bool { cell.isDone }

    /// Whether it was cancelled before it ran.
    public var cancelled: Bool { cell.phase == FuturePhase.cancelled }

    // MARK: - Waiting

    /// What the task returned, waiting until it has.
    ///
    /// Blocks the thread; tasks use the async form or ``value``.
    /// - Parameter timeout: Longest wait; nil waits for ever, zero only looks.
    /// - Throws: what the task threw; `CancellationError` when the future was cancelled; `timedOut`; `badInput` for
    ///   a negative time, and in a worker whose wait would never end, because the future is its own task's or all
    ///   workers of the pool wait for such. See Future.result in Python.
    @inlinable public func result(timeout: Duration? = nil) throws -> Value {
        try waitUntilDone(timeout)
        guard let outcome else { throw CancellationError() }
        return try outcome.get()
    }

    /// What the task threw, or nil when it returned, waiting until it has.
    ///
    /// Blocks the thread; tasks use the async form.
    /// - Parameter timeout: Longest wait; nil waits for ever, zero only looks.
    /// - Throws: as ``result(timeout:)``, but for what the task threw. See Future.exception in Python.
    public func exception(timeout: Duration? = nil) throws -> (any Error)? {
        try waitUntilDone(timeout)
        return try failure()
    }

    func failure() throws -> (any Error)? {
        guard let outcome else { throw CancellationError() }
        guard case .failure(let error) = outcome else { return nil }
        return error
    }

    @inlinable func waitUntilDone(_ timeout: Duration?) throws(SpoolError) {
        if let timeout, timeout < .zero { throw .badInput("a timeout cannot be negative.") }
        if !cell.isDone { try sleepUntilDone(Deadline(after: timeout)) }
    }

    @usableFromInline func sleepUntilDone(_ deadline: Deadline) throws(SpoolError) {
        guard let source else { return try sleep(deadline) }
        try source.wait(until: deadline, isDone: { cell.isDone }) { () throws(SpoolError) in
            try sleep(deadline)
        }
    }

    private func sleep(_ deadline: Deadline) throws(SpoolError) {
        Spin.briefly { cell.isDone }
        cell.lock.acquire()
        guard !cell.isDone else { return cell.lock.release() }
        // A wait with a time limit ends in any case.
        if deadline == .never, let worker = Worker.current, worker.crew.number == pool {
            do throws(SpoolError) {
                try worker.crew.waits.enter(worker, awaiting: ObjectIdentifier(self))
            } catch {
                cell.lock.release()
                throw error
            }
            blocked = worker.crew.waits
        }
        guard cell.sleep(until: deadline) == .woken else {
            throw .timedOut("the task of the future was not done in time.")
        }
    }

    // MARK: - Changing

    /// Cancels the task if it has not begun.
    /// - Returns: Whether the future is cancelled now; false when the task runs or has finished.
    @discardableResult public func cancel() -> Bool {
        cell.lock.acquire()
        guard cell.move(from: FuturePhase.pending, to: FuturePhase.cancelled) else {
            cell.lock.release()
            return cancelled
        }
        let dropped = body
        body = nil
        tellDone()
        source?.isDone()
        withExtendedLifetime(dropped) {}  // what it holds is released outside the lock
        return true
    }

    /// For executors: the task begins now.
    /// - Returns: False when the future was cancelled before; then the task must not run.
    /// - Throws: `badInput` when it runs or has finished already.
    public func setRunningOrNotifyCancel() throws(SpoolError) -> Bool {
        if cell.begin() { return true }
        guard cancelled else { throw .badInput("the task of the future has begun already.") }
        return false
    }

    /// For executors: the task has returned.
    /// - Throws: `badInput` when the future is done already; it stays as it was.
    public func setResult(_ value: Value) throws(SpoolError) {
        guard finish(.success(value), nil) else { throw Self.isDoneAlready }
    }

    /// For executors: the task has thrown.
    /// - Throws: `badInput` when the future is done already; it stays as it was.
    public func setException(_ error: any Error) throws(SpoolError) {
        guard finish(.failure(error), nil) else { throw Self.isDoneAlready }
    }

    private static var isDoneAlready: SpoolError {
        .badInput("the future is done already; it keeps its first result.")
    }

    /// Runs `callback` when the future is done: in the thread that finishes or cancels it, or at once when it is done.
    ///
    /// Callbacks run in the order in which they were added. One that throws is reported on stderr and keeps no other
    /// from running. See Future.add_done_callback in Python.
    public func addDoneCallback(_ callback: @escaping @Sendable (Future) throws -> Void) {
        watch(owner: nil, callback)
    }
}

extension Future: Hashable {
    /// Whether they are the same.
    public static func == (a: Future, b: Future) -> Bool { a === b }

    /// By identity.
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}
