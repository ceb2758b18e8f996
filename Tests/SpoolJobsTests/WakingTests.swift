// WakingTests.swift - those who wait are woken: by Spool, by foreign programs, and for the end of a job.

import SpoolThreads
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
}
