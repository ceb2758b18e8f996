// WakingLine.swift - a queue's line of those that wait, in which one thread at a time is waking up.
//
// It takes a thread microseconds to wake up, in which many items pass: it wakes the next itself if more are left. So a
// burst costs few wake-ups. A task is not waited for, as its pool may be busy for long. Invariant: `isWaking` is set
// with the wake-up of a thread, and that thread clears it before it looks. Guarded by the queue's lock.

public import SpoolThreads

/// Who waits at a queue for one thing.
@usableFromInline struct WakingLine {
    // It stands first: a pointer to this is one to the line.
    @usableFromInline var line = WaitingLine()
    /// Whether a thread was woken that has not looked yet.
    @usableFromInline var isWaking = false

    @inlinable init() {}

    /// Takes the first waiter out, to be woken when the lock is released; nobody while a thread that was woken
    /// has not looked yet.
    @inlinable mutating func takeFirst() -> WokenWaiters {
        guard !line.isEmpty, !isWaking else { return WokenWaiters() }
        isWaking = line.beginsWithThread
        return line.takeFirst()
    }

    /// As ``takeFirst()``, several times: tasks, up to the next thread.
    mutating func take(upTo limit: Int) -> WokenWaiters {
        guard limit > 0, !isWaking else { return WokenWaiters() }
        let woken = line.takeTasksAndOneThread(upTo: limit)
        isWaking = woken.endWithThread
        return woken
    }
}
