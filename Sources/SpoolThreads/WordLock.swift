// WordLock.swift - the innermost lock, of one word: held for some nanoseconds, and inlined where it is used.
//
// Invariant: the word is 0 when free, 1 when held, 2 when held and somebody may sleep on it. After Drepper,
// "Futexes Are Tricky", mutex 3. Beside pthread_mutex_t it saves two calls each time; who has to wait sleeps
// at once, as spinning made queues slower wherever it was measured.

public import Synchronization

/// A lock in memory that its owner provides: it guards a ``WaitingLine`` and what is waited for.
///
/// Never hold it while user code runs or anything waits. Applications take a ``Lock``. Safe from any thread of one
/// process; a forked child must not use one that another thread may have held at the fork.
public struct WordLock: @unchecked Sendable {  // a pointer to an atomic word
    /// Where it is: the memory is its owner's to free.
    public let word: UnsafeMutablePointer<Atomic<UInt32>>

    /// A lock in `word`, which is 0 at first and must outlive it.
    @inlinable public init(_ word: UnsafeMutablePointer<Atomic<UInt32>>) { self.word = word }

    /// Takes the lock, sleeping while another thread holds it.
    @inlinable public func acquire() {
        let (isFree, _) = word.pointee.compareExchange(
            expected: 0, desired: 1, ordering: .acquiring)
        if !isFree { acquireSleeping() }
    }

    /// Gives the lock back. Only for who holds it.
    @inlinable public func release() {
        if word.pointee.exchange(0, ordering: .releasing) == 2 { wakeOne() }
    }

    @usableFromInline func acquireSleeping() {
        while word.pointee.exchange(2, ordering: .acquiring) != 0 {
            _ = EventCount(word).sleep(while: 2)
        }
    }

    @usableFromInline func wakeOne() { EventCount(word).wake(1) }
}
