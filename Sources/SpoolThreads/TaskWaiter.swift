// TaskWaiter.swift - a task that waits in a line beside threads, without a thread of its own.
//
// Invariant: all but the pointers changes with the owner's lock held. The continuation is resumed once, by who
// takes the waiter out of its line: the one who wakes, the alarm, or the cancellation.

/// One wait of one task.
public final class TaskWaiter: @unchecked Sendable {  // guarded by the owner's lock
    private let owner: AnyObject  // keeps the memory of the lock and the line
    private let lock: WordLock
    private let line: UnsafeMutablePointer<WaitingLine>
    private let waiter = UnsafeMutablePointer<Waiter>.allocate(capacity: 1)
    private var continuation: UnsafeContinuation<Void, Never>?
    private var outcome = WaitOutcome.woken
    private var isDecided = false  // it stands or stood in the line, or has no need to

    /// A wait in `line`, guarded by `lock`; both are `owner`'s. For one ``wait(atFront:until:unless:)`` only.
    public init(_ owner: AnyObject, _ lock: WordLock, _ line: UnsafeMutablePointer<WaitingLine>) {
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

    /// Suspends the task until it is woken, the deadline passes, or it is cancelled; not at all when `isVain` says,
    /// with the lock held, that there is nothing to wait for. Called without the lock.
    /// - Returns: `woken` also when `isVain`; woken if several came at once.
    /// - Throws: `system` when the thread that keeps the deadlines cannot be made.
    public nonisolated(nonsending) func wait(
        atFront: Bool = false, until deadline: Deadline, unless isVain: () -> Bool
    ) async throws(SpoolError) -> WaitOutcome {
        let alarm = deadline == .never ? nil : try Alarm.set(deadline) { self.end(.timedOut) }
        await withTaskCancellationHandler {
            await enter(atFront, isVain)
        } onCancel: {
            end(.cancelled)
        }
        alarm?.clear()
        return result()
    }

    /// As ``wait(atFront:until:unless:)``, without an end but a wake-up: for who must have what it waits for.
    nonisolated(nonsending) func waitUncancelled(atFront: Bool, unless isVain: () -> Bool) async {
        await enter(atFront, isVain)
    }

    private nonisolated(nonsending) func enter(_ atFront: Bool, _ isVain: () -> Bool) async {
        await withUnsafeContinuation { continuation in
            lock.acquire()
            // What is there is taken although the time is up: a time limit bounds the wait, not the look.
            let isFound = outcome != .cancelled && isVain()
            if isFound { outcome = .woken }
            let isEnded = isFound || outcome != .woken
            isDecided = true
            if !isEnded {
                self.continuation = continuation
                line.pointee.insert(waiter, atFront: atFront)
            }
            lock.release()
            if isEnded { continuation.resume() }
        }
    }

    private func result() -> WaitOutcome {
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
        if wasWaiting || !isDecided { outcome = reason }
        lock.release()
        if wasWaiting { resume() }
    }
}
