// MeanwhileTests.swift - between two steps of a store another process commits, dies, or replaces the file.

import CSQLite
import SpoolThreads
import Testing

@testable import SpoolJobs

@Suite("Meanwhile", .timeLimit(.minutes(10))) struct MeanwhileTests {
    let scratch = Scratch()

    @Test(
        "X1: of two workers that die, only the one whose leftovers were ended gives back its jobs")
    func leftovers() throws {
        var first: Store? = try scratch.store()
        var second: Store? = try scratch.store()
        let looking = try scratch.store()
        try looking.put([.command("one"), .command("two")], now: noon)
        _ = try first?.take(1, first?.owner("a") ?? 0)
        _ = try second?.take(1, second?.owner("b") ?? 0)
        first = nil
        var ended = 0
        looking.surroundings.endLeftovers = { claims, _ in
            ended += claims.count
            second = nil
        }
        #expect(try looking.recover(now: noon) == 1)
        #expect(ended == 1)
        #expect(try looking.recover(now: noon) == 1)
        #expect(ended == 2)
    }

    @Test("J4: a snapshot join sees a job that is given back between two of its looks")
    func join() throws {
        let (working, joining) = (try scratch.store(), try scratch.store())
        try working.put([.command("one")], now: noon)
        let claim = try working.take(1, working.owner())[0].claim
        let joiner = try Joiner(.upTo(queue: nil, last: 1), of: joining)
        let hook = Hook { sql in
            guard sql.hasPrefix("SELECT id FROM running WHERE") else { return }
            _ = try? working.settle(claim, .released)
        }
        hook.watch(joining)
        #expect(try !joiner.look().isFinished)
        #expect(try working.job(1).state == .ready)
    }

    @Test("J4: a snapshot join counts and names no job that came later")
    func later() throws {
        let store = try scratch.store()
        let owner = try store.owner()
        var last = NewJob.command("last")
        last.retries = 0
        try store.put([last, last], now: noon)
        let before = try store.take(2, owner).map(\.claim)
        _ = try store.settle(before[0], .failed)
        let joiner = try Joiner(.upTo(queue: nil, last: 2), of: store)
        try store.put(Array(repeating: last, count: 4), now: noon)
        for job in try store.take(4, owner) { _ = try store.settle(job.claim, .failed) }
        #expect(try joiner.look().total == 1)
        _ = try store.settle(before[1], .done)
        let seen = try joiner.look()
        #expect(seen.isFinished && seen.total == 1 && seen.done == 1 && seen.failed == 0)
        #expect(try joiner.failures(limit: 3) == [1])
    }

    @Test(
        "a list shows each job once, as it stood when it began",
        arguments: [[State.running, .dead], [.running, .ready], [.ready, .done], [.ready]])
    func list(_ states: [State]) throws {
        let (store, other) = (try scratch.store(), try scratch.store())
        try store.put([.command("a"), .command("b"), .command("c")], now: noon)
        let owner = try other.owner()
        let claim = try other.take(1, owner)[0].claim
        var filter = JobFilter()
        filter.states = Set(states)
        let expected = try store.jobs(filter).map { [$0.id, Int64($0.attempt)] }
        var seen: [[Int64]] = []
        try store.forEachJob(filter) { row throws(SpoolError) in
            if seen.isEmpty {
                _ = try? other.settle(claim, .done)
                _ = try? other.take(2, owner)
            }
            seen.append([row.id, Int64(row.attempt)])
            return true
        }
        #expect(seen == expected)
    }

    @Test(
        "D1: a put into a file that was removed or replaced is refused"
    )
    func replaced() throws {
        let old = try scratch.store()
        try old.put([.command("old")], now: noon)
        for end in ["", "-wal", "-shm"] { Path.remove(scratch.path + end) }
        #expect(throws: SpoolError.self) { try old.put([.command("lost")], now: noon) }
        let new = try scratch.store()
        try new.put([.command("new")], now: noon)
        #expect(throws: SpoolError.self) { try old.put([.command("lost")], now: noon) }
        #expect(try new.counts(queue: nil).ready == 1)
    }

    @Test("D1: so is one into a file that is replaced while its transaction is open")
    func replacedMeanwhile() throws {
        let old = try scratch.store()
        #expect(throws: SpoolError.self) {
            try old.write("putting jobs", .afterwards) { () throws(SpoolError) in
                _ = try old.put([.command("lost")], now: noon)
                for end in ["", "-wal", "-shm"] { Path.remove(scratch.path + end) }
            }
        }
        #expect(try scratch.store().put([.command("new")], now: noon) == 1...1)
    }

    @Test("D1: a process that is stopped while it syncs for all keeps nobody waiting")
    func stoppedInSync() throws {
        let store = try scratch.store()
        try store.put([.command("x")], now: noon)
        let other = try File.side(store.files.shared)
        #expect(StoreMemory.tryLock(other))
        #expect(try store.put([.command("y")], now: noon) == 2...2)
        #expect(!StoreMemory.tryLock(try File.side(store.files.shared)), "it has the lock still")
    }

    @Test("J5: a check of a file that others put into sees it at one moment")
    func check() throws {
        let store = try scratch.store()
        try store.put([.command("first")], now: noon)
        let isOver = Event()
        let putter = Thread { [scratch] in
            guard let other = try? scratch.store() else { return }
            while !isOver.isSet { _ = try? other.put([.command("more")], now: noon) }
        }
        try putter.start()
        defer { isOver.set() }
        for _ in 0..<100 { #expect(try store.check() == []) }
        isOver.set()
        try putter.join()
        #expect(try store.counts(queue: nil).ready > 1)
    }

    @Test("D1: a new file in the place of one that was removed has a memory of its own")
    func memory() throws {
        let old = try scratch.store()
        try old.put([.command("old")], now: noon)
        let before = Path.identity(old.files.shared)
        for end in ["", "-wal", "-shm"] { Path.remove(scratch.path + end) }
        try scratch.store().put([.command("new")], now: noon)
        // The old one is held open: its number is not given again.
        #expect(before != nil && Path.identity(old.files.shared) != before)
    }

    @Test("D1: a put into a copy without a write-ahead log gives it one")
    func copied() throws {
        try scratch.store().put([.command("x")], now: noon)
        let copy = scratch.directory + "/copy.db"
        try scratch.shell("VACUUM INTO '\(copy)'")
        let store = try Store.open(copy, .existing)
        #expect(try store.put([.command("y")], now: noon) == 2...2)
        #expect(try store.check().isEmpty)
    }

    @Test("a registration that was undone keeps nobody else from registering")
    func register() throws {
        let (first, second) = (try scratch.store(), try scratch.store())
        #expect(throws: SpoolError.self) {
            try first.write("registering") { () throws(SpoolError) in
                _ = try first.register(name: "a", consumers: 1, queues: "", now: noon)
                throw .diskFull(path: scratch.path, doing: "committing failed")
            }
        }
        #expect(try second.owner("b") != first.owner("c"))
    }

    @Test("a claim that was undone is not remembered")
    func claim() throws {
        let store = try scratch.store()
        try store.put([.command("x")], now: noon)
        let owner = try store.owner()
        #expect(throws: SpoolError.self) {
            try store.write("claiming") { () throws(SpoolError) in
                _ = try store.exchange(
                    owner: owner, settle: [], take: 1, from: Selection(), now: noon
                ) { 0 }
                throw .diskFull(path: scratch.path, doing: "committing failed")
            }
        }
        #expect(store.claims.isEmpty)
        #expect(try store.take(1, owner).count == 1)
    }
}

/// Does something before a statement runs.
private final class Hook {
    private let body: (String) -> Void

    init(_ body: @escaping (String) -> Void) { self.body = body }

    func watch(_ store: Store) {
        sqlite3_trace_v2(
            store.connection.handle, UInt32(SQLITE_TRACE_STMT),
            { _, context, statement, _ in
                guard let context, let text = sqlite3_sql(OpaquePointer(statement)) else {
                    return 0
                }
                Unmanaged<Hook>.fromOpaque(context).takeUnretainedValue().body(
                    String(cString: text))
                return 0
            }, Unmanaged.passRetained(self).toOpaque())
    }
}
