// WakingTests.swift - those who wait are woken: by Spool, by foreign programs, and for the end of a job.

import SpoolThreads
import Synchronization
import Testing

@testable import SpoolJobs

@Suite("Waiting for the store", .timeLimit(.minutes(10))) struct WakingTests {
    let scratch = Scratch()

    /// Rings until the store shows what is waited for; false when only the safety poll would have.
    func waits(for bell: Doorbell, until holds: () throws -> Bool) throws -> Bool {
        let deadline = Deadline(after: .seconds(60))
        while !deadline.isPast {
            let again = bell.answer()
            if try holds() { return true }
            // Without a ring the descriptor stays silent: a wait of the full safety poll is a missed wake-up.
            if !bell.wait(until: deadline, again: again), again == nil { return false }
        }
        return false
    }

    @Test("R8: a put of another connection rings for who waits for work")
    func put() throws {
        let store = try scratch.store()
        let bell = try Doorbell(.arrived, of: store)
        let path = scratch.path
        try Thread.detach("producer") {
            _ = try? Store.open(path, .existing).put([.command("true")], now: noon)
        }
        #expect(try waits(for: bell) { try store.newestJob() != nil })
    }

    @Test("R8: a put of the sqlite3 shell, which knows no bell, is seen through the log")
    func foreignPut() throws {
        let store = try scratch.store()
        let bell = try Doorbell(.arrived, of: store)
        let scratch = scratch
        try Thread.detach("shell") {
            _ = try? scratch.shell("INSERT INTO jobs(command) VALUES ('echo hi')")
        }
        #expect(try waits(for: bell) { try store.newestJob() != nil })
        #expect(
            try store.take(1, store.owner())[0].work == NewJob.command("sh", "-c", "echo hi").work)
    }

    @Test("R8: what an exchange has seen is not looked for again; what came after it is")
    func seenByAnExchange() throws {
        let store = try scratch.store()
        let owner = try store.owner()
        let bell = try Doorbell(.arrived, of: store)
        let other = try scratch.store(.existing)
        func look() throws {
            bell.saw(
                try store.exchange(
                    owner: owner, settle: [], take: 0, from: Selection(), now: noon
                ) { 0 }.version)
        }
        try other.put([.command("a")], now: noon)
        #expect(bell.answerRing() == nil)
        try look()
        // A commit that does not ring, with a look after it: it was seen there.
        other.surroundings.ring = { _ in }
        try other.put([.command("b")], now: noon)
        try look()
        #expect(bell.answerRing() != nil, "the log was written to, and nothing is new")
        try other.put([.command("c")], now: noon)
        #expect(bell.answerRing() == nil, "it is new")
    }

    @Test("D4: an exchange that expected jobs and found none has changed nothing")
    func expectedInVain() throws {
        let store = try scratch.store()
        let owner = try store.owner()
        let other = try scratch.store(.existing)
        let before = try other.dataVersion()
        let seen = try store.exchange(
            owner: owner, settle: [], take: 8, from: Selection(), isExpected: true, now: noon
        ) { 0 }
        #expect(seen.claimed.isEmpty && seen.takeable == 0)
        #expect(try other.dataVersion() == before, "nothing was committed")
    }

    @Test("R8: a job that is given back, or whose time has come, rings for who waits for work")
    func readyAgain() throws {
        let store = try scratch.store()
        let owner = try store.owner()
        var late = NewJob.command("late")
        late.due = noon + .seconds(60)
        try store.put([.command("a"), late], now: noon)
        let claim = try store.take(1, owner)[0].claim
        var rung: [Store.Bell] = []
        store.surroundings.ring = { rung.append($0) }
        _ = try store.settle(claim, .released)
        #expect(rung.contains(.arrived))
        rung = []
        _ = try store.exchange(
            owner: owner, settle: [], take: 0, from: Selection(), now: noon + .seconds(61)
        ) { 0 }
        #expect(rung.contains(.arrived))
        rung = []
        _ = try store.take(1, owner)
        try store.retire(owner: owner, now: noon)
        #expect(rung.contains(.arrived) && rung.contains(.settled))
    }

    @Test("J2: the end of the last job ends a join")
    func join() throws {
        let store = try scratch.store()
        try store.put([.command("a"), .command("b")], now: noon)
        let joiner = try Joiner(.queue("default"), of: store)
        let path = scratch.path
        try Thread.detach("worker") {
            guard let other = try? Store.open(path, .existing), let owner = try? other.owner(),
                let jobs = try? other.take(2, owner)
            else { return }
            for job in jobs { _ = try? other.settle(job.claim, .done) }
        }
        let end = try joiner.wait(until: Deadline(after: .seconds(60)))
        #expect(end.isFinished && end.done == 2 && end.failed == 0)
        #expect(joiner.missedWakeups == 0)
    }

    @Test(
        "J2: a job that was to be cancelled, and whose worker died, rings for joins when it is taken back"
    )
    func cancelledByDeath() throws {
        let store = try scratch.store()
        try store.put([.command("a")], now: noon)
        do {
            let other = try scratch.store(.existing)
            _ = try other.take(1, try other.owner())
        }  // its lock goes with it, as it would with the process
        _ = try store.cancel([1], signal: 15, grace: .seconds(10), now: noon)
        var rung: Set<Store.Bell> = []
        store.surroundings.ring = { rung.insert($0) }
        #expect(try store.recover(now: noon) == 1)
        #expect(try store.job(1).state == .cancelled)
        #expect(rung.contains(.settled), "who joins would find it out a second later")
    }

    @Test("J2: who joins finds out by himself that a worker died; who may only look waits on")
    func lonely() throws {
        let store = try scratch.store()
        try store.put([.command("a")], now: noon)
        do {
            let other = try scratch.store(.existing)
            _ = try other.take(1, try other.owner())
        }
        _ = try store.cancel([1], signal: 15, grace: .seconds(10), now: noon)
        let onlooker = try Joiner(.all, of: scratch.store(.readOnly))
        #expect(try !onlooker.wait(until: Deadline(after: .milliseconds(1500))).isFinished)
        let joiner = try Joiner(.all, of: store)
        let end = try joiner.wait(until: Deadline(after: .seconds(30)))
        #expect(end.isFinished && end.failed == 1)
        #expect(joiner.missedWakeups == 0)
    }

    @Test("J4: a join with a time limit says what is left; one on an empty queue returns at once")
    func limits() throws {
        let store = try scratch.store()
        #expect(try Joiner(.all, of: store).wait(until: .never).isFinished)
        var job = NewJob.command("later")
        job.due = noon + .seconds(60)
        try store.put([job], now: noon)
        let progress = try Joiner(.all, of: store).wait(until: Deadline(after: .milliseconds(5)))
        #expect(!progress.isFinished && progress.scheduled == 1 && progress.nextDue == job.due)
    }

    @Test("J4: a snapshot does not wait for what was put later")
    func snapshot() throws {
        let store = try scratch.store()
        try store.put([.command("a"), .command("b")], now: noon)
        let joiner = try Joiner(.upTo(queue: "default", last: 2), of: store)
        try store.put([.command("c")], now: noon)
        let owner = try store.owner()
        for job in try store.take(2, owner) {
            #expect(try !joiner.look().isFinished)
            _ = try store.settle(job.claim, .done)
        }
        #expect(try joiner.look().isFinished)
        #expect(try !Joiner(.queue("default"), of: store).look().isFinished)
    }

    @Test("J1: a join of ids tells which of them ended badly")
    func ids() throws {
        let store = try scratch.store()
        try store.put([.command("a"), .command("b"), .command("c")], now: noon)
        let joiner = try Joiner(.jobs([1, 2]), of: store)
        let jobs = try store.take(2, store.owner())
        _ = try store.settle(jobs[0].claim, .done)
        #expect(try !joiner.look().isFinished)
        _ = try store.settle(jobs[1].claim, .failed)
        let end = try joiner.look()
        #expect(end.isFinished && end.done == 1 && end.failed == 1)
        #expect(try joiner.failures(limit: 9) == [2])
        #expect(throws: SpoolError.noSuchJob(9, newest: 3)) { try Joiner(.jobs([9]), of: store) }
    }

    @Test("R9: a put wakes one of sixty threads that wait; many jobs wake many")
    func wakesOne() throws {
        let store = try JobStore(scratch.path)
        let queue = try JobQueue("work", in: store)
        let line = try store.watch(.arrived).line(queue: "work", kind: "work")
        let got = Mutex(0)
        let crew = (0..<60).map { _ in
            Thread {
                _ = try queue.get()
                got.withLock { $0 += 1 }
            }
        }
        for thread in crew { try thread.start() }
        func waits(for number: Int) {
            while got.withLock({ $0 }) < number || line.waiting < 60 - number {
                Pause.briefly(upTo: .milliseconds(1))
            }
        }
        waits(for: 0)
        let before = line.made
        for number in 1...10 {
            try queue.put("x")
            waits(for: number)
        }
        // One for each put, and one for each claim, whose commit the log shows; the others slept.
        #expect(line.made - before <= 50, "\(line.made - before) were woken for ten jobs")
        try queue.put(
            contentsOf: Array(repeating: NewJob(.kind("work"), body: .none), count: 50))
        for thread in crew { try thread.join() }
        #expect(try queue.isEmpty())
    }

    @Test("R9: of those who wait one is woken when a scheduled job is due, without a ring")
    func dueWakesOne() throws {
        let store = try JobStore(scratch.path)
        let queue = try JobQueue("work", in: store)
        let line = try store.watch(.arrived).line(queue: "work", kind: "work")
        let got = Mutex(0)
        let crew = (0..<4).map { _ in
            Thread {
                _ = try queue.get()
                got.withLock { $0 += 1 }
            }
        }
        for thread in crew { try thread.start() }
        while line.waiting < 4 { Pause.briefly(upTo: .milliseconds(1)) }
        var job = NewJob(.kind("work"), body: .none)
        for milliseconds in 1...4 {
            job.due = .now() + .milliseconds(milliseconds * 20)
            try queue.put(contentsOf: [job])
        }
        for thread in crew { try thread.join() }
        #expect(got.withLock { $0 } == 4)
    }

    @Test("R9: a task that is called as it is cancelled passes the call on")
    func cancelledPassesOn() async throws {
        let store = try JobStore(scratch.path)
        let queue = try JobQueue("work", in: store)
        let line = try store.watch(.arrived).line(queue: "work", kind: "work")
        for _ in 0..<50 {
            let cancelled = Task { try await queue.get() }
            while line.waiting < 1 { await Task.yield() }
            let other = Task { try await queue.get() }
            while line.waiting < 2 { await Task.yield() }
            async let put = queue.put("x")
            cancelled.cancel()
            _ = try await put
            // Whoever of the two got it: the other one does not hold the next one up.
            let taken = try? await cancelled.value
            if taken != nil { try await queue.put("y") }
            _ = try await other.value
        }
        #expect(try queue.isEmpty())
    }

    @Test(
        "R9: a process is one worker, however many of its threads and tasks ask for their first job at once"
    )
    func oneOwner() async throws {
        let store = try JobStore(scratch.path)
        let queue = try JobQueue("work", in: store)
        let crew = (0..<30).map { _ in Thread { _ = try queue.get() } }
        let tasks = (0..<300).map { _ in Task { try await queue.get() } }
        for thread in crew { try thread.start() }
        let line = try store.watch(.arrived).line(queue: "work", kind: "work")
        while line.waiting < 330 { await Task.yield() }
        #expect(try scratch.store(.existing).workers().count == 1)
        try await queue.put(
            contentsOf: Array(repeating: NewJob(.kind("work"), body: .none), count: 330))
        for thread in crew { try await thread.join() }
        for task in tasks { _ = try await task.value }
        #expect(try scratch.shell("SELECT count(DISTINCT owner) FROM running") == "1")
    }
}
