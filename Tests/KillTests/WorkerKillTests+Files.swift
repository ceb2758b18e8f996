// WorkerKillTests+Files.swift - rig K: the database is renamed away or removed while programs open it and put.
//
// A put may be acknowledged into a file that had the name at some moment of the put; into any other it is lost.

import Dice
import Foundation
import SpoolJobs
import SpoolThreads
import Testing

extension WorkerKillTests {
    @Test("K, D1, D4: a put whose file is taken away is in one that had the name, or refused")
    func takenAway() throws {
        var dice = Dice(seed: seed)
        let home = try Home(scratch)
        for round in 0..<Rounds.count(16) {
            let way = Home.Way.allCases.randomElement(using: &dice) ?? .directory
            // Either all are kept from putting until the file has gone, or one stands still wherever it is.
            let isGateShut = Bool.random(using: &dice)
            let story = "\(way), gate shut \(isGateShut), round \(round), seed \(seed)"
            let first = try home.put("first-\(round)")
            #expect(try first.program.wait() == 0, "\(first.program.printed); \(story)")
            if isGateShut { home.shutGate() }
            var early: [Put] = []
            for number in 0..<3 {
                early.append(try home.put("early-\(round)-\(number)"))
                elapse(dice.time(below: .milliseconds(15)))
            }
            let victim = early[Int(dice.next() % 3)].program.pid
            if !isGateShut { Glibc.kill(victim, SIGSTOP) }
            let taken = try home.takeAway(way, round, whileStopped: victim)
            let late = try (0..<2).map { try home.put("late-\(round)-\($0)") }
            // They may have to wait for one that stands still in the gate.
            elapse(dice.time(below: .milliseconds(60)))
            Glibc.kill(victim, SIGCONT)
            for put in late {
                #expect(try put.program.wait() == 0, "\(put.program.printed); \(story)")
            }
            try home.judge(late, in: [home.file], story)
            let old = [taken].compactMap { $0 }
            try home.judge([first], in: old, mayBeGone: way == .removed, story)
            let places = isGateShut ? [home.file] : [home.file] + old
            try home.judge(early, in: places, mayBeGone: way == .removed && !isGateShut, story)
        }
        #expect(home.acknowledged > 0 && home.refused > 0, "the rig is void; seed \(seed)")
    }

    @Test("K, D1: a worker whose file is replaced as it begins ends, or is at work on the new one")
    func replacedAtStart() throws {
        var dice = Dice(seed: seed)
        let home = try Home(scratch)
        for round in 0..<Rounds.count(3) {
            #expect(try home.put("old-\(round)").program.wait() == 0)
            var workers: [Program] = []
            for _ in 0..<4 {
                workers.append(
                    try Program(
                        "spool", ["work", "-j", "1", "--file", home.file], in: scratch.directory))
                elapse(dice.time(below: .milliseconds(12)))
            }
            for worker in workers { Glibc.kill(worker.pid, SIGSTOP) }
            _ = try home.takeAway(.directory, round)
            #expect(try home.put("new-\(round)").program.wait() == 0)
            for worker in workers { Glibc.kill(worker.pid, SIGCONT) }
            let store = try Store.open(home.file, .existing)
            let isSettled = try WaitFor.condition {
                let here = Set(try store.workers().map(\.pid))
                return workers.allSatisfy { !$0.isRunning || here.contains($0.pid) }
            }
            #expect(
                isSettled, "a worker stays with a file that is gone: round \(round), seed \(seed)")
            for worker in workers where worker.isRunning {
                Glibc.kill(worker.pid, isSettled ? SIGTERM : SIGKILL)
                let status = try worker.wait()
                #expect(status == 0 || !isSettled, "\(worker.printed)")
            }
            #expect(try store.check() == [], "round \(round), seed \(seed)")
            _ = try home.takeAway(.directory, -1 - round)
        }
    }
}

/// A put of a job with a name of its own.
private struct Put {
    let name: String
    let program: Program

    /// Nil: it was refused.
    var id: Int64? { Int64(program.printed.trimmingCharacters(in: .whitespacesAndNewlines)) }
}

/// A directory with a database that is taken away again and again.
private final class Home {
    enum Way: CaseIterable { case directory, files, removed }

    private let scratch: Scratch
    private let directory: String
    private var gate: Int32 = -1
    /// How many puts were acknowledged, and how many refused.
    private(set) var acknowledged = 0
    private(set) var refused = 0

    init(_ scratch: Scratch) throws {
        self.scratch = scratch
        directory = scratch.directory + "/home"
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: false)
    }

    var file: String { directory + "/jobs.db" }

    func put(_ name: String) throws -> Put {
        let words = ["put", "--file", file, "--name", name, "--", "true"]
        return Put(name: name, program: try Program("spool", words, in: scratch.directory))
    }

    /// Returns where the file is now; nil: nowhere.
    func takeAway(_ way: Way, _ round: Int, whileStopped victim: Int32 = 0) throws -> String? {
        let away = "\(scratch.directory)/away\(round)"
        if way == .directory {
            defer { openGate() }
            try FileManager.default.moveItem(atPath: directory, toPath: away)
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: false)
            return away + "/jobs.db"
        }
        // A put between the first and the last of the three would find parts of two files.
        if gate < 0 { shutGate(past: victim) }
        defer { openGate() }
        if way == .files { mkdir(away, 0o700) }
        for end in ["-wal", "-shm", ""] {
            if way == .files {
                rename(file + end, away + "/jobs.db" + end)
            } else {
                unlink(file + end)
            }
        }
        return way == .files ? away + "/jobs.db" : nil
    }

    /// Nobody puts until it is opened.
    func shutGate(past victim: Int32 = 0) {
        gate = open(file + "-spool/gate", O_RDWR | O_CLOEXEC)
        let isShut = WaitFor.condition(atMost: .milliseconds(100)) {
            flock(gate, LOCK_EX | LOCK_NB) == 0
        }
        guard !isShut else { return }
        // It stands still inside.
        if victim > 0 { Glibc.kill(victim, SIGCONT) }
        #expect(WaitFor.condition { flock(gate, LOCK_EX | LOCK_NB) == 0 })
    }

    private func openGate() {
        if gate >= 0 { close(gate) }
        gate = -1
    }

    /// Each put that was acknowledged is in one of these files, once; one that was refused is in none.
    func judge(
        _ puts: [Put], in files: [String], mayBeGone: Bool = false, _ story: String
    ) throws {
        let statuses = try puts.map { try $0.program.wait() }
        let places = try files.map { path in
            let store = try Store.open(path, .existing)
            let problems = try store.check()
            #expect(problems == [], "\(path), \(story)")
            return try store.jobs(JobFilter(limit: 1000)).compactMap(\.name)
        }
        for (put, status) in zip(puts, statuses) {
            let count = places.joined().filter { $0 == put.name }.count
            let said = "\(put.name): \(count) times, \(put.program.printed), \(story)"
            if status == 0 {
                #expect(put.id != nil && (count == 1 || mayBeGone && count == 0), "\(said)")
                acknowledged += 1
            } else {
                #expect(status > 0 && count == 0, "status \(status), \(said)")
                refused += 1
            }
        }
    }
}
