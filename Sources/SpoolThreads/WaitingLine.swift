// WaitingLine.swift - who waits for one thing, first come first: threads and tasks in one line.
//
// Waiting is written once: locks, semaphores, events, queues and futures all stand on this line, and differ only in
// when they take whom out of it. Invariants:
//  - a line changes only with its owner's lock held;
//  - who wakes takes the waiter out of the line first, with the lock, and ends its sleep after it has released the
//    lock. So each sleep is ended once, and nobody is woken who does not sleep;
//  - a waiter whose time is up or whose task is cancelled takes itself out. If it stands in the line no more, it was
//    woken meanwhile, and says so: a wake-up, and what may have been handed over with it, is never lost.

internal import Synchronization

/// How a wait ended.
public enum WaitOutcome: Sendable {
    /// Somebody took the waiter out of the line and woke it, or there was nothing to wait for.
    case woken
    /// The deadline passed first.
    case timedOut
    /// The task was cancelled first.
    case cancelled
}

/// One thread or task that waits, in memory of its own: on the thread's stack, or in its ``TaskWaiter``.
public struct Waiter: ~Copyable {
    /// 0 while it sleeps. See ``EventCount``.
    let wakeUps = Atomic<UInt32>(0)
    @usableFromInline var next: UnsafeMutablePointer<Waiter>?
    @usableFromInline var previous: UnsafeMutablePointer<Waiter>?
    @usableFromInline var isInLine = false
    @usableFromInline var task: Unmanaged<TaskWaiter>?
}

/// Waiters in the order in which they came. It is three words and holds no memory.
///
/// Not thread-safe: every use is with the owner's ``WordLock`` held.
public struct WaitingLine {
    @usableFromInline var first: UnsafeMutablePointer<Waiter>?
    @usableFromInline var last: UnsafeMutablePointer<Waiter>?
    @usableFromInline var length: Int

    /// Nobody waits.
    @inlinable public init() {
        first = nil
        last = nil
        length = 0
    }

    /// How many wait.
    @inlinable public var count: Int { length }

    /// Whether nobody waits.
    @inlinable public var isEmpty: Bool { first == nil }

    /// Whether a thread stands first, not a task: it will run soon, while a task's pool may be busy for long.
    @inlinable public var beginsWithThread: Bool { first.map { $0.pointee.task == nil } ?? false }

    /// Takes the first waiter out, to be woken when the lock is released.
    @inlinable public mutating func takeFirst() -> WokenWaiters {
        guard let first else { return WokenWaiters() }
        remove(first)
        first.pointee.next = nil
        return WokenWaiters(chain: first)
    }

    /// Takes up to `limit` waiters out, the first ones.
    public mutating func take(upTo limit: Int) -> WokenWaiters { take(upTo: limit) { _ in false } }

    /// As ``take(upTo:)``, but none behind the first thread: which can wake the next ones itself.
    public mutating func takeTasksAndOneThread(upTo limit: Int) -> WokenWaiters {
        take(upTo: limit) { $0.pointee.task == nil }
    }

    private mutating func take(
        upTo limit: Int, through isLast: (UnsafeMutablePointer<Waiter>) -> Bool
    ) -> WokenWaiters {
        guard limit > 0, let chain = first else { return WokenWaiters() }
        var (left, end) = (limit, chain)
        end.pointee.isInLine = false
        while left > 1, !isLast(end), let next = end.pointee.next {
            next.pointee.isInLine = false
            (left, end) = (left - 1, next)
        }
        first = end.pointee.next
        end.pointee.next = nil
        length -= limit - left + 1
        if let first { first.pointee.previous = nil } else { last = nil }
        return WokenWaiters(chain: chain)
    }

    /// Takes all out.
    public mutating func takeAll() -> WokenWaiters { take(upTo: .max) }

    /// At the end; at the front for one that was woken and came too late, so that it keeps its turn.
    mutating func insert(_ waiter: UnsafeMutablePointer<Waiter>, atFront: Bool) {
        length += 1
        waiter.pointee.isInLine = true
        waiter.pointee.next = atFront ? first : nil
        waiter.pointee.previous = atFront ? nil : last
        if let neighbour = atFront ? first : last {
            if atFront {
                neighbour.pointee.previous = waiter
            } else {
                neighbour.pointee.next = waiter
            }
        }
        if atFront || first == nil { first = waiter }
        if !atFront || last == nil { last = waiter }
    }

    @usableFromInline mutating func remove(_ waiter: UnsafeMutablePointer<Waiter>) {
        length -= 1
        let (previous, next) = (waiter.pointee.previous, waiter.pointee.next)
        if let previous { previous.pointee.next = next } else { first = next }
        if let next { next.pointee.previous = previous } else { last = previous }
        waiter.pointee.isInLine = false
    }
}

/// Waiters that were taken out of their line and still sleep: whoever took them must ``wake()`` them, once, after it
/// has released the lock.
public struct WokenWaiters {
    @usableFromInline var chain: UnsafeMutablePointer<Waiter>?

    /// Nobody.
    @inlinable public init() { chain = nil }

    @inlinable init(chain: UnsafeMutablePointer<Waiter>) { self.chain = chain }

    /// Whether nobody waited.
    @inlinable public var isEmpty: Bool { chain == nil }

    /// Whether the last one is a thread.
    public var endWithThread: Bool {
        guard var end = chain else { return false }
        while let next = end.pointee.next { end = next }
        return end.pointee.task == nil
    }

    /// Ends their sleep, in the order in which they came.
    @inlinable public func wake() {
        if let chain { Waiter.wake(chain) }
    }
}
