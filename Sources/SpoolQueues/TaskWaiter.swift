// TaskWaiter.swift - a task that waits in a line beside threads, without a thread of its own.
//
// Invariant: all but the pointer changes with the queue's lock held. The continuation is resumed once, by who
// takes the waiter out of its line: the one who wakes, the timer, or the cancellation.

public import SpoolThreads

/// One wait of one task.
@usableFromInline final class TaskWaiter: @unchecked Sendable {  // guarded by the queue's lock
    private let owner: AnyObject  // keeps the memory of the lock and the line
    private let lock: QueueLock
    private let line: UnsafeMutablePointer<WaitingLine>
    private let waiter = UnsafeMutablePointer<Waiter>.allocate(capacity: 1)
    private var continuation: UnsafeContinuation<Void, Never>?
    private var outcome = WaitOutcome.woken

    @usableFromInline init(
        _ owner: AnyObject, _ lock: QueueLock, _ line: UnsafeMutablePointer<WaitingLine>
    ) {
        self.owner = owner
        self.lock = lock
        self.line = line
        waiter.initialize(to: Waiter())
        waiter.pointee.task = Unmanaged.passUnretained(self)
    }

    deinit {
        waiter.deinitialize(count: 1)
        waiter.deallocate()
    }

    /// Suspends the task until it is woken, the deadline passes, or it is cancelled; not at all when `isVain`
    /// says, with the lock held, that there is nothing to wait for.
    @usableFromInline func wait(
        atFront: Bool, until deadline: Deadline, unless isVain: () -> Bool
    ) async throws(SpoolError) -> WaitOutcome {
        let alarm = deadline == .never ? nil : try Alarm.set(deadline) { self.end(.timedOut) }
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                lock.acquire()
                if outcome == .woken, !isVain() {
                    self.continuation = continuation
                    line.pointee.insert(waiter, atFront: atFront)
                    lock.release()
                } else {
                    lock.release()
                    continuation.resume()
                }
            }
        } onCancel: {
            end(.cancelled)
        }
        alarm?.clear()
        lock.acquire()
        defer { lock.release() }
        return outcome
    }

    /// Resumes a task that was woken: its waiter has left the line.
    func resume() { continuation?.resume() }

    /// Ends the wait for another reason than a wake-up, unless that came first.
    private func end(_ reason: WaitOutcome) {
        lock.acquire()
        let wasWaiting = waiter.pointee.isInLine
        if wasWaiting { line.pointee.remove(waiter) }
        if wasWaiting || continuation == nil { outcome = reason }
        lock.release()
        if wasWaiting { resume() }
    }
}
