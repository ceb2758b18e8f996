// Waiter.swift - how a thread sleeps in a line, and how a sleeper is woken.

private import Synchronization

extension Waiter {
    /// Puts the calling thread into the line and sleeps until somebody takes it out and wakes it, or the deadline.
    ///
    /// Called with the lock held, which is released before the sleep and not taken again.
    /// - Parameter atFront: For one that was woken and came too late.
    /// - Returns: `woken` or `timedOut`; woken if both came at once.
    public static func sleep(
        in line: UnsafeMutablePointer<WaitingLine>, atFront: Bool = false, _ lock: WordLock,
        until deadline: Deadline
    ) -> WaitOutcome {
        withUnsafeTemporaryAllocation(of: Waiter.self, capacity: 1) { memory in
            guard let waiter = memory.baseAddress else {
                preconditionFailure("memory for one waiter has an address")
            }
            waiter.initialize(to: Waiter())
            defer { waiter.deinitialize(count: 1) }
            line.pointee.insert(waiter, atFront: atFront)
            lock.release()
            if wakeUps(of: waiter).wait(after: 0, until: deadline) { return .woken }
            if leave(waiter, line, lock) { return .timedOut }
            wakeUps(of: waiter).wait(after: 0)
            return .woken
        }
    }

    /// Ends the sleep of waiters that were taken out of their line.
    @usableFromInline static func wake(_ chain: UnsafeMutablePointer<Waiter>) {
        var each: UnsafeMutablePointer<Waiter>? = chain
        while let waiter = each {
            each = waiter.pointee.next
            if let task = waiter.pointee.task {
                task.takeUnretainedValue().resume()
            } else {
                wakeUps(of: waiter).advance(waking: 1)
            }
        }
    }

    /// `wakeUps` stands first.
    private static func wakeUps(of waiter: UnsafeMutablePointer<Waiter>) -> EventCount {
        EventCount(UnsafeMutableRawPointer(waiter).assumingMemoryBound(to: Atomic<UInt32>.self))
    }

    /// Takes a waiter out whose time is up; false when somebody is just waking it.
    private static func leave(
        _ waiter: UnsafeMutablePointer<Waiter>, _ line: UnsafeMutablePointer<WaitingLine>,
        _ lock: WordLock
    ) -> Bool {
        lock.acquire()
        defer { lock.release() }
        guard waiter.pointee.isInLine else { return false }
        line.pointee.remove(waiter)
        return true
    }
}
