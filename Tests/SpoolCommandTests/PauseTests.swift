// PauseTests.swift - a paused queue and those who wait for its jobs: they are told, once, and how to go on.

import Foundation
import Testing

@Suite("A paused queue", .timeLimit(.minutes(10))) struct PauseTests {
    let bench: Bench

    init() throws {
        bench = try Bench()
        bench.spool("put", "-q", "q", "--", "true")
        bench.spool("pause", "q")
    }

    @Test("ends work --until-empty, which says what it leaves behind and how to go on")
    func untilEmpty() {
        bench.spool("put", "-q", "other", "--", "true")
        let result = bench.shell("timeout 60 '\(Program.spool)' work -j 1 --until-empty")
        #expect(result.status == 0)
        let lines = result.errors.split(separator: "\n").map(String.init)
        #expect(
            lines.first
                == "spool work: nothing to take: 1 job waits in the paused queue 'q'. "
                + "Go on with:  spool resume q")
        #expect(lines.count == 2 && lines.last?.contains("1 done") ?? false, "\(lines)")
        #expect(bench.rows("SELECT queue, state FROM jobs ORDER BY 1") == "other|done\nq|ready")
    }

    @Test("does not keep work --until-empty with a job that waits for its next attempt")
    func retrying() {
        bench.spool(
            "put", "-q", "r", "--retries", "1", "--backoff", "1h", "-c",
            "'\(Program.spool)' pause r; exit 1")
        let result = bench.shell(
            "timeout 60 '\(Program.spool)' work -j 1 --until-empty --quiet")
        #expect((result.status, result.errors) == (0, ""))
    }

    @Test("keeps spool run and put -w waiting, with a word to whoever waits")
    func run() {
        for command in ["run", "put -w"] {
            let result = bench.shell(
                """
                spool pause q 2> /dev/null
                '\(Program.spool)' \(command) -q q -- true 2> said & waiter=$!
                \(Bench.waiting("grep -q resume said"))
                '\(Program.spool)' resume q 2> /dev/null
                '\(Program.spool)' work --until-empty --quiet
                wait $waiter; echo $?
                cat said
                """)
            let (id, told) = command == "run" ? (2, "") : (3, "3\n")
            #expect(
                result.text == told + """
                    0
                    job \(id) waits in the paused queue 'q'. Go on with:  spool resume q

                    """)
        }
    }

    @Test("says nothing to spool run --quiet")
    func quietRun() {
        let result = bench.shell(
            """
            '\(Program.spool)' run --quiet -q q -- true 2> said & waiter=$!
            \(Bench.waiting("spool workers --json | grep -q pid"))
            spool resume q 2> /dev/null
            wait $waiter; echo $?; cat said
            """)
        #expect(result.text == "0\n")
    }
}
