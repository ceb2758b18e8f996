// LogOwner.swift - which database the write-ahead log beside it belongs to: SQLite goes by the name alone.
//
// Who puts a copy in the place of a database whose last user was killed, or that is in use, leaves the other one's log
// beside it: SQLite would write its pages into the copy (sqlite.org/howtocorrupt.html, 1.4). Two things tell. A copy
// that was made with VACUUM INTO says of itself that it has no log. And FILE-spool/pair holds which files belonged
// together when the store was opened last: of a copy with its log both are others, of a copy alone the log is the same.

private import CSQLite
private import CSpool
private import Glibc
internal import SpoolThreads

/// The files of one name.
struct LogOwner: Equatable {
    /// Zero: there is none.
    private struct Mark: Equatable {
        var number: UInt64 = 0
        var born: UInt64 = 0

        init() {}

        init(_ path: String) {
            if spool_tell_file(path, &number, &born) != 0 { self = Mark() }
        }
    }

    private var database = Mark()
    private var log = Mark()
    private var memory = Mark()

    private init(_ database: String) {
        self.database = Mark(database)
        log = Mark(database + "-wal")
        memory = Mark(database + "-shm")
    }

    /// As they were kept. Nil: they never were, or not whole.
    private init?(kept file: String) {
        let descriptor = Glibc.open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        let size = MemoryLayout<LogOwner>.size
        let count = withUnsafeMutableBytes(of: &self) { pread(descriptor, $0.baseAddress, size, 0) }
        guard count == size else { return nil }
    }

    /// Opens a database, unless the log beside it is of another one that had its name.
    /// - Parameters:
    ///   - gate: The caller's, who is not in it; nil is one of its own.
    ///   - access: Where nothing can be written nothing was left beside it either.
    /// - Returns: And whether its schema is the current one.
    /// - Throws: `notAStore`, with what to do, and what opening it throws.
    static func open(
        _ files: StoreFiles, _ gate: Gate?, _ access: Connection.Access = .existing
    ) throws(SpoolError) -> (Connection, isCurrent: Bool) {
        guard access == .existing, let kept = LogOwner(kept: files.pair),
            kept.database != Mark(files.database)
        else { return try connect(files, access) }
        // Nobody else who opens it now may make what this one takes away.
        let gate = if let gate { gate } else { try Gate(files) }
        try gate.enter()
        defer { gate.leave() }
        try part(files)
        return try connect(files, access)
    }

    private static func connect(
        _ files: StoreFiles, _ access: Connection.Access
    ) throws(SpoolError) -> (Connection, isCurrent: Bool) {
        let connection = try Connection(files.database, access)
        let isCurrent = try Schema.isCurrent(connection)
        if access == .existing { keep(files) }
        return (connection, isCurrent)
    }

    /// Takes the memory of another one's users from beside a database.
    private static func part(_ files: StoreFiles) throws(SpoolError) {
        let now = LogOwner(files.database)
        guard let kept = LogOwner(kept: files.pair), kept.database != now.database else { return }
        let isFull = Path.size(files.database + "-wal") ?? 0 > 0
        guard !isFull || now.log != kept.log else { throw strange(files.database) }
        // Whoever has the other one open goes on with what has no name any more.
        unlink(files.shared)
        guard now.memory != Mark(), now.memory == kept.memory else { return }
        let memory = files.database + "-shm"
        guard unlink(memory) == 0 || errno == ENOENT else {
            throw File.failure(memory, "removing it")
        }
    }

    /// Keeps which files belong together now. What cannot be kept is forgotten: who knows nothing takes every log for
    /// the database's own, as SQLite does.
    static func keep(_ files: StoreFiles) {
        var now = LogOwner(files.database)
        let kept = LogOwner(kept: files.pair)
        guard kept != now, let file = try? File.side(files.pair) else { return }
        let size = MemoryLayout<LogOwner>.size
        let count = withUnsafeBytes(of: &now) { pwrite(file.descriptor, $0.baseAddress, size, 0) }
        // An older one that came back after a power cut would call this log another one's.
        guard count != size || (kept != nil && fdatasync(file.descriptor) != 0) else { return }
        unlink(files.pair)
    }

    fileprivate static func strange(_ database: String) -> SpoolError {
        .notAStore(
            path: database,
            why:
                "was put in the place of another file, whose log is still there and would be taken for its own;"
                + " move that away first (mv \(database)-wal \(database)-wal.left)")
    }
}

extension Connection {
    /// Refuses the log of another one beside a database that says of itself that it has none. Before it has read.
    func checkLog() throws(SpoolError) {
        // In this order: whoever gives it a log says so in the database first.
        guard Path.size(path + "-wal") ?? 0 > 0, spool_sqlite_says_it_has_a_log(handle) == 0
        else { return }
        throw LogOwner.strange(path)
    }
}
