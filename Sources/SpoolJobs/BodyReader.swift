// BodyReader.swift - the first bytes of bodies. A column is read whole, and a body may have 64 MiB, of which a list
// shows none or a line: so it is opened as a file would be. See sqlite3_blob_open.

private import CSQLite
private import CSpool
private import Glibc
internal import SpoolThreads

/// Reads the beginning of one body after the other, of jobs that are there. Inside one look; the last thing there is
/// ``end()``.
final class BodyReader {
    /// Nil: bodies are wanted whole, and are read with their rows.
    let limit: Int?
    private unowned let store: Store
    private var blob: OpaquePointer?

    init(_ store: Store, limit: Int?) {
        self.store = store
        self.limit = limit.map { max(0, $0) }
    }

    /// - Returns: Its first bytes, and how many it has.
    func beginning(of job: Int64, isText: Bool) throws(SpoolError) -> (Body, size: Int) {
        try open(job)
        let size = Int(sqlite3_blob_bytes(blob))
        var bytes = [UInt8](repeating: 0, count: min(size, limit ?? size))
        guard sqlite3_blob_read(blob, &bytes, Int32(bytes.count), 0) == SQLITE_OK else {
            throw store.connection.failure("reading it")
        }
        guard isText else { return (.bytes(bytes), size) }
        // Not a half of a character.
        if bytes.count < size {
            while let last = bytes.last, last & 0xC0 == 0x80 { bytes.removeLast() }
            if let last = bytes.last, last >= 0xC0 { bytes.removeLast() }
        }
        return (.json(String(decoding: bytes, as: UTF8.self)), size)
    }

    private func open(_ job: Int64) throws(SpoolError) {
        let status =
            blob == nil
            ? sqlite3_blob_open(store.connection.handle, "main", "job", "body", job, 0, &blob)
            : sqlite3_blob_reopen(blob, job)
        guard status == SQLITE_OK else {
            let error = store.connection.failure("reading it")
            end()
            throw error
        }
    }

    func end() {
        sqlite3_blob_close(blob)
        blob = nil
    }
}

extension Statement {
    /// Asks for the memory of a large value: Swift ends the program when there is none.
    /// - Parameter copies: As many times of it, with what is made of the value.
    func checkRoom(for column: Int32, copies: Int) throws(SpoolError) {
        let count = Int(sqlite3_column_bytes(handle, column))
        guard count > 1 << 20, spool_has_room(copies * count) == 0 else { return }
        reset()  // as a step that failed: the statement will be used again
        throw .system(call: "reading a body of \(count) bytes", errno: ENOMEM)
    }
}
