// Lock.swift - a mutual-exclusion lock and the condition that goes with it.
//
// Over pthread_mutex_t: Synchronization.Mutex is 40 times slower under contention (FUTEX_LOCK_PI) and traps in the
// main thread of a forked child, because it caches the thread's id.

private import Glibc

/// A mutual-exclusion lock, not recursive. See threading.Lock in Python, pthread_mutex_lock(3).
///
/// Safe from any thread. A forked child must not use a lock that another thread may have held at the fork.
public final class Lock: @unchecked Sendable {  // raw memory, made to be shared
    fileprivate let mutex: UnsafeMutablePointer<pthread_mutex_t>

    /// Free, or with nobody waiting.
    public init() {
        mutex = .allocate(capacity: 1)
        let status = pthread_mutex_init(mutex, nil)
        precondition(status == 0, "pthread_mutex_init: \(SpoolError.reason(status))")
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    /// Runs `body` while holding the lock, and gives back what it returns or throws.
    public func withLock<Value, Failure: Error>(
        _ body: () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }
}

/// What threads that hold a ``Lock`` wait on until another one says that things changed. See threading.Condition.
public final class Condition: @unchecked Sendable {  // raw memory, made to be shared
    private let lock: Lock
    private let condition: UnsafeMutablePointer<pthread_cond_t>

    /// Free, or with nobody waiting.
    public init(_ lock: Lock) {
        self.lock = lock
        condition = .allocate(capacity: 1)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        let status = pthread_cond_init(condition, &attributes)
        precondition(status == 0, "pthread_cond_init: \(SpoolError.reason(status))")
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        condition.deallocate()
    }

    /// Releases the lock, sleeps until a notification or the deadline, takes the lock again. Call it with the lock held
    /// and look again afterwards: a wait may end early. Returns false when the deadline had passed.
    @discardableResult
    public func wait(until deadline: Deadline = .never) -> Bool {
        guard deadline != .never else { return pthread_cond_wait(condition, lock.mutex) == 0 }
        var time = timespec(
            tv_sec: Int(deadline.nanoseconds / 1_000_000_000),
            tv_nsec: Int(deadline.nanoseconds % 1_000_000_000))
        return pthread_cond_timedwait(condition, lock.mutex, &time) == 0
    }

    /// Wakes one waiting thread.
    public func notify() { pthread_cond_signal(condition) }

    /// Wakes every waiting thread.
    public func notifyAll() { pthread_cond_broadcast(condition) }
}
