// MoveTests.swift - jobs that people move by hand: what is foretold, what is named twice, and who is quicker.

import Testing

@Suite("retry, cancel and rm") struct MoveTests {
    let bench: Bench

    init() throws { bench = try Bench() }

    @Test("--dead passes over jobs that another retry was quicker to take")
    func race() {
        bench.spool("put", "--each", "--", "false", input: "1\n2\n3\n")
        bench.spool("work", "-j", "1", "--until-empty")
        let waiters =
            "test $(grep -c -- \"-> FLOCK.*:$(stat -c %i jobs.db-spool/gate) \" /proc/locks)"
        let result = bench.shell(
            """
            exec 9< jobs.db-spool/gate; flock 9
            '\(Program.spool)' retry --dead 9<&- & one=$!
            '\(Program.spool)' retry --dead 9<&- & other=$!
            \(Bench.waiting("\(waiters) = 2"))
            flock -u 9; wait $one; echo $?; wait $other; echo $?
            """)
        #expect(result.text == "0\n0\n")
        #expect(
            result.errors.split(separator: "\n").sorted() == [
                "0 jobs ready again", "3 jobs ready again",
            ])
        #expect(bench.rows("SELECT count(*) FROM jobs WHERE state = 'ready'") == "3")
    }

    @Test(
        "--dry-run refuses what would be refused, with the same words",
        arguments: ["cancel 1", "retry 2", "rm 2", "retry 1 2", "rm 9"])
    func refused(_ words: String) throws {
        bench.spool("put", "--", "true")
        bench.spool("work", "--until-empty")
        bench.spool("put", "-c", "exec sleep 100")
        let worker = try bench.start("-j", "1", "--grace", "0s")
        #expect(bench.eventually { bench.spool("list", "state:running", "--ids").text == "2\n" })
        let words = words.split(separator: " ").map(String.init)
        let foretold = bench.spool(words + ["--dry-run"])
        let done = bench.spool(words)
        #expect(done.status == (words.contains("9") ? 66 : 65))
        #expect((foretold.status, foretold.errors) == (done.status, done.errors))
        #expect(foretold.text == "")
        #expect(
            bench.spool("cancel", "2", "--dry-run").errors
                == "job 2 would be asked to stop (TERM)\n")
        _ = try bench.end(worker)
    }

    @Test("--dry-run says what would be done, and does nothing")
    func foretold() {
        bench.spool("put", "--each", "--", "true", input: "1\n2\n")
        for (words, sentence) in [
            (["cancel", "1", "2"], "2 jobs would be cancelled\n"),
            (["rm", "1"], "job 1 would be removed\n"),
        ] {
            let result = bench.spool(words + ["--dry-run"])
            #expect((result.status, result.errors) == (0, sentence))
        }
        bench.spool("cancel", "1")
        #expect(bench.spool("retry", "1", "--dry-run").errors == "job 1 would be ready\n")
        #expect(bench.spool("list", "--ids").text == "2\n1\n")
        #expect(bench.spool("list", "state:cancelled", "--ids").text == "1\n")
    }

    @Test("take a job that is named twice once")
    func twice() {
        bench.spool("put", "--", "true")
        #expect(bench.spool("cancel", "1", "1").errors == "job 1 cancelled\n")
        #expect(bench.spool("retry", "1", "1").errors == "job 1 ready again\n")
        bench.spool("work", "--until-empty")
        #expect(bench.spool("join", "1", "1", "--exit-code").status == 0)
        #expect(bench.spool("rm", "1", "1").errors == "job 1 removed\n")
        #expect(bench.spool("list", "-a", "--ids").text == "")
    }
}
