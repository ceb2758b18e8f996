// WaiterTests.swift - run, join and log -f when nobody else looks: their worker was killed, or their file was moved.

import Foundation
import Patience
import SpoolJobs
import SpoolThreads
import Testing

@Suite("Who waits for a job", .timeLimit(.minutes(10))) struct WaiterTests {
    let bench: Bench

    init() throws { bench = try Bench() }

    /// Runs a command beside the test, which gives it up after a minute: its output, and then its status.
    private func begin(_ words: String) {
        _ = bench.shell(
            "(timeout 60 '\(Program.spool)' \(words) > out 2> errors; echo $? > end) &")
    }

    private func isFilled(_ name: String) -> Bool { bench.shell("test -s \(name)").status == 0 }

    private func ended() -> String {
        _ = bench.eventually { isFilled("end") }
        return bench.shell("cat end").text
    }

    private func livingWorker() -> Int32? {
        let text = bench.shell("spool workers --json | tr ',' '\\n' | sed -n 's/\"pid\"://p'").text
        return Int32(text.trimmingCharacters(in: .whitespacesAndNewlines))
    }

    @Test("R3: run starts another worker when its own is killed in the job")
    func run() throws {
        bench.write("echo x > began; test $SPOOL_ATTEMPT = 2 || exec sleep 300", to: "job")
        begin("run -- sh job")
        #expect(bench.eventually { isFilled("began") })
        kill(try #require(livingWorker()), SIGKILL)
        #expect(ended() == "0\n")
        #expect(bench.rows("SELECT state, attempt FROM jobs") == "done|2")
        if let last = livingWorker() { kill(last, SIGTERM) }
    }

    @Test("a job that is removed while join waits for it is not told as done")
    func removed() {
        bench.spool("put", "--", "true")
        begin("join 1 --json")
        #expect(bench.eventually { isFilled("out") })
        bench.spool("rm", "1")
        #expect(ended() == "1\n")
        let result = bench.shell("tail -n 1 out").text
        #expect(result.hasPrefix(#"{"type":"result","total":1,"done":0,"failed":1,"#), "\(result)")
    }

    @Test("R3: run starts a worker beside a program with the library, which runs no commands")
    func runBesideProgram() throws {
        let queue = try JobQueue("mail", in: JobStore(bench.file))
        #expect(throws: SpoolError.empty) { try queue.get(timeout: .milliseconds(1)) }
        begin("run -- echo hello")
        #expect(ended() == "0\n")
        #expect(bench.shell("cat out").text == "hello\n")
    }

    @Test(
        "J2: ends when the worker of a job that was to be cancelled is killed before it obeys",
        arguments: [("join 1 --json", "1\n"), ("log 1 --follow", "0\n")])
    func cancelled(_ words: String, _ status: String) throws {
        bench.spool("put", "--", "sh", "-c", "trap '' TERM; echo x; while :; do sleep 0.1; done")
        let worker = try bench.start("-j", "1")
        begin(words)
        // It looks: what comes now it must find out as it waits.
        #expect(bench.eventually { isFilled("out") && isRunning() })
        kill(worker.processIdentifier, SIGSTOP)
        bench.spool("cancel", "1")
        kill(worker.processIdentifier, SIGKILL)
        try worker.end()
        #expect(ended() == status)
        #expect(bench.rows("SELECT count(*) FROM running") == "0")
    }

    private func isRunning() -> Bool { bench.rows("SELECT state FROM jobs") == "running" }

    @Test(
        "J2: ends with a sentence when the file is moved",
        arguments: ["join 1 --json", "log 1 --follow", "run -- sh job"])
    func moved(_ words: String) throws {
        bench.write("echo x; exec sleep 300", to: "job")
        var own: Process?
        if !words.hasPrefix("run") {
            bench.spool("put", "--", "sh", "job")
            own = try bench.start("-j", "1", "--grace", "0s")
        }
        begin(words)
        #expect(bench.eventually { isFilled("out") && isRunning() })
        let worker = try #require(livingWorker())
        #expect(bench.shell("mv jobs.db moved.db").status == 0)
        #expect(ended() == "65\n")
        #expect(
            bench.shell("cat errors").text.contains("was removed or replaced while it was open"))
        kill(worker, SIGTERM)
        try own?.end()
    }
}
