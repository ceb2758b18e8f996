// StoreSchema.swift - making a store's file, and bringing an older one up to date.
//
// A new file is built under another name and renamed into place whole, so that a kill at any instant leaves either no
// store or a complete one. Migrations of an older file run in one transaction, after a copy was put beside it.

private import CSpool
private import CSQLite
private import Glibc
private import Migrations
internal import SpoolThreads

/// One step of the schema, from version `number - 1` to `number`.
struct Migration {
    let number: Int
    let sql: String

    /// What this program knows, in order.
    static let all: [Migration] = (0..<spool_migrations_count).compactMap { index in
        let file = spool_migrations[index]
        let name = String(cString: file.name)
        guard name.hasPrefix("sqlite/"), let number = Int(name.dropFirst(7).prefix(4)) else {
            return nil
        }
        return Migration(number: number, sql: String(cString: file.sql))
    }
}

enum Schema {
    /// 'SPOL' in the file's header: see application_id in sqlite.org/fileformat.html.
    static let applicationID: Int64 = 0x5350_4F4C

    /// The newest version that this program knows.
    static let known = Migration.all.last?.number ?? 0

    /// Makes the file. The caller holds the gate.
    /// - Returns: Where the log of one that had its name before was put aside.
    @discardableResult
    static func create(
        _ files: StoreFiles, _ migrations: [Migration] = Migration.all
    ) throws(SpoolError) -> String? {
        for suffix in ["", "-journal", "-wal", "-shm"] { unlink(files.newDatabase + suffix) }
        try build(files.newDatabase, migrations)
        let left = try clearLeftovers(files)
        // In one step: nobody ever sees the file under two names, or half of it. An empty file of the
        // user's is replaced, any other never: whoever was there first wins.
        let isEmpty = Path.size(files.database) == 0
        let placed =
            isEmpty
            ? rename(files.newDatabase, files.database)
            : spool_rename_new(files.newDatabase, files.database)
        guard placed == 0 || errno == EEXIST else {
            throw .cannotCreate(path: files.database, why: SpoolError.reason(errno))
        }
        try Path.syncDirectory(of: files.database)
        return left
    }

    /// Whether no store was ever complete beside this directory: there is nothing in it, or what somebody left who was
    /// killed as he made one.
    static func isUnmade(_ files: StoreFiles) -> Bool {
        Path.names(in: files.directory).allSatisfy {
            let path = files.directory + "/" + $0
            return path == files.gate || path.hasPrefix(files.newDatabase)
        }
    }

    /// The log, memory and logs of a database that somebody removed would be taken for the new one's. If it was moved
    /// after a crash, or while it was in use, its last jobs stand in the log only.
    private static func clearLeftovers(_ files: StoreFiles) throws(SpoolError) -> String? {
        let log = files.database + "-wal"
        var left: String?
        if Path.size(log) ?? 0 > 0 {
            let name = free(log + ".left")
            guard spool_rename_new(log, name) == 0 else {
                let number = errno
                try Path.checkBeside(files.database)
                throw .cannotCreate(path: files.database, why: SpoolError.reason(number))
            }
            left = name
        }
        let removed = ["-wal", "-shm", "-journal"].filter { unlink(files.database + $0) == 0 }
        // Before there is a database that they could be taken for the new one's: after a power cut, too.
        if left != nil || !removed.isEmpty { try Path.syncDirectory(of: files.database) }
        try Path.checkBeside(files.database)
        unlink(files.shared)
        for name in Path.names(in: files.logs) where StoreFiles.isLog(name) {
            unlink(files.logs + "/" + name)
        }
        return left
    }

    /// A name that no file has: this one, or with a number.
    private static func free(_ path: String) -> String {
        var (name, number) = (path, 1)
        while Path.entry(name) != .missing {
            number += 1
            name = "\(path)-\(number)"
        }
        return name
    }

    private static func build(_ path: String, _ migrations: [Migration]) throws(SpoolError) {
        try Path.makePrivateFile(path, ofOwnerOf: Path.parent(path))
        // EXTRA stands before WAL: with the other order a power cut can lose the whole file (docs/guarantees.md, D1).
        let connection = try Connection(path, .existing)
        try connection.execute("BEGIN IMMEDIATE")
        try apply(migrations, above: 0, connection)
        try connection.execute("PRAGMA application_id=\(applicationID)")
        try connection.execute("COMMIT")
        try connection.execute("PRAGMA journal_mode=WAL")
    }

    private static func apply(
        _ migrations: [Migration], above version: Int, _ connection: Connection
    ) throws(SpoolError) {
        for migration in migrations where migration.number > version {
            try connection.execute(migration.sql)
            try connection.execute("PRAGMA user_version=\(migration.number)")
        }
    }

    /// Looks whether the file is a store that this program knows; an older one is `false`: migrate it.
    static func isCurrent(
        _ connection: Connection, known: Int = Schema.known
    ) throws(SpoolError) -> Bool {
        let application = try value("PRAGMA application_id", connection)
        guard application == applicationID else {
            throw .notAStore(path: connection.path, why: try strangeness(connection))
        }
        let version = Int(try value("PRAGMA user_version", connection))
        guard version > 0 else {
            throw .storeCorrupt(
                path: connection.path, detail: "it says that its schema is \(version)")
        }
        guard version <= known else {
            throw .storeTooNew(path: connection.path, found: version, known: known)
        }
        return version == known
    }

    /// Why a database without our number is none of ours.
    private static func strangeness(_ connection: Connection) throws(SpoolError) -> String {
        if try value("SELECT count(*) FROM sqlite_schema", connection) == 0 {
            return "is empty, not a spool file"
        }
        let ours = try value(
            "SELECT count(*) FROM sqlite_schema WHERE name IN ('spool', 'lane', 'job')", connection)
        guard ours == 3 else { return "is a SQLite database, but not a spool file" }
        return
            "has the tables of a spool file, but not its marks, which .dump leaves out; give it PRAGMA"
            + " application_id=\(applicationID) and the PRAGMA user_version of the file that was dumped"
    }

    /// Brings an older file up to date in one transaction. The caller holds the gate. Older programs that have the file
    /// open are told before, and look whether it came to that: see ``Store/checkSchema(_:)``.
    static func migrate(
        _ connection: Connection, _ files: StoreFiles, _ migrations: [Migration] = Migration.all
    ) throws(SpoolError) {
        let version = Int(try value("PRAGMA user_version", connection))
        guard let last = migrations.last?.number, version < last else { return }
        try StoreMemory(files).schema = last
        try backUp(connection, to: "\(connection.path).schema-\(version)")
        try connection.execute("BEGIN IMMEDIATE")
        do throws(SpoolError) {
            try apply(migrations, above: version, connection)
            try connection.execute("COMMIT")
        } catch {
            try? connection.execute("ROLLBACK")  // the first error says more
            throw error
        }
    }

    private static func backUp(_ connection: Connection, to path: String) throws(SpoolError) {
        unlink(path)
        try Path.makePrivateFile(path, ofOwnerOf: connection.path)
        let statement = try connection.prepare("VACUUM INTO ?1")
        statement.bind(1, path)
        try statement.run("copying it to \(path)")
    }

    /// Whether commits go to a write-ahead log. A copy that was made with VACUUM INTO has none.
    static func hasLog(_ connection: Connection) throws(SpoolError) -> Bool {
        let statement = try connection.prepare("PRAGMA journal_mode")
        defer { statement.reset() }
        return try statement.step() && statement.text(0) == "wal"
    }

    /// Gives it one. The caller holds the gate.
    static func makeLog(_ connection: Connection) throws(SpoolError) {
        try connection.execute("PRAGMA journal_mode=WAL")
        guard try hasLog(connection) else {
            throw .locked(path: connection.path)
        }
    }

    static func value(_ sql: StaticString, _ connection: Connection) throws(SpoolError) -> Int64 {
        let statement = try connection.prepare(sql)
        defer { statement.reset() }
        return try statement.step() ? statement.int(0) : 0
    }
}

extension Store {
    /// A newer program may have migrated the file since it was opened here. The caller is in the gate.
    /// - Throws: `storeTooNew`.
    func checkSchema(_ memory: StoreMemory) throws(SpoolError) {
        guard memory.schema != Schema.known else { return }
        _ = try Schema.isCurrent(connection)
        memory.schema = Schema.known
    }
}
