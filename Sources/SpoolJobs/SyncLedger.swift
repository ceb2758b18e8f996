// SyncLedger.swift - what of the log is on disk, as all processes on a file know it.
//
// A few words in FILE-spool/synced, mapped by every process that writes. Each commit gets the next number while its
// process holds the gate. Of those that must know theirs on disk one syncs, which serves all that committed before it
// began; the others sleep until it is done. Who syncs holds flock(2) of the same file, which the kernel drops if it
// dies: then those that sleep find out when they look again.
//
// fsync(2) tells of a failure once, and counts the pages that it could not write as written: see "PostgreSQL's fsync()
// surprise", lwn.net/Articles/752063. So a failed sync is written down here too, and nothing is written to the log, or
// said to be on disk, before the log was written again.
//
// Invariants: synced <= committed, and all commits up to synced are on disk; mended <= failures, and the log can be
// trusted while they are equal. The words count from the start of the system: a power cut leaves anything in them.

private import CSpool
private import Glibc
internal import SpoolThreads
private import Synchronization

/// Which commits are on disk. Safe from any thread; not across a fork.
final class SyncLedger: @unchecked Sendable {  // atomic words; who syncs holds the lock
    private let file: File
    private let words: UnsafeMutablePointer<Atomic<UInt64>>
    /// Of the threads of this process; flock(2) makes no difference between them.
    private let lock = Lock()

    private enum Word {
        static let boot = 0
        static let committed = 5
        static let synced = 6
        static let failures = 7
        static let mended = 8
        /// An event count, half a word: the syncs that ended.
        static let ended = 9
        /// 1: somebody may sleep until the next one ends.
        static let awaited = 10
    }
    /// Whoever syncs may die and ring for nobody.
    private static let patience = Duration.milliseconds(5)
    private static let size = 4096

    /// - Throws: as ``File/side(_:)``; `diskFull`, `inputOutput`, `system`.
    init(_ path: String) throws(SpoolError) {
        let file = try File.side(path)
        try SyncLedger.lockFile(file.descriptor)
        defer { flock(file.descriptor, LOCK_UN) }
        let boot = SyncLedger.bootID()
        let memory = try SyncLedger.map(file.descriptor, path, isShared: boot != nil)
        words = memory.bindMemory(to: Atomic<UInt64>.self, capacity: SyncLedger.size / 8)
        self.file = file
        beginAnew(unless: boot ?? [])
    }

    private static func map(
        _ descriptor: Int32, _ path: String, isShared: Bool
    ) throws(SpoolError) -> UnsafeMutableRawPointer {
        var status = stat()
        if fstat(descriptor, &status) != 0 || status.st_size < size {
            // Written, not only made longer: a hole could find the disk full when it is touched.
            let zeros = [UInt8](repeating: 0, count: size)
            let count = pwrite(descriptor, zeros, size, 0)
            if count >= 0, count < size { errno = ENOSPC }
            guard count == size else { throw File.failure(path, "making it") }
        }
        let kind = isShared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS
        let memory = mmap(
            nil, size, PROT_READ | PROT_WRITE, kind, isShared ? descriptor : -1, 0)
        guard let memory, memory != MAP_FAILED else { throw .system(call: "mmap", errno: errno) }
        return memory
    }

    deinit { munmap(UnsafeMutableRawPointer(words), SyncLedger.size) }

    /// Which start of the system this is, in words. Nil: it does not say; then no process can trust another's words.
    private static func bootID() -> [UInt64]? {
        let descriptor = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var id = [UInt64](repeating: 0, count: 5)
        let count = id.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
        return count > 0 ? id : nil
    }

    private func beginAnew(unless boot: [UInt64]) {
        guard boot.indices.contains(where: { word(Word.boot + $0) != boot[$0] }) else { return }
        for index in Word.committed...Word.mended { set(index, 0) }
        for index in boot.indices { set(Word.boot + index, boot[index]) }
    }

    private var ended: EventCount {
        let word = UnsafeMutableRawPointer(words + Word.ended)
        return EventCount(word.assumingMemoryBound(to: Atomic<UInt32>.self), reach: .sharedMemory)
    }

    private func isAwaited() -> Bool {
        words[Word.awaited].exchange(0, ordering: .sequentiallyConsistent) != 0
    }

    private func word(_ index: Int) -> UInt64 {
        words[index].load(ordering: .sequentiallyConsistent)
    }

    private func set(_ index: Int, _ value: UInt64) {
        words[index].store(value, ordering: .sequentiallyConsistent)
    }

    private static func lockFile(_ descriptor: Int32) throws(SpoolError) {
        while flock(descriptor, LOCK_EX) != 0 {
            guard errno == EINTR else { throw .system(call: "flock", errno: errno) }
        }
    }

    // MARK: - Commits, and syncs

    /// Counts a commit. The caller holds the gate.
    /// - Returns: Its number, for ``sync(upTo:_:)``.
    func commit() -> UInt64 {
        words[Word.committed].add(1, ordering: .sequentiallyConsistent).newValue
    }

    /// Returns when the commit of that number is on disk. False: the disk failed, and nobody can tell.
    func sync(upTo commit: UInt64, _ log: LogFile) -> Bool {
        if word(Word.synced) >= commit { return true }
        return lock.withLock {
            while true {
                let seen = ended.read()
                if word(Word.synced) >= commit { return true }
                if flock(file.descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK {
                    set(Word.awaited, 1)
                    ended.wait(after: seen, until: Deadline(after: SyncLedger.patience))
                    continue
                }
                // Without the lock, if the system has none left, the sync only serves nobody else.
                defer {
                    flock(file.descriptor, LOCK_UN)
                    ended.advance(waking: 0)
                    // Who said so later finds that the count has moved.
                    if isAwaited() { ended.advance() }
                }
                return word(Word.synced) >= commit || sync(log)
            }
        }
    }

    private func sync(_ log: LogFile) -> Bool {
        guard !isBroken else { return false }
        let last = word(Word.committed)
        guard log.sync() else {
            fail()
            return false
        }
        words[Word.synced].max(last, ordering: .sequentiallyConsistent)
        return true
    }

    /// Runs something in which SQLite syncs the log: who finds it to have failed must say so, with ``fail()``, before
    /// another thread's sync can succeed.
    func alone(_ body: () throws(SpoolError) -> Void) throws(SpoolError) {
        try lock.withLock { () throws(SpoolError) in try body() }
    }

    /// Counts a commit that SQLite has synced. The caller holds the gate, and is ``alone(_:)``.
    func commitSynced() { words[Word.synced].max(commit(), ordering: .sequentiallyConsistent) }

    // MARK: - Failures

    /// Whether a sync has failed, and the log was not written again since.
    var isBroken: Bool { word(Word.failures) != word(Word.mended) }

    /// Writes down that a sync failed.
    func fail() { words[Word.failures].add(1, ordering: .sequentiallyConsistent) }

    /// Writes the log again. The caller holds the gate and SQLite's write lock.
    /// - Throws: `inputOutput` when the disk fails again.
    func mend(_ path: String, _ log: LogFile) throws(SpoolError) {
        try lock.withLock { () throws(SpoolError) in
            try SyncLedger.lockFile(file.descriptor)
            defer { flock(file.descriptor, LOCK_UN) }
            let (failures, last) = (word(Word.failures), word(Word.committed))
            guard log.writeAgain() else {
                throw SyncLedger.failure(path, "writing its log again")
            }
            set(Word.mended, failures)
            words[Word.synced].max(last, ordering: .sequentiallyConsistent)
        }
    }

    static func failure(_ path: String, _ doing: String) -> SpoolError {
        .inputOutput(path: path, doing: doing, detail: "the disk failed as it was to be synced")
    }
}
