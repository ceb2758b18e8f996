// SystemCallTests.swift - rig E on the real programs: any of their system calls fails (strace -e inject, strace(1)).
//
// A point is a call, an errno, the n-th such call of each process, and whether only that one fails or all from there
// on. Whatever happens: nobody crashes or hangs, what was acknowledged is there, the file is sound, and once the fault
// is over a worker runs every job to its end.

import Dice
import Foundation
import SpoolJobs
import SpoolThreads
import Testing

@Suite(
    "Programs whose system calls fail", .timeLimit(.minutes(600)), .serialized,
    .enabled(if: SystemCalls.canFail, "needs strace, and leave to trace"))
struct SystemCallTests {
    let scratch: Scratch
    var dice = Dice(seed: Rounds.seed)

    init() throws { scratch = try Scratch() }

    @Test("E, D1, D4, D5: spool put says what became of its job, whichever system call fails")
    mutating func put() throws {
        let words = ["put", "--file", scratch.path, "-q", "e", "--", "true"]
        #expect(try Program("spool", words, in: scratch.directory).wait() == 0)
        for point in try points(of: words, Rounds.count(5)) {
            let before = try Store.open(scratch.path, .existing).counts(queue: nil).total
            let (status, said) = try run(words, point)
            let store = try Store.open(scratch.path, .existing)
            let added = try store.counts(queue: nil).total - before
            // A put whose id could not be written happened, and says so with the id.
            let isUntold = said.contains(/error: job \d+ was put, but its id could not be written/)
            let isUnknown = said.contains("not known whether") && added == 1
            let isMute = point.call == "write" && point.isForever && said.isEmpty && added == 1
            #expect(
                added == (status == 0 || isUntold ? 1 : 0) || isUnknown || isMute,
                "\(point): \(said)")
            #expect(try store.check() == [], "\(point)")
        }
    }

    @Test(
        "E: list, join and check end with a sentence and change nothing, whichever system call fails"
    )
    mutating func looking() throws {
        let put = ["put", "--file", scratch.path, "--", "true"]
        #expect(try Program("spool", put, in: scratch.directory).wait() == 0)
        for command in [["list"], ["join", "--timeout", "10ms"], ["check"], ["queues"]] {
            let words = [command[0], "--file", scratch.path] + command.dropFirst()
            let isCheck = command[0] == "check"
            let line = isCheck ? ["check", scratch.path] : words
            for point in try points(of: line, max(1, Rounds.count(4) / 4)) {
                _ = try run(line, point, wellEnded: [0, 1, 124])
                let store = try Store.open(scratch.path, .existing)
                #expect(try store.counts(queue: nil).ready == 1, "\(point)")
                #expect(try store.check() == [], "\(point)")
            }
        }
    }

    @Test(
        "E, R12, X3: a worker whose system calls fail loses no job; when the fault is over the queue drains"
    )
    mutating func worker() throws {
        let words = ["work", "-j", "2", "--until-empty", "--grace", "1s", "--file", scratch.path]
        try putJobs()
        for point in try points(of: words, Rounds.count(5)) {
            try putJobs()
            _ = try run(words, point, wellEnded: [0, 1], stopping: true)
            let drain = try Program("spool", words, in: scratch.directory)
            let status = try drain.wait()
            #expect([0, 1].contains(status), "\(point): \(status) \(drain.printed)")
            let store = try Store.open(scratch.path, .existing)
            let counts = try store.counts(queue: nil)
            // A job whose own command cannot be started often enough is dead, and says so.
            #expect(counts.unfinished == 0, "\(point): \(counts)")
            #expect(try store.check() == [], "\(point)")
        }
    }

    @Test(
        "E, R12: a worker whose lock on the log was not taken back by the system finds it out, and goes on"
    )
    func lockThatStays() throws {
        let words = ["work", "-j", "2", "--until-empty", "--grace", "1s", "--file"]
        // No two runs make the same calls: what three of them made is likely to be met.
        let unlocks = try (1...3).reduce(into: Set<Int>()) { found, _ in
            let worker = try SystemCalls.lockedWorker(words, unlocking: nil, in: Scratch())
            found.formUnion(SystemCalls.unlocks(worker.trace))
        }
        #expect(unlocks.count > 3, "the rig is void")
        let workers = try unlocks.map { number in
            let scratch = try Scratch()
            return (
                scratch, try SystemCalls.lockedWorker(words, unlocking: number, in: scratch).program
            )
        }
        for (scratch, worker) in workers {
            let status = try worker.wait()
            // The lock may have stayed before there was a worker: that ends with a sentence.
            let isSaid = status == 75 && worker.printed.contains("is locked by another program")
            #expect(status == 0 || isSaid, "\(status) \(worker.printed)")
            let drain = try Program("spool", words + [scratch.path], in: scratch.directory)
            #expect(try drain.wait() == 0, "\(drain.printed)")
            let counts = try Store.open(scratch.path, .existing).counts(queue: nil)
            #expect(counts.unfinished == 0 && counts.done == 3, "\(counts) \(worker.printed)")
        }
    }

    @Test(
        "E, D5: a put whose lock on the log was not taken back by the system is refused for certain"
    )
    func putWhoseLockStays() throws {
        let words = ["put", "--file", scratch.path, "--", "true"]
        #expect(try Program("spool", words, in: scratch.directory).wait() == 0)
        let calls = try SystemCalls.traced(words, in: scratch)
        // The last one is that of its own COMMIT.
        let unlock = try #require(SystemCalls.unlocks(calls.trace, hasCommitted: true).last)
        let put = try SystemCalls.traced(words, unlocking: unlock, in: scratch).program
        #expect(try put.wait() == 75)
        #expect(put.printed.contains("is locked by another program"), "\(put.printed)")
        let store = try Store.open(scratch.path, .existing)
        #expect(try store.counts(queue: nil).total == 2)
        #expect(try Program("spool", words, in: scratch.directory).wait() == 0)
        #expect(try store.counts(queue: nil).total == 3 && store.check() == [])
    }

    private func putJobs() throws {
        let store = try Store.open(scratch.path, .create)
        var job = NewJob(.command([Array("true".utf8)]))
        job.retries = 20
        job.backoff = Backoff(min: .milliseconds(1), max: .milliseconds(1))
        try store.put([job, NewJob(.kind(Job.noop)), job], now: .now())
    }

    /// So many of all the points of a program, drawn by the seed; all of them when `count` is 0.
    private mutating func points(of words: [String], _ count: Int) throws -> [SystemCalls.Point] {
        let trace = scratch.directory + "/trace"
        let calls = SystemCalls.errors.keys.sorted().joined(separator: ",")
        let program = try Program(
            "/usr/bin/strace",
            ["-f", "-qq", "-o", trace, "-e", "trace=" + calls, Program.folder.path + "/spool"]
                + words, in: scratch.directory)
        _ = try program.wait()
        let all = SystemCalls.points(try String(contentsOfFile: trace, encoding: .utf8))
        #expect(all.count > 50, "the rig is void: \(program.printed)")
        return count == 0 ? all : Array(all.shuffled(using: &dice).prefix(count))
    }

    private func stop(_ program: Program) {
        let deadline = Deadline(after: .seconds(4))
        while program.isRunning, !deadline.isPast { Pause.briefly(upTo: .milliseconds(5)) }
        for child in Children.of(program.pid) { Glibc.kill(child, SIGTERM) }
    }

    /// Runs a program with a fault, and checks that it ended as a program should.
    /// - Parameter stopping: When it has not ended after a while, it is asked to.
    private func run(
        _ words: [String], _ point: SystemCalls.Point, wellEnded: [Int32] = [0],
        stopping: Bool = false
    ) throws -> (status: Int32, said: String) {
        let program = try Program(
            "/usr/bin/strace",
            ["-f", "-qq", "-o", "/dev/null", "-e", "trace=" + point.call, "-e", point.injection]
                + [Program.folder.path + "/spool"] + words, in: scratch.directory)
        if stopping { stop(program) }
        let traced = Children.of(program.pid)
        let deadline = Deadline(after: .seconds(20))
        while program.isRunning, !deadline.isPast { Pause.briefly(upTo: .milliseconds(4)) }
        if program.isRunning {
            Issue.record("\(point): it hangs; \(program.printed)")
            for child in traced { Glibc.kill(child, SIGKILL) }
        }
        let status = try program.wait(minutes: 1)
        let said = program.printed
        // The loader of the program is not ours, nor is the shell of what could not be started at all.
        let isVoid = said.contains("shared librar") || said.contains("strace: ") || status == 127
        // When nothing can be written any more, nothing can be said.
        let isMute = point.call == "write" && point.isForever && said.isEmpty
        let isSaid = status >= 64 && status < 128 && (said.contains("error: ") || isMute)
        #expect(wellEnded.contains(status) || isSaid || isVoid, "\(point): \(status) \(said)")
        return (status, said)
    }
}

/// Which system calls can fail, and how.
enum SystemCalls {
    struct Point: CustomStringConvertible {
        let call: String
        let error: String
        let number: Int
        let isForever: Bool

        var injection: String {
            "inject=\(call):error=\(error):when=\(number)\(isForever ? "+" : "")"
        }
        var description: String { injection + "; seed \(Rounds.seed)" }
    }

    static let errors: [String: [String]] = [
        "read": ["EIO", "EINTR"], "write": ["EIO", "ENOSPC", "EINTR"], "pread64": ["EIO"],
        "pwrite64": ["EIO", "ENOSPC", "EDQUOT"], "fdatasync": ["EIO"], "fsync": ["EIO"],
        "ftruncate": ["EIO", "ENOSPC"], "fallocate": ["ENOSPC"],
        "openat": ["EMFILE", "EACCES", "EIO"], "flock": ["EINTR", "ENOLCK"],
        "fcntl": ["ENOLCK", "EAGAIN"], "clone": ["EAGAIN", "ENOMEM"],
        "clone3": ["EAGAIN", "ENOMEM"], "epoll_create1": ["EMFILE"], "epoll_ctl": ["ENOMEM"],
        "epoll_wait": ["EINTR"], "epoll_pwait2": ["EINTR"], "poll": ["EINTR"], "pipe2": ["EMFILE"],
        "socketpair": ["EMFILE"], "sendmsg": ["EINTR", "ENOBUFS"], "recvmsg": ["EINTR", "ENOMEM"],
        "sendto": ["EINTR", "ENOBUFS"], "recvfrom": ["EINTR", "ENOMEM"],
        "inotify_init1": ["EMFILE"], "inotify_add_watch": ["ENOSPC"], "signalfd4": ["EMFILE"],
        "memfd_create": ["EMFILE"], "wait4": ["EINTR"], "mkdir": ["ENOSPC"],
        "prctl": ["EINVAL"],
    ]

    /// No signal comes at every instant. And locks that can never be had again are those of a program that holds them:
    /// SQLite's are waited for ten seconds each time.
    private static func lasts(_ call: String, _ error: String) -> Bool {
        error != "EINTR" && call != "fcntl"
    }

    static let canFail = FileManager.default.isExecutableFile(atPath: "/usr/bin/strace")

    /// A worker that finds three jobs with a place.
    /// - Parameter number: The call of fcntl(2) that is refused; nil: none, and its trace is waited for.
    static func lockedWorker(
        _ words: [String], unlocking number: Int?, in scratch: Scratch
    ) throws -> (program: Program, trace: String) {
        var job = NewJob(.command([Array("true".utf8)]))
        job.place = Place(directory: Array("/".utf8), environment: Array("PATH=/bin\0".utf8))
        job.retries = 9
        try Store.open(scratch.path, .create).put([job, job, job], now: .now())
        return try traced(words + [scratch.path], unlocking: number, in: scratch)
    }

    /// Runs a program with one call of fcntl(2) that fails, or to its end, and then with what it called.
    static func traced(
        _ words: [String], unlocking number: Int? = nil, in scratch: Scratch
    ) throws -> (program: Program, trace: String) {
        let trace = scratch.directory + "/trace"
        let fault = number.map { ["-e", "inject=fcntl:error=EAGAIN:when=\($0)"] } ?? []
        let program = try Program(
            "/usr/bin/strace",
            ["-qq", "-o", trace, "-e", "trace=fcntl,fdatasync"] + fault
                + [Program.folder.path + "/spool"] + words, in: scratch.directory)
        if number == nil { _ = try program.wait() }
        return (program, (try? String(contentsOfFile: trace, encoding: .utf8)) ?? "")
    }

    /// Which calls of fcntl(2) unlock a read mark of SQLite's log that was set after a commit: bytes 124 to 127 of the
    /// -shm, locked for writing by the call before.
    static func unlocks(_ trace: String, hasCommitted: Bool = false) -> [Int] {
        var (calls, hasCommitted, marked, found) = (0, hasCommitted, "", [Int]())
        for line in trace.split(separator: "\n") {
            if line.hasPrefix("fdatasync(") { hasCommitted = true }
            guard line.hasPrefix("fcntl(") else { continue }
            calls += 1
            let mark = line.firstMatch(of: /l_start=12[4-7]/).map { String($0.0) } ?? ""
            let isUnlock = line.contains("F_UNLCK") && !mark.isEmpty && mark == marked
            if isUnlock, hasCommitted { found.append(calls) }
            marked = line.contains("F_WRLCK") ? mark : ""
        }
        return found
    }

    /// Every call that some process made, for each of its errors, once and from then on.
    static func points(_ trace: String) -> [Point] {
        var perProcess: [String: Int] = [:]
        var most: [String: Int] = [:]
        for line in trace.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
            guard words.count == 2, let end = words[1].firstIndex(of: "(") else { continue }
            let call = String(words[1][..<end].drop { $0 == " " })
            guard errors[call] != nil else { continue }
            perProcess["\(words[0]) \(call)", default: 0] += 1
            most[call] = max(most[call] ?? 0, perProcess["\(words[0]) \(call)"] ?? 0)
        }
        return most.sorted { $0.key < $1.key }.flatMap { call, count in
            (errors[call] ?? []).flatMap { error in
                (1...count).flatMap { number in
                    (lasts(call, error) ? [false, true] : [false]).map {
                        Point(call: call, error: error, number: number, isForever: $0)
                    }
                }
            }
        }
    }
}
