// ForeignRowTests.swift - rows that no Spool wrote: the file is for people too, and whoever has the sqlite3 shell can
// write any number into any column.

import SpoolThreads
import Testing

@testable import SpoolJobs

@Suite("A row that somebody else wrote") struct ForeignRowTests {
    let scratch = Scratch()

    @Test(
        "I6: may hold any number where Spool counts: it is shown, and the job can be taken and removed",
        arguments: [Int64.min, .max])
    func counts(_ number: Int64) throws {
        let store = try scratch.store()
        let owner = try store.owner()
        try store.put([.command("true"), .command("true")], now: noon)
        try scratch.shell(
            "UPDATE job SET retries = \(number), put_at = \(number), timeout = \(number),"
                + " backoff_min = \(number), backoff_max = \(number);"
                + "UPDATE ready SET failures = \(number), deaths = \(number)")
        let row = try store.job(1)
        #expect(row.retries.signum() == number.signum() && row.putAt.microseconds == number)
        #expect(try store.jobs(JobFilter()).count == 2)
        let claims = try store.take(2, owner)
        #expect(claims.count == 2)
        for claim in claims { #expect(try store.settle(claim.claim, .failed) != nil) }
        try store.remove([1])
        #expect(throws: SpoolError.self) { try store.job(1) }
    }

    @Test("I6: may say that its process has a number that no process can have")
    func owners() throws {
        let store = try scratch.store()
        let owner = try store.owner()
        try store.put([.command("true")], now: noon)
        _ = try store.take(1, owner)
        try store.cancel([1], signal: 15, grace: .seconds(1), now: noon)
        try scratch.shell(
            "UPDATE owner SET pid = 1 << 40; UPDATE cancellation SET signal = -(1 << 40)")
        #expect(try store.workers().map(\.pid) == [.max])
        let seen = try store.exchange(
            owner: owner, settle: [], take: 0, from: Selection(), now: noon
        ) { 0 }
        #expect(seen.cancellations.map(\.signal) == [.min])
    }

    @Test(
        "I6: may name a worker that no process can be: it is dead, and who would be the next one is refused"
    )
    func impossibleOwners() throws {
        let store = try scratch.store()
        let owner = try store.owner()
        try store.put([.command("true")], now: noon)
        _ = try store.take(1, owner)
        try scratch.shell(
            "INSERT INTO owner SELECT max(id) + (1 << 62), name, 1, 1, '', 0, NULL FROM owner;"
                + "UPDATE running SET owner = (SELECT max(id) FROM owner);"
                + "UPDATE spool SET next_owner = 1 << 62")
        #expect(try store.workers().map(\.owner) == [owner])
        #expect(try store.recover(now: noon) == 1)
        #expect(throws: SpoolError.self) { try store.owner() }
    }

    @Test("of an attempt of 2^48 costs a removal no more than one of 1")
    func attempts() throws {
        let store = try scratch.store()
        try store.put([.command("true")], now: noon)
        try store.cancel([1], signal: 15, grace: .seconds(1), now: noon)
        try scratch.shell("UPDATE finished SET attempt = 1 << 60")
        try store.remove([1])
        #expect(try store.newestJob() == nil)
    }

    @Test("is refused by a claim, which ends, when it is ready and there is no job of its number")
    func orphan() throws {
        let store = try scratch.store()
        let owner = try store.owner()
        try store.put([.command("true")], now: noon)
        try scratch.shell("UPDATE ready SET id = 77")
        let refused = SpoolError.storeCorrupt(
            path: store.files.database, detail: "job 77 has no facts, or is ready in two lanes")
        #expect(throws: refused) { try store.take(1, owner) }
    }
}
