// LimitTests.swift - --limit: a job that would take more than it may meets its limit, and says so.

import Testing

@Suite("A job with limits") struct LimitTests {
    let bench: Bench

    init() throws { bench = try Bench() }

    /// Puts a shell job with a limit and runs it. Returns its state and error.
    private func run(_ limit: String, _ text: String) -> String {
        let put = bench.spool("put", "--limit", limit, "-c", text)
        #expect(put.status == 0, "\(put.errors)")
        bench.spool("work", "-j", "1", "--until-empty")
        return bench.rows("SELECT state, error FROM jobs ORDER BY id DESC LIMIT 1")
    }

    @Test("P3: that fills the disk ends failed at its limit, with a sentence")
    func output() {
        #expect(
            run("output=100K", "exec head -c 200K /dev/zero > big")
                == "dead|reached its limit output=102400: killed by signal 25 (SIGXFSZ)")
        #expect(bench.shell("stat -c %s big").text == "102400\n")
        #expect(run("output=1K", "head -c 2K /dev/zero > big").contains("reached its limit output"))
    }

    @Test("P3: that puts jobs is not ended by the length that the log has ahead of them")
    func growth() {
        let put = "ulimit -f 200; for n in 1 2 3; do spool put -- true || exit; done"
        #expect(bench.shell(put).text == "1\n2\n3\n")
    }

    @Test("P3: that fills the memory ends failed at its limit; the next job runs")
    func memory() {
        let text = "exec python3 -c 'x = bytearray(400 << 20)'"
        let error = run("memory=200M", text)
        #expect(error == "dead|exit 1 (limits: memory=209715200)")
        #expect(bench.spool("log", "1").text.contains("MemoryError"))
        #expect(run("memory=1G", text).hasPrefix("done"))
    }

    @Test("P3: that computes for ever ends failed at its limit")
    func processorTime() {
        #expect(
            run("cpu=1s", "exec sh -c 'while :; do :; done'")
                == "dead|reached its limit cpu=1: killed by signal 24 (SIGXCPU)")
    }

    @Test("P3: has the limits that it was put with, or those of the worker if they are tighter")
    func tighter() {
        let text = "ulimit -n; ulimit -u; ulimit -v; ulimit -f; echo $SPOOL_LIMIT"
        bench.spool(
            "put", "--limit", "files=50,processes=77", "--limit", "memory=1G", "--", "bash", "-c",
            text)
        bench.spool("work", "-j", "1", "--until-empty", "--limit", "files=40,memory=2G,output=1M")
        #expect(
            bench.spool("log", "1").text == """
                40
                77
                1048576
                1024
                memory=1073741824,files=40,processes=77,output=1048576

                """)
    }

    @Test("P3: does not hand its limits on to what it puts, and the worker has none of them")
    func notInherited() {
        let text = "'\(Program.spool)' put -c 'echo =$SPOOL_LIMIT='"
        #expect(run("files=60", text).hasPrefix("done"))
        #expect(bench.spool("log", "2").text == "==\n")
    }

    @Test("P3: that cannot be read is not run without them")
    func unreadable() {
        bench.spool("put", "--env", "SPOOL_LIMIT=memory=lots", "--", "true")
        bench.spool("work", "-j", "1", "--until-empty")
        #expect(
            bench.rows("SELECT state, error FROM jobs")
                == "dead|the job's limits (SPOOL_LIMIT) cannot be read")
    }

    @Test(
        "P2, P3: that forks, leaves its session and ignores TERM leaves nothing that its time-out does not end",
        arguments: [
            "trap '' TERM; sleep 1000 & sleep 1000",
            "(trap '' TERM HUP; sleep 1001) & exec sleep 1001",
            "nohup sleep 1002 > /dev/null 2>&1 & sleep 1002",
        ])
    func ignoresTerm(_ text: String) {
        bench.spool("put", "--timeout", "100ms", "-c", text)
        bench.spool("work", "-j", "1", "--until-empty", "--kill-after", "100ms")
        #expect(bench.rows("SELECT state, error FROM jobs") == "dead|timed out after 100ms")
        #expect(
            bench.shell(
                """
                for each in $(grep -zl '^SPOOL_FILE=\(bench.file)$' /proc/[0-9]*/environ); do
                    grep -zl '^SPOOL_JOB_ID=' $each; done
                """
            ).text == "")
    }
}
