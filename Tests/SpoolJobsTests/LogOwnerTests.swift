// LogOwnerTests.swift - a copy is put where a database stood whose log is still there.

import Foundation
import SpoolThreads
import Testing

@testable import SpoolJobs

@Suite("A file in the place of another, whose log is still there", .timeLimit(.minutes(10)))
struct LogOwnerTests {
    let scratch = Scratch()
    var log: String { scratch.path + "-wal" }
    var copy: String { scratch.directory + "/copy.db" }
    let files = FileManager.default

    enum Kind: CaseIterable {
        /// Of a file that nobody has open.
        case plain
        /// By the sqlite3 shell, which leaves it without a log.
        case vacuumed
    }

    enum Way: CaseIterable { case renamed, removedBefore, written }

    /// A store with one job, the copy of it, and then more jobs, in the log of one that was killed.
    func makeBoth(_ kind: Kind) throws {
        do { try scratch.store().put([.command("first")], now: noon) }
        switch kind {
        case .plain: try files.copyItem(atPath: scratch.path, toPath: copy)
        case .vacuumed: try scratch.shell("VACUUM INTO '\(copy)'")
        }
        let store = try scratch.store()
        try store.put((1...50).map { _ in NewJob.command("later", queue: "q") }, now: noon)
        store.completesAtClose = false
    }

    func place(_ way: Way) throws {
        switch way {
        case .renamed: #expect(rename(copy, scratch.path) == 0)
        case .removedBefore:
            // Often the next file has its number.
            try files.removeItem(atPath: scratch.path)
            try files.copyItem(atPath: copy, toPath: scratch.path)
        case .written:
            try Data(contentsOf: URL(fileURLWithPath: copy)).write(
                to: URL(fileURLWithPath: scratch.path), options: [])
        }
    }

    func refusal(_ mode: OpenMode) -> String? {
        do throws(SpoolError) {
            _ = try Store.open(scratch.path, mode)
            return nil
        } catch {
            return error.message
        }
    }

    static var tried: [(Kind, Way)] {
        // Of a plain copy that is written over the other one nobody can tell.
        Kind.allCases.flatMap { kind in Way.allCases.map { (kind, $0) } }
            .filter { $0 != (.plain, .written) }
    }

    @Test("D6: is refused with what to do, and then goes on as it was copied", arguments: tried)
    func refused(kind: Kind, way: Way) throws {
        try makeBoth(kind)
        try place(way)
        let before = (files.contents(atPath: scratch.path), files.contents(atPath: log))
        for mode in [OpenMode.readOnly, .existing, .create, .readOnly] {
            #expect(refusal(mode)?.contains("(mv \(log) \(log).left)") ?? false, "\(mode)")
        }
        #expect(files.contents(atPath: scratch.path) == before.0)
        #expect(files.contents(atPath: log) == before.1)
        #expect(rename(log, log + ".left") == 0)
        let store = try scratch.store()
        #expect(try store.newestJob() == 1)
        #expect(try store.put([.command("next")], now: noon) == 2...2)
        #expect(try store.check() == [])
    }

    @Test("has nothing in common with who has the other one open still", arguments: Kind.allCases)
    func otherInUse(kind: Kind) throws {
        do { try scratch.store().put([.command("first")], now: noon) }
        switch kind {
        case .plain: try files.copyItem(atPath: scratch.path, toPath: copy)
        case .vacuumed: try scratch.shell("VACUUM INTO '\(copy)'")
        }
        let old = try scratch.store()
        try old.put([.command("later")], now: noon)
        try place(.renamed)
        #expect(refusal(.create) != nil)
        #expect(rename(log, log + ".left") == 0)
        let new = try scratch.store()
        #expect(throws: SpoolError.self) { try old.put([.command("lost")], now: noon) }
        #expect(try new.put([.command("next")], now: noon) == 2...2)
        #expect(throws: SpoolError.self) { try old.put([.command("lost")], now: noon) }
        #expect(try old.newestJob() == 2)
        #expect(try scratch.store(.readOnly).counts(queue: nil).ready == 2)
        #expect(try new.check() == [])
    }

    @Test("is taken with that log when the log was put there with it")
    func copiedWithLog() throws {
        try makeBoth(.plain)
        let place = scratch.directory + "/other"
        try files.createDirectory(atPath: place, withIntermediateDirectories: true)
        for suffix in ["", "-wal"] {
            try files.copyItem(atPath: scratch.path + suffix, toPath: place + "/jobs.db" + suffix)
        }
        for suffix in ["", "-wal"] {
            #expect(rename(place + "/jobs.db" + suffix, scratch.path + suffix) == 0)
        }
        #expect(try scratch.store().newestJob() == 51)
    }

    @Test("is one file with a log that somebody removed and made anew")
    func newLog() throws {
        do { try scratch.store().put([.command("first")], now: noon) }
        for suffix in ["-wal", "-shm"] { Path.remove(scratch.path + suffix) }
        for number in 2...3 {
            let store = try scratch.store()
            try store.put([.command("later")], now: noon)
            store.completesAtClose = false
            #expect(try store.newestJob() == Int64(number))
        }
        #expect(try scratch.store().newestJob() == 3)
    }

    @Test("is one file when it was moved away and back")
    func back() throws {
        try makeBoth(.plain)
        #expect(rename(scratch.path, scratch.path + "2") == 0)
        #expect(rename(scratch.path + "2", scratch.path) == 0)
        #expect(try scratch.store().newestJob() == 51)
    }
}
