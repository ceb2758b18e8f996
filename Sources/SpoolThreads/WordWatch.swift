// WordWatch.swift - sleeping on several words of shared memory at once.
//
// Invariant: as with one event count, each word is read before the look and given with what it was then. What changed
// since makes the sleep end at once. An event count of several: who waits for a lock also waits for its holder's death.

private import CSpool
public import Synchronization

/// Words of shared memory, and what they were when somebody looked. See futex_waitv(2).
public struct WordWatch {
    /// How many words the kernel watches at once.
    public static let limit = 128

    private var watches: [spool_watch] = []

    /// Nothing to wait for yet.
    public init() {}

    /// Whether there is room for another word.
    public var isFull: Bool { watches.count >= Self.limit }

    /// Watches one more word, which was `value` when it was read; beyond ``limit`` it is left out.
    public mutating func add(_ word: UnsafeMutablePointer<Atomic<UInt32>>, was value: UInt32) {
        if !isFull { watches.append(spool_watch(word: Self.address(word), value: value)) }
    }

    /// Sleeps until a word is woken or is not what it was, or the deadline passes. Look again, whatever ended it.
    public func sleep(until deadline: Deadline) {
        spool_sleep_on_any(watches, Int32(watches.count), deadline.nanoseconds)
    }

    /// Ends the sleep of up to `sleepers` that watch the word, in whatever process.
    public static func wake(_ word: UnsafeMutablePointer<Atomic<UInt32>>, sleepers: Int = .max) {
        spool_shared_futex_wake(address(word), Int32(clamping: sleepers))
    }

    /// An atomic word is laid out as the word itself.
    private static func address(
        _ word: UnsafeMutablePointer<Atomic<UInt32>>
    ) -> UnsafeMutablePointer<UInt32> {
        UnsafeMutableRawPointer(word).assumingMemoryBound(to: UInt32.self)
    }
}
