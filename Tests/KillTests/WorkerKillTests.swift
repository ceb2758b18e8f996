// WorkerKillTests.swift - rig K: spool work, its fork server, its consumers and its producers under SIGKILL.
//
// Each job writes a line when it starts and one when it ends to a file that is only appended to. What the file and the
// store say must agree: nothing lost, nothing done twice, no two runs of a job at once, no start without a reason.

import Dice
import Foundation
import History
import Patience
import SpoolJobs
import SpoolThreads
import Testing

@Suite("spool work under SIGKILL", .timeLimit(.minutes(10))) struct WorkerKillTests {
    let scratch: Scratch
    let seed = Rounds.seed

    init() throws { scratch = try Scratch() }

    func spool(_ command: String, _ arguments: String...) throws -> Program {
        try Program("spool", [command, "--file", scratch.path] + arguments, in: scratch.directory)
    }

    func work(_ more: String...) throws -> Program {
        try Program(
            "spool", ["work", "-j", "4", "--file", scratch.path] + more,
            in: scratch.directory)
    }

    var journal: String { scratch.directory + "/journal" }

    /// Shell text of a job that says when it starts and when it ends.
    func line(seconds: String) -> String {
        // The end is written by a grandchild: killing the command alone would leave it to overlap with the next run.
        """
        echo s $SPOOL_JOB_ID $SPOOL_ATTEMPT >> '\(journal)'
        sh -c 'sleep \(seconds); echo e $SPOOL_JOB_ID $SPOOL_ATTEMPT >> \(journal)'
        true
        """
    }

    func putJobs(_ count: Int, seconds: String) throws {
        let words = ["sh", "-c", line(seconds: seconds)].map { Array($0.utf8) }
        let store = try Store.open(scratch.path, .create)
        try store.put((0..<count).map { _ in NewJob(.command(words)) }, now: .now())
    }

    /// Checks the journal against the store after everything ran.
    func verify(_ count: Int) throws {
        let store = try Store.open(scratch.path, .existing)
        let counts = try store.counts(queue: nil)
        #expect(try store.check() == [], "seed \(seed)")
        #expect(
            counts.unfinished == 0 && counts.done + counts.dead == count, "seed \(seed): \(counts)")
        let events = try Journal(journal)
        for id in 1...Int64(count) {
            let row = try store.job(id)
            let attempts = try store.attempts(of: id)
            let isPoison = attempts.filter { $0.verdict == .consumerDied }.count >= 3
            let story = attempts.map { "\($0.verdict?.name ?? "runs"): \($0.error ?? "")" }
            #expect(
                row.state == .done || row.state == .dead && isPoison,
                "job \(id) is \(row.state), \(story); seed \(seed)")
            if row.state == .done {
                #expect(events.ends(id) >= 1, "job \(id) did not end; seed \(seed)")
            }
        }
        // H, X1, X3: nothing lost, nothing invented or done twice, no two runs at once, no start without a reason.
        let history = History(try events.history(of: store, count))
        #expect(history.findings() == [], "seed \(seed)")
    }

    @Test("K, X1, X3, R1: consumers that are killed lose no job, and none is run by two")
    func consumers() throws {
        var dice = Dice(seed: seed)
        try putJobs(120, seconds: "0.02")
        let worker = try work("--until-empty")
        var strikes = 0
        for _ in 0..<Rounds.count(40) {
            elapse(dice.time(below: .milliseconds(40)))
            let consumers = Children.of(worker.pid).filter {
                Children.name($0) == "spool consumer"
            }
            guard let consumer = consumers.randomElement(using: &dice) else { continue }
            if Glibc.kill(consumer, SIGKILL) == 0 { strikes += 1 }
        }
        #expect(strikes > 0, "the rig is void: it found no consumer to kill")
        #expect([0, 1].contains(try worker.wait()), "\(worker.printed)")
        try verify(120)
    }

    @Test(
        "K, R3, R4: a worker that is killed takes its consumers along; the next one has its jobs at once"
    )
    func supervisor() throws {
        var dice = Dice(seed: seed)
        try putJobs(100, seconds: "0.02")
        for _ in 0..<Rounds.count(12) {
            let worker = try work("--until-empty")
            elapse(dice.time(below: .milliseconds(200)))
            let children = Children.of(worker.pid)
            worker.kill()
            let areGone = WaitFor.condition {
                children.allSatisfy { Children.commandLine($0).isEmpty }
            }
            #expect(areGone, "R3: consumers outlive their worker; seed \(seed)")
        }
        #expect(try work("--until-empty").wait() == 0)
        try verify(100)
    }

    @Test("K, R12: a fork server that is killed is replaced; nobody notices")
    func forkServer() throws {
        var dice = Dice(seed: seed)
        try putJobs(60, seconds: "0.02")
        let worker = try work("--until-empty")
        for _ in 0..<Rounds.count(10) {
            elapse(dice.time(below: .milliseconds(50)))
            for child in Children.of(worker.pid)
            where Children.name(child) == "spool forks" || Bool.random(using: &dice) {
                Glibc.kill(child, SIGKILL)
            }
        }
        #expect([0, 1].contains(try worker.wait()), "\(worker.printed)")
        try verify(60)
    }

    @Test("K, R12: a fork server that was stopped for good is replaced, and the queue drains")
    func forkServerStopped() throws {
        try putJobs(4, seconds: "0.05")
        let worker = try work("-j", "1", "--until-empty")
        defer { if worker.isRunning { worker.kill() } }
        func children(_ name: String) -> [Int32] {
            Children.of(worker.pid).filter { Children.name($0) == name }
        }
        let hasBegun = try WaitFor.condition { try Journal(journal).count > 0 }
        #expect(hasBegun)
        let servers = children("spool forks")
        #expect(servers.count == 1, "the rig is void: it found \(servers) to stop")
        for server in servers { Glibc.kill(server, SIGSTOP) }
        for consumer in children("spool consumer") { Glibc.kill(consumer, SIGKILL) }
        #expect(try worker.wait() == 0, "\(worker.printed)")
        #expect(servers.allSatisfy { Children.commandLine($0).isEmpty })
        try verify(4)
    }

    @Test("K, R12: a fork server that is killed as it begins does not end its worker")
    func forkServerAtOnce() throws {
        for round in 0..<Rounds.count(10) {
            try putJobs(2, seconds: "0")
            let worker = try work("--until-empty")
            var isKilled = false
            while !isKilled, worker.isRunning {
                for child in Children.of(worker.pid) {
                    isKilled = Glibc.kill(child, SIGKILL) == 0
                }
            }
            #expect(try worker.wait() == 0, "round \(round): \(worker.printed)")
        }
        try verify(2 * Rounds.count(10))
    }

    @Test(
        "X1: what is left of a job whose worker and fork server were killed ends before the job runs again"
    )
    func leftovers() throws {
        let stay = "sh -c 'echo $$ > \(scratch.directory)/inside; exec sleep 300'"
        // Its child has a group of its own, as a shell's with job control.
        let daemon = "set -m; sleep 300 & echo $! > \(scratch.directory)/away; wait"
        let leave = "setsid bash -c '\(daemon)' &"
        let words = ["sh", "-c", "\(leave)\n\(stay)\ntrue"].map { Array($0.utf8) }
        try Store.open(scratch.path, .create).put([NewJob(.command(words))], now: .now())
        let worker = try work()
        func pid(_ name: String) -> Int32? {
            let text = try? String(contentsOfFile: scratch.directory + "/" + name, encoding: .utf8)
            return text.flatMap { Int32($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
        }
        let hasBegun = WaitFor.condition { pid("inside") != nil && pid("away") != nil }
        #expect(hasBegun)
        let (inside, away) = (try #require(pid("inside")), try #require(pid("away")))
        Glibc.kill(worker.pid, SIGSTOP)
        for child in Children.of(worker.pid) { Glibc.kill(child, SIGKILL) }
        worker.kill()
        #expect(Glibc.kill(inside, 0) == 0, "the rig is void: nothing was left")
        let isReady = try WaitFor.condition {
            try spool("list", "--ids", "state:ready").wait() == 0
                && Store.open(scratch.path, .existing).job(1).state == .ready
        }
        #expect(isReady)
        let isGone = WaitFor.condition { Children.commandLine(inside).isEmpty }
        #expect(isGone)
        #expect(Glibc.kill(away, 0) == 0, "what made a session of its own left its job on purpose")
        Glibc.kill(away, SIGKILL)
    }

    @Test(
        "K, D1: everything killed at once, again and again: what was acknowledged runs to its end")
    func everything() throws {
        var dice = Dice(seed: seed)
        try putJobs(80, seconds: "0.01")
        for _ in 0..<Rounds.count(10) {
            let workers = [try work("--until-empty"), try work("--until-empty")]
            elapse(dice.time(below: .milliseconds(150)))
            for worker in workers {
                for child in Children.of(worker.pid) { Glibc.kill(child, SIGKILL) }
                worker.kill()
            }
        }
        #expect([0, 1].contains(try work("--until-empty").wait()))
        try verify(80)
    }

    @Test("K, D1: a put that was acknowledged is there, whenever its command was killed")
    func producers() throws {
        var dice = Dice(seed: seed)
        var acknowledged: Set<Int64> = []
        for _ in 0..<Rounds.count(60) {
            let put = try spool("put", "-q", "k", "--", "true")
            elapse(dice.time(below: .milliseconds(12)))
            put.kill()
            if let id = Int64(put.printed.trimmingCharacters(in: .whitespacesAndNewlines)) {
                acknowledged.insert(id)
            }
        }
        guard FileManager.default.fileExists(atPath: scratch.path) else {
            #expect(acknowledged.isEmpty)
            return
        }
        let store = try Store.open(scratch.path, .existing)
        for id in acknowledged { #expect(try store.job(id).id == id, "seed \(seed)") }
        #expect(try store.check() == [], "seed \(seed)")
    }

    @Test("K, D3: a store whose making was killed is made by the next command")
    func making() throws {
        var dice = Dice(seed: seed)
        for _ in 0..<Rounds.count(40) {
            let scratch = try Scratch()
            let first = try Program("spool", ["init", scratch.path], in: scratch.directory)
            elapse(dice.time(below: .milliseconds(20)))
            first.kill()
            let second = try Program(
                "spool", ["put", "--file", scratch.path, "--", "true"], in: scratch.directory
            )
            #expect(try second.wait() == 0, "seed \(seed): \(second.printed)")
            #expect(try Store.open(scratch.path, .existing).check() == [], "seed \(seed)")
        }
    }

    @Test(
        "J2: join returns although the worker that ran the last job was killed, once another runs")
    func joiner() throws {
        try putJobs(8, seconds: "0.05")
        let join = try spool("join", "--timeout", "100s")
        let worker = try work()
        let hasBegun = try WaitFor.condition { try Journal(journal).count > 2 }
        #expect(hasBegun)
        worker.kill()
        #expect(join.isRunning)
        #expect(try work("--until-empty").wait() == 0)
        #expect(try join.wait() == 0, "\(join.printed)")
        try verify(8)
    }

    @Test("R11: SIGTERM lets running jobs end, gives the others back, and ends with 0")
    func drain() throws {
        try putJobs(40, seconds: "0.1")
        let worker = try work()
        let hasBegun = try WaitFor.condition { try Journal(journal).count >= 4 }
        #expect(hasBegun)
        Glibc.kill(worker.pid, SIGTERM)
        #expect(try worker.wait() == 0, "\(worker.printed)")
        let store = try Store.open(scratch.path, .existing)
        let counts = try store.counts(queue: nil)
        #expect(counts.running == 0 && counts.done >= 4 && counts.ready == 40 - counts.done)
        let events = try Journal(journal)
        for id in 1...Int64(40) { #expect(events.starts(id) == events.ends(id)) }
        #expect(try store.check() == [])
    }
}

enum WaitFor {
    /// Looks until it holds.
    static func condition(
        atMost limit: Duration = Patience.longest, _ holds: () throws -> Bool
    ) rethrows -> Bool {
        try Patience.eventually(atMost: limit, holds)
    }
}
