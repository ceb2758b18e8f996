// SyncLedger.swift - what of the log is on disk, as all processes on a file know it.
//
// A few words in memory that every process that writes has mapped (StoreMemory). Each commit gets the next number while
// its process holds the gate. Of those that must know theirs on disk one syncs, which serves all that committed before
// it began; the others sleep until it is done. Who syncs holds flock(2) of the same file, which the kernel drops if it
// dies: then those that sleep find out when they look again.
//
// fsync(2) tells of a failure once, and counts the pages that it could not write as written: see "PostgreSQL's fsync()
// surprise", lwn.net/Articles/752063. So a failed sync is written down here too, and nothing is written to the log, or
// said to be on disk, before the log was written again. It hears of a failure through each descriptor that was open
// before, but through none that is opened later. So that a sync is running is written down as well: who opens the log
// after its process was killed in it does not know how it ended, and writes the log again.
//
// Invariants: synced <= committed, and all commits up to synced are on disk; mended <= failures, and the log can be
// trusted while they are equal.

internal import SpoolThreads
private import Synchronization

/// Which commits are on disk. Safe from any thread; not across a fork.
final class SyncLedger: @unchecked Sendable {  // atomic words; who syncs holds the lock
    let memory: StoreMemory
    /// Of the threads of this process; flock(2) makes no difference between them.
    private let lock = Lock()

    enum Word: Int {
        case committed, synced, failures, mended
        /// An event count, half a word: the syncs that ended.
        case ended
        /// 1: somebody may sleep until the next one ends.
        case awaited
        /// Counts of beginnings and ends, odd while a sync runs or when its process has died in it: those of who holds
        /// the lock, and SQLite's own, of who is in the gate.
        case running, gated
    }
    /// Whoever syncs may die and ring for nobody.
    private static let patience = Duration.milliseconds(5)
    /// Who holds the lock for so long was stopped, or its disk hangs: then each syncs for itself.
    private static let stalled = Duration.seconds(1)

    /// Which syncs ran when the memory was mapped, and nobody held the lock.
    struct Found {
        fileprivate var (running, gated): (UInt64, UInt64) = (0, 0)

        init() {}

        init(_ memory: StoreMemory) {
            let words = [Word.running, .gated].map {
                SyncLedger.at($0, memory).pointee.load(ordering: .sequentiallyConsistent)
            }
            (running, gated) = (words[0], words[1])
        }
    }

    /// The failures that the log's descriptor here has told of, or never will. Of who is in the gate.
    private var heard: UInt64 = 0

    init(_ memory: StoreMemory) {
        self.memory = memory
        heard = value(.failures)
    }

    private static func at(_ word: Word, _ memory: StoreMemory) -> SharedWord {
        memory.word(StoreMemory.Place.ledger + word.rawValue)
    }

    private func at(_ word: Word) -> SharedWord { SyncLedger.at(word, memory) }

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

    /// How many there were, of all processes.
    var commits: UInt64 { value(.committed) }

    /// Counts a commit. The caller holds the gate.
    /// - Returns: Its number, for ``sync(upTo:_:)``.
    func commit() -> UInt64 {
        at(.committed).pointee.wrappingAdd(1, ordering: .sequentiallyConsistent).newValue
    }

    /// Whether it is known of the commit of that number, and so of those before it.
    func isOnDisk(_ commit: UInt64) -> Bool { value(.synced) >= commit }

    /// Returns when the commit of that number is on disk. False: the disk failed, and nobody can tell.
    func sync(upTo commit: UInt64, _ log: LogFile) -> Bool {
        if isOnDisk(commit) { return true }
        return lock.withLock {
            let limit = Deadline(after: SyncLedger.stalled)
            while true {
                let seen = ended.read()
                if isOnDisk(commit) { return true }
                guard StoreMemory.tryLock(memory.file) else {
                    if limit.isPast { return sync(log) }
                    set(.awaited, 1)
                    ended.wait(after: seen, until: Deadline(after: SyncLedger.patience))
                    continue
                }
                defer {
                    memory.file.unlock()
                    ended.advance(waking: 0)
                    // Who said so later finds that the count has moved.
                    if isAwaited() { ended.advance() }
                }
                if isOnDisk(commit) { return true }
                begin(.running)
                defer { end(.running) }
                return sync(log)
            }
        }
    }

    /// Returns when all that is committed is on disk, claims too. False: the disk failed.
    func syncAll(_ log: LogFile) -> Bool { sync(upTo: value(.committed), log) }

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

    /// Runs something in which SQLite syncs the log, in the gate: who finds it to have failed must say so, with
    /// ``fail()``, before another thread's sync can succeed.
    func alone(_ body: () throws(SpoolError) -> Void) throws(SpoolError) {
        try lock.withLock { () throws(SpoolError) in
            begin(.gated)
            defer { end(.gated) }
            try body()
        }
    }

    /// Runs a sync of the log, which tells by 0 that it was one, where nobody else has the file open.
    func closing(_ sync: () -> Int32) -> Int32 {
        begin(.gated)
        defer { end(.gated) }
        let status = sync()
        if status != 0 { fail() }
        return status
    }

    /// Counts a commit that SQLite has written and synced, with all before it. The caller is in the gate, and
    /// ``alone(_:)``.
    func commitSynced() -> UInt64 {
        let number = commit()
        at(.synced).pointee.max(number, ordering: .sequentiallyConsistent)
        return number
    }

    // MARK: - Failures

    /// Whether a sync has failed, and the log was not written again since.
    var isBroken: Bool { value(.failures) != value(.mended) }

    /// Whether the log is to be written again: it is broken, or a sync ran to an unknown end before it was opened here,
    /// or another process has written it again, and our own next sync would tell of what is mended. The caller is in
    /// the gate.
    var isDoubtful: Bool {
        isBroken || value(.failures) != heard || isCut(.running, memory.found.running)
            || isCut(.gated, memory.found.gated)
    }

    /// Once another one runs it was somebody's who knew how that had ended.
    private func isCut(_ word: Word, _ found: UInt64) -> Bool {
        found % 2 == 1 && value(word) == found
    }

    private func begin(_ word: Word) { set(word, (value(word) &+ 1) | 1) }

    private func end(_ word: Word) { set(word, (value(word) | 1) &+ 1) }

    /// Writes down that a sync failed.
    func fail() { at(.failures).pointee.wrappingAdd(1, ordering: .sequentiallyConsistent) }

    /// Writes the log again. The caller holds the gate and SQLite's write lock.
    /// - Throws: `inputOutput` when the disk fails again.
    func mend(_ path: String, _ log: LogFile) throws(SpoolError) {
        try lock.withLock { () throws(SpoolError) in
            try memory.file.lock(path)
            defer { memory.file.unlock() }
            let (failures, last) = (value(.failures), value(.committed))
            guard log.writeAgain() else {
                throw SyncLedger.failure(path, "writing its log again")
            }
            heard = failures
            set(.mended, failures)
            end(.running)
            end(.gated)
            at(.synced).pointee.max(last, ordering: .sequentiallyConsistent)
        }
    }

    static func failure(_ path: String, _ doing: String) -> SpoolError {
        .inputOutput(path: path, doing: doing, detail: "the disk failed as it was to be synced")
    }
}
