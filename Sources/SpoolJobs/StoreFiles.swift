// StoreFiles.swift - where the files of a store are, and the locks on them.
//
// Nothing but SQLite opens the database and its -shm: closing any descriptor of theirs would drop the process's locks.
// The -wal has none; GatheredLog opens it, too. What Spool needs besides stands in a directory of its own:
//
//   FILE-spool/gate      flock(2) around each write transaction: writers queue instead of finding SQLite busy; and
//                        its first byte is locked by who closes the file
//   FILE-spool/shared    memory of all who write: which commits are on disk, puts that wait: see StoreMemory
//   FILE-spool/pair      which log belongs to which database: see LogOwner
//   FILE-spool/live      one locked byte per owner: the kernel drops it when the owner dies
//   FILE-spool/arrived   doorbell: work may be there        FILE-spool/settled   doorbell: something finished
//   FILE-spool/logs/     ID.ATTEMPT.log and .idx: what the commands printed

private import CSpool
private import Glibc
public import SpoolThreads

/// How a store is opened.
public enum OpenMode: Sendable {
    /// Made if it is missing: what `put`, `work` and `init` do.
    case create
    /// Must be there: what every other command does.
    case existing
    /// Must be there, and is only looked at.
    case readOnly
}

/// Where the files of a store are.
public struct StoreFiles: Hashable, Sendable {
    /// The database itself, without symbolic links: all processes must agree on the files beside it.
    public let database: String

    /// The files beside a database whose path is canonical.
    public init(_ database: String) { self.database = database }

    /// FILE-spool, mode 0700.
    public var directory: String { database + "-spool" }
    /// flock(2) of whoever writes.
    public var gate: String { directory + "/gate" }
    /// The memory of all who write.
    var shared: String { directory + "/shared" }
    /// Which log belongs to which database.
    var pair: String { directory + "/pair" }
    /// One locked byte for each owner that lives.
    public var live: String { directory + "/live" }
    /// The doorbell of work that may be taken.
    public var arrived: String { directory + "/arrived" }
    /// The doorbell of jobs that ended.
    public var settled: String { directory + "/settled" }
    /// The directory of what commands printed.
    public var logs: String { directory + "/logs" }
    var newDatabase: String { directory + "/new.db" }
    /// SQLite's write-ahead log.
    var writeAheadLog: String { database + "-wal" }

    /// What an attempt printed: both streams in the order in which they came.
    public func log(_ job: Int64, attempt: Int) -> String { "\(logs)/\(job).\(attempt).log" }

    /// Which parts of the log came when, and from which stream: 16-byte records.
    public func logIndex(_ job: Int64, attempt: Int) -> String { "\(logs)/\(job).\(attempt).idx" }

    /// Whether a file of that name in ``logs`` is one of these two. The directory may be a link to one that has others.
    static func isLog(_ name: String) -> Bool {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 3 && Int64(parts[0]) != nil && Int(parts[1]) != nil
            && ["log", "idx"].contains(parts[2])
    }

    /// Makes ``logs`` if it is missing. Without it what commands print is not kept, and that is said where it matters.
    package func makeLogs() { try? Path.makeDirectory(logs, of: directory) }
}

/// A descriptor that is closed with its owner.
final class File {
    let descriptor: Int32

    private let isKept: Bool

    /// Takes over a descriptor that ``spool_open_kept`` gave.
    private init(kept descriptor: Int32) { (self.descriptor, isKept) = (descriptor, true) }

    private init(_ path: String, isKept: Bool) throws(SpoolError) {
        let flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW
        let opening: (Int32) -> Int32 = {
            isKept ? spool_open_kept(path, $0, 0o600) : open(path, $0, 0o600)
        }
        var descriptor = opening(flags)
        while descriptor < 0, errno == ENOENT {
            descriptor = opening(flags | O_CREAT | O_EXCL)
            if descriptor >= 0 {
                fchmod(descriptor, 0o600)
                Path.give(descriptor, toOwnerOf: Path.parent(path))
            } else if errno == EEXIST {
                descriptor = opening(flags)
            } else {
                break
            }
        }
        guard descriptor >= 0 else { throw File.failure(path, "opening it") }
        (self.descriptor, self.isKept) = (descriptor, isKept)
        try Path.checkOwn(descriptor, path)
    }

    deinit {
        if isKept { spool_close_kept(descriptor) } else { close(descriptor) }
    }

    /// As ``side(_:)``, of a file whose locks forked children must not hold on to: they get another descriptor.
    static func lockable(_ path: String) throws(SpoolError) -> File {
        try File(path, isKept: true)
    }

    /// As ``lockable(_:)``, of a file of SQLite's, which is not made here. Nil: there is none.
    static func lockable(ofSQLite path: String) throws(SpoolError) -> File? {
        let descriptor = spool_open_kept(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0)
        if descriptor >= 0 { return File(kept: descriptor) }
        guard Path.isMissing(errno) else { throw File.failure(path, "opening it") }
        return nil
    }

    /// Opens a side file, made if it is missing: mode 0600 whatever the umask, never through a symbolic link, and not
    /// if it is not of who owns the directory.
    /// - Throws: `notAStore` for a link or a stranger's; `notPermitted`, `readOnly`, `diskFull`, `inputOutput`.
    static func side(_ path: String) throws(SpoolError) -> File { try File(path, isKept: false) }

    static func failure(_ path: String, _ doing: String) -> SpoolError {
        switch errno {
        case EACCES, EPERM: Path.bar(path, for: .writing) ?? .readOnly(path: path)
        case EROFS: .readOnly(path: path)
        case ENOSPC, EDQUOT: .diskFull(path: path, doing: doing + " failed")
        // Nobody follows a link there; the directory was looked at before.
        case ELOOP:
            .notAStore(
                path: path,
                why: "is a symbolic link, so no file of Spool's: remove it if you do not know it")
        default: .inputOutput(path: path, doing: doing, detail: SpoolError.reason(errno))
        }
    }

    /// Waits for the file's flock(2), which the kernel drops when its holder dies, in line with others.
    /// - Throws: `locked`, with the name of what it guards, if ``Store/boundGate(_:)`` says when.
    func lock(_ guarded: String) throws(SpoolError) {
        let status = spool_lock_file(descriptor)
        guard status == 0 else {
            if status == -ETIMEDOUT { throw .locked(path: guarded) }
            throw .system(call: "flock", errno: -status)
        }
    }

    func unlock() { flock(descriptor, LOCK_UN) }

    /// Anything written is seen by whoever watches the file; the byte itself means nothing.
    func ring() {
        var byte: UInt8 = 1
        _ = pwrite(descriptor, &byte, 1, 0)
    }
}

/// The gate in front of the write lock. flock(2) queues its waiters in the kernel: no polling, no starvation.
final class Gate {
    private let file: File

    private let files: StoreFiles
    private let identity: Path.Identity?

    init(_ files: StoreFiles) throws(SpoolError) {
        self.files = files
        file = try File.lockable(files.gate)
        identity = Path.identity(file.descriptor)
    }

    /// Whether it still has its name. If not, somebody has removed its directory, and others stand at another gate.
    var isInPlace: Bool {
        guard let now = Path.identity(files.gate) else { return !Path.isMissing(errno) }
        return now == identity
    }

    func enter() throws(SpoolError) { try file.lock(files.database) }

    /// False: somebody else is in it.
    func tryEnter() -> Bool { flock(file.descriptor, LOCK_EX | LOCK_NB) == 0 }

    func leave() { file.unlock() }

    /// When one that waits from now on has waited long enough, if ``Store/boundGate(_:)`` says so.
    static var limit: Deadline {
        let longest = spool_longest_lock()
        return longest > 0 ? Deadline(after: .nanoseconds(longest)) : .never
    }

    // MARK: - Closing the file

    /// Another lock on the same file: whoever closes the store waits for others that close it, not for who writes.
    private static let closing: Int64 = 0
    /// Who takes longer was stopped.
    private static let longestClosing = Duration.seconds(1)

    /// False: somebody else closes it, and takes too long.
    func beginClosing() -> Bool {
        let limit = Deadline(after: Gate.longestClosing)
        while spool_lock_byte(file.descriptor, Gate.closing, Int32(F_WRLCK)) != 0 {
            guard !limit.isPast else { return false }
            Pause.briefly(upTo: .milliseconds(1))
        }
        return true
    }

    func endClosing() { _ = spool_lock_byte(file.descriptor, Gate.closing, Int32(F_UNLCK)) }
}

/// Which owners live: each holds the byte of its number in one file.
///
/// A lock belongs to the open file description: it ends with the last copy of it, in whichever process that is.
/// Forked children get none; the fork server is given them.
///
/// Who removes the directory takes the file away, and in the one that is made next nobody has a lock. So each owner
/// holds a byte of the database's log, too, which is there as long as its connection is: SQLite has no locks on it.
final class Lives {
    private let held: File
    private let probe: File
    private let logPath: String
    private var log: File?
    /// The owner that began here last, as long as it has had no job.
    var idle: Int64?

    /// Where the owners' bytes begin in the log, far behind its end.
    private static let inLog: Int64 = 1 << 62

    /// Where an owner's byte is in a log. Nil: a number that none can have.
    private static func place(_ owner: Int64) -> Int64? {
        let (place, isTooLarge) = inLog.addingReportingOverflow(owner)
        return isTooLarge || owner < 0 ? nil : place
    }

    /// Whether an owner can have that number.
    static func canHave(_ owner: Int64) -> Bool { place(owner) != nil }

    init(_ files: StoreFiles) throws(SpoolError) {
        held = try File.lockable(files.live)
        // A second open file description: locks of the first would not conflict with its own probe.
        probe = try File.side(files.live)
        logPath = files.writeAheadLog
    }

    /// What keeps the owners alive that began here.
    var descriptors: [Int32] { [held.descriptor] + (log.map { [$0.descriptor] } ?? []) }

    /// The connection has its log open.
    /// - Returns: False when another one has the lock.
    func begin(_ owner: Int64) throws(SpoolError) -> Bool {
        // A database in memory has none.
        if log == nil { log = try File.lockable(ofSQLite: logPath) }
        guard let place = Self.place(owner), try Self.lock(held, owner) else { return false }
        guard let log else { return true }
        if try Self.lock(log, place) { return true }
        end(owner)
        return false
    }

    private static func lock(_ file: File, _ byte: Int64) throws(SpoolError) -> Bool {
        if spool_lock_byte(file.descriptor, byte, Int32(F_WRLCK)) == 0 { return true }
        guard errno == EAGAIN || errno == EACCES else {
            throw .system(call: "fcntl(F_OFD_SETLK)", errno: errno)
        }
        return false
    }

    func end(_ owner: Int64) {
        _ = spool_lock_byte(held.descriptor, owner, Int32(F_UNLCK))
        guard let log, let place = Self.place(owner) else { return }
        _ = spool_lock_byte(log.descriptor, place, Int32(F_UNLCK))
    }

    /// Whether any owner lives. Cheaper than opening all of it: no owner is looked up.
    /// - Parameter file: A descriptor of the caller's that holds no lock.
    static func isAnybodyAlive(_ file: File) -> Bool {
        spool_any_byte_is_locked(file.descriptor) == 1
    }

    /// In doubt it lives: a job is late rather than run twice.
    func isAlive(_ owner: Int64) -> Bool {
        spool_byte_is_locked(probe.descriptor, owner) != 0
            || Lives.hold(logPath, owner)
    }

    /// Whether an owner holds its byte of a log.
    static func hold(_ log: String, _ owner: Int64) -> Bool {
        guard let place = place(owner) else { return false }
        let file = open(log, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { return !Path.isMissing(errno) }
        defer { close(file) }
        return spool_byte_is_locked(file, place) != 0
    }
}

extension Store {
    /// What to tell whoever began a file where another one had been.
    public var notice: String? {
        setAside.map {
            "a file of this name was moved or removed without its log, where its last jobs may be: that is \($0) now."
        }
    }

    /// From now on no store of this process waits longer for its turn to write, or to open the file, which a process
    /// that was stopped in its own may have: then `locked` is thrown. A put that such a one has taken along waits twice
    /// as long, then throws `outcomeUnknown`. For programs that own their process: takes SIGALRM, and does not hold on
    /// a thread that blocks it.
    public static func boundGate(_ longest: Duration) { spool_bound_locks(longest.nanoseconds) }

    func checkProcess() {
        precondition(isOurs, "a store does not cross a fork: open it in the child")
    }

    /// Whether the file that is open still has its name. What is put into one that was removed or replaced nobody sees.
    public var isInPlace: Bool {
        guard let now = Path.identity(files.database) else {
            // Who may not look there any more, after chroot(2) perhaps, can go on.
            return identity == nil || !Path.isMissing(errno)
        }
        return now == identity
    }

    /// - Throws: `notAStore` when the file does not have its name any more.
    public func checkInPlace() throws(SpoolError) {
        guard isInPlace else { throw Store.removed(files.database) }
    }

    static func removed(_ path: String) -> SpoolError {
        .notAStore(path: path, why: "was removed or replaced while it was open")
    }
}
