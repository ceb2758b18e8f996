// Waiters.swift - who waits at a queue, first come first: threads that sleep on a word of their own, and tasks.
//
// Invariants: a line changes only with its queue's lock held. Who wakes takes the waiter out of the line, so
// each sleep is ended once, and nobody is woken who does not sleep. A waiter whose time is up or whose task is
// cancelled takes itself out; if it stands in the line no more, it was woken meanwhile, counts as woken, and
// looks again: so no wake-up is ever lost. Who wakes does so after it has released the lock.
// `isWaking` is set with the wake-up of a thread, and that thread clears it before it looks.

private import CSpool
public import SpoolThreads
public import Synchronization

/// One thread or task that waits, in memory of its own: on the thread's stack, or in its ``TaskWaiter``.
@usableFromInline struct Waiter: ~Copyable {
    @usableFromInline let isWoken = Atomic<UInt32>(0)
    @usableFromInline var next: UnsafeMutablePointer<Waiter>?
    @usableFromInline var previous: UnsafeMutablePointer<Waiter>?
    var isInLine = false
    @usableFromInline var task: Unmanaged<TaskWaiter>?
}

/// How a wait ended.
@usableFromInline enum WaitOutcome: Sendable {
    case woken, timedOut, cancelled
}

/// Waiters in the order in which they came.
@usableFromInline struct WaitingLine {
    @usableFromInline var first: UnsafeMutablePointer<Waiter>?
    /// Whether a thread was woken that has not looked yet.
    @usableFromInline var isWaking = false
    @usableFromInline var last: UnsafeMutablePointer<Waiter>?

    @inlinable init() {
        first = nil
        last = nil
    }

    /// Walks along the line.
    var count: Int {
        var count = 0
        var each = first
        while let waiter = each {
            count += 1
            each = waiter.pointee.next
        }
        return count
    }

    /// Takes the first waiter out, to be woken when the lock is released; nobody while a thread that was woken
    /// has not looked yet.
    ///
    /// It takes a thread microseconds to wake up, in which many items pass: it wakes the next itself if more are left.
    /// So a burst costs few wake-ups. A task is not waited for, as its pool may be busy for long.
    @inlinable mutating func takeFirst() -> UnsafeMutablePointer<Waiter>? {
        guard let first, !isWaking else { return nil }
        remove(first)
        isWaking = first.pointee.task == nil
        return first
    }

    /// As ``takeFirst()``, several times: a chain for ``Waiter/wakeAll(_:)``.
    mutating func take(upTo limit: Int) -> UnsafeMutablePointer<Waiter>? {
        var (chain, end): (UnsafeMutablePointer<Waiter>?, UnsafeMutablePointer<Waiter>?)
        var left = limit
        while left > 0, let waiter = takeFirst() {
            waiter.pointee.next = nil
            if let end { end.pointee.next = waiter } else { chain = waiter }
            end = waiter
            left -= 1
        }
        return chain
    }

    /// Takes all out, as a chain for ``Waiter/wakeAll(_:)``.
    mutating func removeAll() -> UnsafeMutablePointer<Waiter>? {
        let chain = first
        var each = chain
        while let waiter = each {
            waiter.pointee.isInLine = false
            each = waiter.pointee.next
        }
        (first, last) = (nil, nil)
        return chain
    }

    /// At the end; at the front for one that was woken and came too late, so that it keeps its turn.
    mutating func insert(_ waiter: UnsafeMutablePointer<Waiter>, atFront: Bool) {
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
        let (previous, next) = (waiter.pointee.previous, waiter.pointee.next)
        if let previous { previous.pointee.next = next } else { first = next }
        if let next { next.pointee.previous = previous } else { last = previous }
        waiter.pointee.isInLine = false
    }
}

extension Waiter {
    /// Ends the sleep of a waiter that was taken out of its line.
    @usableFromInline static func wake(_ waiter: UnsafeMutablePointer<Waiter>) {
        if let task = waiter.pointee.task { return task.takeUnretainedValue().resume() }
        waiter.pointee.isWoken.store(1, ordering: .releasing)
        // From here on the waiter's memory may be gone: only its address is used, and sleepers look again.
        spool_futex_wake(wordOf(waiter), 1)
    }

    /// Wakes a chain of waiters that were taken out.
    static func wakeAll(_ chain: UnsafeMutablePointer<Waiter>?) {
        var each = chain
        while let waiter = each {
            each = waiter.pointee.next
            wake(waiter)
        }
    }

    /// Puts the calling thread into the line and sleeps until it is woken or the deadline. Called with the lock held,
    /// which is released before the sleep and not taken again.
    @usableFromInline static func sleep(
        in line: UnsafeMutablePointer<WaitingLine>, atFront: Bool, _ lock: QueueLock,
        until deadline: Deadline
    ) -> WaitOutcome {
        withUnsafeTemporaryAllocation(
            byteCount: MemoryLayout<Waiter>.size, alignment: MemoryLayout<Waiter>.alignment
        ) { memory in
            guard let address = memory.baseAddress else { return .timedOut }
            let waiter = address.bindMemory(to: Waiter.self, capacity: 1)
            waiter.initialize(to: Waiter())
            defer { waiter.deinitialize(count: 1) }
            line.pointee.insert(waiter, atFront: atFront)
            lock.release()
            while waiter.pointee.isWoken.load(ordering: .acquiring) == 0 {
                let left = deadline.remaining()?.nanoseconds
                if left == 0, leave(waiter, line, lock) { return .timedOut }
                _ = spool_futex_wait(wordOf(waiter), 0, left ?? -1)
            }
            return .woken
        }
    }

    /// `isWoken` stands first, and an atomic word is laid out as the word itself.
    private static func wordOf(
        _ waiter: UnsafeMutablePointer<Waiter>
    ) -> UnsafeMutablePointer<UInt32> {
        UnsafeMutableRawPointer(waiter).assumingMemoryBound(to: UInt32.self)
    }

    /// Takes a waiter out whose time is up; false when somebody is just waking it.
    private static func leave(
        _ waiter: UnsafeMutablePointer<Waiter>, _ line: UnsafeMutablePointer<WaitingLine>,
        _ lock: QueueLock
    ) -> Bool {
        lock.acquire()
        defer { lock.release() }
        guard waiter.pointee.isInLine else { return false }
        line.pointee.remove(waiter)
        return true
    }
}
