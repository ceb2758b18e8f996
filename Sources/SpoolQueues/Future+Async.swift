// Future+Async.swift - the same waits for tasks: they never block a thread of the cooperative pool. A task that is
// cancelled while it waits gets CancellationError, and the future goes on: others may wait for it.

internal import SpoolThreads

extension Future {
    /// What the task returned, suspending the caller until it has.
    /// - Throws: what the task threw; `CancellationError` when the future was cancelled (see ``cancelled``) or the
    ///   waiting task is.
    public var value: Value {
        get async throws { try await result() }
    }

    /// What the task returned, suspending the caller until it has.
    /// - Parameter timeout: Longest wait; nil waits for ever, zero only looks.
    /// - Throws: as ``value``; `timedOut`; `badInput` for a negative time.
    public func result(timeout: Duration? = nil) async throws -> Value {
        try await suspendUntilDone(timeout)
        guard let outcome else { throw CancellationError() }
        return try outcome.get()
    }

    /// What the task threw, or nil when it returned, suspending the caller until it has.
    /// - Parameter timeout: Longest wait; nil waits for ever, zero only looks.
    /// - Throws: `CancellationError` when the future was cancelled or the waiting task is; `timedOut`; `badInput` for a
    ///   negative time.
    public func exception(timeout: Duration? = nil) async throws -> (any Error)? {
        try await suspendUntilDone(timeout)
        return try failure()
    }

    func suspendUntilDone(_ timeout: Duration?) async throws {
        if let timeout, timeout < .zero {
            throw SpoolError.badInput("a timeout cannot be negative.")
        }
        if cell.isDone { return }
        try Task.checkCancellation()
        source?.isWatched()
        let waiter = TaskWaiter(self, cell.lock, cell.line)
        let outcome = try await waiter.wait(atFront: false, until: Deadline(after: timeout)) {
            cell.isDone
        }
        switch outcome {
        case .woken: return
        case .cancelled: throw CancellationError()
        case .timedOut: throw SpoolError.timedOut("the task of the future was not done in time.")
        }
    }
}
