// QueueLock.swift - the lock of a queue: held for some nanoseconds, and inlined into put and get.
//
// Invariant: the word is 0 when free, 1 when held, 2 when held and somebody may sleep on it. After Drepper,
// "Futexes Are Tricky", mutex 3. Beside pthread_mutex_t it saves two calls each time; who has to wait sleeps
// at once, as spinning made queues slower wherever it was measured.

private import CSpool
public import Synchronization

/// A lock in memory that its owner provides.
@usableFromInline struct QueueLock: @unchecked Sendable {  // a pointer to an atomic word
    @usableFromInline let word: UnsafeMutablePointer<Atomic<UInt32>>

    @inlinable init(_ word: UnsafeMutablePointer<Atomic<UInt32>>) { self.word = word }

    @inlinable func acquire() {
        let (isFree, _) = word.pointee.compareExchange(
            expected: 0, desired: 1, ordering: .acquiring)
        if !isFree { acquireSleeping() }
    }

    @inlinable func release() {
        if word.pointee.exchange(0, ordering: .releasing) == 2 { wakeOne() }
    }

    @usableFromInline func acquireSleeping() {
        while word.pointee.exchange(2, ordering: .acquiring) != 0 {
            _ = spool_futex_wait(address, 2, -1)
        }
    }

    @usableFromInline func wakeOne() { spool_futex_wake(address, 1) }

    /// An atomic word is laid out as the word itself.
    private var address: UnsafeMutablePointer<UInt32> {
        UnsafeMutableRawPointer(word).assumingMemoryBound(to: UInt32.self)
    }
}
