// RobustMutex.swift - the lock in shared memory that survives its owner.
//
// The kernel knows which robust locks a thread holds, and marks them when it dies (set_robust_list(2)): the next one
// gets the lock and is told. Invariant of whoever uses it: what the lock guards can be put in order after a death at
// any instruction. Never wait for anything with it held but for memory.

private import CSpool
private import Glibc
public import SpoolThreads

/// A lock in memory that processes share, told when its last owner died. See pthread_mutex_consistent(3).
///
/// Safe from any thread of any process that has the memory mapped, and after a fork; the thread that took it gives it
/// back. Not recursive. The processes must be in one PID namespace, as an owner is known by its thread's number.
public struct RobustMutex: @unchecked Sendable {  // a pointer to what the C library synchronises
    /// How a lock was, or was not, taken.
    public enum Outcome: Sendable {
        /// It is held by the caller.
        case locked
        /// It is held by the caller, and its last owner died with it: put in order what it guards, then call
        /// ``RobustMutex/markConsistent()``.
        case ownerDied
        /// The deadline passed first.
        case timedOut
    }

    /// Bytes to keep for one, aligned to 8.
    public static let size = MemoryLayout<pthread_mutex_t>.size

    private let mutex: UnsafeMutablePointer<pthread_mutex_t>

    /// The lock at this address, which must be mapped as long as it is used.
    public init(at address: UnsafeMutableRawPointer) {
        mutex = address.assumingMemoryBound(to: pthread_mutex_t.self)
    }

    /// Makes the lock, free: once, before anybody else can know the memory.
    public func initialize() {
        let status = spool_robust_init(mutex)
        precondition(status == 0, "a robust lock could not be made: \(SpoolError.reason(-status))")
    }

    /// Takes the lock, waiting while another thread of any process holds it.
    public func lock(until deadline: Deadline = .never) -> Outcome {
        // In slices: who is killed when it was woken and before it has the lock, while another slips in, takes the
        // wake-up of the others along. The kernel puts right a lock that is held, not one that is awaited.
        while true {
            let slice = Deadline(after: .milliseconds(20))
            let status = spool_robust_lock(mutex, min(slice, deadline).nanoseconds)
            guard status == -ETIMEDOUT, slice < deadline else { return outcome(of: status) }
        }
    }

    /// As ``lock(until:)`` without an end, for where every nanosecond counts.
    @inline(__always) func lockQuickly() -> Outcome {
        let status = spool_robust_try(mutex)
        if status == 0 { return .locked }
        return status == -EBUSY ? lock() : outcome(of: status)
    }

    private func outcome(of status: Int32) -> Outcome {
        switch -status {
        case 0: return .locked
        case EOWNERDEAD: return .ownerDied
        case ETIMEDOUT: return .timedOut
        case let error:
            // ENOTRECOVERABLE: an owner was told of a death and gave the lock back without putting things in order.
            preconditionFailure("a robust lock cannot be taken: \(SpoolError.reason(error))")
        }
    }

    /// Says that what the lock guards is in order again, after ``Outcome/ownerDied``. With the lock held.
    public func markConsistent() { pthread_mutex_consistent(mutex) }

    /// Gives the lock back. Only for the thread that holds it.
    public func unlock() { pthread_mutex_unlock(mutex) }
}
