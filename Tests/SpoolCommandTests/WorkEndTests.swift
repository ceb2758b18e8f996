// WorkEndTests.swift - how a worker ends when it is told to, and how it lives where little is allowed.

import Foundation
import Patience
import SpoolThreads
import Testing

@testable import SpoolCommand

@Suite("A worker", .timeLimit(.minutes(10))) struct WorkEndTests {
    let bench: Bench

    init() throws { bench = try Bench() }

    /// A job that ignores TERM, once it runs.
    func startStubbornJob() throws -> Process {
        _ = bench.shell(
            #"spool put -- sh -c 'trap "" TERM; echo $$ > begun; while :; do sleep 0.1; done'"#)
        let worker = try bench.start("-j", "1")
        #expect(bench.eventually { !bench.shell("cat begun 2>/dev/null").text.isEmpty })
        return worker
    }

    /// A zombie does not run any more.
    var isJobAlive: Bool {
        bench.shell("grep -qs 'State:.[^ZX]' /proc/$(cat begun)/status").status == 0
    }

    /// Processor time of a worker and its children so far, in ticks.
    func ticks(_ worker: Process) -> Int {
        let pid = worker.processIdentifier
        let text = bench.shell(
            "for p in \(pid) $(cat /proc/\(pid)/task/*/children); do sed 's/.*) //' /proc/$p/stat; done"
        ).text
        return text.split(separator: "\n").reduce(0) { sum, line in
            let fields = line.split(separator: " ")
            return sum + (Int(fields[11]) ?? 0) + (Int(fields[12]) ?? 0)
        }
    }

    @Test(
        "R11: ends at once at the second signal; the job is given back, its attempt kept",
        arguments: [[SIGTERM, SIGINT], [SIGQUIT]])
    func atOnce(_ signals: [Int32]) throws {
        let worker = try startStubbornJob()
        for signal in signals { kill(worker.processIdentifier, signal) }
        try worker.end()
        #expect(worker.terminationStatus == 0 && worker.terminationReason == .exit)
        #expect(bench.rows("SELECT state, attempt FROM jobs") == "ready|1")
        #expect(bench.rows("SELECT outcome FROM attempts") == "released")
        #expect(bench.eventually { !isJobAlive })
    }

    @Test("P8: a worker that is killed leaves one line: version, job, how to go on")
    func abnormalEnd() throws {
        bench.spool("put", "--", "sleep", "300")
        let started = bench.shell(
            "'\(Program.spool)' work -j 1 > out 2>&1 & echo $!"
        ).text
        let worker = try #require(Int32(started.trimmingCharacters(in: .whitespacesAndNewlines)))
        #expect(bench.eventually { bench.rows("SELECT state FROM jobs") == "running" })
        kill(worker, SIGKILL)
        #expect(
            bench.eventually {
                bench.shell("cat out").text
                    == "spool \(Version.number): the worker was killed or crashed; job 1 ran and is ready again. "
                    + "Go on with:  spool work\n"
            })
    }

    @Test("P8, R6: a job that kills its consumer says how it died, and is put aside")
    func consumerDeath() {
        bench.spool("put", "--", "sh", "-c", "kill -SEGV $PPID; sleep 300")
        bench.spool("work", "-j", "1", "--until-empty")
        #expect(
            bench.rows("SELECT DISTINCT error FROM attempts WHERE error IS NOT NULL LIMIT 1")
                == "consumer died: killed by signal 11 (SIGSEGV)")
    }

    @Test("R11: stops what still runs when the grace is over, and gives it back")
    func grace() throws {
        _ = bench.shell("spool put -- sh -c 'echo x > begun; sleep 300'")
        let worker = try bench.start("-j", "1", "--grace", "0.1s", "--kill-after", "60s")
        #expect(bench.eventually { !bench.shell("cat begun 2>/dev/null").text.isEmpty })
        #expect(try bench.end(worker).status == 0)
        #expect(
            bench.rows("SELECT outcome, signal FROM attempts") == "released|\(SIGTERM)")
    }

    @Test("R11: kills what was stopped (SIGSTOP) when it is told to end at once")
    func stoppedConsumer() throws {
        let worker = try startStubbornJob()
        let consumer = "$(sed 's/.*) . \\([0-9]*\\).*/\\1/' /proc/$(cat begun)/stat)"
        _ = bench.shell("kill -STOP \(consumer)")
        kill(worker.processIdentifier, SIGQUIT)
        try worker.end()
        #expect(worker.terminationStatus == 0)
        #expect(bench.rows("SELECT state, attempt FROM jobs") == "ready|1")
        #expect(bench.eventually { !isJobAlive })
    }

    @Test("says why it does not end yet, when it is asked to while jobs run")
    func announces() {
        _ = bench.shell(
            "spool put -- sh -c 'echo x > begun; until test -e go; do sleep 0.01; done'")
        let result = bench.shell(
            """
            (exec '\(Program.spool)' work -j 1 2> said) & worker=$!
            \(Bench.waiting("test -e begun"))
            kill $worker
            \(Bench.waiting("grep -q 'no new jobs; running ones have 25s. A second' said"))
            touch go
            wait $worker
            """)
        #expect(result.status == 0)
        #expect(bench.rows("SELECT state FROM jobs") == "done")
    }

    @Test("ends in order when its terminal goes, unless nohup asked it to stay")
    func hangUp() throws {
        bench.spool("init")
        let worker = try bench.start()
        #expect(bench.hasWorker())
        kill(worker.processIdentifier, SIGHUP)
        try worker.end()
        #expect(worker.terminationStatus == 0 && worker.terminationReason == .exit)

        let result = bench.shell(
            """
            (trap '' HUP; exec '\(Program.spool)' work --max-jobs 1) & worker=$!
            \(Bench.waiting("spool workers --json | grep -q pid"))
            kill -HUP $worker
            spool put -- true
            wait $worker
            """)
        #expect(result.status == 0)
        #expect(bench.rows("SELECT state FROM jobs") == "done")
    }

    @Test("has no terminal for its jobs: one that asks for a password fails, and does not hang")
    func noTerminal() {
        _ = bench.shell("spool put -- sh -c 'read answer < /dev/tty'")
        let command = "'\(Program.spool)' work --until-empty"
        #expect(bench.shell("script -qec \"\(command)\" /dev/null < /dev/null").status == 1)
        #expect(bench.rows("SELECT state FROM jobs") == "dead")
        #expect(bench.spool("log", "1").text.contains("/dev/tty"))
    }

    @Test("that is idle leaves the processor alone")
    func idle() throws {
        bench.spool("put", "--delay", "3s", "--", "true")
        let worker = try bench.start("-j", "2")
        #expect(bench.hasWorker())
        let before = ticks(worker)
        #expect(bench.eventually { bench.rows("SELECT state FROM jobs") == "done" })
        // Of more than 200 ticks; a loop that never sleeps takes them all.
        let used = ticks(worker) - before
        #expect(used < 50)
        #expect(try bench.end(worker).said.contains("\"missed_wakeups\":0"))
    }

    /// Other tests have files open that a shell would inherit: they may be more than its limit.
    private static let close =
        "for f in /proc/$$/fd/*; do f=${f##*/}; [ $f -le 2 ] || eval \"exec $f>&-\"; done"

    @Test("P9: says that descriptors are short, at whichever that is missing")
    func fewDescriptors() {
        bench.spool("put", "--", "true")
        var said = 0
        for number in 4...10 {
            for words in ["list", "put -- true", "workers"] {
                let result = bench.shell("\(Self.close); ulimit -n \(number); spool \(words)")
                let isSaid = result.errors.contains("Too many open files")
                #expect(result.status == 0 || isSaid, "\(number) for \(words): \(result.errors)")
                said += isSaid ? 1 : 0
            }
        }
        #expect(said > 3)
    }

    @Test("P9: works with as many consumers as its limit of descriptors allows, and says so once")
    func descriptorLimit() {
        _ = bench.shell("seq 30 | spool put --each -- true")
        let result = bench.shell("\(Self.close); ulimit -n 64; spool work -j100 --until-empty")
        #expect(result.status == 0)
        #expect(bench.rows("SELECT count(*) FROM jobs WHERE state = 'done'") == "30")
        let told = "cannot start a consumer: socketpair: Too many open files. Trying again."
        #expect(result.errors.components(separatedBy: told).count == 2, "\(result.errors)")
    }

    @Test(
        "P9: works without standard streams, HOME or locale",
        arguments: ["<&- >&- 2>&-", "<&- >&-", "2>&-"])
    func closedStreams(_ streams: String) {
        bench.spool("put", "--", "sh", "-c", "cat; echo fine")
        let work =
            "env -i LC_ALL=C '\(Program.spool)' --file '\(bench.file)' work --until-empty \(streams)"
        #expect(bench.shell(work).status == 0)
        #expect(bench.spool("log", "1").text == "fine\n")
    }

    @Test(
        "P9: writes what it says into no file that has got the number of a closed stream",
        arguments: ["<&- >&- 2>&-", ">&-", "2>&-", "<&- >&-"])
    func saysNothing(_ streams: String) throws {
        bench.spool("put", "--", "true")
        for words in [
            "put -v -- true", "list", "show 1", "work --until-empty -v", "list --nonsense",
        ] {
            _ = bench.shell("'\(Program.spool)' \(words) \(streams)")
        }
        #expect(bench.rows("SELECT DISTINCT state, count(*) FROM jobs") == "done|2")
        let boot = bench.shell("head -c 36 /proc/sys/kernel/random/boot_id").text
        #expect(bench.shell("head -c 36 jobs.db-spool/shared").text == boot)
        #expect(bench.shell("cat jobs.db-spool/gate jobs.db-spool/live").text == "")
    }

    @Test("I7: does its work although nobody reads what it says, and tells when that was lost")
    func unread() {
        bench.spool("put", "--", "true")
        #expect(bench.shell("spool work --until-empty -v 2>&1 | true").status == 0)
        bench.spool("put", "--", "true")
        #expect(bench.shell("spool work --until-empty --json > /dev/full").status == 74)
        #expect(bench.rows("SELECT DISTINCT state FROM jobs") == "done")
    }

    @Test("takes its short options with their values joined, as make and parallel do")
    func joined() {
        bench.spool("put", "-q", "q", "--", "true")
        #expect(bench.spool("work", "-j4", "-qq", "--until-empty", "--quiet").status == 0)
        #expect(bench.rows("SELECT state FROM jobs") == "done")
    }

    @Test("P2: is not held up by a daemon of a job that left its group and keeps its output open")
    func daemon() {
        bench.write("echo $$ > daemon; exec sleep 300", to: "serve")
        _ = bench.shell(
            "spool put -- sh -c 'setsid sh serve & until test -s daemon; do sleep 0.01; done'")
        #expect(bench.spool("work", "--until-empty", "--quiet").status == 0)
        #expect(bench.shell("kill $(cat daemon)").status == 0)
    }

    @Test("in the background lets go of what its caller had open, as a lock")
    func detachedLock() {
        let result = bench.shell(
            """
            exec 9> lock; flock 9
            pid=$(spool work --detach)
            exec 9>&-
            flock -n lock true; echo $?
            kill $pid
            """)
        #expect(result.text == "0\n")
    }

    @Test("says at its end how many jobs it did in a second, if there was one")
    func rate() {
        bench.spool("put", "--", "sleep", "1.1")
        let slow = bench.spool("work", "--until-empty").errors
        #expect(slow.hasPrefix("spool work: 1 done in ") && !slow.contains("/s"), "\(slow)")
        _ = bench.shell("seq 20 | spool put --each -k none")
        let quick = bench.spool("work", "--until-empty", "--exec", "true").errors
        #expect(quick.hasPrefix("spool work: 20 done in ") && quick.contains(" jobs/s"), "\(quick)")
    }
}
