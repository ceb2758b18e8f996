// Future+Finishing.swift - a future's last move, and who is told of it.

public import SpoolThreads

/// Somebody who wants to know when a future is done.
@usableFromInline struct FutureWatcher: Sendable {
    /// By whom it can be taken back; nil for a callback.
    let owner: ObjectIdentifier?
    /// Gets the future, so that it need not hold it.
    let tell: @Sendable (AnyObject) throws -> Void
}

/// What completes a future, and can use the threads that wait for it. Safe from any thread.
@usableFromInline package protocol FutureSource: AnyObject, Sendable {
    /// In a thread that wants a future: helps until it is done or the time is up, or runs `sleep`, which waits for it.
    func wait(
        until deadline: Deadline, isDone: () -> Bool, sleep: () throws(SpoolError) -> Void
    ) throws(SpoolError)
    /// A task waits for it, or a callback, and nobody helps.
    func isWatched()
    /// It was completed or cancelled, by whomever.
    func isDone()
}

extension Future {
    /// Whether somebody wants to be called when it is done.
    package var isWatched: Bool {
        cell.lock.acquire()
        defer { cell.lock.release() }
        return !watchers.isEmpty
    }

    /// What the pool has decided.
    @inlinable func meet(_ fate: TaskFate) {
        switch fate {
        case .run(let worker): run(by: worker)
        case .cancel: cancel()
        case .fail(let error): _ = finish(.failure(error), nil)
        }
    }

    /// Runs the task in a worker of its pool, unless it was cancelled. It is dropped before anybody sees the result.
    @inlinable func run(by worker: Worker) {
        guard cell.begin(), let outcome = runBody(worker) else { return worker.crew.taskDone() }
        _ = finish(outcome, worker.crew)
    }

    @inlinable func runBody(_ worker: Worker) -> Result<Value, any Error>? {
        worker.running = ObjectIdentifier(self)
        guard let body else { return nil }
        self.body = nil
        do { return .success(try body()) } catch { return .failure(error) }
    }

    /// Writes the outcome and tells who waits.
    ///
    /// The worker counts as free just before anybody can see the result: who submits next, after it, needs no other
    /// thread. With callbacks it is free after them, as they may wait for tasks of the same pool.
    /// - Returns: False when the future was done already.
    @inlinable func finish(_ outcome: consuming Result<Value, any Error>, _ crew: Workforce?)
        -> Bool
    {
        cell.lock.acquire()
        guard !cell.isDone else {
            cell.lock.release()
            return false
        }
        let hasWatchers = !watchers.isEmpty
        defer { source?.isDone() }
        if !hasWatchers { crew?.taskDone() }
        self.outcome = outcome
        cell.settle()
        if hasWatchers || !cell.line.pointee.isEmpty {
            tellDone()
        } else {
            cell.lock.release()
        }
        if hasWatchers { crew?.taskDone() }
        return true
    }

    /// Called with the lock held, which is released.
    @usableFromInline func tellDone() {
        let waiters = cell.line.pointee.takeAll()
        let told = watchers
        watchers = []
        blocked?.leave(awaiting: ObjectIdentifier(self))
        blocked = nil
        cell.lock.release()
        waiters.wake()
        for watcher in told { tell(watcher) }
    }

    func watch(owner: ObjectIdentifier?, _ body: @escaping @Sendable (Future) throws -> Void) {
        let watcher = FutureWatcher(owner: owner) { try body(unsafeDowncast($0, to: Future.self)) }
        cell.lock.acquire()
        let isDone = cell.isDone
        defer { source?.isWatched() }
        if !isDone { watchers.append(watcher) }
        cell.lock.release()
        if isDone { tell(watcher) }
    }

    /// Nothing is told to the owner any more, unless it is being told just now.
    func unwatch(_ owner: ObjectIdentifier) {
        cell.lock.acquire()
        let all = watchers
        watchers.removeAll { $0.owner == owner }
        cell.lock.release()
        withExtendedLifetime(all) {}  // what they hold is released outside the lock
    }

    private func tell(_ watcher: FutureWatcher) {
        do {
            try watcher.tell(self)
        } catch {
            Report.write("spool: a callback of a future threw: \(error)")
        }
    }
}
