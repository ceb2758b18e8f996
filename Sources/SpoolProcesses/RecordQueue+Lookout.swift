// RecordQueue+Lookout.swift - a getter that expects the next item soon looks out for it before it sleeps.
//
// To wake a process on another processor takes longer than many a task. One getter of a queue looks out at a time, and
// the first item that is put meanwhile wakes nobody else. Its word in shared memory says until when, so that nobody
// trusts in one that was killed or stopped for longer than that: those that sleep find the item when they look.

private import CSpool
internal import SpoolQueues
internal import SpoolThreads
internal import Synchronization

extension RecordQueue {
    /// As `get`, for who got an item a moment ago and expects another.
    func get(timeout: Duration?, _ spin: inout Spin) throws(SpoolError) -> HeldRecord {
        lookOut(&spin)
        return try get(timeout: timeout)
    }

    private func lookOut(_ spin: inout Spin) {
        let now = Deadline.now()
        let before = lookout.pointee.load(ordering: .relaxed)
        // Longer than it spins, shorter than anybody should wait.
        let until = now.nanoseconds + 100_000
        guard hint.pointee.load(ordering: .relaxed) == 0, before < now.nanoseconds,
            lookout.pointee.compareExchange(
                expected: before, desired: until, ordering: .sequentiallyConsistent
            ).exchanged
        else { return }
        spin.look { hint.pointee.load(ordering: .relaxed) > 0 }
        lookout.pointee.store(0, ordering: .sequentiallyConsistent)
    }

    /// With the lock held: whether an item that was just put is seen by one that looks out.
    var isLookedOutFor: Bool {
        let until = lookout.pointee.load(ordering: .sequentiallyConsistent)
        return until > 0 && header.pointee.readyCount == 1 && Deadline.now().nanoseconds < until
    }

    var lookout: UnsafeMutablePointer<Atomic<UInt64>> {
        (memory.base + QueueLayout.lookout).assumingMemoryBound(to: Atomic<UInt64>.self)
    }
}
