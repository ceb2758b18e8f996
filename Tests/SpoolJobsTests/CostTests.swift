// CostTests.swift - what a put, a claim and a finish cost does not depend on what else is in the store.
//
// Measured in steps of SQLite's virtual machine: the same on every machine, every time.

import CSQLite
import SpoolThreads
import Testing

@testable import SpoolJobs

@Suite("The cost of a job") struct CostTests {
    let scratch = Scratch()

    /// Steps that `body` takes in all statements of the store.
    func steps(_ store: Store, _ body: () throws -> Void) rethrows -> Int {
        func sum() -> Int {
            var total = 0
            var statement = sqlite3_next_stmt(store.connection.handle, nil)
            while let current = statement {
                total += Int(sqlite3_stmt_status(current, SQLITE_STMTSTATUS_VM_STEP, 1))
                statement = sqlite3_next_stmt(store.connection.handle, current)
            }
            return total
        }
        _ = sum()
        try body()
        return sum()
    }

    /// One put, claim and finish, with everything prepared beforehand.
    func round(_ store: Store, _ owner: Int64) throws -> Int {
        func one() throws {
            try store.put([.command("true")], now: noon)
            let claim = try store.take(1, owner)[0].claim
            _ = try store.settle(claim, .done)
        }
        try one()
        return try steps(store, one)
    }

    @Test("stays the same with a backlog of finished, scheduled, dead and running jobs")
    func flat() throws {
        let store = try scratch.store()
        let owner = try store.owner()
        // The lanes are read each time: their number counts, not that of their jobs.
        try store.put([NewJob(.kind("other"), queue: "other")], now: noon)
        let before = try round(store, owner)
        let ten = (0..<10_000).map { _ in NewJob.command("x") }
        try store.put(ten, now: noon)
        let finished = try store.take(10_000, owner)
        let runs = Run(started: noon, ended: noon, pid: 1)
        let outcomes = finished.enumerated().map {
            Outcome($1.claim, $0 % 2 == 0 ? .done : .failed, runs)
        }
        _ = try store.exchange(
            owner: owner, settle: outcomes, take: 0, from: Selection(), now: noon
        ) { 0 }
        try store.put(Array(ten.prefix(100)), now: noon)
        #expect(try store.take(100, owner).count == 100)
        var later = NewJob.command("later")
        later.due = noon + .seconds(3600)
        try store.put(Array(repeating: later, count: 10_000), now: noon)
        try store.put((0..<10_000).map { _ in NewJob(.kind("other"), queue: "other") }, now: noon)
        let after = try round(store, owner)
        #expect(after <= before + before / 10, "\(before) steps became \(after)")
    }

    @Test("stays the same with a backlog of ready jobs")
    func ready() throws {
        let store = try scratch.store()
        let owner = try store.owner()
        let before = try round(store, owner)
        try store.put((0..<20_000).map { _ in NewJob.command("x") }, now: noon)
        let after = try round(store, owner)
        #expect(after <= before + before / 10, "\(before) steps became \(after)")
    }

    @Test("of a list of fifty does not grow with the jobs that it leaves out")
    func list() throws {
        let store = try scratch.store()
        try store.put((0..<200).map { _ in NewJob.command("x") }, now: noon)
        let filter = JobFilter(limit: 50)
        _ = try store.jobs(filter)
        let before = try steps(store) { _ = try store.jobs(filter) }
        try store.put((0..<20_000).map { _ in NewJob.command("x") }, now: noon)
        let after = try steps(store) { _ = try store.jobs(filter) }
        #expect(try store.jobs(filter).count == 50)
        #expect(after <= before + before / 10, "\(before) steps became \(after)")
    }

    @Test("of a list does not grow with jobs that are done or scheduled")
    func listWithoutDone() throws {
        let store = try scratch.store()
        let owner = try store.owner()
        try store.put([.command("x"), .command("y")], now: noon)
        _ = try store.settle(try store.take(1, owner)[0].claim, .failed)
        var filter = JobFilter()
        filter.states = [.running, .retrying, .ready, .dead, .cancelled]
        _ = try store.jobs(filter)
        let before = try steps(store) { _ = try store.jobs(filter) }
        try store.put((0..<5_000).map { _ in NewJob.command("x") }, now: noon)
        let runs = Run(started: noon, ended: noon, pid: 1)
        let outcomes = try store.take(5_001, owner).map { Outcome($0.claim, .done, runs) }
        try store.put([.command("y")], now: noon)
        _ = try store.exchange(
            owner: owner, settle: outcomes, take: 0, from: Selection(), now: noon
        ) { 0 }
        var later = NewJob.command("later")
        later.due = noon + .seconds(3600)
        try store.put(Array(repeating: later, count: 5_000), now: noon)
        let after = try steps(store) { _ = try store.jobs(filter) }
        #expect(try store.jobs(filter).map(\.state) == [.ready, .dead])
        #expect(after <= before + before / 10, "\(before) steps became \(after)")
    }

    @Test("of a look at a queue's counters does not grow with its jobs: join is O(1)")
    func join() throws {
        let store = try scratch.store()
        try store.put([.command("x")], now: noon)
        let joiner = try Joiner(.queue("default"), of: store)
        _ = try joiner.look()
        let before = try steps(store) { _ = try joiner.look() }
        try store.put((0..<20_000).map { _ in NewJob.command("x") }, now: noon)
        let after = try steps(store) { _ = try joiner.look() }
        #expect(after == before)
    }
}
