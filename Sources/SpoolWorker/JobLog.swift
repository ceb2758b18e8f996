// JobLog.swift - what an attempt wrote, in the order in which it came.
//
// ID.ATTEMPT.log holds the bytes of both streams as they arrived; ID.ATTEMPT.idx tells them apart: one record of 16
// bytes per piece, little-endian: Int64 microseconds since 1970, UInt32 length, UInt32 stream (1 stdout, 2 stderr).
// Both are made on the first byte, private to their user, never through a link. Beyond the limit bytes are counted
// and dropped, and a last line (as stderr) says how many.

private import Glibc
private import SpoolJobs
internal import SpoolThreads

/// Keeps the output of one attempt.
struct JobLog: ~Copyable {
    private let path: String
    private let limit: Int64
    private var log: Int32 = -1
    private var index: Int32 = -1
    private var kept: Int64 = 0
    private var dropped: Int64 = 0
    /// The errno of what ended the log too early; 0 while nothing has.
    private var failure: Int32 = 0

    /// What became of output that could not be kept, for the record of the attempt: the log may have no room for it.
    var loss: String? {
        failure == 0 ? nil : "its output was not kept whole: \(SpoolError.reason(failure))"
    }

    /// - Parameters:
    ///   - path: Of the log, without `.log`.
    ///   - limit: Bytes that are kept.
    init(path: String, limit: Int64) {
        self.path = path
        self.limit = limit
    }

    deinit {
        if log >= 0 { close(log) }
        if index >= 0 { close(index) }
    }

    /// Appends what arrived on a stream: 1 or 2.
    mutating func append(_ bytes: UnsafeRawBufferPointer, stream: UInt32, now: UnixTime) {
        let room = Int(min(Int64(bytes.count), max(0, limit - kept)))
        dropped += Int64(bytes.count - room)
        guard room > 0 else { return }
        write(UnsafeRawBufferPointer(rebasing: bytes[..<room]), stream, now)
        kept += Int64(room)
    }

    /// Says how much was dropped. Call it last.
    mutating func finish(now: UnixTime) {
        guard dropped > 0, kept > 0 else { return }
        var line = "\n[spool: \(dropped) more bytes were not kept, the limit is \(limit)]\n"
        line.withUTF8 { write(UnsafeRawBufferPointer($0), 2, now) }
    }

    private mutating func write(_ bytes: UnsafeRawBufferPointer, _ stream: UInt32, _ now: UnixTime)
    {
        if log < 0, failure == 0 { open() }
        // A full disk must not fail the job whose output it swallowed: the rest of this log is lost, and only that.
        guard failure == 0 else { return }
        failure = Self.writeAll(log, bytes)
        guard failure == 0 else { return }
        var record = (
            now.microseconds.littleEndian, UInt32(bytes.count).littleEndian, stream.littleEndian
        )
        failure = withUnsafeBytes(of: &record) { Self.writeAll(index, $0) }
    }

    private mutating func open() {
        log = Self.create(path + ".log")
        if log < 0 { failure = errno }
        index = Self.create(path + ".idx")
        if index < 0, failure == 0 { failure = errno }
    }

    private static func create(_ path: String) -> Int32 {
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_APPEND | O_CLOEXEC
        var file = Glibc.open(path, flags, 0o600)
        if file < 0, errno == EEXIST {
            // An attempt number is given once: what stands here is a leftover of a lost file, or planted.
            unlink(path)
            file = Glibc.open(path, flags, 0o600)
        }
        guard file >= 0 else { return file }
        Path.give(file, toOwnerOf: Path.parent(path))
        return file
    }

    /// - Returns: The errno that ended the writing, or 0.
    private static func writeAll(_ file: Int32, _ bytes: UnsafeRawBufferPointer) -> Int32 {
        var offset = 0
        while offset < bytes.count {
            let count = Glibc.write(
                file, bytes.baseAddress?.advanced(by: offset), bytes.count - offset)
            guard count > 0 || errno == EINTR else { return count == 0 ? EIO : errno }
            offset += max(0, count)
        }
        return 0
    }
}
