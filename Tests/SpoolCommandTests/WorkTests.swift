// WorkTests.swift - `spool work` as a user runs it: jobs of each kind, their ends, and the ends of the worker.

import Foundation
import Patience
import SpoolJobs
import SpoolThreads
import Testing

@Suite("spool work", .timeLimit(.minutes(10))) struct WorkTests {
    let bench: Bench

    init() throws { bench = try Bench() }

    @discardableResult
    func work(_ more: String...) -> Program.Result {
        bench.spool(["work", "--until-empty", "-j", "2", "--quiet"] + more)
    }

    @Test("runs an argument vector as it was typed, without a shell")
    func argv() {
        bench.spool("put", "--", "printf", "%s|", "a b", "$HOME", "*", "'")
        #expect(work().status == 0)
        #expect(bench.spool("log", "1").text == "a b|$HOME|*|'|")
    }

    @Test("runs a command where and with what it was put, and tells it about its job")
    func environment() {
        _ = bench.shell(
            "mkdir there; cd there; COLOR=blue spool put -q q -n n --timeout 5m -- sh -c 'pwd; env'"
        )
        #expect(work("--name", "me").status == 0)
        let log = bench.spool("log", "1").text
        #expect(log.hasPrefix("\(bench.directory)/there\n"))
        for line in [
            "COLOR=blue", "SPOOL_JOB_ID=1", "SPOOL_QUEUE=q", "SPOOL_ATTEMPT=1",
            "SPOOL_MAX_ATTEMPTS=1", "SPOOL_SESSION=",
            "SPOOL_WORKER=me", "SPOOL_FILE=\(bench.file)", "SPOOL_DEADLINE=2",
        ] { #expect(log.contains("\n" + line), "\(line)") }
    }

    @Test("I2: gives the body to a command on its standard input, byte for byte")
    func body() {
        _ = bench.shell("printf 'a\\0\\377b' | spool put --body - -- od -An -tx1")
        #expect(work().status == 0)
        #expect(bench.spool("log", "1").text == " 61 00 ff 62\n")
    }

    @Test("gives typed jobs to --exec: the kind as argument, the arguments on standard input")
    func exec() {
        bench.write("#!/bin/sh\necho \"$1 $SPOOL_KIND\"; cat\n", to: "handle")
        _ = bench.shell("chmod +x handle")
        bench.spool("put", "-k", "mail.send", #"{"to":"a@b"}"#)
        #expect(
            bench.spool("work", "--quiet", "--max-jobs", "1", "--idle-exit", "0.1s").status == 0)
        #expect(bench.rows("SELECT state FROM jobs") == "ready")
        #expect(work("--exec", bench.directory + "/handle").status == 0)
        #expect(bench.spool("log", "1").text == "mail.send mail.send\n{\"to\":\"a@b\"}")
    }

    @Test(
        "records how each command ended, and ends with 1 itself",
        arguments: [
            ("sh -c 'exit 3'", "3||exit 3"),
            ("sh -c 'kill -9 $$'", "|9|killed by signal 9 (SIGKILL)"),
            ("no-such-command", "127||command not found: no-such-command"),
            ("/etc/passwd", "126||permission denied: /etc/passwd"),
        ])
    func ends(_ command: String, _ expected: String) {
        _ = bench.shell("spool put -- " + command)
        #expect(work().status == 1)
        #expect(bench.rows("SELECT exit, signal, error FROM jobs") == expected)
    }

    @Test("stops a job at its time-out, also one that ignores TERM")
    func timeout() {
        _ = bench.shell("spool put --timeout 0.1s -- sleep 100")
        _ = bench.shell(
            #"spool put --timeout 0.1s -- sh -c 'trap "" TERM; while :; do sleep 0.1; done'"#)
        #expect(work("--kill-after", "0.2s").status == 1)
        #expect(bench.rows("SELECT outcome FROM attempts") == "timed out\ntimed out")
        #expect(bench.rows("SELECT DISTINCT error FROM jobs").hasPrefix("timed out after 100ms"))
    }

    @Test("R5: takes a job at its time-out from a consumer that was stopped (SIGSTOP)")
    func stoppedConsumer() {
        _ = bench.shell("spool put --timeout 0.1s -- sh -c 'kill -STOP $PPID; sleep 300'")
        _ = bench.shell("spool put -- true")
        #expect(work("--kill-after", "0.1s").status == 1)
        #expect(
            bench.rows("SELECT outcome FROM attempts ORDER BY job") == "timed out\ndone")
    }

    @Test("repeats what fails after its backoff, until its retries are used up")
    func retries() {
        _ = bench.shell("spool put --retries 2 --backoff 10ms -- sh -c 'echo x >> tries; exit 1'")
        #expect(work().status == 1)
        #expect(
            bench.shell("wc -l < tries").text.trimmingCharacters(in: .whitespacesAndNewlines) == "3"
        )
        #expect(bench.rows("SELECT state, attempt FROM jobs") == "dead|3")
    }

    @Test("R6: puts a job aside that killed three consumers; the others flow on")
    func poison() {
        _ = bench.shell(
            "spool put -- sh -c 'kill -9 $PPID'; for i in 1 2 3; do spool put -- true; done")
        #expect(work().status == 1)
        #expect(bench.rows("SELECT state, attempt FROM jobs WHERE id = 1") == "dead|3")
        #expect(bench.rows("SELECT count(*) FROM jobs WHERE state = 'done'") == "3")
        #expect(
            bench.rows("SELECT error FROM jobs WHERE id = 1").hasPrefix(
                "poison: 3 consumers died with it"))
    }

    @Test("takes exactly as many jobs as --max-jobs says")
    func maxJobs() {
        for _ in 0..<9 { bench.spool("put", "--", "true") }
        #expect(bench.spool("work", "-j", "4", "--max-jobs", "5", "--quiet").status == 0)
        #expect(bench.rows("SELECT count(*) FROM attempts") == "5")
        #expect(bench.rows("SELECT count(*) FROM jobs WHERE state = 'ready'") == "4")
    }

    @Test("runs small priorities first, and queues in the order given")
    func order() {
        bench.spool("put", "-q", "b", "--", "sh", "-c", "echo 1 >> order")
        bench.spool("put", "-q", "a", "--priority", "low", "--", "sh", "-c", "echo 2 >> order")
        bench.spool("put", "-q", "a", "--priority", "high", "--", "sh", "-c", "echo 3 >> order")
        #expect(bench.spool("work", "-q", "a,b", "-j", "1", "--until-empty", "--quiet").status == 0)
        #expect(bench.shell("tr -d '\\n' < order").text == "321")
    }

    @Test("P2: a daemon that keeps its parent's output open does not hold up the worker")
    func daemon() {
        _ = bench.shell("spool put -- sh -c 'sleep 300 & echo started'")
        #expect(work().status == 0)
        #expect(bench.spool("log", "1").text == "started\n")
    }

    @Test("P4: nothing but the standard streams reaches a command")
    func descriptors() {
        _ = bench.shell("spool put -- ls /proc/self/fd")
        #expect(work().status == 0)
        // The fourth is the directory that ls reads.
        #expect(bench.spool("log", "1").text == "0\n1\n2\n3\n")
    }

    @Test("keeps the first part of a long output, and says how much it dropped")
    func logLimit() {
        _ = bench.shell("spool put -- sh -c 'yes | head -c 100000; echo end >&2'")
        #expect(work("--log-limit", "1000").status == 0)
        let log = bench.spool("log", "1").text
        #expect(log.hasPrefix("y\ny\n") && log.utf8.count < 1200)
        #expect(log.contains("more bytes were not kept, the limit is 1000"))
    }

    @Test(
        "R8: a put, a killed put and the sqlite3 shell wake a waiting worker, and no wake-up is missed"
    )
    func woken() throws {
        bench.spool("init")
        let worker = try bench.start("-j", "2")
        #expect(bench.hasWorker())
        for _ in 0..<5 { bench.spool("put", "--", "true") }
        _ = bench.shell("spool put -- true & kill -9 $!")
        _ = bench.rows("INSERT INTO jobs(command) VALUES ('true')")
        #expect(
            bench.eventually {
                bench.rows("SELECT count(*) FROM jobs WHERE state <> 'done'") == "0"
            })
        let end = try bench.end(worker)
        #expect(end.status == 0)
        #expect(end.said.contains("\"missed_wakeups\":0"), "\(end.said)")
    }

    @Test("a queue that is resumed wakes the worker that waits for it")
    func resume() throws {
        bench.spool("put", "-q", "q", "--", "true")
        bench.spool("pause", "q")
        let worker = try bench.start("-q", "q")
        #expect(bench.hasWorker())
        #expect(bench.rows("SELECT state FROM jobs") == "ready")
        bench.spool("resume", "q")
        #expect(bench.eventually { bench.rows("SELECT state FROM jobs") == "done" })
        #expect(try bench.end(worker).said.contains("\"missed_wakeups\":0"))
    }

    @Test("cancel stops a running job, also one that ignores TERM")
    func cancel() throws {
        _ = bench.shell("spool put -- sleep 300")
        _ = bench.shell(#"spool put -- sh -c 'trap "" TERM; while :; do sleep 0.1; done'"#)
        let worker = try bench.start("-j", "2")
        #expect(
            bench.eventually {
                bench.rows("SELECT count(*) FROM jobs WHERE state = 'running'") == "2"
            })
        #expect(bench.spool("cancel", "1", "2", "--grace", "0.1s").status == 0)
        #expect(bench.eventually { bench.rows("SELECT DISTINCT state FROM jobs") == "cancelled" })
        #expect(try bench.end(worker).status == 0)
    }

    @Test("a worker whose file was removed says so and ends: nobody would see what it does")
    func removed() throws {
        bench.spool("init")
        let worker = try bench.start("-j", "1")
        #expect(bench.hasWorker())
        _ = bench.shell("rm '\(bench.file)'")
        #expect(bench.eventually { !worker.isRunning })
        #expect(worker.terminationStatus == 65)
    }

    @Test("X1: a job runs once though the directory beside the file is removed under its worker")
    func removedDirectory() throws {
        bench.spool("put", "--", "bash", "-c", "echo run >> runs; \(Bench.waiting("test -e go"))")
        let worker = try bench.start("-j", "2")
        #expect(bench.eventually { bench.shell("cat runs 2>/dev/null").text == "run\n" })
        #expect(bench.shell("rm -r jobs.db-spool; spool workers").text.contains("1/2"))
        #expect(bench.spool("list").text.contains("running"))
        bench.spool("put", "--", "echo", "kept")
        #expect(bench.eventually { bench.rows("SELECT state FROM jobs WHERE id = 2") == "done" })
        #expect(bench.spool("log", "2").text == "kept\n")
        _ = bench.shell("touch go")
        #expect(bench.eventually { bench.rows("SELECT state FROM jobs WHERE id = 1") == "done" })
        #expect(try bench.end(worker).status == 0)
        #expect(bench.rows("SELECT count(*) FROM attempts") == "2")
    }

    @Test("two workers on one file run each job once")
    func two() throws {
        _ = bench.shell("seq 200 | spool put --each -- sh -c 'echo {} >> ran'")
        let workers = [
            try bench.start("-j", "2", "--until-empty"),
            try bench.start("-j", "2", "--until-empty"),
        ]
        for worker in workers { try worker.end() }
        #expect(bench.shell("sort -n ran | uniq | wc -l; wc -l < ran").text == "200\n200\n")
    }

    @Test("--detach gives the process id once the worker is up")
    func detach() throws {
        let pid = bench.spool("work", "--detach").text
            .trimmingCharacters(in: .whitespacesAndNewlines)
        #expect(bench.spool("workers", "--json").text.contains("\"pid\":\(pid),"))
        bench.spool("put", "--", "true")
        #expect(bench.eventually { bench.rows("SELECT state FROM jobs") == "done" })
        kill(try #require(Int32(pid)), SIGTERM)
        #expect(bench.eventually { bench.spool("workers", "--json").text.isEmpty })
    }

    @Test("whoever looks gives back what a dead worker held")
    func looking() throws {
        bench.spool("put", "--", "sleep", "300")
        let worker = try bench.start("-j", "1")
        #expect(bench.eventually { bench.rows("SELECT state FROM jobs") == "running" })
        kill(worker.processIdentifier, SIGKILL)
        try worker.end()
        #expect(bench.eventually { bench.spool("list", "state:ready", "--ids").text == "1\n" })
        #expect(bench.rows("SELECT outcome FROM attempts") == "worker lost")
    }

    @Test(
        "refuses what it cannot do with a sentence",
        arguments: [
            (["-j", "0"], "error: -j must be 1…1024; got '0'."),
            (["-q", "a b"], "error: -q 'a b': a name has 1…128 letters, digits and -_.:/+@."),
            (["-q", "a*0"], "error: the weight of 'a' must be 1…1000; got '0'."),
            (["-q", "a,a"], "error: -q names 'a' twice."),
            (
                ["--idle-exit", "soon"],
                "error: --idle-exit 'soon': a duration looks like 90s, 10m, 1h30m, 2d."
            ),
            (["--exec", "no-such"], "error: --exec: command not found: no-such."),
            (["--exec", "/etc/passwd"], "error: --exec: permission denied: /etc/passwd."),
            (["--max-jobs", "many"], "error: --max-jobs must be 1…2147483647; got 'many'."),
        ])
    func refusals(_ words: [String], _ sentence: String) {
        let result = bench.spool(["work"] + words)
        #expect(result.status == 64)
        #expect(result.errors.hasPrefix(sentence), "\(result.errors)")
        #expect(!FileManager.default.fileExists(atPath: bench.file))
    }
}
