// Guest.swift - a connection as any program has one that uses SQLite, without Spool's rules.

internal import CSQLite
internal import SpoolThreads

/// Somebody else at the file.
final class Guest {
    private let handle: OpaquePointer

    /// - Parameter checkpoints: Automatic ones, as SQLite has them unless told.
    init(_ path: String, checkpoints: Bool) throws {
        var opened: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
        guard sqlite3_open_v2(path, &opened, flags, nil) == SQLITE_OK, let opened else {
            sqlite3_close_v2(opened)
            throw SpoolError.usage("a guest cannot open \(path)")
        }
        handle = opened
        _ = spool_sqlite_checkpoint_on_close(handle, 0)
        if !checkpoints { sqlite3_wal_autocheckpoint(handle, 0) }
    }

    deinit { sqlite3_close_v2(handle) }

    /// Returns SQLite's result code.
    @discardableResult
    func run(_ sql: String) -> Int32 { sqlite3_exec(handle, sql, nil, nil, nil) }

    /// The rows of a query, their columns joined by bars; the error instead when there is one.
    func rows(_ sql: String) -> [String] {
        var statement: OpaquePointer?
        guard sqlite3_prepare_v2(handle, sql, -1, &statement, nil) == SQLITE_OK else {
            return ["error: " + String(cString: sqlite3_errmsg(handle))]
        }
        defer { sqlite3_finalize(statement) }
        var rows: [String] = []
        while true {
            switch sqlite3_step(statement) {
            case SQLITE_ROW:
                let columns = (0..<sqlite3_column_count(statement)).map { index in
                    sqlite3_column_text(statement, index).map { String(cString: $0) } ?? "NULL"
                }
                rows.append(columns.joined(separator: "|"))
            case SQLITE_DONE: return rows
            default: return rows + ["error: " + String(cString: sqlite3_errmsg(handle))]
            }
        }
    }

    /// One integer; -1 when it cannot be had.
    func number(_ sql: String) -> Int { rows(sql).first.flatMap { Int($0) } ?? -1 }
}
