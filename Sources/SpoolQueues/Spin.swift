// Spin.swift - looking again for a moment before sleeping: for the two hand-offs of a pool, where what is waited for
// is often there within the time that a sleep and a wake-up take.
//
// One thread spins at a queue at a time, and it counts as one that is being woken: a put meanwhile wakes nobody, and
// the spinner passes on what it does not take. It never spins on one processor.

private import CSpool
private import Glibc
internal import SpoolThreads
private import Synchronization

@usableFromInline enum Spin {
    private static let rounds = sysconf(Int32(_SC_NPROCESSORS_ONLN)) > 1 ? 100 : 0

    /// Looks until it holds, a few microseconds at most.
    @inline(__always)
    static func until(_ holds: () -> Bool) {
        for _ in 0..<rounds {
            if holds() { return }
            spool_relax()
        }
    }
}

extension MemoryQueue where Storage: ~Copyable {
    /// As `get`, for a thread that expects the next item soon.
    func getSoon() throws(SpoolError) -> Item {
        if let item = try tryGet() { return item }
        spin()
        return try get()
    }

    private func spin() {
        lock.acquire()
        let puts = state.pointee.puts.load(ordering: .relaxed)
        guard !isVain(.getters), !lines[QueueLine.getters.rawValue].isWaking else {
            return lock.release()
        }
        lines[QueueLine.getters.rawValue].isWaking = true
        lock.release()
        Spin.until { state.pointee.puts.load(ordering: .relaxed) != puts }
        passOn(.getters)
    }
}
