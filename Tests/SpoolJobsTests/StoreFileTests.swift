// StoreFileTests.swift - opening, refusing and making the file of a store.

import Foundation
import SpoolThreads
import Testing

@testable import SpoolJobs

@Suite("The file of a store", .timeLimit(.minutes(10))) struct StoreFileTests {
    let scratch = Scratch()

    func write(_ bytes: [UInt8]) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: scratch.path))
    }

    func refusal(_ mode: OpenMode = .create) -> SpoolError? {
        do throws(SpoolError) {
            _ = try Store.open(scratch.path, mode)
            return nil
        } catch {
            return error
        }
    }

    @Test("is never made by a reading command")
    func missing() {
        #expect(refusal(.existing) == .noStore(path: scratch.path))
        #expect(refusal(.readOnly) == .noStore(path: scratch.path))
        #expect(!FileManager.default.fileExists(atPath: scratch.path))
    }

    @Test("P5: is private whatever the umask, with everything beside it")
    func modes() throws {
        let old = umask(0)
        defer { umask(old) }
        let store = try scratch.store()
        try store.put([.command("true")], now: noon)
        let files = [
            scratch.path, scratch.path + "-wal", scratch.path + "-shm", store.files.gate,
            store.files.arrived,
        ]
        for file in files {
            let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions]
            #expect(mode as? Int == 0o600, "\(file)")
        }
        let side = try FileManager.default.attributesOfItem(atPath: store.files.directory)
        #expect(side[.posixPermissions] as? Int == 0o700)
    }

    @Test("P6: is known for one on a network file system by that file system's number in statfs(2)")
    func networks() {
        // linux/magic.h, and statfs(2) for those that are not in it.
        let shared = [
            0x6969, 0xFF53_4D42, 0xFE53_4D42, 0x517B, 0x00C3_6400, 0x0BD0_0BD0, 0x5346_414F,
            0x6B41_4653, 0x7375_7245, 0x0102_1997, 0x4750_4653, 0x564C,
        ]
        for number in shared {
            #expect(Path.networkFileSystem(number) != nil)
            // f_type is a signed word on some machines.
            #expect(Path.networkFileSystem(Int(Int32(truncatingIfNeeded: number))) != nil)
        }
        // ext4, tmpfs, btrfs, xfs, overlayfs, zfs, f2fs, FUSE, squashfs, ramfs.
        let own = [
            0xEF53, 0x0102_1994, 0x9123_683E, 0x5846_5342, 0x794C_7630, 0x2FC1_2FC1, 0xF2F5_2010,
            0x6573_5546, 0x7371_7368, 0x8584_58F6,
        ]
        for number in own { #expect(Path.networkFileSystem(number) == nil) }
        #expect(Path.networkFileSystem(of: scratch.path + "/not/there/yet") == nil)
    }

    @Test("D6: is refused with a reason and left alone when it is something else")
    func foreign() throws {
        let contents: [[UInt8]] = [
            Array("%PDF-1.4 a document".utf8), Array(repeating: 0, count: 4096),
            Array("SQLite format 3\0".utf8) + Array(repeating: 7, count: 5000),
        ]
        for bytes in contents {
            try write(bytes)
            for mode in [OpenMode.create, .existing, .readOnly] { #expect(refusal(mode) != nil) }
            #expect(FileManager.default.contents(atPath: scratch.path) == Data(bytes))
        }
        try write(contents[0])
        #expect(
            refusal()
                == .notAStore(
                    path: scratch.path, why: "is not a SQLite database (first bytes '%PDF')"))
    }

    @Test("D6: is refused when it is a database of somebody else")
    func otherDatabase() throws {
        try scratch.shell("CREATE TABLE t(a); INSERT INTO t VALUES (1)")
        let why = "is a SQLite database, but not a spool file"
        #expect(refusal() == .notAStore(path: scratch.path, why: why))
        #expect(try scratch.shell("SELECT a FROM t") == "1")
    }

    @Test("that the sqlite3 shell has copied, and that so has no log, is sound")
    func vacuumed() throws {
        try scratch.store().put([.command("true")], now: noon)
        let copy = scratch.directory + "/copy.db"
        try scratch.shell("VACUUM INTO '\(copy)'")
        #expect(try Store.open(copy, .readOnly).check() == [])
        #expect(try Store.open(copy, .existing).check() == [])
    }

    @Test("D6: that was read from a dump says which marks it lacks, and is a store with them")
    func dumped() throws {
        try scratch.store().put([.command("true")], now: noon)
        let known = try #require(Migration.all.last).number
        try scratch.shell("PRAGMA application_id=0; PRAGMA user_version=0")
        let mark = "PRAGMA application_id=1397772108"
        #expect(
            refusal()?.message.hasSuffix(
                "not its marks, which .dump leaves out; give it \(mark) and the PRAGMA user_version "
                    + "of the file that was dumped.") ?? false)
        try scratch.shell("\(mark); PRAGMA user_version=\(known)")
        #expect(try scratch.store().check() == [])
    }

    @Test("P7: is refused untouched when a newer spool wrote it")
    func newer() throws {
        try scratch.store().put([.command("true")], now: noon)
        try scratch.shell("PRAGMA user_version=9")
        let known = try #require(Migration.all.last).number
        #expect(refusal() == .storeTooNew(path: scratch.path, found: 9, known: known))
        #expect(try scratch.shell("PRAGMA user_version; SELECT count(*) FROM job") == "9\n1")
    }

    @Test(
        "P7: is migrated in one transaction after a copy was kept; a step that fails leaves it as it was"
    )
    func migration() throws {
        let store = try scratch.store()
        try store.put([.command("true")], now: noon)
        let last = Migration.all.count
        let good = Migration(number: last + 1, sql: "CREATE TABLE extra(a)")
        let bad = Migration(
            number: last + 2, sql: "CREATE TABLE more(a); SELECT nonsense FROM nowhere")
        #expect(throws: SpoolError.self) {
            try Schema.migrate(store.connection, store.files, Migration.all + [good, bad])
        }
        #expect(
            try scratch.shell(
                "PRAGMA user_version; SELECT count(*) FROM sqlite_schema WHERE name = 'extra'")
                == "\(last)\n0")
        try Schema.migrate(store.connection, store.files, Migration.all + [good])
        #expect(
            try scratch.shell("PRAGMA user_version; SELECT count(*) FROM extra") == "\(last + 1)\n0"
        )
        let copy = try Store.open(scratch.path + ".schema-\(last)", .readOnly)
        #expect(try copy.newestJob() == 1)
    }

    @Test("P7: is written no more by a program that had it open as a newer one migrated it")
    func migratedMeanwhile() throws {
        let store = try scratch.store()
        let other = try scratch.store()
        try store.put([.command("true")], now: noon)
        let last = Schema.known
        let bad = Migration(number: last + 1, sql: "SELECT nonsense FROM nowhere")
        let good = Migration(number: last + 1, sql: "CREATE TABLE extra(a)")
        #expect(throws: SpoolError.self) {
            try Schema.migrate(other.connection, other.files, Migration.all + [bad])
        }
        #expect(try store.put([.command("true")], now: noon) == 2...2)
        try Schema.migrate(other.connection, other.files, Migration.all + [good])
        for _ in 0..<2 {
            #expect(
                throws: SpoolError.storeTooNew(path: scratch.path, found: last + 1, known: last)
            ) { try store.put([.command("true")], now: noon) }
        }
        #expect(try scratch.shell("SELECT count(*) FROM job") == "2")
    }

    @Test("P7: of the first version is brought up to date, and goes on with its ids")
    func firstVersion() throws {
        let files = StoreFiles(scratch.path)
        try FileManager.default.createDirectory(
            atPath: files.directory, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        try Schema.create(files, Array(Migration.all.prefix(1)))
        try scratch.shell("INSERT INTO jobs(command) VALUES ('a'), ('b'), ('c')")
        try scratch.shell("DELETE FROM jobs WHERE id = 3")
        let store = try scratch.store()
        #expect(try store.put([.command("true")], now: noon) == 4...4)
        #expect(try scratch.shell("PRAGMA user_version") == "\(Migration.all.count)")
    }

    @Test("is refused when its path has a NUL, which would be the path before that")
    func nulInPath() {
        let why = "has a NUL byte, which no path can have"
        let path = scratch.path + "\0.db"
        #expect(throws: SpoolError.notAStore(path: path, why: why)) {
            _ = try Store.open(path, .create)
        }
        #expect(!FileManager.default.fileExists(atPath: scratch.path))
    }

    @Test("is refused when it is a directory, or has a second name")
    func odd() throws {
        try FileManager.default.createDirectory(
            atPath: scratch.path, withIntermediateDirectories: true)
        #expect(
            refusal() == .notAStore(path: scratch.path, why: "is a directory, not a spool file"))
        try FileManager.default.removeItem(atPath: scratch.path)
        _ = try scratch.store()
        try FileManager.default.linkItem(atPath: scratch.path, toPath: scratch.path + ".2")
        let why = "has 2 hard links; a database must have one name only"
        #expect(refusal() == .notAStore(path: scratch.path, why: why))
    }

    @Test("opens for everybody who comes while it is made")
    func together() throws {
        for _ in 0..<20 {
            let scratch = Scratch()
            let (failures, left) = (Tally(), Tally())
            for _ in 0..<4 {
                left.add(1)
                try Thread.detach("opener") {
                    if (try? scratch.store()) == nil { failures.add(1) }
                    left.add(-1)
                }
            }
            let areDone = try WaitFor.condition { left.count == 0 }
            #expect(areDone && failures.count == 0)
        }
    }

    /// A number that threads change.
    final class Tally: @unchecked Sendable {  // touched with the lock held only
        private let lock = Lock()
        private var number = 0
        func add(_ change: Int) { lock.withLock { number += change } }
        var count: Int { lock.withLock { number } }
    }

    @Test("may be given as an empty file, but not as one that was emptied")
    func empty() throws {
        try write([])
        #expect(
            refusal(.existing) == .notAStore(path: scratch.path, why: "is empty, not a spool file"))
        try scratch.store().put([.command("true")], now: noon)
        for suffix in ["-wal", "-shm"] {
            try FileManager.default.removeItem(atPath: scratch.path + suffix)
        }
        try write([])
        #expect(refusal() == .notAStore(path: scratch.path, why: "is empty, not a spool file"))
    }

    @Test("D3: may be given as an empty file where somebody was killed as he made one of it")
    func halfMade() throws {
        try write([])
        let side = StoreFiles(scratch.path).directory
        try FileManager.default.createDirectory(atPath: side, withIntermediateDirectories: true)
        chmod(side, 0o700)
        for name in ["gate", "new.db", "new.db-journal"] {
            try Data([1, 2, 3]).write(to: URL(fileURLWithPath: side + "/" + name))
        }
        #expect(try scratch.store().put([.command("true")], now: noon) == 1...1)
        #expect(try scratch.store(.existing).check() == [])
        #expect(Path.names(in: side).allSatisfy { !$0.hasPrefix("new.db") })
    }

    @Test("D3: may be given as an empty file beside the log of another, which is kept")
    func emptyBesideLog() throws {
        do {
            let store = try scratch.store()
            for _ in 0..<5 { try store.put([.command("old")], now: noon) }
            store.completesAtClose = false  // it is killed
        }
        Path.remove(scratch.path)
        try FileManager.default.removeItem(atPath: StoreFiles(scratch.path).directory)
        try write([])
        let store = try scratch.store()
        #expect(try store.newestJob() == nil)
        #expect(store.notice?.contains(scratch.path + "-wal.left") ?? false)
        #expect(try store.check() == [])
    }

    @Test("begins anew when somebody removed it: the old log is not taken for the new one's")
    func removed() throws {
        do { try scratch.store().put([.command("old")], now: noon) }
        try FileManager.default.removeItem(atPath: scratch.path)
        let store = try scratch.store()
        #expect(try store.newestJob() == nil)
        #expect(try store.check() == [])
    }

    @Test("D1: keeps the log of one that was moved without it, where its last jobs are")
    func movedWithoutLog() throws {
        for number in 1...2 {
            do {
                let store = try scratch.store()
                try store.put([.command("old")], now: noon)
                store.completesAtClose = false  // it is killed
            }
            let moved = scratch.directory + "/moved-\(number).db"
            try FileManager.default.moveItem(atPath: scratch.path, toPath: moved)
            let left = scratch.path + "-wal.left" + (number == 1 ? "" : "-2")
            #expect(try scratch.store().notice?.contains(left) ?? false)
            #expect(try scratch.store().notice == nil)
            #expect(try scratch.store().newestJob() == nil)
            try FileManager.default.moveItem(atPath: left, toPath: moved + "-wal")
            let found = try Store.open(moved, .existing)
            #expect(try found.newestJob() == 1)
            #expect(try found.check() == [])
            if number == 1 { try Data([1]).write(to: URL(fileURLWithPath: left)) }
            for suffix in ["", "-wal", "-shm"] { Path.remove(scratch.path + suffix) }
        }
    }

    @Test("is one file, however many links lead to it")
    func symbolicLinks() throws {
        let store = try scratch.store()
        let link = scratch.directory + "/link.db"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: scratch.path)
        let other = try Store.open(link, .existing)
        #expect(other.files == store.files)
        let owner = try store.owner()
        try store.put([.command("true")], now: noon)
        #expect(try store.take(1, owner).count == 1)
        #expect(try other.recover(now: noon) == 0)
    }

    @Test(
        "has files of Spool's own beside it: a symbolic link in their place is said to be none, and stays",
        arguments: ["gate", "shared", "live", "arrived", "settled"])
    func plantedLink(_ name: String) throws {
        try scratch.store().put([.command("true")], now: noon)
        let path = scratch.path + "-spool/" + name
        if access(path, F_OK) == 0 { try FileManager.default.removeItem(atPath: path) }
        try FileManager.default.createSymbolicLink(
            atPath: path, withDestinationPath: scratch.directory + "/other")
        let why = "is a symbolic link, so no file of Spool's: remove it if you do not know it"
        #expect(throws: SpoolError.notAStore(path: path, why: why)) {
            let store = try scratch.store()
            _ = (try Doorbell(.arrived, of: store), try Doorbell(.settled, of: store))
            _ = try store.owner()
        }
        #expect(access(scratch.directory + "/other", F_OK) != 0)
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: path) != "")
    }

    @Test("has a memory that is made longer with what stands in it, and with no holes")
    func shortMemory() throws {
        let store = try scratch.store()
        try store.put([.command("true")], now: noon)
        #expect(truncate(store.files.shared, 4096) == 0)
        // A process of a version that needs more of it comes to those that use less.
        let longer = try scratch.store()
        #expect(try longer.shared().ledger.commits == 1)
        var status = stat()
        #expect(stat(store.files.shared, &status) == 0 && status.st_size == StoreMemory.Place.size)
        #expect(Int(status.st_blocks) * 512 >= StoreMemory.Place.size)
    }

    @Test("can be looked at while a sync of somebody's hangs")
    func hangingSync() throws {
        try scratch.store().put([.command("true")], now: noon)
        let file = try File.side(scratch.path + "-spool/shared")
        #expect(flock(file.descriptor, LOCK_EX) == 0)
        let store = try scratch.store(.existing)
        #expect(try store.counts(queue: nil).ready == 1)
    }

    @Test("D7: every connection leaves checkpoints to the one routine that cannot race")
    func checkpoints() throws {
        let store = try scratch.store()
        #expect(try Schema.value("PRAGMA synchronous", store.connection) == 3)
        store.checkpointPages = 8
        for _ in 0..<200 { try store.put([.command("true")], now: noon) }
        #expect(try Schema.value("PRAGMA wal_autocheckpoint", store.connection) == 0)
        let log = try FileManager.default.attributesOfItem(atPath: scratch.path + "-wal")[.size]
        #expect(try #require(log as? Int) < 1 << 20)
        #expect(try store.check() == [])
    }

    @Test("D8: keeps its log short beside a worker, too, when its pages are large")
    func largePages() throws {
        try scratch.store().put([.command("true")], now: noon)
        let copy = scratch.directory + "/copy.db"
        try scratch.shell("PRAGMA page_size=65536; VACUUM INTO '\(copy)'")
        let store = try Store.open(copy, .existing)
        #expect(store.connection.pageSize == 65536)
        _ = try store.register(name: "w", consumers: 1, queues: "", now: noon)
        for _ in 0..<400 { try store.put([.command("true")], now: noon) }
        let log = try FileManager.default.attributesOfItem(atPath: copy + "-wal")[.size]
        #expect(try #require(log as? Int) < 64 << 20)
    }
}
