// HostileTests.swift - a worker among those who stop, outlive and overfill: what is sent to all of its processes, what
// leaves its job's process group, a gate that somebody keeps, a consumer that does not answer.

import Foundation
import Patience
import SpoolThreads
import Testing

@testable import SpoolCommand

@Suite("A worker among hostile ones", .timeLimit(.minutes(10))) struct HostileTests {
    let bench: Bench

    init() throws { bench = try Bench() }

    private func begun() -> Bool {
        bench.eventually { !bench.shell("cat begun 2>/dev/null").text.isEmpty }
    }

    @Test("R11: what is sent to all of its processes ends it, and the job that runs has its grace")
    func all() throws {
        _ = bench.shell(
            #"spool put -- sh -c 'trap "" TERM; echo x > begun; until test -e go; do sleep 0.01; done'"#
        )
        let worker = try bench.start("-j", "1")
        #expect(begun())
        let pid = worker.processIdentifier
        for signal in ["TERM", "INT", "HUP"] {
            _ = bench.shell("kill -\(signal) $(cat /proc/\(pid)/task/*/children)")
        }
        worker.terminate()
        _ = bench.shell("touch go")
        try worker.end()
        #expect(worker.terminationStatus == 0)
        #expect(bench.rows("SELECT state, attempt FROM jobs") == "done|1")
    }

    @Test(
        "R11: what is sent to the commands, too, gives their jobs back, whoever hears it first",
        arguments: ["$command $worker $others", "$worker $others $command"])
    func commands(_ order: String) throws {
        _ = bench.shell("spool put -- sh -c 'echo $$ > begun; sleep 300; true'")
        let worker = try bench.start("-j", "2")
        #expect(begun())
        let told = bench.shell(
            """
            worker=\(worker.processIdentifier)
            others=$(cat /proc/$worker/task/*/children)
            command="$(cat begun) $(cat /proc/$(cat begun)/task/*/children)"
            kill -TERM \(order)
            """)
        #expect(told.status == 0)
        try worker.end()
        #expect(worker.terminationStatus == 0)
        #expect(bench.rows("SELECT state, attempt FROM jobs") == "ready|1")
        #expect(bench.rows("SELECT outcome, signal FROM attempts") == "released|\(SIGTERM)")
    }

    @Test("R12: a consumer that says nonsense ends alone, as if it had died; the others work on")
    func nonsense() {
        // Says it in the consumer's name: takes a copy of its socket.
        bench.write(
            """
            import ctypes, os, socket, stat, time
            call = ctypes.CDLL(None).syscall
            parent = os.getppid()
            process = call(434, parent, 0)
            for name in os.listdir(f"/proc/{parent}/fd"):
                if os.readlink(f"/proc/{parent}/fd/{name}").startswith("socket:"):
                    os.write(call(438, process, int(name), 0), b"\\xff" * 8)
            time.sleep(300)
            """, to: "nonsense.py")
        bench.spool("put", "--", "/usr/bin/python3", "nonsense.py")
        _ = bench.shell("seq 20 | spool put --each -- true")
        let worker = bench.shell("timeout 60 '\(Program.spool)' work -j 2 --until-empty --quiet")
        #expect(worker.status == 1, "\(worker.errors)")
        #expect(bench.rows("SELECT count(*) FROM jobs WHERE state = 'done'") == "20")
        #expect(bench.rows("SELECT state, attempt FROM jobs WHERE id = 1") == "dead|3")
        #expect(
            bench.rows("SELECT DISTINCT outcome FROM attempts WHERE job = 1") == "consumer died")
    }

    @Test(
        "R5: of the jobs of a consumer that was stopped the others run all but the one that it is at"
    )
    func handedAhead() {
        // All but the first few jobs of a consumer are handed to it in batches; one of them stops it.
        _ = bench.shell(
            """
            (seq 60; echo stop; seq 60) | spool put --each -- sh -c '
              echo $SPOOL_JOB_ID >> ran
              test $1 != stop || { echo $PPID > stopped; kill -STOP $PPID; }' sh
            """)
        let result = bench.shell(
            """
            '\(Program.spool)' work -j 2 --until-empty --quiet & worker=$!
            for n in $(seq 1200); do
              test "$(sqlite3 '\(bench.file)' 'SELECT done FROM lane')" = 120 && break
              read -t 0.05 <> <(:)
            done
            sqlite3 '\(bench.file)' 'SELECT done, running FROM lane'
            kill -CONT $(cat stopped)
            wait $worker
            """)
        #expect(result.text == "120|1\n")
        #expect(result.status == 0)
        #expect(
            bench.rows("SELECT state, max(attempt), count(*) FROM jobs GROUP BY 1") == "done|1|121")
        #expect(bench.shell("sort ran | uniq -d").text == "")
    }

    @Test("R6: hears of a consumer's death where its parent ignores SIGCHLD")
    func ignored() {
        bench.spool("put", "--retries", "0", "--", "sh", "-c", "kill -9 $PPID; sleep 60")
        let worker = bench.shell(
            "timeout 60 env --ignore-signal=CHLD '\(Program.spool)' work -j 1 --until-empty --quiet"
        )
        #expect(worker.status != 124)
        #expect(bench.rows("SELECT state FROM jobs") == "dead")
    }

    /// Keeps the gate for so many seconds.
    private func keepGate(_ seconds: Int) throws -> Process {
        let keeper = Process()
        keeper.executableURL = URL(fileURLWithPath: "/usr/bin/flock")
        keeper.arguments = [
            bench.file + "-spool/gate", "sh", "-c", "echo x > kept; exec sleep \(seconds)",
        ]
        keeper.currentDirectoryURL = URL(fileURLWithPath: bench.directory)
        try keeper.run()
        #expect(bench.eventually { bench.shell("test -s kept").status == 0 })
        return keeper
    }

    @Test("R10: ends in order when others have the gate for longer than it waits at once")
    func busyGate() throws {
        _ = bench.shell("spool put -- sh -c 'echo x > begun'")
        let worker = try bench.start("-j", "1")
        #expect(begun() && bench.spool("join").status == 0)
        _ = try keepGate(3)
        worker.terminate()
        try worker.end()
        #expect(worker.terminationStatus == 0)
        #expect(bench.rows("SELECT count(*) FROM owner WHERE ended IS NULL") == "0")
    }

    @Test("R11: ends when it is told to, though somebody keeps the gate")
    func gate() throws {
        _ = bench.shell("spool put -- sh -c 'echo x > begun'")
        let worker = try bench.start("-j", "1", "--grace", "0s", "--kill-after", "0s")
        #expect(begun())
        let keeper = try keepGate(300)
        defer { _ = bench.shell("kill -KILL $(pgrep -P \(keeper.processIdentifier))") }
        worker.terminate()
        kill(worker.processIdentifier, SIGQUIT)
        try worker.end()
        #expect(worker.terminationReason == .exit)
    }

    @Test("a put that somebody keeps from opening the file gives up with a sentence")
    func kept() {
        bench.spool("put", "--", "true")
        let put = bench.shell(
            "flock -o '\(bench.file)-spool/shared' timeout 100 '\(Program.spool)' put -- true 2>&1")
        #expect(put.status == 75)
        #expect(put.text.contains("is locked by another program"))
        #expect(bench.rows("SELECT count(*) FROM jobs") == "1")
    }

    @Test("R11, P3: a worker and its job outlive a limit on the length of files")
    func length() {
        bench.spool(
            "put", "--retries", "0", "--", "sh", "-c", "head -c 400000 /dev/zero; echo x > ran")
        let worker = bench.shell("(ulimit -f 200; spool work -j 1 --until-empty --quiet)")
        #expect(worker.status == 0)
        #expect(bench.rows("SELECT state FROM jobs") == "done")
        #expect(bench.shell("cat ran").text == "x\n")
        #expect(
            bench.rows("SELECT error FROM attempts")
                == "its output was not kept whole: File too large")
    }

    @Test("a second cancel that is sharper is obeyed at once")
    func sharper() throws {
        _ = bench.shell(
            #"spool put -- sh -c 'trap "" TERM; echo x > begun; while :; do sleep 0.1; done'"#)
        let worker = try bench.start("-j", "1")
        #expect(begun())
        bench.spool("cancel", "1", "--grace", "1h")
        #expect(bench.eventually { bench.rows("SELECT count(*) FROM cancellation") == "1" })
        bench.spool("cancel", "1", "--signal", "KILL", "--grace", "0s")
        #expect(bench.shell("timeout 60 '\(Program.spool)' join 1").status == 1)
        #expect(bench.rows("SELECT state FROM jobs") == "cancelled")
        _ = try bench.end(worker)
    }

    @Test("X1: what made a process group of its own ends with a job that timed out")
    func group() {
        _ = bench.shell(
            "spool put --timeout 0.3s --retries 0 -- sh -c 'timeout 300 sleep 299.5; true'")
        bench.spool("work", "-j", "1", "--until-empty", "--quiet", "--kill-after", "0s")
        #expect(bench.rows("SELECT state, error LIKE 'timed out%' FROM jobs") == "dead|1")
        #expect(bench.shell("pgrep -f 'sleep 299.5$'").text == "")
    }

    @Test("X1: what made a group of its own ends with its consumer, before the next attempt")
    func consumer() {
        bench.write(
            """
            test $SPOOL_ATTEMPT = 2 && { pgrep -fc 'sleep 298.5$' > count; exit 0; }
            timeout 300 sleep 298.5 &
            until pgrep -fx 'sleep 298.5'; do sleep 0.01; done
            kill -9 $PPID
            sleep 60
            """, to: "job")
        bench.spool("put", "--retries", "1", "--backoff", "0s", "--", "sh", "job")
        bench.spool("work", "-j", "1", "--until-empty", "--quiet")
        #expect(bench.rows("SELECT state, attempt FROM jobs") == "done|2")
        #expect(bench.shell("cat count").text == "0\n")
    }

    @Test("X1: what made a session of its own outlives its job, with the groups that it made")
    func daemon() throws {
        bench.write("set -m; sleep 297.5 & echo $! > away; wait", to: "daemon")
        bench.write(
            """
            setsid -f bash daemon < /dev/null > /dev/null 2>&1
            timeout 300 sleep 296.5 &
            until pgrep -fx 'sleep 296.5' && test -s away; do sleep 0.01; done
            echo x > begun
            exec sleep 300
            """, to: "job")
        bench.spool("put", "--", "sh", "job")
        let worker = try bench.start("-j", "1")
        #expect(begun())
        bench.spool("cancel", "1")
        #expect(bench.shell("timeout 60 '\(Program.spool)' join 1").status == 1)
        #expect(bench.shell("pgrep -fx 'sleep 296.5'").text == "")
        #expect(bench.shell("kill $(cat away)").status == 0)
        _ = try bench.end(worker)
    }

    @Test("R13: jobs in more places than a consumer remembers each run in their own")
    func places() {
        _ = bench.shell(
            """
            for n in $(seq 600); do
              echo '{"command":["sh","-c","test $N = '$n'"],"env":{"N":"'$n'"}}'
            done | spool put --ndjson -
            """)
        bench.spool("work", "-j", "2", "--until-empty", "--quiet")
        #expect(bench.rows("SELECT state, count(*) FROM jobs GROUP BY 1") == "done|600")
    }

    @Test("P8: a worker that cannot begin says why, and nothing else")
    func cannotBegin() {
        bench.write("%PDF-1.7\n", to: "other.db")
        let result = bench.shell("spool work --file other.db")
        #expect(result.status == 65)
        #expect(result.errors.contains("other.db") && !result.errors.contains("killed or crashed"))
    }
}
