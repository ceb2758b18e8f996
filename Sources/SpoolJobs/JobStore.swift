// JobStore.swift - a store that all threads and tasks of a process share.

private import Glibc
public import SpoolThreads

/// A store of jobs that any number of threads and tasks of a process may use at once; their transactions are shared
/// (group commit). Not across a fork: open it in the child. Keep it for as long as jobs that were got from it are at
/// work: who lets it go gives them back.
public final class JobStore: Sendable {
    /// Where its files are.
    public let files: StoreFiles
    let commits: GroupCommit
    private let shared = Shared()

    private final class Shared: @unchecked Sendable {  // touched with the lock held only
        let lock = Lock()
        /// Whose registration was committed.
        var owner: Int64?
        /// Who was registered in a transaction, perhaps one that is open still.
        var registered: Int64?
        var arrived: Watch?
        var settled: Watch?
    }

    /// Opens the store, and makes it if it is missing.
    /// - Throws: as ``Store/open(_:_:)``.
    public init(_ path: String) throws(SpoolError) {
        let store = try Store.open(path, .create)
        files = store.files
        // A process that stays open reads the log once: a longer one costs it fewer checkpoints.
        store.checkpointPages = 1024
        commits = GroupCommit(store)
    }

    deinit {
        shared.arrived?.end()
        shared.settled?.end()
        commits.close()
    }

    /// The owner of its claims. It lives as long as this store and its process: then its jobs come back.
    func owner() throws(SpoolError) -> Int64 {
        if let known = knownOwner { return known }
        return remember(
            try commits.perform { [shared] store throws(SpoolError) in
                try JobStore.register(store, shared)
            })
    }

    /// As ``owner()`` for tasks.
    func ownerForTasks() async throws(SpoolError) -> Int64 {
        if let known = knownOwner { return known }
        return remember(
            try await commits.perform { [shared] store throws(SpoolError) in
                try JobStore.register(store, shared)
            })
    }

    /// Once, however many come for it at the same time. In a transaction, which may be undone: so the row says whether
    /// it was.
    private static func register(_ store: Store, _ shared: Shared) throws(SpoolError) -> Int64 {
        if let made = shared.lock.withLock({ shared.registered }), try store.isOwner(made) {
            return made
        }
        try store.recover(now: .now())
        let made = try store.register(
            name: processName(), consumers: 0, queues: "", now: .now())
        shared.lock.withLock { shared.registered = made }
        return made
    }

    private func remember(_ made: Int64) -> Int64 {
        shared.lock.withLock { shared.owner = made }
        return made
    }

    private var knownOwner: Int64? { shared.lock.withLock { shared.owner } }

    /// host:pid, as tables show it.
    public static func processName() -> String {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, 255)
        let host = String(
            decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return "\(host):\(getpid())"
    }

    func watch(_ kind: Doorbell.Kind) throws(SpoolError) -> Watch {
        try shared.lock.withLock { () throws(SpoolError) in
            let known = kind == .arrived ? shared.arrived : shared.settled
            if let known { return known }
            let made = try Watch(kind, files.database)
            if kind == .arrived { shared.arrived = made } else { shared.settled = made }
            return made
        }
    }
}
