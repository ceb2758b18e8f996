// SyncLedger.swift - what of the log is on disk, as all processes on a file know it.
//
// A few words in memory that every process that writes has mapped (StoreMemory). Each commit gets the next number while
// its process holds the gate. Of those that must know theirs on disk one syncs, which serves all that committed before
// it began; the others sleep until it is done. Who syncs holds flock(2) of the same file, which the kernel drops if it
// dies: then those that sleep find out when they look again.
//
// fsync(2) tells of a failure once, and counts the pages that it could not write as written: see "PostgreSQL's fsync()
// surprise", lwn.net/Articles/752063. So a failed sync is written down here too, and nothing is written to the log, or
// said to be on disk, before the log was written again.
//
// Invariants: synced <= committed, and all commits up to synced are on disk; mended <= failures, and the log can be
// trusted while they are equal.

internal import SpoolThreads
private import Synchronization

/// Which commits are on disk. Safe from any thread; not across a fork.
final class SyncLedger: @unchecked Sendable {  // atomic words; who syncs holds the lock
    private let memory: StoreMemory
    /// Of the threads of this process; flock(2) makes no difference between them.
    private let lock = Lock()

    private enum Word: Int {
        case committed, synced, failures, mended
        /// An event count, half a word: the syncs that ended.
        case ended
        /// 1: somebody may sleep until the next one ends.
        case awaited
    }
    /// Whoever syncs may die and ring for nobody.
    private static let patience = Duration.milliseconds(5)

    init(_ memory: StoreMemory) { self.memory = memory }

    private func at(_ word: Word) -> SharedWord {
        memory.word(StoreMemory.Place.ledger + word.rawValue)
    }

    private var ended: EventCount {
        let word = UnsafeMutableRawPointer(at(.ended))
        return EventCount(word.assumingMemoryBound(to: Atomic<UInt32>.self), reach: .sharedMemory)
    }

    private func isAwaited() -> Bool {
        at(.awaited).pointee.exchange(0, ordering: .sequentiallyConsistent) != 0
    }

    private func value(_ word: Word) -> UInt64 {
        at(word).pointee.load(ordering: .sequentiallyConsistent)
    }

    private func set(_ word: Word, _ value: UInt64) {
        at(word).pointee.store(value, ordering: .sequentiallyConsistent)
    }

    // MARK: - Commits, and syncs

    /// Counts a commit. The caller holds the gate.
    /// - Returns: Its number, for ``sync(upTo:_:)``.
    func commit() -> UInt64 {
        at(.committed).pointee.add(1, ordering: .sequentiallyConsistent).newValue
    }

    /// Returns when the commit of that number is on disk. False: the disk failed, and nobody can tell.
    func sync(upTo commit: UInt64, _ log: LogFile) -> Bool {
        if value(.synced) >= commit { return true }
        return lock.withLock {
            while true {
                let seen = ended.read()
                if value(.synced) >= commit { return true }
                guard StoreMemory.tryLock(memory.file) else {
                    set(.awaited, 1)
                    ended.wait(after: seen, until: Deadline(after: SyncLedger.patience))
                    continue
                }
                defer {
                    StoreMemory.unlock(memory.file)
                    ended.advance(waking: 0)
                    // Who said so later finds that the count has moved.
                    if isAwaited() { ended.advance() }
                }
                return value(.synced) >= commit || sync(log)
            }
        }
    }

    private func sync(_ log: LogFile) -> Bool {
        guard !isBroken else { return false }
        let last = value(.committed)
        guard log.sync() else {
            fail()
            return false
        }
        at(.synced).pointee.max(last, ordering: .sequentiallyConsistent)
        return true
    }

    /// Runs something in which SQLite syncs the log: who finds it to have failed must say so, with ``fail()``, before
    /// another thread's sync can succeed.
    func alone(_ body: () throws(SpoolError) -> Void) throws(SpoolError) {
        try lock.withLock { () throws(SpoolError) in try body() }
    }

    /// Counts a commit that SQLite has synced. The caller holds the gate, and is ``alone(_:)``.
    func commitSynced() -> UInt64 {
        let number = commit()
        at(.synced).pointee.max(number, ordering: .sequentiallyConsistent)
        return number
    }

    // MARK: - Failures

    /// Whether a sync has failed, and the log was not written again since.
    var isBroken: Bool { value(.failures) != value(.mended) }

    /// Writes down that a sync failed.
    func fail() { at(.failures).pointee.add(1, ordering: .sequentiallyConsistent) }

    /// Writes the log again. The caller holds the gate and SQLite's write lock.
    /// - Throws: `inputOutput` when the disk fails again.
    func mend(_ path: String, _ log: LogFile) throws(SpoolError) {
        try lock.withLock { () throws(SpoolError) in
            try StoreMemory.lock(memory.file)
            defer { StoreMemory.unlock(memory.file) }
            let (failures, last) = (value(.failures), value(.committed))
            guard log.writeAgain() else {
                throw SyncLedger.failure(path, "writing its log again")
            }
            set(.mended, failures)
            at(.synced).pointee.max(last, ordering: .sequentiallyConsistent)
        }
    }

    static func failure(_ path: String, _ doing: String) -> SpoolError {
        .inputOutput(path: path, doing: doing, detail: "the disk failed as it was to be synced")
    }
}
