// SQLite.swift - a thin wrapper of SQLite's C API: connections, prepared statements, and its errors in our words.
//
// One connection belongs to one thread at a time and never crosses a fork (sqlite.org/howtocorrupt.html, 2.6).

private import CSQLite
private import Glibc
internal import SpoolThreads

/// A connection. Every one has the settings that make Spool's promises true, so there is no other way to open one.
final class Connection {
    let path: String
    let handle: OpaquePointer
    /// A lock could not be had for as long as anybody waits for one. Perhaps this connection holds it itself.
    private(set) var isLockedOut = false
    /// As ``isLockedOut``, from reading: nobody holds that lock for more than an instant.
    private(set) var isKeptFromReading = false
    /// A sync of SQLite's has failed: what was written before may never reach the disk.
    var hasFailedToSync = false
    /// In bytes. Spool makes pages of 4 KiB, and takes files that others made with larger ones.
    private(set) lazy var pageSize = (try? Schema.value("PRAGMA page_size", self)).map { Int($0) }
    private var gathered: GatheredLog?
    private let process = getpid()
    /// It has read, so that it has the log's index.
    private var isSettled = false
    private(set) var isClosed = false

    enum Access { case existing, immutable }

    init(_ path: String, _ access: Access) throws(SpoolError) {
        self.path = path
        Connection.configureOnce()
        var flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        var name = path
        switch access {
        case .existing: break
        case .immutable:
            flags |= SQLITE_OPEN_URI
            name = "file:" + Connection.escaped(path) + "?immutable=1"
        }
        try Path.checkBeside(path)
        var opened: OpaquePointer?
        let status = sqlite3_open_v2(name, &opened, flags, nil)
        guard status == SQLITE_OK, let opened else {
            let error = SQLiteFailure(status, opened).error(path, doing: "opening it")
            sqlite3_close_v2(opened)
            throw error
        }
        handle = opened
        try checkLog()
        try settle()
        isSettled = true
        // What was not there before may have been put there meanwhile.
        try Path.checkBeside(path)
    }

    deinit { close() }

    /// Ends its use; its statements were freed before.
    func close() {
        // In a forked child it is the parent's: to close it would undo a transaction that the parent has begun.
        guard !isClosed, process == getpid() else { return }
        isClosed = true
        // What it holds would stay locked until the last connection of this process is closed.
        if isLockedOut { unlockLog() }
        sqlite3_close_v2(handle)
    }

    /// Auto-checkpoints race with commits of other connections (the WAL-reset bug, up to SQLite 3.51.2): never here. At
    /// its close a connection makes one if ``copyLogAtClose()`` says so.
    private func settle() throws(SpoolError) {
        sqlite3_wal_autocheckpoint(handle, 0)
        _ = spool_sqlite_checkpoint_on_close(handle, 0)
        // Whoever made the file may have put more into it than tables: see sqlite.org/security.html.
        spool_sqlite_distrust(handle)
        sqlite3_busy_handler(handle, { _, tries in Connection.waitForGuest(tries) }, nil)
        try execute(
            "PRAGMA synchronous=EXTRA; PRAGMA secure_delete=OFF; PRAGMA temp_store=MEMORY;"
                + "PRAGMA cache_size=-16384; PRAGMA foreign_keys=OFF;"
                + "PRAGMA journal_size_limit=33554432")
    }

    private static func configureOnce() { _ = configured }
    private static let configured: Int32 = spool_sqlite_no_memory_statistics()

    /// Spool's own writers queue at the gate; only a guest that writes without it can make SQLite busy.
    private static func waitForGuest(_ tries: Int32) -> Int32 {
        guard tries < 20_000 else { return 0 }
        Pause.briefly(upTo: .milliseconds(1))
        return 1
    }

    private static func escaped(_ path: String) -> String {
        var out = ""
        for character in path.unicodeScalars {
            switch character {
            case "?": out += "%3f"
            case "#": out += "%23"
            case "%": out += "%25"
            default: out.unicodeScalars.append(character)
            }
        }
        return out
    }

    /// Runs statements that give no rows that matter.
    func execute(_ sql: String) throws(SpoolError) {
        guard sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK else {
            throw failure("preparing it")
        }
    }

    func prepare(_ sql: StaticString) throws(SpoolError) -> Statement {
        try Statement(sql, self)
    }

    /// How many rows the last INSERT, UPDATE or DELETE changed.
    var changes: Int { Int(sqlite3_changes(handle)) }

    /// Its write-ahead log. Nil before it has read.
    var log: LogFile? { LogFile(handle, gathered) }

    /// Lets what a commit writes reach the log in one piece from now on.
    func gatherLog() {
        if gathered == nil { gathered = GatheredLog(handle) }
    }

    /// Whether a COMMIT that failed may stand in the log, whole. See ``GatheredLog/mayStand``.
    var failedCommitMayStand: Bool { gathered?.mayStand ?? true }

    /// Whether the COMMIT that ran last has synced what it wrote. See ``GatheredLog/hasSynced``.
    var commitHasSynced: Bool { gathered?.hasSynced ?? false }

    /// Runs COMMIT. What is not synced outlives every process, but not a power cut.
    func committing(
        _ syncing: Store.Syncing, _ commit: () throws(SpoolError) -> Void
    ) throws(SpoolError) {
        guard let gathered else { return try commit() }
        try gathered.holding(syncing, commit)
    }

    /// False inside BEGIN ... COMMIT.
    var isAutocommit: Bool { sqlite3_get_autocommit(handle) != 0 }

    /// Keeps the WAL, empty after the last close: a new one would have to be synced with its directory.
    func keepWAL() {
        var on: Int32 = 1
        sqlite3_file_control(handle, "main", SQLITE_FCNTL_PERSIST_WAL, &on)
    }

    /// If nobody else has the file open when this connection is closed, SQLite copies the log into the database then,
    /// and empties it. It keeps everybody out meanwhile, so that no commit can race with it.
    /// - Parameter sync: Runs a sync of the log. Nobody else has the file open then.
    func copyLogAtClose(_ sync: @escaping (() -> Int32) -> Int32) {
        gatherLog()
        guard let gathered else { return }
        gathered.aroundSync = sync
        _ = spool_sqlite_checkpoint_on_close(handle, 1)
    }

    /// Copies what can be copied of the WAL into the database. The caller holds the write lock on another connection.
    func checkpointPassive() throws(SpoolError) -> (log: Int, copied: Int) {
        var log: Int32 = 0
        var copied: Int32 = 0
        let status = sqlite3_wal_checkpoint_v2(
            handle, "main", SQLITE_CHECKPOINT_PASSIVE, &log, &copied)
        guard status == SQLITE_OK else { throw failure("copying its write-ahead log") }
        return (Int(log), Int(copied))
    }

    /// Pages in the WAL after the last commit of this connection.
    func countPages(into pages: UnsafeMutablePointer<Int32>) {
        sqlite3_wal_hook(
            handle,
            { context, _, _, count in
                context?.assumingMemoryBound(to: Int32.self).pointee = count
                return SQLITE_OK
            }, pages)
    }

    func failure(_ doing: String) -> SpoolError {
        let failure = SQLiteFailure(sqlite3_extended_errcode(handle), handle)
        if failure.isLock { isLockedOut = true }
        if failure.isSync { hasFailedToSync = true }
        if failure.code & 0xff == SQLITE_PROTOCOL { isKeptFromReading = true }
        return failure.error(path, doing: doing)
    }

    /// Gives back the locks on the log's index that SQLite believes to have given back: it does not look whether the
    /// system did so when it was asked (`walUnlockExclusive` in wal.c). One that stayed locks everybody out, this
    /// connection too, for as long as it is open. Nothing happens to a connection that reads or writes just now.
    func unlockLog() {
        guard isSettled || isKeptFromReading, isAutocommit, !isReading else { return }
        isLockedOut = false
        isKeptFromReading = false
        var file: UnsafeMutablePointer<sqlite3_file>?
        sqlite3_file_control(handle, "main", SQLITE_FCNTL_FILE_POINTER, &file)
        guard let file, let unlock = file.pointee.pMethods?.pointee.xShmLock else { return }
        for lock in 0..<Int32(SQLITE_SHM_NLOCK) {
            _ = unlock(file, lock, 1, SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE)
        }
    }

    private var isReading: Bool {
        var next = sqlite3_next_stmt(handle, nil)
        while let statement = next {
            if sqlite3_stmt_busy(statement) != 0 { return true }
            next = sqlite3_next_stmt(handle, statement)
        }
        return false
    }
}

/// A result code of SQLite, and what it means for somebody who does not know SQLite.
struct SQLiteFailure {
    let code: Int32
    let text: String
    private let number: Int32

    init(_ code: Int32, _ handle: OpaquePointer?) {
        self.code = code
        number = sqlite3_system_errno(handle)
        text =
            handle.map { String(cString: sqlite3_errmsg($0)) }
            ?? String(cString: sqlite3_errstr(code))
    }

    /// Somebody holds a lock for too long. SQLite says "locking protocol" after ten seconds of trying to read.
    var isLock: Bool { [SQLITE_BUSY, SQLITE_PROTOCOL].contains(code & 0xff) }

    /// FSYNC or DIR_FSYNC of SQLite's extended codes.
    var isSync: Bool { [SQLITE_IOERR | (4 << 8), SQLITE_IOERR | (5 << 8)].contains(code) }

    /// SQLite says that it cannot open a file, and not that no descriptor was left for it.
    private var reason: String {
        [EMFILE, ENFILE].contains(number) ? "\(text): \(SpoolError.reason(number))" : text
    }

    /// WRITE and SHMSIZE: a quota has ended, or the memory of the log has no room. SQLite calls neither full.
    private var isOutOfRoom: Bool {
        [SQLITE_IOERR | (3 << 8), SQLITE_IOERR | (19 << 8)].contains(code)
            && [ENOSPC, EDQUOT].contains(number)
    }

    func error(_ path: String, doing: String) -> SpoolError {
        switch code & 0xff {
        case SQLITE_FULL: .diskFull(path: path, doing: doing + " failed")
        case SQLITE_CORRUPT: .storeCorrupt(path: path, detail: text)
        case SQLITE_NOTADB: .notAStore(path: path, why: "is not a SQLite database")
        case SQLITE_READONLY: .readOnly(path: path)
        case SQLITE_BUSY, SQLITE_LOCKED, SQLITE_PROTOCOL: .locked(path: path)
        case SQLITE_NOMEM: .system(call: doing, errno: ENOMEM)
        case SQLITE_CANTOPEN, SQLITE_PERM, SQLITE_AUTH:
            Path.bar(ofDatabase: path)
                ?? .inputOutput(path: path, doing: doing, detail: Path.fixedLog(of: path) ?? reason)
        case SQLITE_IOERR where code == SQLITE_IOERR | (12 << 8):  // NOMEM
            .system(call: doing, errno: ENOMEM)
        case SQLITE_IOERR where isOutOfRoom: .diskFull(path: path, doing: doing + " failed")
        case SQLITE_IOERR: .inputOutput(path: path, doing: doing, detail: text)
        case SQLITE_CONSTRAINT: .storeCorrupt(path: path, detail: text)
        default: .inputOutput(path: path, doing: doing, detail: "\(text) (SQLite \(code))")
        }
    }
}

/// A prepared statement: bind, step, read, reset.
final class Statement {
    let handle: OpaquePointer
    private unowned let connection: Connection
    /// A value that could not be bound: the statement must not run without it.
    private var unbound = SQLITE_OK

    fileprivate init(_ sql: StaticString, _ connection: Connection) throws(SpoolError) {
        var prepared: OpaquePointer?
        let status = sql.utf8Start.withMemoryRebound(
            to: CChar.self, capacity: sql.utf8CodeUnitCount
        ) {
            sqlite3_prepare_v3(
                connection.handle, $0, Int32(sql.utf8CodeUnitCount),
                UInt32(SQLITE_PREPARE_PERSISTENT), &prepared, nil)
        }
        guard status == SQLITE_OK, let prepared else {
            let error = connection.failure("reading its tables")
            // The text is ours and right: what it names is not there, or is something else.
            guard status & 0xff != SQLITE_ERROR else {
                throw .storeCorrupt(path: connection.path, detail: error.reason)
            }
            throw error
        }
        handle = prepared
        self.connection = connection
    }

    deinit { sqlite3_finalize(handle) }

    func bind(_ index: Int32, _ value: Int64) {
        note(sqlite3_bind_int64(handle, index, value))
    }
    func bind(_ index: Int32, _ value: Int) { bind(index, Int64(value)) }
    func bindNull(_ index: Int32) { note(sqlite3_bind_null(handle, index)) }

    private func note(_ status: Int32) { if status != SQLITE_OK { unbound = status } }

    func bind(_ index: Int32, _ value: Int64?) {
        if let value { bind(index, value) } else { bindNull(index) }
    }

    func bind(_ index: Int32, _ text: String) {
        var text = text
        text.withUTF8 { bindText(index, UnsafeRawBufferPointer($0)) }
    }

    func bind(_ index: Int32, _ text: String?) {
        if let text { bind(index, text) } else { bindNull(index) }
    }

    func bindText(_ index: Int32, _ bytes: UnsafeRawBufferPointer) {
        let start = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
        note(spool_sqlite_bind_text(handle, index, start ?? Statement.nothing, Int32(bytes.count)))
    }

    func bindBlob(_ index: Int32, _ bytes: UnsafeRawBufferPointer) {
        note(
            spool_sqlite_bind_blob(
                handle, index, bytes.baseAddress ?? UnsafeRawPointer(Statement.nothing),
                Int32(bytes.count)))
    }

    /// A pointer for empty text and blobs: a nil one would bind NULL.
    private nonisolated(unsafe) static let nothing: UnsafePointer<CChar> = {
        let byte = UnsafeMutablePointer<CChar>.allocate(capacity: 1)
        byte.initialize(to: 0)
        return UnsafePointer(byte)
    }()

    /// True: a row is there to be read. False: done, and reset for the next use.
    func step(_ doing: @autoclosure () -> String = "reading it") throws(SpoolError) -> Bool {
        guard unbound == SQLITE_OK else {
            defer { unbound = SQLITE_OK }
            throw SQLiteFailure(unbound, nil).error(connection.path, doing: doing())
        }
        switch sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE:
            sqlite3_reset(handle)
            return false
        default:
            let error = connection.failure(doing())
            sqlite3_reset(handle)
            throw error
        }
    }

    /// Runs a statement that gives no row.
    func run(_ doing: @autoclosure () -> String = "writing it") throws(SpoolError) {
        while try step(doing()) {}
    }

    /// As ``run(_:)``, with a blob that is bound for this run only and not copied: it may be large.
    func run(
        withBlob bytes: UnsafeRawBufferPointer, at index: Int32, _ doing: @autoclosure () -> String
    ) throws(SpoolError) {
        let start = bytes.baseAddress ?? UnsafeRawPointer(Statement.nothing)
        note(sqlite3_bind_blob64(handle, index, start, UInt64(bytes.count), nil))
        defer { bindNull(index) }
        try run(doing())
    }

    func reset() { sqlite3_reset(handle) }

    func int(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }

    func optionalInt(_ column: Int32) -> Int64? {
        isNull(column) ? nil : sqlite3_column_int64(handle, column)
    }

    /// A number that is counted with. Whoever has the sqlite3 shell can write any into a row: within 2^48 the sums and
    /// products of a few of them still fit.
    func number(_ column: Int32) -> Int {
        Int(max(-Statement.mostCounted, min(int(column), Statement.mostCounted)))
    }

    func optionalNumber(_ column: Int32) -> Int? { isNull(column) ? nil : number(column) }

    private static let mostCounted = Int64(1) << 48

    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }
    func isText(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_TEXT }

    func bytes(_ column: Int32) -> [UInt8] {
        guard let start = sqlite3_column_blob(handle, column) else { return [] }
        return [UInt8](
            UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column))))
    }

    func text(_ column: Int32) -> String { String(decoding: bytes(column), as: UTF8.self) }
    func optionalText(_ column: Int32) -> String? { isNull(column) ? nil : text(column) }
}
