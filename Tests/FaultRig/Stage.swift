// Stage.swift - where an operation is tried again and again: the same store each time, and what it holds as text.

private import Glibc
internal import SpoolJobs
internal import SpoolThreads

/// A directory with a store that is set back before each try.
final class Stage {
    let path: String
    private let original: String
    private let image: String
    private let directory: String
    static let noon = UnixTime(microseconds: 1_800_000_000_000_000)

    init(_ directory: String) {
        self.directory = directory
        path = directory + "/jobs.db"
        original = directory + "/original.db"
        image = directory + "/image.db"
    }

    /// Keeps the store at `path` as what every try begins with. Nobody may have it open.
    func keep() { for suffix in ["", "-wal"] { Self.copy(path + suffix, original + suffix) } }

    /// Sets the store back. Nobody may have it open.
    func reset() {
        for suffix in ["", "-wal"] { Self.copy(original + suffix, path + suffix) }
        unlink(path + "-shm")
        unlink(path + "-journal")
        // What the try before has left there is none of this one's: it would begin with other calls.
        unlink(path + "-spool/shared")
    }

    /// Forgets the store and what was kept: the stage is empty.
    func clear() {
        for name in [path, original] {
            for suffix in ["", "-wal", "-shm", "-journal", ".schema-1"] { unlink(name + suffix) }
        }
        for name in ["new.db", "new.db-wal", "new.db-shm", "new.db-journal"] {
            unlink(path + "-spool/" + name)
        }
    }

    /// Everything that the store holds, as a program that was there says it; nil: there is no store.
    func dump() throws -> [String]? { try Self.dump(path) }

    /// What is there after a crash of everybody at this instant: SQLite recovers a copy of the files.
    func dumpAfterCrash() throws -> [String]? {
        for suffix in ["", "-wal"] { Self.copy(path + suffix, image + suffix) }
        unlink(image + "-shm")
        return try Self.dump(image)
    }

    private static func dump(_ path: String) throws -> [String]? {
        guard access(path, F_OK) == 0 else { return nil }
        let guest = try Guest(path, checkpoints: false)
        let tables = guest.rows(
            "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        return tables.flatMap { table in
            let columns = guest.rows(
                "SELECT name FROM pragma_table_info('\(table)') WHERE name <> 'log_restarts'")
            let list = columns.map { "quote(\"\($0)\")" }.joined(separator: ", ")
            return guest.rows("SELECT '\(table)', \(list) FROM \"\(table)\" ORDER BY 2, 3")
        }
    }

    /// Closing a descriptor of a database drops the locks that SQLite holds on it in this process: there is no
    /// other process here that they would keep away.
    private static func copy(_ from: String, _ to: String) {
        unlink(to)
        let source = open(from, O_RDONLY | O_CLOEXEC)
        guard source >= 0 else { return }
        defer { close(source) }
        let target = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        defer { close(target) }
        while sendfile(target, source, nil, 1 << 30) > 0 {}
    }
}
