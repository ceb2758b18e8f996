// GatheredLog.swift - the pages of a commit reach the write-ahead log in one write.
//
// SQLite writes each page of a commit in two calls, first the header of its frame: six calls for a put. Here the
// methods of the open log are exchanged for ones that hold back what COMMIT writes, as long as each write begins where
// the one before ended, and pass it on whole. See sqlite3_io_methods, and "The WAL File Format",
// sqlite.org/fileformat2.html.
//
// Invariants: nothing is held outside COMMIT. When SQLite hears that the last page of a commit was written, it was:
// only after that can others see it. What else happens to the file finds all written that came before, and ends the
// holding unless it is a sync; so does a write that is neither a frame's header nor the page behind it.
//
// The disk can begin at once with what is to be synced soon: until the sync is asked for, the locks are given back and
// the doorbell is rung. See sync_file_range(2), which promises nothing, and forgets no error.
//
// A commit at the file's end makes it longer, which the disk has to note as well: a sync takes half as long again. So
// the file is made longer for many commits at once, with zeros: no frame is for page 0, so the log ends before them.

internal import CSQLite
private import CSpool
private import Glibc
internal import SpoolThreads

/// Stands between SQLite and its open log. For the thread that uses the connection.
final class GatheredLog {
    /// SQLite's own methods: they do not know of what is held.
    let inner: UnsafePointer<sqlite3_io_methods>
    private let file: UnsafeMutablePointer<sqlite3_file>
    /// Our methods, and behind them this object.
    private let table: UnsafeMutableRawPointer
    private let held: UnsafeMutableRawPointer
    private var count = 0
    /// Where the first of the bytes goes that are held.
    private var start: sqlite3_int64 = 0
    private var isHolding = false
    /// When what COMMIT writes is to be on disk.
    private var syncing = Store.Syncing.first
    /// Of our own, as SQLite keeps its to itself; -1 where it is not a file of the system's.
    private let descriptor: Int32
    /// A frame's header has come, and not its page yet.
    private var awaitsPage = false
    /// That page is the last one of the commit.
    private var isLast = false
    /// The last page of the COMMIT that ran last was written, or what was written is not known: had it failed, a
    /// recovery of the log could find it all the same.
    private(set) var mayStand = false
    /// The COMMIT that ran last wrote its last page and synced it: one that changed nothing does neither.
    private(set) var hasSynced = false
    private var isWhole = false

    /// Bytes that the file is known to have.
    private var size: sqlite3_int64 = 0
    /// Of zeros, when a commit comes to its end; none once they did not fit.
    private var growth: sqlite3_int64 = 256 << 10
    /// Runs a sync that SQLite makes as it closes the file: nobody hears of its failure.
    var aroundSync: ((() -> Int32) -> Int32)?
    /// Who makes one commit does it for nobody else.
    private var isFirst = true

    private static let room = 64 << 10
    private static let logHeader = 32
    private static let frameHeader = 24

    /// Nil: the connection has not opened its log.
    init?(_ connection: OpaquePointer) {
        guard let file = GatheredLog.file(of: connection), let methods = file.pointee.pMethods
        else {
            return nil
        }
        (self.file, inner) = (file, methods)
        let name = sqlite3_filename_wal(sqlite3_db_filename(connection, "main"))
        descriptor = name.map { open($0, O_RDONLY | O_CLOEXEC) } ?? -1
        let behind = MemoryLayout<sqlite3_io_methods>.stride
        table = .allocate(byteCount: behind + 8, alignment: 8)
        held = .allocate(byteCount: GatheredLog.room, alignment: 8)
        table.storeBytes(of: GatheredLog.ours(methods.pointee), as: sqlite3_io_methods.self)
        // SQLite closes the file when it likes; until then it may call.
        let object = Unmanaged.passRetained(self).toOpaque()
        table.storeBytes(of: object, toByteOffset: behind, as: UnsafeMutableRawPointer.self)
        file.pointee.pMethods = UnsafePointer(
            table.assumingMemoryBound(to: sqlite3_io_methods.self))
    }

    deinit {
        if descriptor >= 0 { Glibc.close(descriptor) }
        table.deallocate()
        held.deallocate()
    }

    static func file(of connection: OpaquePointer) -> UnsafeMutablePointer<sqlite3_file>? {
        var log: UnsafeMutablePointer<sqlite3_file>?
        sqlite3_file_control(connection, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log)
        return log
    }

    /// Runs COMMIT, and holds back what it writes.
    func holding(
        _ syncing: Store.Syncing, _ commit: () throws(SpoolError) -> Void
    ) throws(SpoolError) {
        (isHolding, awaitsPage, isLast, mayStand) = (true, false, false, false)
        (isWhole, hasSynced) = (false, false)
        self.syncing = syncing
        defer { self.syncing = .first }
        do throws(SpoolError) {
            try commit()
        } catch {
            // It is undone: others may write there now.
            (isHolding, count) = (false, 0)
            throw error
        }
        isHolding = false
        _ = pass()  // nothing: the last page was passed on
    }

    // MARK: - As SQLite sees it

    private typealias File = UnsafeMutablePointer<sqlite3_file>?

    private static func of(_ file: File) -> GatheredLog? {
        guard let table = file?.pointee.pMethods else { return nil }
        let object = UnsafeRawPointer(table).load(
            fromByteOffset: MemoryLayout<sqlite3_io_methods>.stride,
            as: UnsafeMutableRawPointer.self)
        return Unmanaged<GatheredLog>.fromOpaque(object).takeUnretainedValue()
    }

    private static func ours(_ methods: sqlite3_io_methods) -> sqlite3_io_methods {
        var ours = methods
        ours.xClose = { file in GatheredLog.of(file)?.close(file) ?? SQLITE_MISUSE }
        ours.xWrite = { file, bytes, count, offset in
            guard let log = GatheredLog.of(file), let bytes else { return SQLITE_MISUSE }
            return log.write(UnsafeRawBufferPointer(start: bytes, count: Int(count)), offset)
        }
        ours.xRead = { file, bytes, count, offset in
            GatheredLog.passing(file) { $0.pointee.xRead(file, bytes, count, offset) }
        }
        ours.xTruncate = { file, size in
            GatheredLog.of(file)?.size = 0  // it is asked for again
            return GatheredLog.passing(file) { $0.pointee.xTruncate(file, size) }
        }
        ours.xSync = { file, flags in
            let log = GatheredLog.of(file)
            if log?.leavesSync ?? false { return SQLITE_OK }
            // A log that begins anew has its header synced before its first frame comes.
            return GatheredLog.passing(file, holdsOn: true) { inner in
                let sync = { inner.pointee.xSync(file, flags) }
                let status = log?.aroundSync?(sync) ?? sync()
                if status == SQLITE_OK { log?.noteSync() }
                return status
            }
        }
        ours.xFileSize = { file, size in
            GatheredLog.passing(file) { $0.pointee.xFileSize(file, size) }
        }
        return ours
    }

    private func close(_ file: File) -> Int32 {
        file?.pointee.pMethods = inner
        defer { Unmanaged.passUnretained(self).release() }
        return inner.pointee.xClose(file)
    }

    /// Does something else to the file: after what is held, and nothing is held after it unless `holdsOn` says so.
    private static func passing(
        _ file: File, holdsOn: Bool = false, _ body: (UnsafePointer<sqlite3_io_methods>) -> Int32
    ) -> Int32 {
        guard let log = of(file) else { return SQLITE_MISUSE }
        if !holdsOn { log.isHolding = false }
        let status = log.pass()
        return status == SQLITE_OK ? body(log.inner) : status
    }

    private func write(_ bytes: UnsafeRawBufferPointer, _ offset: sqlite3_int64) -> Int32 {
        let isEnd = isLast && awaitsPage && bytes.count != GatheredLog.frameHeader
        if !isExpected(bytes, offset) { (isHolding, mayStand) = (false, true) }
        let status = isHolding ? hold(bytes, offset, isEnd: isEnd) : passOn(bytes, offset)
        if isEnd, status == SQLITE_OK { (mayStand, isWhole) = (true, true) }
        return status
    }

    private func noteSync() { hasSynced = isWhole }

    /// The commit was written, and SQLite would sync it now. To tell it before, with PRAGMA synchronous, costs a
    /// statement each time.
    private var leavesSync: Bool { syncing != .first && isWhole }

    private func hold(
        _ bytes: UnsafeRawBufferPointer, _ offset: sqlite3_int64, isEnd: Bool
    ) -> Int32 {
        if offset != start + Int64(count) || count + bytes.count > GatheredLog.room {
            let status = pass()
            guard status == SQLITE_OK else { return status }
        }
        guard let source = bytes.baseAddress else { return SQLITE_MISUSE }
        if count == 0 { start = offset }
        memcpy(held + count, source, bytes.count)
        count += bytes.count
        guard isEnd else { return SQLITE_OK }
        isHolding = false
        let (from, size) = (start, count)
        let status = pass()
        guard status == SQLITE_OK else {
            mayStand = isThere(size, from)
            return status
        }
        let end = from + Int64(size)
        if !isFirst { growAhead(from: end) }
        isFirst = false
        if syncing == .afterwards { startWriting() }
        return SQLITE_OK
    }

    private func passOn(_ bytes: UnsafeRawBufferPointer, _ offset: sqlite3_int64) -> Int32 {
        let status = pass()
        guard status == SQLITE_OK else { return status }
        return inner.pointee.xWrite(file, bytes.baseAddress, Int32(bytes.count), offset)
    }

    /// Whether it is the log's header, a frame's header, or the page behind one.
    private func isExpected(_ bytes: UnsafeRawBufferPointer, _ offset: sqlite3_int64) -> Bool {
        switch bytes.count {
        case GatheredLog.frameHeader:
            // How many pages the database has after the commit; 0 in all frames but its last one.
            isLast = bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self) != 0
            awaitsPage = true
            return true
        case GatheredLog.logHeader where offset == 0:
            size = 0  // it begins anew, and may have been cut off before
            return true
        case ...GatheredLog.room where awaitsPage:
            awaitsPage = false
            return true
        default: return false
        }
    }

    /// Whether the file has what was to be written, though not all of it was: what is missing may have been zeros, on
    /// zeros.
    private func isThere(_ size: Int, _ from: sqlite3_int64) -> Bool {
        withUnsafeTemporaryAllocation(byteCount: size, alignment: 8) { found in
            guard let copy = found.baseAddress else { return true }
            let status = inner.pointee.xRead(file, copy, Int32(size), from)
            // SQLITE_IOERR_SHORT_READ: the file ends before.
            guard status != SQLITE_IOERR | 2 << 8 else { return false }
            return status != SQLITE_OK || memcmp(copy, held, size) == 0
        }
    }

    /// Makes the file longer if what was just written is its end. The caller's COMMIT has the write lock.
    private func growAhead(from end: sqlite3_int64) {
        guard end > size, growth > 0, inner.pointee.xFileSize(file, &size) == SQLITE_OK, end == size
        else { return }
        // A process whose files must not be so long would be killed by SIGXFSZ.
        var most = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &most) == 0,
            UInt64(end + growth) <= most.rlim_cur
        else { return }
        // SQLite's own xWrite takes less than 128 KiB at a time. All that was held is written.
        memset(held, 0, GatheredLog.room)
        for offset in stride(from: end, to: end + growth, by: GatheredLog.room) {
            if inner.pointee.xWrite(file, held, Int32(GatheredLog.room), offset) == SQLITE_OK {
                size = offset + Int64(GatheredLog.room)
                continue
            }
            // Jobs need the room more. Should it stay longer, nobody minds.
            growth = 0
            _ = inner.pointee.xTruncate(file, end)
            return
        }
    }

    /// Lets the disk begin with all that was written, and does not wait until it has.
    private func startWriting() {
        guard descriptor >= 0 else { return }
        spool_start_writing(descriptor)
    }

    /// Writes what is held.
    private func pass() -> Int32 {
        let size = Int32(count)
        guard size > 0 else { return SQLITE_OK }
        count = 0
        return inner.pointee.xWrite(file, held, size, start)
    }
}
