// ScaleTests.swift - what is asked of one queue or worker does not read what the others have, and nothing takes time
// with the product of two numbers that both may be large.
//
// Measured in steps of SQLite's virtual machine, as in CostTests.

import CSQLite
import SpoolThreads
import Testing

@testable import SpoolJobs

@Suite("Many queues, workers and jobs") struct ScaleTests {
    let scratch = Scratch()
    let costs = CostTests()

    /// Adds queues, each with a few jobs that are ready and later and dead.
    func addQueues(_ numbers: Range<Int>, _ store: Store, _ owner: Int64) throws {
        let one = Selection(queues: [.init(queue: "dies")])
        for number in numbers {
            let name = "q\(number)"
            var later = NewJob.command("later", queue: name)
            later.due = noon + .seconds(3_000_000_000 + number)
            var dies = NewJob.command("dies", queue: "dies")
            dies.priority = number
            try store.put([later, later, .command("now", queue: name), dies], now: noon)
            let claim = try store.take(1, owner, from: one)[0].claim
            _ = try store.settle(claim, .failed)
        }
    }

    /// What `body` costs with so many queues, and with ten times as many.
    func twice(_ body: (Store) throws -> Void) throws -> (few: Int, many: Int) {
        let store = try scratch.store()
        let owner = try store.owner()
        try store.put([.command("true", queue: "own")], now: noon)
        try addQueues(0..<20, store, owner)
        try body(store)  // prepares its statements
        let few = try costs.steps(store) { try body(store) }
        try addQueues(20..<200, store, owner)
        return (few, try costs.steps(store) { try body(store) })
    }

    @Test("cost who asks for one queue nothing: get, taskDone, counts, join, pause and list")
    func oneQueue() throws {
        let jobs = try JobStore(scratch.path)
        let queue = try JobQueue("own", kind: "k", in: jobs)
        let claimer = try scratch.store()
        let owner = try claimer.owner("claimer:1")
        var filter = JobFilter()
        filter.queue = "own"
        filter.states = Set(State.allCases).subtracting([.done])
        let (few, many) = try twice { store in
            try queue.put("x")
            let job = try #require(try queue.take(store, owner).job)
            let isCurrent = try queue.settleRows(store, job.claim, .done, nil)
            let ready = try store.counts(queue: "own").ready
            let left = try Joiner(.queue("own"), of: store).look().total
            try store.pause(queue: "own", now: noon)
            try store.resume(queue: "own")
            let rows = try store.jobs(filter)
            let failed = try store.failed(queue: "own", limit: 1)
            #expect(isCurrent && ready == 1 && left == 1 && rows.last?.queue == "own")
            #expect(failed.isEmpty)
        }
        #expect(many <= few + few / 4, "\(few) steps became \(many)")
    }

    @Test("cost who takes from all of them, or joins them, nothing while nothing is ready in them")
    func idleQueues() throws {
        let store = try scratch.store()
        let owner = try store.owner()
        func add(_ numbers: Range<Int>) throws {
            for number in numbers {
                var later = NewJob.command("later", queue: "q\(number)")
                later.due = noon + .seconds(9_000)
                try store.put([later], now: noon)
            }
        }
        func work() throws {
            let job = try #require(try store.take(2, owner).first)
            _ = try store.settle(job.claim, .released)
            let seen = try store.exchange(
                owner: owner, settle: [], take: 0, from: Selection(), now: noon
            ) { 0 }
            #expect(seen.takeable == 1)
            let waiting = try store.ready(queue: nil)
            let next = try store.unfinishedJob(queue: nil, upTo: 1)
            #expect(waiting == ["own": 1] && next == 1)
            #expect(try store.unfinishedJob(queue: nil, upTo: 2) == 1)
        }
        try store.put([.command("now", queue: "own")], now: noon)
        try add(0..<20)
        try work()
        let few = try costs.steps(store, work)
        try add(20..<200)
        let many = try costs.steps(store, work)
        #expect(many <= few + few / 10, "\(few) steps became \(many)")
    }

    @Test("are listed with their next times at a price for each")
    func queues() throws {
        let (few, many) = try twice { store in
            let rows = try store.queues()
            #expect(rows.filter { $0.nextDue != nil }.count + 2 == rows.count)
        }
        #expect(many <= 12 * few, "\(few) steps became \(many)")
    }

    @Test("are checked at a price for each")
    func check() throws {
        let (few, many) = try twice { store in
            let problems = try store.check()
            #expect(problems == [])
        }
        #expect(many <= 12 * few, "\(few) steps became \(many)")
    }

    @Test("cost a join of what was put before nothing for what died before")
    func snapshotOfDead() throws {
        let (few, many) = try twice { store in
            let last = try #require(try store.newestJob())
            let dead = try store.count(.dead, queue: "dies", upTo: last)
            #expect(dead >= 20)
        }
        #expect(many <= few + few / 4, "\(few) steps became \(many)")
    }

    @Test("that wait for their time are listed twenty at a price for twenty")
    func later() throws {
        let store = try scratch.store()
        let filter = JobFilter(limit: 20)
        func add(_ count: Int) throws {
            let jobs = (0..<count).map { number in
                var later = NewJob.command("later")
                later.due = noon + .seconds(9_000 - number)
                return later
            }
            try store.put(jobs, now: noon)
        }
        func look() throws {
            let rows = try store.jobs(filter)
            #expect(rows.count == 20)
        }
        try add(100)
        try look()
        let few = try costs.steps(store, look)
        try add(5_000)
        let many = try costs.steps(store, look)
        #expect(many <= few + few / 4, "\(few) steps became \(many)")
    }

    @Test("that died are taken back a thousand at a time, each once: others write in between")
    func retriedInPieces() throws {
        let store = try scratch.store()
        let owner = try store.owner()
        try store.put((0..<2_345).map { _ in NewJob.command("x") }, now: noon)
        let claims = try store.take(2_345, owner).map(\.claim)
        let run = Run(started: noon, ended: noon, pid: 7, exit: 1)
        _ = try store.exchange(
            owner: owner, settle: claims.map { Outcome($0, .failed, run) }, take: 0,
            from: Selection(), now: noon
        ) { 0 }
        let commits = try store.shared().ledger.commits
        let ids = try store.retryDead(queue: nil, now: noon)
        #expect(ids == (1...2_345).reversed())
        #expect(try store.shared().ledger.commits == commits + 3)
        #expect(try store.counts(queue: nil).ready == 2_345)
        #expect(try store.check() == [])
    }

    @Test("have their claims counted at a price for each")
    func workers() throws {
        let store = try scratch.store()
        func add(_ count: Int) throws {
            for number in 0..<count {
                let owner = try store.owner("worker:\(number)")
                try store.put([.command("a"), .command("b")], now: noon)
                #expect(try store.take(2, owner).count == 2)
            }
        }
        func look() throws {
            let workers = try store.workers()
            #expect(workers.allSatisfy { $0.running == 2 })
        }
        try add(10)
        try look()
        let few = try costs.steps(store, look)
        try add(90)
        let many = try costs.steps(store, look)
        #expect(many <= 12 * few, "\(few) steps became \(many)")
    }

    @Test("that died at once give back their jobs at a price for each")
    func deadWorkers() throws {
        let store = try scratch.store()
        func die(_ count: Int) throws -> Int {
            for number in 0..<count {
                let dying = try scratch.store()
                let owner = try dying.owner("worker:\(number)")
                try dying.put([.command("a"), .command("b")], now: noon)
                #expect(try dying.take(2, owner).count == 2)
            }
            return try costs.steps(store) {
                let back = try store.recover(now: noon)
                #expect(back == 2 * count)
            }
        }
        _ = try die(1)
        let few = try die(10)
        let many = try die(100)
        #expect(many <= 12 * few, "\(few) steps became \(many)")
    }

    @Test(
        "are merged in the order in which their jobs run, page by page",
        arguments: [7, 40, Int.max])
    func merged(_ limit: Int) throws {
        let store = try scratch.store()
        for number in 0..<40 {
            var job = NewJob.command("x", queue: "q\(number % 9)")
            job.priority = number * 7 % 5
            try store.put([job], now: noon)
        }
        var filter = JobFilter(limit: limit)
        let rows = try store.jobs(filter)
        let ranks = (0..<40).map { Rank(priority: Int64($0 * 7 % 5), id: Int64($0) + 1) }
        let wanted = ranks.sorted().map(\.id)
        #expect(rows.map(\.id) == Array(wanted.prefix(limit)))
        filter.text = "x"
        #expect(try store.jobs(filter).map(\.id) == rows.map(\.id))
        var ids: [Int64] = []
        try store.forEachID(filter) { id in
            ids.append(id)
            return true
        }
        #expect(ids == rows.map(\.id))
        let owner = try store.owner()
        let taken = try store.take(min(limit, 40), owner).map(\.claim.job)
        #expect(taken == rows.map(\.id))
    }

    @Test(
        "with long bodies are listed by as much of them as is wanted", arguments: [true, false])
    func bodies(_ isText: Bool) throws {
        let store = try scratch.store()
        let text = String(repeating: "ä", count: 4 << 20)
        var job = NewJob(.kind("k"), body: isText ? .json(text) : .bytes(Array(text.utf8)))
        job.name = "long"
        try store.put(Array(repeating: job, count: 4), now: noon)
        var filter = JobFilter()
        filter.bodyLimit = 99
        var misses: Int32 = 0
        var most: Int32 = 0
        sqlite3_db_status(
            store.connection.handle, SQLITE_DBSTATUS_CACHE_MISS, &misses, &most, 1)
        let rows = try store.jobs(filter)
        sqlite3_db_status(
            store.connection.handle, SQLITE_DBSTATUS_CACHE_MISS, &misses, &most, 1)
        #expect(misses < 200, "it read \(misses) pages")
        #expect(rows.count == 4 && rows.allSatisfy { $0.bodySize == 8 << 20 })
        for row in rows {
            #expect(row.body.count == (isText ? 98 : 99))
            #expect(text.utf8.starts(with: row.body.bytes))
        }
        #expect(try store.job(3, bodyLimit: 0).body.count == 0)
        #expect(try store.job(3).body.count == 8 << 20)
        filter.text = "long"
        #expect(try store.jobs(filter).map(\.body.count) == rows.map(\.body.count))
    }
}
