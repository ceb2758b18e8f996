// StoreTests.swift - putting, claiming and settling jobs in a file.

import SpoolThreads
import Testing

@testable import SpoolJobs

@Suite("A store") struct StoreTests {
    let scratch = Scratch()

    @Test("gives consecutive ids, and the jobs back as they were put")
    func put() throws {
        let store = try scratch.store()
        var job = NewJob(
            .command([[0x66, 0xff, 0x27], Array("a b".utf8), []]), body: .bytes([0, 0xff, 10]),
            queue: "mail", name: "label", priority: 7, retries: 3,
            backoff: Backoff(min: .seconds(1), max: .seconds(9)), timeout: .seconds(5))
        job.place = Place(directory: Array("/tmp".utf8), environment: Array("A=1\0".utf8))
        #expect(try store.put([job, job], now: noon) == 1...2)
        let owner = try store.owner()
        let claimed = try store.take(1, owner)
        #expect(claimed.count == 1)
        #expect(claimed[0].work == job.work)
        #expect(claimed[0].body == job.body)
        #expect(claimed[0].queue == "mail")
        #expect(claimed[0].timeout == .seconds(5))
        #expect(claimed[0].maxAttempts == 4)
        #expect(try store.place(#require(claimed[0].place)) == job.place)
        #expect(try store.check() == [])
    }

    @Test("hands out small priorities first, and among equals the oldest")
    func order() throws {
        let store = try scratch.store()
        for (name, priority) in [("c", 5), ("a", 1), ("d", 5), ("b", 1)] {
            var job = NewJob.command(name)
            job.priority = priority
            try store.put([job], now: noon)
        }
        let owner = try store.owner()
        #expect(try store.take(3, owner).map(\.claim.job) == [2, 4, 1])
        #expect(try store.take(3, owner).map(\.claim.job) == [3])
    }

    @Test("merges commands and typed jobs of all queues into one order")
    func merge() throws {
        let store = try scratch.store()
        try store.put([.command("a", queue: "x")], now: noon)
        try store.put([NewJob(.kind("k"), queue: "y"), .command("b", queue: "x")], now: noon)
        try store.put([NewJob(.kind(Job.noop), queue: "x")], now: noon)
        let owner = try store.owner()
        let all = Selection(kinds: .all)
        #expect(try store.take(9, owner, from: all).map(\.claim.job) == [1, 2, 3, 4])
    }

    @Test("leaves typed jobs to workers that can do them, save the one that all can do")
    func kinds() throws {
        let store = try scratch.store()
        try store.put([NewJob(.kind("k")), NewJob(.kind(Job.noop)), .command("b")], now: noon)
        let owner = try store.owner()
        #expect(try store.take(9, owner).map(\.claim.job) == [2, 3])
        let some = Selection(kinds: .some(["k"]), commands: false)
        #expect(try store.take(9, owner, from: some).map(\.claim.job) == [1])
    }

    @Test("takes queues strictly in the order given")
    func strictQueues() throws {
        let store = try scratch.store()
        try store.put([.command("a", queue: "low"), .command("b", queue: "high")], now: noon)
        let owner = try store.owner()
        let selection = Selection(queues: [.init(queue: "high"), .init(queue: "low")])
        #expect(try store.take(1, owner, from: selection).map(\.queue) == ["high"])
        #expect(try store.take(1, owner, from: selection).map(\.queue) == ["low"])
    }

    @Test("draws queues by weight when weights are given")
    func weights() {
        let selection = Selection(queues: [.init(queue: "a", weight: 9), .init(queue: "b")])
        #expect(selection.order { 0.0 } == ["a", "b"])
        #expect(selection.order { 0.89 } == ["a", "b"])
        #expect(selection.order { 0.95 } == ["b", "a"])
    }

    @Test(
        "D2, R11: a worker that ends settles what no exchange has settled, in the same transaction")
    func retireSettles() throws {
        let store = try scratch.store()
        try store.put((0..<4).map { _ in .command("true") }, now: noon)
        let owner = try store.owner()
        let claims = try store.take(4, owner).map(\.claim)
        let run = SpoolJobs.Run(started: noon, ended: noon, pid: 7, exit: 0)
        let stale = Claim(job: claims[2].job, attempt: 9, owner: owner)
        let last = [
            Outcome(claims[0], .done, run), Outcome(claims[1], .recalled, run),
            Outcome(stale, .done, run),
        ]
        let moves = try store.retire(owner: owner, settling: last, now: noon)
        #expect(moves.map { $0?.state } == [.done, .ready, nil])
        let rows = try claims.map { try store.job($0.job) }
        #expect(rows.map(\.state) == [.done, .ready, .ready, .ready])
        #expect(rows.map(\.attempt) == [1, 0, 1, 1])
        #expect(try store.workers().isEmpty)
        #expect(try store.check() == [])
    }

    @Test("D2: counts a done job as done, with the record of its attempt")
    func done() throws {
        let store = try scratch.store()
        try store.put([.command("true")], now: noon)
        let claim = try store.take(1, store.owner())[0].claim
        #expect(try store.settle(claim, .done) == .done(History(attempt: 1)))
        let row = try store.job(1)
        #expect(row.state == .done && row.exit == 0 && row.worker == "test:1")
        #expect(try store.attempts(of: 1).map(\.verdict) == [.done])
        #expect(try store.counts(queue: nil).done == 1)
        #expect(try store.check() == [])
    }

    @Test("X2: a claim that is not current changes nothing", arguments: Verdict.allCases)
    func fence(_ verdict: Verdict) throws {
        let store = try scratch.store()
        try store.put([.command("true")], now: noon)
        let owner = try store.owner()
        let claim = try store.take(1, owner)[0].claim
        var stale = claim
        stale.attempt = 7
        #expect(try store.settle(stale, verdict) == nil)
        stale = claim
        stale.owner += 1
        #expect(try store.settle(stale, verdict) == nil)
        #expect(try store.job(1).state == .running)
        _ = try store.settle(claim, .done)
        #expect(try store.settle(claim, verdict) == nil)
        #expect(try store.job(1).state == .done)
        #expect(try store.check() == [])
    }

    @Test("retries a failed job after its backoff, and buries it when its retries are used up")
    func retries() throws {
        let store = try scratch.store()
        var job = NewJob.command("false")
        job.retries = 1
        job.backoff = Backoff(min: .seconds(10), max: .seconds(60))
        try store.put([job], now: noon)
        let owner = try store.owner()
        let first = try store.take(1, owner)[0].claim
        let due = noon + .seconds(10)
        let move = try store.settle(first, .failed)
        #expect(move == .scheduled(due: due, History(attempt: 1, failures: 1)))
        #expect(try store.job(1).state == .retrying)
        #expect(try store.take(1, owner, now: due + .microseconds(-1)).isEmpty)
        let second = try store.take(1, owner, now: due)[0].claim
        #expect(second.attempt == 2)
        _ = try store.settle(second, .failed, error: "exit 1")
        let row = try store.job(1)
        #expect(row.state == .dead && row.error == "exit 1")
        #expect(try store.attempts(of: 1).map(\.verdict) == [.failed, .failed])
        #expect(try store.check() == [])
    }

    @Test("a job that was called back before it began has no attempt behind it")
    func recalled() throws {
        let store = try scratch.store()
        try store.put([.command("true")], now: noon)
        let owner = try store.owner()
        let first = try store.take(1, owner)[0].claim
        #expect(try store.settle(first, .recalled) == .ready(History()))
        #expect(try store.attempts(of: 1).isEmpty)
        let second = try store.take(1, owner)[0].claim
        #expect(second.attempt == 1)
        try store.cancel([1], signal: 15, grace: .zero, now: noon)
        #expect(try store.settle(second, .recalled) == .cancelled(History()))
        #expect(try store.attempts(of: 1).isEmpty && store.job(1).state == .cancelled)
        #expect(try store.check() == [])
    }

    @Test("an owner that has ended is not taken for one that lives, though its process does")
    func ended() throws {
        let store = try scratch.store()
        let owner = try store.owner()
        let lives = try Lives(store.files)
        #expect(lives.isAlive(owner))
        try store.retire(owner: owner, now: noon)
        #expect(!lives.isAlive(owner))
    }

    @Test("R6: a job that was called back has as many deaths behind it as before")
    func recalledAfterDeaths() {
        let history = History(attempt: 3, failures: 1, deaths: 2)
        let move = Move.settle(
            .recalled, history, Policy(retries: 4), cancelling: false, now: noon, random: 0)
        #expect(move == .ready(History(attempt: 2, failures: 1, deaths: 2)))
    }

    @Test("R6: makes a job dead that three consumers died with, one after the other")
    func poison() throws {
        let store = try scratch.store()
        try store.put([.command("kill")], now: noon)
        let owner = try store.owner()
        var now = noon
        for _ in 1...3 {
            now = now + .seconds(2)
            let claim = try store.take(1, owner, now: now)[0].claim
            _ = try store.settle(claim, .consumerDied, now: now, error: "killed by signal 9")
        }
        let row = try store.job(1)
        #expect(row.state == .dead && row.attempt == 3)
        #expect(row.error == "poison: 3 consumers died with it: killed by signal 9")
    }

    @Test("keeps a job that is put for later out of the way until its time")
    func scheduled() throws {
        let store = try scratch.store()
        var job = NewJob.command("true")
        job.due = noon + .seconds(60)
        try store.put([job], now: noon)
        let owner = try store.owner()
        let seen = try store.exchange(
            owner: owner, settle: [], take: 1, from: Selection(), now: noon
        ) { 0 }
        #expect(seen.claimed.isEmpty && seen.nextDue == job.due)
        #expect(try store.take(1, owner, now: noon + .seconds(60)).count == 1)
    }

    @Test(
        "D4: refuses bad jobs whole: nothing of a batch is put",
        arguments: [
            NewJob.command(), NewJob.command(""), NewJob.command("a", queue: "no space"),
            NewJob.command("a\0b"), NewJob(.kind("")), NewJob(.kind("a"), priority: -1),
            NewJob(.kind("a"), priority: 4_294_967_296), NewJob(.kind("a"), retries: -1),
        ])
    func refusals(_ bad: NewJob) throws {
        let store = try scratch.store()
        #expect(throws: SpoolError.self) { try store.put([.command("ok"), bad], now: noon) }
        #expect(try store.newestJob() == nil)
    }

    @Test("I3: refuses a body over the limit before anything is written")
    func tooLarge() throws {
        let store = try scratch.store()
        let body = [UInt8](repeating: 0, count: Job.maximumBytes + 1)
        #expect(
            throws: SpoolError.tooLarge(
                what: "the body", bytes: body.count, limit: Job.maximumBytes)
        ) {
            try store.put([NewJob(.kind("a"), body: .bytes(body))], now: noon)
        }
        #expect(try store.newestJob() == nil)
    }

    @Test("stores an environment once, however many jobs and directories share it")
    func environments() throws {
        let store = try scratch.store()
        for index in 0..<100 {
            var job = NewJob.command("true")
            job.place = Place(
                directory: Array("/d\(index % 5)".utf8), environment: Array("HOME=/root\0".utf8))
            try store.put([job], now: noon)
        }
        #expect(
            try scratch.shell("SELECT count(*) FROM environment; SELECT count(*) FROM place")
                == "1\n5")
    }

    @Test("knows no environment any more whose put was undone")
    func undoneEnvironment() throws {
        let store = try scratch.store()
        var job = NewJob.command("true")
        job.place = Place(directory: Array("/d".utf8), environment: Array("HOME=/root\0".utf8))
        #expect(throws: SpoolError.badInput("not this one.")) {
            try store.write("putting jobs") { () throws(SpoolError) in
                try store.put([job], now: noon)
                throw SpoolError.badInput("not this one.")
            }
        }
        try store.put([job], now: noon)
        let place = try #require(try store.take(1, store.owner())[0].place)
        #expect(try store.place(place) == job.place)
    }

    @Test("a claim stops where the bodies of its jobs pass what it may carry, and the next goes on")
    func largeClaims() throws {
        let store = try scratch.store()
        let body = Body.bytes([UInt8](repeating: 7, count: Store.claimBytes / 4))
        for _ in 0..<6 { try store.put([NewJob(.kind(Job.noop), body: body)], now: noon) }
        let owner = try store.owner()
        #expect(try store.take(6, owner).map(\.claim.job) == [1, 2, 3, 4])
        #expect(try store.take(6, owner).map(\.claim.job) == [5, 6])
    }

    @Test("counts what waits in a paused queue, what is to be tried again among it")
    func paused() throws {
        let store = try scratch.store()
        var job = NewJob.command("a")
        job.retries = 1
        try store.put([job, .command("b")], now: noon)
        let owner = try store.owner()
        _ = try store.settle(try store.take(1, owner)[0].claim, .failed)
        try store.pause(queue: "default", now: noon)
        let seen = try store.exchange(
            owner: owner, settle: [], take: 1, from: Selection(), counting: true, now: noon
        ) { 0 }
        #expect(seen.claimed.isEmpty && seen.takeable == 0 && seen.paused == ["default": 2])
        #expect(seen.counts?.unfinished == 2)
    }

    @Test("answers for what is not there with the nearest that is")
    func unknown() throws {
        let store = try scratch.store()
        try store.put([.command("a", queue: "mail")], now: noon)
        #expect(throws: SpoolError.noSuchJob(99, newest: 1)) { try store.job(99) }
        #expect(throws: SpoolError.noSuchQueue("mial", nearest: "mail")) {
            try store.counts(queue: "mial")
        }
    }
}
