// WorkerKillTests+Signals.swift - rig K: processes that stand still for a while (SIGSTOP), and signals that every
// process of a worker gets at once, as from systemd's default KillMode.

import Dice
import Foundation
import SpoolJobs
import SpoolThreads
import Testing

extension WorkerKillTests {
    @Test(
        "K, D1, X1, R5: whoever stands still, then goes on or is killed, no job is lost or run by two"
    )
    func standstill() throws {
        try putJobs(1, seconds: "0")
        var cast = try Cast(self)
        defer { cast.dismiss() }
        for _ in 0..<Rounds.count(12) {
            try putJobs(16, seconds: "0.1")
            try cast.fill()
            cast.stopOne()
        }
        try cast.end()
        #expect(cast.stops > 0, "the rig is void: it found nobody to stop")
        let store = try Store.open(scratch.path, .existing)
        let newest = Int(try store.newestJob() ?? 0)
        try verify(newest)
        let isThere = cast.acknowledged.allSatisfy { 1...Int64(newest) ~= $0 }
        #expect(isThere, "D1: \(cast.acknowledged), the newest is \(newest); seed \(seed)")
        // Who stands still is not dead.
        let attempts = try attempts(1...newest)
        let deaths = attempts.filter { $0.verdict == .consumerDied }.count
        #expect(deaths <= cast.strikes, "more than were killed; seed \(seed)")
        for attempt in attempts where attempt.verdict == .workerLost {
            let pid = attempt.worker?.split(separator: ":").last.flatMap { Int32($0) }
            #expect(cast.killed.contains(pid ?? 0), "\(attempt); seed \(seed)")
        }
    }

    @Test(
        "K, R11: a signal to every process of a worker ends it in order, and the next one goes on")
    func everybodyToldToEnd() throws {
        var dice = Dice(seed: seed)
        var (count, repeats) = (0, 0)
        for round in 0..<Rounds.count(10) {
            try putJobs(8, seconds: "0.05")
            count += 8
            let worker = try work()
            elapse(dice.time(below: .milliseconds(150)))
            tellAll(of: worker, &dice)
            if Bool.random(using: &dice) {
                repeats += 1
                elapse(dice.time(below: .milliseconds(50)))
                tellAll(of: worker, &dice)
            }
            let status = try worker.wait()
            #expect(status == 0, "round \(round), seed \(seed): \(worker.printed)")
            let running = try Store.open(scratch.path, .existing).counts(queue: nil).running
            #expect(running == 0, "round \(round), seed \(seed)")
        }
        #expect(try work("--until-empty").wait() == 0)
        try verify(count)
        let verdicts = try attempts(1...count).map(\.verdict)
        #expect(verdicts.filter { $0 == .done }.count == count, "seed \(seed)")
        // The first signal leaves a job its grace; the second one stops those that run, one for each consumer.
        let released = verdicts.filter { $0 == .released }.count
        #expect(released <= 4 * repeats, "seed \(seed)")
        let counted = verdicts.filter { $0 != .done && $0 != .released }
        #expect(counted == [], "what was only given back counts; seed \(seed)")
    }

    private func attempts(_ ids: ClosedRange<Int>) throws -> [AttemptRow] {
        let store = try Store.open(scratch.path, .existing)
        return try ids.flatMap { try store.attempts(of: Int64($0)) }
    }

    /// Not its commands: what they wrote would not tell whether they had ended.
    private func tellAll(of worker: Program, _ dice: inout Dice) {
        let signal = [SIGTERM, SIGINT, SIGHUP].randomElement(using: &dice) ?? SIGTERM
        let all = [worker.pid] + Children.ofSpool(worker.pid)
        for pid in all.shuffled(using: &dice) { Glibc.kill(pid, signal) }
    }
}

extension Children {
    /// A worker's fork server and consumers, without what commands left to it.
    static func ofSpool(_ worker: Int32) -> [Int32] {
        of(worker).filter { name($0).hasPrefix("spool") }
    }
}

/// Who is there to be stopped: two workers, a producer, a join. Each is started anew when it has ended.
private struct Cast {
    private let rig: WorkerKillTests
    private var dice: Dice
    private var workers: [Program] = []
    private var producer: Program
    private var join: Program
    private(set) var killed: Set<Int32> = []
    /// What was put.
    private(set) var acknowledged: Set<Int64> = []
    /// How many were stopped.
    private(set) var stops = 0
    /// How many children of workers were killed.
    private(set) var strikes = 0

    init(_ rig: WorkerKillTests) throws {
        self.rig = rig
        dice = Dice(seed: rig.seed)
        producer = try Self.produce(rig)
        join = try rig.spool("join", "--timeout", "100s")
    }

    private static func produce(_ rig: WorkerKillTests) throws -> Program {
        try rig.spool("put", "--", "sh", "-c", rig.line(seconds: "0.01"))
    }

    mutating func fill() throws {
        for worker in workers where !worker.isRunning {
            #expect(killed.contains(worker.pid), "seed \(rig.seed): \(worker.printed)")
        }
        workers.removeAll { !$0.isRunning }
        while workers.count < 2 { workers.append(try rig.work()) }
        if !producer.isRunning {
            try hearProducer()
            producer = try Self.produce(rig)
        }
        if !join.isRunning {
            try hearJoin()
            join = try rig.spool("join", "--timeout", "100s")
        }
    }

    private mutating func hearProducer() throws {
        let status = try producer.wait()
        let text = producer.printed.trimmingCharacters(in: .whitespacesAndNewlines)
        let isExcused = killed.contains(producer.pid)
        #expect(status == 0 || isExcused, "seed \(rig.seed): \(text)")
        guard let id = Int64(text) else { return #expect(isExcused, "seed \(rig.seed): \(text)") }
        #expect(acknowledged.insert(id).inserted, "two puts are job \(id); seed \(rig.seed)")
    }

    private func hearJoin() throws {
        // 1: a job that was killed with three consumers is dead.
        let isExcused = killed.contains(join.pid)
        #expect([0, 1].contains(try join.wait()) || isExcused, "\(join.printed); seed \(rig.seed)")
    }

    /// Somebody stands still; meanwhile perhaps another one is killed.
    mutating func stopOne() {
        elapse(dice.time(below: .milliseconds(30)))
        guard let victim = anyone() else { return }
        if Glibc.kill(victim, SIGSTOP) == 0 { stops += 1 }
        elapse(dice.time(below: .milliseconds(100)))
        if dice.next() % 3 == 0, let other = anyone() { strike(other) }
        // Most of them shortly, some for up to a second.
        elapse(dice.time(below: .milliseconds([50, 200, 900][Int(dice.next() % 3)])))
        if Bool.random(using: &dice) { strike(victim) }
        Glibc.kill(victim, SIGCONT)
    }

    /// As likely of one kind as of the other.
    private mutating func anyone() -> Int32? {
        let children = workers.flatMap { Children.ofSpool($0.pid) }
        let consumers = children.filter { Children.name($0) == "spool consumer" }
        let servers = children.filter { !consumers.contains($0) }
        let kinds = [workers.map(\.pid), servers, consumers, [producer.pid], [join.pid]]
        return kinds.randomElement(using: &dice)?.randomElement(using: &dice)
    }

    private mutating func strike(_ pid: Int32) {
        if workers.contains(where: { Children.of($0.pid).contains(pid) }) { strikes += 1 }
        killed.insert(pid)
        Glibc.kill(pid, SIGKILL)
    }

    /// Nobody outlives the test, however it ended.
    func dismiss() {
        for program in workers + [producer, join] where program.isRunning { program.kill() }
    }

    /// Lets all that is left run to its end.
    mutating func end() throws {
        try hearProducer()
        for worker in workers {
            Glibc.kill(worker.pid, SIGTERM)
            let status = try worker.wait()
            #expect(status == 0 || killed.contains(worker.pid), "\(worker.printed)")
        }
        #expect([0, 1].contains(try rig.work("--until-empty").wait()), "seed \(rig.seed)")
        try hearJoin()
    }
}
