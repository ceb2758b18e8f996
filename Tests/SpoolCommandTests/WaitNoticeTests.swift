// WaitNoticeTests.swift - who waits for jobs that nobody runs is told why, and who ends the waiting what goes on.

import SpoolThreads
import Testing

@testable import SpoolCommand
@testable import SpoolJobs

@Suite("Who waits", .timeLimit(.minutes(10))) struct WaitNoticeTests {
    let bench: Bench

    init() throws { bench = try Bench() }

    private static let start = "no worker is watching 'default'. Start one with:  spool work\n"

    @Test(
        "for jobs that no worker takes is told so once, and how to start one",
        arguments: [
            ("join", "2 jobs wait, and "), ("join -q default", "2 jobs wait, and "),
            ("join 2", "job 2 waits, and "), ("join --snapshot", "job 1 waits, and "),
            ("put -w -- true", "job 3 waits, and "),
        ])
    func noWorker(_ words: String, _ what: String) {
        bench.spool("put", "--each", "--", "true", input: "1\n2\n")
        let result = bench.shell(
            """
            timeout 60 '\(Program.spool)' \(words) > /dev/null 2> said & waiter=$!
            \(Bench.waiting("grep -q 'Start one' said"))
            spool work --until-empty --quiet
            wait $waiter; echo $?; cat said
            """)
        #expect(result.text == "0\n" + what + Self.start)
    }

    @Test("is told of the file that --file named, and of a queue's own worker")
    func named() {
        bench.spool("put", "--file", "a b.db", "-q", "mail", "--", "true")
        bench.spool("put", "--file", "a b.db", "-q", "other", "--", "true")
        let words = "--file 'a b.db' -q mail --until-empty --quiet"
        let result = bench.shell(
            """
            timeout 60 '\(Program.spool)' join -q mail --file 'a b.db' 2> said & waiter=$!
            \(Bench.waiting("grep -q 'Start one' said"))
            spool work \(words)
            wait $waiter; echo $?; cat said
            """)
        #expect(
            result.text == """
                0
                1 job waits, and no worker is watching 'mail'. Start one with:  spool work -q mail --file 'a b.db'

                """)
    }

    @Test("in join, too, is told that the queue is paused")
    func paused() {
        bench.spool("put", "-q", "q", "--", "true")
        bench.spool("pause", "q")
        let result = bench.shell(
            """
            timeout 60 '\(Program.spool)' join 2> said & waiter=$!
            \(Bench.waiting("grep -q resume said"))
            spool resume q --quiet
            spool work --until-empty --quiet
            wait $waiter; echo $?; cat said
            """)
        #expect(
            result.text
                == "0\n1 job waits in the paused queue 'q'. Go on with:  spool resume q\n")
    }

    @Test("is told nothing with --quiet, nor of a queue whose worker is busy")
    func nothing() throws {
        bench.spool("put", "--", "sh", "-c", "echo x > began; exec sleep 300")
        bench.spool("put", "--", "true")
        let quiet = bench.spool("join", "--quiet", "--timeout", "3s")
        #expect(quiet.errors == "error: 2 jobs not finished after 3s (--timeout).\n")
        let worker = try bench.start("-j", "1", "--grace", "0s")
        #expect(bench.eventually { bench.shell("test -s began").status == 0 })
        let join = bench.spool("join", "2", "--timeout", "3s")
        #expect(join.errors == "error: 1 job not finished after 3s (--timeout).\n")
        _ = try bench.end(worker)
    }

    @Test("for work --until-empty is told of typed jobs, which it has no program for")
    func typed() {
        bench.spool("put", "-k", "mail.send", "{}")
        bench.spool("put", "-q", "other", "-k", "mail.send", "{}")
        bench.spool("put", "--", "true")
        let left =
            "spool work: 1 job is left on 'default': typed ones, as mail.send, need a worker with "
            + "--exec PROGRAM"
        let work = bench.spool("work", "--until-empty", "-q", "default")
        #expect(work.status == 0)
        #expect(work.errors.split(separator: "\n").dropFirst().map(String.init) == [left])
        let all = bench.spool("work", "--until-empty", "--exec", "true")
        #expect(all.errors.split(separator: "\n").count == 1, "\(all.errors)")
        bench.spool("put", "-k", "spool.noop")
        bench.spool("put", "-k", "spool.noop")
        let some = bench.spool("work", "--until-empty", "--max-jobs", "1")
        #expect(some.errors.split(separator: "\n").count == 1, "\(some.errors)")
    }

    @Test("for a worker sees at most as many busy consumers as it has")
    func busy() {
        var worker = WorkerRow(
            owner: 1, name: "w", pid: 1, consumers: 2, queues: "",
            started: UnixTime(microseconds: 0), running: 25)
        #expect(Workers.busy(worker) == "2/2")
        worker.running = 1
        #expect(Workers.busy(worker) == "1/2")
        worker.consumers = 0
        #expect(Workers.busy(worker) == "1")
    }

    @Test(
        "and is interrupted is told that the job goes on, and how to stop it",
        arguments: ["run", "put -w"], ["INT", "TERM", "HUP"])
    func interrupted(_ command: String, _ signal: String) {
        bench.spool("init", "--quiet")
        let clear = "env --default-signal=INT --default-signal=HUP"
        let result = bench.shell(
            """
            \(clear) '\(Program.spool)' \(command) -- sh -c 'echo x > began; exec sleep 300' 2> said > id & waiter=$!
            \(command == "run" ? "" : "spool work --detach > /dev/null")
            \(Bench.waiting("test -s began"))
            kill -\(signal) $waiter; wait $waiter; echo $?; cat said
            spool list --json | jq -r .state
            kill $(spool workers --json | jq .pid)
            spool cancel 1 --quiet
            """)
        let statuses = ["INT": 130, "TERM": 143, "HUP": 129]
        #expect(
            result.text == """
                \(statuses[signal] ?? 0)
                job 1 was not stopped. Follow it with:  spool log -f 1 ; stop it with:  spool cancel 1
                running

                """)
    }

    @Test("and is interrupted hears nothing with --quiet, and nohup is heeded")
    func quiet() {
        let result = bench.shell(
            """
            '\(Program.spool)' put -w --quiet -- true 2> said > id & waiter=$!
            \(Bench.waiting("test -s id"))
            kill $waiter; wait $waiter; echo $?; cat said
            trap '' HUP
            '\(Program.spool)' put -w -- true 2> said > id & waiter=$!
            \(Bench.waiting("test -s id"))
            kill -HUP $waiter
            spool work --until-empty --quiet
            wait $waiter; echo $?; cat said
            """)
        #expect(result.text == "143\n0\n")
    }
}

@Suite("A job", .timeLimit(.minutes(10))) struct OwnJobTests {
    let bench: Bench

    init() throws { bench = try Bench() }

    private func work(_ script: String, _ more: String = "-j 1") -> String {
        bench.write(script, to: "job")
        bench.spool("put", "-q", "own", "--", "sh", "job")
        let worked = bench.shell("timeout 60 '\(Program.spool)' work \(more) --until-empty --quiet")
        return "\(worked.status)\n" + bench.shell("cat said").text
    }

    @Test(
        "that would wait for one that only its own consumer can run is told so at once",
        arguments: ["run", "put -w"])
    func run(_ command: String) {
        #expect(
            work("'\(Program.spool)' \(command) -- true 2> said; test $? = 65") == """
                0
                error: this is job 1, and its worker's only consumer, which has it, is the only one that takes from \
                'own': to wait for another job would never end. Nothing was put. Put it without waiting (spool put, \
                spool run -d), or let the worker run more jobs at once (spool work -j 2).

                """)
        #expect(bench.rows("SELECT id, state FROM jobs") == "1|done")
    }

    @Test("can wait for another one where there are more consumers, or another file")
    func canWait() {
        let run = "'\(Program.spool)' run -- echo hello > said && "
        #expect(work(run + "exit 0", "-j 2") == "0\nhello\n")
        let other = "'\(Program.spool)' put -w --file other.db -- echo hello"
        let script = """
            '\(Program.spool)' init --quiet other.db
            '\(Program.spool)' work --file other.db --idle-exit 5s --detach > said
            \(other) > said && '\(Program.spool)' join --file other.db || exit 1
            '\(Program.spool)' log --file other.db 1 > said
            """
        #expect(work(script) == "0\nhello\n")
    }

    @Test(
        "that joins itself is told so at once",
        arguments: [
            "join", "join --all", "join -q own", "join --snapshot", "join 1", "log -f 1",
        ])
    func joinsItself(_ words: String) {
        let text = work("'\(Program.spool)' \(words) 2> said; test $? = 65")
        #expect(text.hasPrefix("0\nerror: this is job 1, and "), "\(text)")
        #expect(text.contains("that would never end."))
    }

    @Test("can join others, and what it leaves behind can join all")
    func joins() {
        bench.spool("put", "-q", "other", "--", "true")
        let script = """
            '\(Program.spool)' join -q other 2> said && '\(Program.spool)' join --timeout 1ms 2> said
            test $? = 124 || exit 1
            setsid sh -c "echo x > left
            while test \\$(sqlite3 jobs.db 'SELECT state FROM jobs WHERE id = 2') = running; do :; done
            '\(Program.spool)' join && echo joined > said" > /dev/null 2>&1 &
            until test -s left; do :; done
            """
        bench.write(script, to: "job")
        bench.spool("put", "-q", "own", "--", "sh", "job")
        #expect(bench.shell("timeout 60 '\(Program.spool)' work -j 2 --until-empty").status == 0)
        #expect(bench.eventually { bench.shell("grep joined said").status == 0 })
    }
}
