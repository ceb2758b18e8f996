// Parker.swift - one place where one thread sleeps until it is told a word.
//
// Invariant: a word that was told stays told. Telling before the thread sleeps is as good as after.

private import CSpool

/// Lets one thread wait for a message of one word from another one. See futex(2), java.util.concurrent.LockSupport.
///
/// Costs no lock and wakes nobody else: what many threads that wait for different things need. Any thread may tell;
/// one waits. Not across a fork.
public final class Parker: @unchecked Sendable {  // touched by atomic operations only
    private let word: UnsafeMutablePointer<UInt32>

    /// Nothing told yet.
    public init() {
        word = .allocate(capacity: 1)
        word.initialize(to: 0)
    }

    deinit { word.deallocate() }

    /// Tells `message`, which is not 0, and wakes the thread if it sleeps.
    public func tell(_ message: UInt32) {
        precondition(message != 0, "0 stands for nothing told")
        spool_store_word(word, message)
        spool_futex_wake(word, 1)
    }

    /// Sleeps until something was told, and takes it. Nil: the deadline was past before.
    public func wait(until deadline: Deadline = .never) -> UInt32? {
        while true {
            let message = spool_load_word(word)
            if message != 0 {
                spool_store_word(word, 0)
                return message
            }
            guard let left = deadline.remaining() else {
                _ = spool_futex_wait(word, 0, -1)
                continue
            }
            guard left > .zero else { return nil }
            _ = spool_futex_wait(word, 0, left.nanoseconds)
        }
    }
}
