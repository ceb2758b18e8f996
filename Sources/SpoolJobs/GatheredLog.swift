// GatheredLog.swift - the pages of a commit reach the write-ahead log in one write.
//
// SQLite writes each page of a commit in two calls, first the header of its frame: six calls for a put. Here the
// methods of the open log are exchanged for ones that hold back what COMMIT writes, as long as each write begins where
// the one before ended, and pass it on whole. See sqlite3_io_methods, and "The WAL File Format",
// sqlite.org/fileformat2.html.
//
// Invariants: nothing is held outside COMMIT. When SQLite hears that the last page of a commit was written, it was:
// only after that can others see it. What else happens to the file finds all written that came before.

internal import CSQLite
private import Glibc

/// Stands between SQLite and its open log. For the thread that uses the connection.
final class GatheredLog {
    /// SQLite's own methods: they do not know of what is held.
    let inner: UnsafePointer<sqlite3_io_methods>
    /// Ours, and behind them this object.
    private let table: UnsafeMutableRawPointer
    private let held: UnsafeMutableRawPointer
    private var count = 0
    /// Where the first of the bytes goes that are held.
    private var start: sqlite3_int64 = 0
    private var isCommitting = false
    /// The page that is written next is the last one of the commit.
    private var isLast = false
    /// Frames that were written before are read, and get another header: no page follows it.
    private var isRewriting = false

    private static let room = 64 << 10
    private static let frameHeader = 24

    /// Nil: the connection has not opened its log.
    init?(_ connection: OpaquePointer) {
        guard let file = GatheredLog.file(of: connection), let methods = file.pointee.pMethods
        else {
            return nil
        }
        inner = methods
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
        table.deallocate()
        held.deallocate()
    }

    static func file(of connection: OpaquePointer) -> UnsafeMutablePointer<sqlite3_file>? {
        var log: UnsafeMutablePointer<sqlite3_file>?
        sqlite3_file_control(connection, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log)
        return log
    }

    /// COMMIT begins.
    func begin() {
        (isCommitting, isLast, isRewriting) = (true, false, false)
    }

    /// COMMIT has ended. What is held now belongs to one that failed.
    func end() {
        isCommitting = false
        count = 0
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
            return log.write(file, UnsafeRawBufferPointer(start: bytes, count: Int(count)), offset)
        }
        ours.xRead = { file, bytes, count, offset in
            guard let log = GatheredLog.of(file) else { return SQLITE_MISUSE }
            log.isRewriting = true
            return log.afterPassing(file) { log.inner.pointee.xRead(file, bytes, count, offset) }
        }
        ours.xTruncate = { file, size in
            guard let log = GatheredLog.of(file) else { return SQLITE_MISUSE }
            return log.afterPassing(file) { log.inner.pointee.xTruncate(file, size) }
        }
        ours.xSync = { file, flags in
            guard let log = GatheredLog.of(file) else { return SQLITE_MISUSE }
            return log.afterPassing(file) { log.inner.pointee.xSync(file, flags) }
        }
        ours.xFileSize = { file, size in
            guard let log = GatheredLog.of(file) else { return SQLITE_MISUSE }
            return log.afterPassing(file) { log.inner.pointee.xFileSize(file, size) }
        }
        return ours
    }

    private func close(_ file: File) -> Int32 {
        file?.pointee.pMethods = inner
        defer { Unmanaged.passUnretained(self).release() }
        return inner.pointee.xClose(file)
    }

    private func write(
        _ file: File, _ bytes: UnsafeRawBufferPointer, _ offset: sqlite3_int64
    ) -> Int32 {
        let isHeader = bytes.count == GatheredLog.frameHeader
        if isHeader { isLast = bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self) != 0 }
        let mayHold =
            isCommitting && !(isHeader && isRewriting) && bytes.count <= GatheredLog.room
        isRewriting = false
        let fits = offset == start + Int64(count) && count + bytes.count <= GatheredLog.room
        if count > 0, !mayHold || !fits {
            let status = pass(file)
            guard status == SQLITE_OK else { return status }
        }
        guard mayHold, let source = bytes.baseAddress else {
            return inner.pointee.xWrite(file, bytes.baseAddress, Int32(bytes.count), offset)
        }
        if count == 0 { start = offset }
        memcpy(held + count, source, bytes.count)
        count += bytes.count
        return isLast && !isHeader ? pass(file) : SQLITE_OK
    }

    /// Writes what is held.
    private func pass(_ file: File) -> Int32 {
        let size = Int32(count)
        guard size > 0 else { return SQLITE_OK }
        count = 0
        return inner.pointee.xWrite(file, held, size, start)
    }

    private func afterPassing(_ file: File, _ body: () -> Int32) -> Int32 {
        let status = pass(file)
        return status == SQLITE_OK ? body() : status
    }
}
