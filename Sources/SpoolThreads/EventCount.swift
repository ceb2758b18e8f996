// EventCount.swift - the only thing in memory that a thread sleeps on.
//
// Invariant: a waiter reads the count before it looks for what it needs. What arrives after the look moves the count,
// so the sleep ends at once: no wake-up is lost. After Reed & Kanodia, "Synchronization with Eventcounts and
// Sequencers", 1979. Everything else that waits (Waiter, WordLock) sleeps through here.

private import CSpool
public import Synchronization

/// A count of events, in a word of memory that its owner provides: read it, look, then wait for the next.
///
/// Safe from any thread; with ``Reach/sharedMemory`` also from any process that has mapped the word, and after a fork.
/// See futex(2).
public struct EventCount: @unchecked Sendable {  // a pointer to an atomic word
    /// Who can sleep on the word.
    public enum Reach: Sendable {
        /// The threads of this process: the kernel finds them by address, which is quicker.
        case process
        /// All processes that share the memory.
        case sharedMemory
    }

    private let word: UnsafeMutablePointer<Atomic<UInt32>>
    private let reach: Reach

    /// A count in `word`, which must outlive it. Several values over one word are one event count.
    public init(_ word: UnsafeMutablePointer<Atomic<UInt32>>, reach: Reach = .process) {
        self.word = word
        self.reach = reach
    }

    /// The count now; it begins again at 0 after 2^32 events.
    public func read() -> UInt32 { word.pointee.load(ordering: .acquiring) }

    /// Counts one event, and wakes up to `sleepers` of those who wait; 0 only counts.
    public func advance(waking sleepers: Int = .max) {
        word.pointee.wrappingAdd(1, ordering: .releasing)
        // From here on a waiter may have freed the word: only its address is used, and sleepers look again.
        if sleepers > 0 { wake(sleepers) }
    }

    /// Sleeps until the count is not `seen` any more. Returns false when the deadline had passed before.
    @discardableResult
    public func wait(after seen: UInt32, until deadline: Deadline = .never) -> Bool {
        while read() == seen {
            guard sleep(while: seen, until: deadline) else { return false }
        }
        return true
    }

    /// Sleeps once, or not at all when the word is not `value`: look again. Returns false when the deadline has passed.
    func sleep(while value: UInt32, until deadline: Deadline = .never) -> Bool {
        let left = deadline.remaining()?.nanoseconds ?? -1
        if left == 0 { return false }
        switch reach {
        case .process: _ = spool_futex_wait(address, value, left)
        case .sharedMemory: _ = spool_shared_futex_wait(address, value, left)
        }
        return true
    }

    /// Ends the sleep of up to `sleepers` threads, without counting: for events that were counted with a lock held.
    public func wake(_ sleepers: Int) {
        switch reach {
        case .process: spool_futex_wake(address, Int32(clamping: sleepers))
        case .sharedMemory: spool_shared_futex_wake(address, Int32(clamping: sleepers))
        }
    }

    /// An atomic word is laid out as the word itself.
    private var address: UnsafeMutablePointer<UInt32> {
        UnsafeMutableRawPointer(word).assumingMemoryBound(to: UInt32.self)
    }
}
