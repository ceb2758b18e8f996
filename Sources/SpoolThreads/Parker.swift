// Parker.swift - one place where one thread sleeps until it is told a word.
//
// Invariant: a word that was told stays told. Telling before the thread sleeps is as good as after. The word is 0 when
// nothing was told, `asleep` when nothing was told and the thread may sleep: only then is the kernel asked to wake it.

private import Synchronization

/// Lets one thread wait for a message of one word from another one. See futex(2), java.util.concurrent.LockSupport.
///
/// Costs no lock and wakes nobody else: what many threads that wait for different things need. Any thread may tell;
/// one waits. Not across a fork.
public final class Parker: @unchecked Sendable {  // touched by atomic operations only
    private let word: UnsafeMutablePointer<Atomic<UInt32>>
    private static let asleep = UInt32.max

    /// Nothing told yet.
    public init() {
        word = .allocate(capacity: 1)
        word.initialize(to: Atomic(0))
    }

    deinit {
        word.deinitialize(count: 1)
        word.deallocate()
    }

    /// Tells `message`, neither 0 nor the greatest word, and wakes the thread if it sleeps.
    public func tell(_ message: UInt32) {
        precondition(message != 0 && message != Parker.asleep, "a message that has a meaning here")
        let before = word.pointee.exchange(message, ordering: .sequentiallyConsistent)
        if before == Parker.asleep { EventCount(word).wake(1) }
    }

    /// Sleeps until something was told, and takes it. Nil: the deadline was past before.
    public func wait(until deadline: Deadline = .never) -> UInt32? {
        while true {
            let (_, told) = word.pointee.compareExchange(
                expected: 0, desired: Parker.asleep, ordering: .sequentiallyConsistent)
            if told != 0, told != Parker.asleep { return take() }
            guard EventCount(word).sleep(while: Parker.asleep, until: deadline) else {
                let (isStill, _) = word.pointee.compareExchange(
                    expected: Parker.asleep, desired: 0, ordering: .sequentiallyConsistent)
                return isStill ? nil : take()
            }
        }
    }

    /// What was told, taken; nil: nothing yet.
    public func look() -> UInt32? {
        word.pointee.load(ordering: .acquiring) == 0 ? nil : take()
    }

    private func take() -> UInt32 { word.pointee.exchange(0, ordering: .sequentiallyConsistent) }
}
