// LogFile.swift - the write-ahead log below SQLite: syncing it beside a transaction, and writing it again.

private import CSQLite

/// The write-ahead log of a connection that is open, and has read.
// SQLite's own handle. Its xSync only hands a descriptor to fsync(2), so it may run beside other calls.
struct LogFile: @unchecked Sendable {
    private let handle: UnsafeMutablePointer<sqlite3_file>
    private let methods: UnsafePointer<sqlite3_io_methods>

    init?(_ connection: OpaquePointer, _ gathered: GatheredLog?) {
        guard let log = GatheredLog.file(of: connection),
            let methods = gathered?.inner ?? log.pointee.pMethods
        else { return nil }
        (handle, self.methods) = (log, methods)
    }

    /// Syncs it: what was written to it before is on disk then. False: the disk failed. From any thread.
    func sync() -> Bool {
        methods.pointee.xSync?(handle, SQLITE_SYNC_NORMAL) == SQLITE_OK
    }

    /// Writes it again as it stands, and syncs it. After a sync that failed the system counts its pages as written,
    /// though they are not, and the next sync would say that all is well. The caller holds the write lock.
    ///
    /// The file may not have told of that sync yet: it does so once, whatever it has written since.
    func writeAgain() -> Bool {
        guard let sizeOf = methods.pointee.xFileSize, let read = methods.pointee.xRead,
            let write = methods.pointee.xWrite
        else { return false }
        _ = sync()
        var size: Int64 = 0
        guard sizeOf(handle, &size) == SQLITE_OK else { return false }
        let isWritten = withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 8) { buffer in
            for offset in stride(from: 0, to: size, by: buffer.count) {
                let count = Int32(min(size - offset, Int64(buffer.count)))
                guard read(handle, buffer.baseAddress, count, offset) == SQLITE_OK,
                    write(handle, buffer.baseAddress, count, offset) == SQLITE_OK
                else { return false }
            }
            return true
        }
        return isWritten && sync()
    }
}
