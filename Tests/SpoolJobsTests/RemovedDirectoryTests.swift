// RemovedDirectoryTests.swift - somebody removes the directory beside the file while the file is in use.

import class Foundation.FileManager
import SpoolThreads
import Testing

@testable import SpoolJobs

@Suite("The directory beside a file that is in use", .timeLimit(.minutes(10)))
struct RemovedDirectoryTests {
    private func remove(_ scratch: Scratch) throws {
        try FileManager.default.removeItem(atPath: StoreFiles(scratch.path).directory)
    }

    @Test("X1: is removed: a worker that lives keeps its jobs, and they come back when it dies")
    func owner() throws {
        let scratch = Scratch()
        var working: Store? = try scratch.store()
        let owner = try #require(try working?.owner())
        try working?.put([.command("one"), .command("two")], now: noon)
        let claims = try #require(try working?.take(2, owner).map(\.claim))
        try remove(scratch)
        let looking = try scratch.store()
        #expect(try looking.recover(now: noon) == 0)
        #expect(try looking.workers().map(\.owner) == [owner])
        // One that began in the new directory lives for who has opened the old one, too.
        let other = try looking.owner("other")
        #expect(try working?.workers().map(\.owner) == [owner, other])
        #expect(try working?.settle(claims[0], .done) != nil)
        #expect(try looking.counts(queue: nil).running == 1)
        working = nil
        #expect(try looking.recover(now: noon) == 1)
        #expect(try looking.workers().map(\.owner) == [other])
    }

    @Test("D1: is removed: who had opened it writes through the new one, as others do")
    func gate() throws {
        let scratch = Scratch()
        let (first, never) = (try scratch.store(), try scratch.store())
        try first.put([.command("one")], now: noon)
        try remove(scratch)
        #expect(try first.put([.command("two")], now: noon) == 2...2)
        let others = [try scratch.store(), never]
        for store in others + [first] { try store.put([.command("more")], now: noon) }
        let memory = Path.identity(first.files.shared)
        #expect(memory != nil && first.gate?.isInPlace == true && never.gate?.isInPlace == true)
        #expect(Path.entry(first.files.logs) == .directory)
        let commits = try (others + [first]).map { try $0.shared().ledger.commits }
        #expect(Set(commits).count == 1, "they count apart: \(commits)")
    }

    @Test("D1: is not made beside a file that was moved together with it")
    func moved() throws {
        let scratch = Scratch()
        let store = try scratch.store()
        try store.put([.command("one")], now: noon)
        for end in ["", "-wal", "-shm"] { Path.remove(scratch.path + end) }
        try remove(scratch)
        #expect(throws: Store.removed(store.files.database)) {
            try store.put([.command("lost")], now: noon)
        }
        #expect(Path.entry(store.files.directory) == .missing)
    }

    @Test("D5: is removed: whether jobs were put whose taker died there nobody can tell")
    func unfinished() throws {
        let pair = try Pair()
        var posting: Thread?
        try pair.leader.inGate { _ in
            posting = try pair.post("lost")
            try pair.leader.takeAlong("ROLLBACK")
            try remove(pair.scratch)
            try pair.scratch.shell("UPDATE spool SET batch = batch + 1")
        }
        try posting?.join()
        #expect(pair.isUnknown)
        #expect(try pair.commands == "seat")
    }
}
