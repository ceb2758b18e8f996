// OpenCrews.swift - the pools that have processes: the process ends after what was submitted to them is done.
//
// As with the pools of threads (OpenPools): at exit, and at the end of a child process, every pool is shut down, and
// its processes are waited for. A forked child has none of its parent's, and does not know who held the lock at the
// fork.

private import Glibc
internal import SpoolThreads
private import Synchronization

/// All pools of this process that have processes.
final class OpenCrews: @unchecked Sendable {  // touched with the lock held only
    static let shared = OpenCrews()

    private let owner = Atomic<Int32>(0)
    private let lock = Lock()
    private var crews: [ObjectIdentifier: PoolCrew] = [:]

    /// Its hook is made after those of threads and of children, and so runs before them.
    func add(_ crew: PoolCrew) {
        let inherited = lock.withLock { () -> [ObjectIdentifier: PoolCrew] in
            // A forked child has its parent's hook; what it finds here is its parent's, and not its to end.
            let before = owner.exchange(getpid(), ordering: .relaxed)
            if before == 0 { atexit { OpenCrews.shared.end() } }
            let others = before == getpid() ? [:] : crews
            if before != getpid() { crews = [:] }
            crews[ObjectIdentifier(crew)] = crew
            return others
        }
        withExtendedLifetime(inherited) {}
    }

    func remove(_ crew: PoolCrew) {
        let gone = lock.withLock { crews.removeValue(forKey: ObjectIdentifier(crew)) }
        withExtendedLifetime(gone) {}
    }

    func end() {
        guard owner.load(ordering: .relaxed) == getpid() else { return }
        let open = lock.withLock { Array(crews.values) }
        for crew in open { crew.shutdown(cancelFutures: false) }
        for crew in open { crew.join() }
    }
}
