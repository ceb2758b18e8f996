// MovesTests.swift - what people do with jobs by hand, in Spool and in the sqlite3 shell.

import SpoolThreads
import Testing

@testable import SpoolJobs

@Suite("Moving jobs by hand") struct MovesTests {
    let scratch = Scratch()

    /// Jobs 1 ready, 2 scheduled, 3 running, 4 done, 5 dead, 6 cancelled.
    func oneOfEach() throws -> Store {
        let store = try scratch.store()
        var later = NewJob.command("later")
        later.due = noon + .seconds(60)
        var last = NewJob.command("ready")
        last.priority = 9999
        try store.put([last, later] + (3...6).map { .command("\($0)") }, now: noon)
        let owner = try store.owner()
        let jobs = try store.take(4, owner)
        #expect(jobs.map(\.claim.job) == [3, 4, 5, 6])
        _ = try store.settle(jobs[1].claim, .done)
        _ = try store.settle(jobs[2].claim, .failed, error: "exit 1")
        _ = try store.settle(jobs[3].claim, .released)
        try store.cancel([6], signal: 15, grace: .seconds(1), now: noon)
        #expect(
            try states(store) == ["ready", "scheduled", "running", "done", "dead", "cancelled"])
        return store
    }

    func states(_ store: Store) throws -> [String] {
        #expect(try store.check() == [])
        return try (1...6).map { try store.job($0).state.rawValue }
    }

    @Test(
        "retry takes what ended or waits back to ready, with its attempts on record",
        arguments: [2, 4, 5, 6])
    func retry(_ id: Int64) throws {
        let store = try oneOfEach()
        let before = try store.attempts(of: id)
        try store.retry([id], now: noon)
        let row = try store.job(id)
        #expect(row.state == .ready && row.failures == 0)
        #expect(try store.attempts(of: id) == before)
        #expect(try store.check() == [])
    }

    @Test(
        "D4: retry of a ready or running job is refused, and none of the batch moves",
        arguments: [1, 3])
    func retryRefused(_ id: Int64) throws {
        let store = try oneOfEach()
        let before = try states(store)
        #expect(throws: SpoolError.self) { try store.retry([5, id], now: noon) }
        #expect(throws: SpoolError.noSuchJob(99, newest: 6)) {
            try store.retry([5, 99], now: noon)
        }
        #expect(try states(store) == before)
    }

    @Test("cancel ends what waits at once, and asks what runs to stop")
    func cancel() throws {
        let store = try oneOfEach()
        #expect(try store.cancel([1, 2, 3], signal: 15, grace: .seconds(2), now: noon) == [3])
        #expect(
            try states(store) == ["cancelled", "cancelled", "running", "done", "dead", "cancelled"])
        let owner = try #require(try store.workers().first).owner
        let asked = try store.exchange(
            owner: owner, settle: [], take: 0, from: Selection(), now: noon
        ) { 0 }
        #expect(
            asked.cancellations == [
                Cancellation(job: 3, attempt: 1, signal: 15, grace: .seconds(2))
            ])
        let claim = Claim(job: 3, attempt: 1, owner: owner)
        #expect(try store.settle(claim, .failed)?.state == .cancelled)
        #expect(throws: SpoolError.self) {
            try store.cancel([4], signal: 15, grace: .zero, now: noon)
        }
    }

    @Test("a job that was done before the request to stop reached it is done")
    func cancelTooLate() throws {
        let store = try oneOfEach()
        try store.cancel([3], signal: 15, grace: .zero, now: noon)
        let owner = try #require(try store.workers().first).owner
        #expect(try store.settle(Claim(job: 3, attempt: 1, owner: owner), .done)?.state == .done)
        #expect(try scratch.shell("SELECT count(*) FROM cancellation") == "0")
    }

    @Test(
        "an id is never given twice, though the newest job is removed, here and in the sqlite3 shell",
        arguments: [true, false])
    func newestRemoved(_ inShell: Bool) throws {
        let store = try scratch.store()
        func putOne() throws -> Int64 {
            guard inShell else { return try store.put([.command("x")], now: noon).lowerBound }
            let said = try scratch.shell(
                "INSERT INTO jobs(command) VALUES ('x'); SELECT max(id) FROM job")
            return try #require(Int64(said))
        }
        func remove(_ id: Int64) throws {
            if inShell {
                try scratch.shell("DELETE FROM jobs WHERE id = \(id)")
            } else {
                try store.remove([id])
            }
        }
        #expect(try [putOne(), putOne(), putOne()] == [1, 2, 3])
        try remove(1)
        try remove(3)
        #expect(try putOne() == 4)
        try remove(4)
        try remove(2)
        #expect(try putOne() == 5)
        #expect(try store.check() == [])
    }

    @Test("rm removes a job for good, but never one that runs")
    func remove() throws {
        let store = try oneOfEach()
        #expect(throws: SpoolError.self) { try store.remove([4, 3]) }
        #expect(throws: SpoolError.noSuchJob(99, newest: 6)) { try store.remove([6, 99]) }
        try store.remove([1, 2, 4, 5, 6])
        #expect(
            try scratch.shell("SELECT group_concat(id) FROM job; SELECT count(*) FROM attempt")
                == "3\n0")
        #expect(try store.check() == [])
    }

    @Test("rm removes what a job printed, in its last attempt and in those before")
    func removeLogs() throws {
        let store = try scratch.store()
        var job = NewJob.command("a")
        job.retries = 1
        job.backoff = Backoff(min: .zero, max: .zero)
        try store.put([job], now: noon)
        let owner = try store.owner()
        store.files.makeLogs()
        for (attempt, verdict) in [(1, Verdict.failed), (2, .done)] {
            for path in [
                store.files.log(1, attempt: attempt), store.files.logIndex(1, attempt: attempt),
            ] {
                _ = try File.side(path)
            }
            _ = try store.settle(try store.take(1, owner)[0].claim, verdict)
        }
        #expect(Path.names(in: store.files.logs).count == 4)
        try store.remove([1])
        #expect(Path.names(in: store.files.logs) == [])
    }

    @Test("an id that is named twice counts once")
    func twice() throws {
        let store = try oneOfEach()
        let join = try Joiner(.jobs([3, 4, 3]), of: store)
        #expect(try join.look().total == 2)
        try store.checkRetry([5, 5])
        try store.retry([5, 4, 5], now: noon)
        #expect(try store.checkCancel([3, 2, 3]) == [3])
        #expect(try store.cancel([2, 3, 2, 3], signal: 15, grace: .zero, now: noon) == [3])
        #expect(
            try states(store) == ["ready", "cancelled", "running", "ready", "ready", "cancelled"])
        try store.checkRemove([6, 6])
        try store.remove([6, 1, 6, 1])
        #expect(throws: SpoolError.noSuchJob(9, newest: 5)) { try store.remove([9, 9]) }
        #expect(try scratch.shell("SELECT group_concat(id) FROM job") == "2,3,4,5")
        #expect(try store.check() == [])
    }

    @Test("a paused queue gives no jobs until it is resumed")
    func pause() throws {
        let store = try oneOfEach()
        let owner = try store.owner()
        try store.pause(queue: "default", now: noon)
        #expect(try store.take(1, owner).isEmpty)
        #expect(try store.queues()[0].pausedSince == noon)
        try store.resume(queue: "default")
        #expect(try store.take(1, owner).count == 1)
        #expect(throws: SpoolError.noSuchQueue("defualt", nearest: "default")) {
            try store.pause(queue: "defualt", now: noon)
        }
    }

    @Test("retryDead takes all dead jobs of a queue back")
    func retryDead() throws {
        let store = try oneOfEach()
        #expect(try store.retryDead(queue: "default", now: noon) == [5])
        #expect(try store.retryDead(queue: nil, now: noon) == [])
    }

    @Test("the sqlite3 shell may set a state through the view, and the counters follow")
    func shell() throws {
        let store = try oneOfEach()
        try scratch.shell("UPDATE jobs SET state = 'ready' WHERE id IN (2, 4, 5, 6)")
        #expect(try states(store) == ["ready", "ready", "running", "ready", "ready", "ready"])
        try scratch.shell(
            "UPDATE jobs SET state = 'cancelled' WHERE id <> 3; DELETE FROM jobs WHERE id = 1")
        #expect(try store.counts(queue: nil).cancelled == 4)
        #expect(try store.check() == [])
        #expect(
            try scratch.shell("UPDATE jobs SET state = 'done' WHERE id = 2").contains(
                "the workers make"))
        #expect(try scratch.shell("DELETE FROM jobs WHERE id = 3").contains("cancel it first"))
    }

    @Test("the views read well")
    func views() throws {
        _ = try oneOfEach()
        #expect(
            try scratch.shell("SELECT id, state, queue, command, error FROM jobs WHERE id = 5")
                == "5|dead|default|5|exit 1")
        #expect(
            try scratch.shell(
                "SELECT job, attempt, outcome, worker, exit FROM attempts WHERE job = 5")
                == "5|1|failed|test:1|1")
        #expect(
            try scratch.shell(
                "SELECT name, ready, scheduled, running, done, dead, cancelled FROM queues")
                == "default|1|1|1|1|1|1")
    }

    @Test("J5: check tells when the counters and the jobs differ")
    func checkBites() throws {
        let store = try oneOfEach()
        try scratch.shell("UPDATE lane SET dead = 7; DELETE FROM ready")
        #expect(
            try store.check() == [
                "job 1 stands in 0 states instead of one",
                "the counters of commands in queue default do not match its jobs",
            ])
    }

    @Test(
        "R3: the jobs of a worker that died are ready for the next, and count as nothing against them"
    )
    func recover() throws {
        do { _ = try oneOfEach() }
        let store = try scratch.store(.existing)
        #expect(try store.recover(now: noon) == 1)
        #expect(try store.job(3).state == .ready)
        #expect(try store.attempts(of: 3).map(\.verdict) == [.workerLost])
        #expect(try store.workers().isEmpty)
        #expect(try store.recover(now: noon) == 0)
    }

    @Test("a list's body may look at jobs, and is told that it can neither write nor list")
    func whileListing() throws {
        let store = try scratch.store()
        try store.put([.command("a"), .command("b")], now: noon)
        var told: [SpoolError] = []
        func note(_ body: () throws(SpoolError) -> Void) {
            do throws(SpoolError) { try body() } catch { told.append(error) }
        }
        var seen: [Int64] = []
        try store.forEachJob(JobFilter()) { (row) throws(SpoolError) in
            seen.append(try store.job(row.id).id)
            note { () throws(SpoolError) in
                try store.cancel([row.id], signal: 15, grace: .zero, now: noon)
            }
            note { () throws(SpoolError) in _ = try store.jobs(JobFilter()) }
            return true
        }
        #expect(seen == [1, 2])
        #expect(told.count == 4 && told.allSatisfy { "\($0)".contains("a store ") })
        #expect(try store.counts(queue: nil).ready == 2)
        try store.cancel([1], signal: 15, grace: .zero, now: noon)
        #expect(try store.jobs(JobFilter()).count == 2)
    }
}
