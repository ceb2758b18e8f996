// ClockTests.swift - rig C: the wall clock of real programs jumps (libfaketime), by a second or by ten years.
//
// The monotonic clock goes on, as it does when somebody sets a machine's clock. Time-outs of jobs and of join follow
// that one; only what is scheduled for a time of the day moves.

import Foundation
import SpoolJobs
import SpoolThreads
import Testing

@Suite(
    "A clock that jumps", .timeLimit(.minutes(60)),
    .enabled(if: FakeClock.library != nil, "needs libfaketime"))
struct ClockTests {
    let scratch: Scratch
    let clock: FakeClock

    init() throws {
        scratch = try Scratch()
        clock = try FakeClock(scratch.directory + "/clock")
    }

    /// Seconds; the large ones are ten years.
    static let jumps = [1, -1, 3_600, -3_600, 315_360_000, -315_360_000]

    private func job(_ line: String) -> NewJob {
        NewJob(.command(["sh", "-c", line].map { Array($0.utf8) }))
    }

    /// Ids 1, 2 and 4 run when the clock jumps, 3 is scheduled in half an hour; 4 then fails, and is tried again.
    private func putJobs() throws {
        let begin = "echo s $SPOOL_JOB_ID $SPOOL_ATTEMPT >> '\(scratch.directory)/journal'"
        let go = "until [ -e '\(scratch.directory)/go' ]; do sleep 0.02; done"
        let plain = job(begin + "; " + go)
        var late = job(begin + "; exec sleep 600")
        late.timeout = .seconds(1)
        late.retries = 0
        var scheduled = job(begin)
        scheduled.due = UnixTime.now() + .seconds(1800)
        var failing = job(begin + "; " + go + "; test $SPOOL_ATTEMPT -gt 1")
        failing.retries = 1
        failing.backoff = Backoff(min: .milliseconds(10), max: .milliseconds(20))
        let store = try Store.open(scratch.path, .create)
        try store.put([plain, late, scheduled, failing], now: .now())
    }

    /// Waits until they run. One that is only claimed would take its time from the clock that has jumped.
    private func haveBegun() throws -> Bool {
        try WaitFor.condition {
            let journal = try Journal(scratch.directory + "/journal")
            return [1, 2, 4].allSatisfy { journal.starts($0) == 1 }
        }
    }

    @Test(
        "C, R7: ends a job at its time-out, moves only what is scheduled, loses nothing and runs nothing twice",
        arguments: jumps)
    func worker(_ seconds: Int) throws {
        try putJobs()
        let worker = try clock.run(
            ["work", "-j", "4", "--file", scratch.path], in: scratch.directory)
        let store = try Store.open(scratch.path, .existing)
        #expect(try haveBegun(), "\(worker.printed)")
        try clock.jump(seconds)
        let isTimedOut = try WaitFor.condition { try store.job(2).state == .dead }
        #expect(isTimedOut, "\(seconds) s: the time-out did not come")
        #expect(try store.attempts(of: 2).map(\.verdict) == [.timedOut])
        try Data().write(to: URL(fileURLWithPath: scratch.directory + "/go"))
        let isFired = seconds > 1800
        let isSettled = try WaitFor.condition {
            try store.job(1).state == .done && store.job(4).state == .done
                && (!isFired || store.job(3).state == .done)
        }
        let counts = try store.counts(queue: nil)
        #expect(isSettled, "\(seconds) s: \(counts)")
        if !isFired { #expect(try store.job(3).state == .scheduled) }
        try clock.jump(0)
        Glibc.kill(worker.pid, SIGTERM)
        #expect(try worker.wait() == 0, "\(worker.printed)")
        #expect(try store.check() == [])
        let events = try Journal(scratch.directory + "/journal")
        let starts = [1: 1, 2: 1, 3: isFired ? 1 : 0, 4: 2]
        for (id, count) in starts { #expect(events.starts(Int64(id)) == count, "job \(id)") }
    }

    @Test("C, R7: the rig notices a time-out that follows the clock that was set back")
    func rigBites() throws {
        try putJobs()
        let worker = try clock.run(
            ["work", "-j", "4", "--file", scratch.path], in: scratch.directory, isMonotonicToo: true
        )
        let store = try Store.open(scratch.path, .existing)
        #expect(try haveBegun(), "\(worker.printed)")
        try clock.jump(-3600)
        let isTimedOut = try WaitFor.condition(atMost: .seconds(4)) {
            try store.job(2).state == .dead
        }
        #expect(!isTimedOut)
        worker.kill()
    }

    @Test("C, R7, J4: join gives up at its time limit, though the clock goes back an hour")
    func join() throws {
        try Store.open(scratch.path, .create).put([job("true")], now: .now())
        let join = try clock.run(
            ["join", "--timeout", "1s", "--file", scratch.path], in: scratch.directory)
        try clock.jump(-3600)
        #expect(try join.wait(minutes: 1) == 124, "\(join.printed)")
    }
}

/// A wall clock that jumps when it is told to, for the programs that are run with it.
struct FakeClock {
    private let file: String

    /// Debian keeps it where only the programs that ask for it find it.
    static let library: String? = ["x86_64", "aarch64"].map {
        "/usr/lib/\($0)-linux-gnu/faketime/libfaketime.so.1"
    }.first(where: FileManager.default.fileExists)

    init(_ file: String) throws {
        self.file = file
        try jump(0)
    }

    /// Sets it so many seconds off the real one.
    func jump(_ seconds: Int) throws {
        let text = (seconds < 0 ? "" : "+") + String(seconds) + "\n"
        // In one step: a program may be reading it.
        try Data(text.utf8).write(to: URL(fileURLWithPath: file), options: .atomic)
    }

    /// - Parameter isMonotonicToo: The clock that cannot be set jumps as well: a mutant.
    func run(
        _ words: [String], in directory: String, isMonotonicToo: Bool = false
    ) throws -> Program {
        let isApart = isMonotonicToo ? "0" : "1"
        let variables = [
            "LD_PRELOAD=" + (Self.library ?? ""), "FAKETIME_TIMESTAMP_FILE=" + file,
            "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=" + isApart,
            "DONT_FAKE_MONOTONIC=" + isApart,
            "FAKETIME_DONT_RESET=1", "NO_FAKE_STAT=1",
        ]
        return try Program(
            "/usr/bin/env", variables + [Program.folder.path + "/spool"] + words, in: directory)
    }
}
