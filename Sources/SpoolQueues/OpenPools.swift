// OpenPools.swift - the pools that have threads: the process ends after what was submitted to them is done.
//
// As in Python: at exit every pool is shut down, and its threads are waited for. A forked child has none of them, and
// must not wait: it knows that by the process id, before it touches a lock that somebody held at the fork.

internal import SpoolThreads
private import Glibc
private import Synchronization

/// All pools of the process that have threads.
final class OpenPools: @unchecked Sendable {  // touched with the lock held only
    static let shared = OpenPools()

    private let owner = Atomic<Int32>(0)
    private let numbers = Atomic<UInt64>(0)
    private let lock = Lock()
    private var pools: [UInt64: Workforce] = [:]
    private var isEnding = false

    /// Not 0.
    func nextNumber() -> UInt64 { numbers.add(1, ordering: .relaxed).newValue }

    /// - Throws: `shutDown` when the process is ending.
    func add(_ pool: Workforce) throws(SpoolError) {
        try lock.withLock { () throws(SpoolError) in
            guard !isEnding else { throw .shutDown }
            let before = owner.exchange(getpid(), ordering: .relaxed)
            if before == 0 { atexit { OpenPools.shared.end() } }
            // What a forked child finds here is its parent's.
            if before != getpid() { pools = [:] }
            pools[pool.number] = pool
        }
    }

    func remove(_ pool: Workforce) { lock.withLock { pools[pool.number] = nil } }

    func end() {
        guard owner.load(ordering: .relaxed) == getpid() else { return }
        let open = lock.withLock { () -> [Workforce] in
            isEnding = true
            return Array(pools.values)
        }
        for pool in open { pool.shutdown(cancelFutures: false) }
        for pool in open { pool.join() }
        // The process may have waited for its threads before: those that tasks have started since are waited for, too.
        Thread.joinAll()
    }
}
