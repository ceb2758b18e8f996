// RunningJobTests.swift - log, join, show and put -w, with this test as the worker.

import Glibc
import SpoolJobs
import SpoolThreads
import Testing

/// Claims one job and ends it as told, with output as a consumer writes it.
private func work(
    _ bench: Bench, _ verdict: Verdict, exit: Int32? = 0, signal: Int32? = nil,
    output: [(text: String, stream: UInt8)] = []
) throws {
    let store = try Store.open(bench.file, .existing)
    let owner = try store.register(name: "vm:1", consumers: 1, queues: "", now: .now())
    let bell = try Doorbell(.arrived, of: store)
    let deadline = Deadline(after: .seconds(20))
    var claimed: ClaimedJob?
    while claimed == nil, !deadline.isPast {
        let again = bell.answer()
        claimed =
            try store.exchange(
                owner: owner, settle: [], take: 1, from: Selection(), now: .now(), random: { 0 }
            ).claimed.first
        if claimed == nil { bell.wait(until: deadline, again: again) }
    }
    let claim = try #require(claimed).claim
    let name = store.files.log(claim.job, attempt: claim.attempt)
    mkdir(store.files.logs, 0o700)
    var log: [UInt8] = []
    var index: [UInt8] = []
    for piece in output {
        let length = UInt8(piece.text.utf8.count)
        log += Array(piece.text.utf8)
        index += [UInt8](repeating: 0, count: 8) + [length, 0, 0, 0, piece.stream, 0, 0, 0]
    }
    write(log, to: name)
    write(index, to: store.files.logIndex(claim.job, attempt: claim.attempt))
    let run = SpoolJobs.Run(
        started: .now(), ended: .now(), pid: 7, exit: exit, signal: signal,
        error: verdict == .done ? nil : "exit \(exit ?? 0)")
    _ = try store.exchange(
        owner: owner, settle: [Outcome(claim, verdict, run)], take: 0, from: Selection(),
        now: .now(), random: { 0 })
    try store.retire(owner: owner, now: .now())
}

private func write(_ bytes: [UInt8], to path: String) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    defer { close(descriptor) }
    _ = Glibc.write(descriptor, bytes, bytes.count)
}

@Suite("A job that ran") struct RunningJobTests {
    private let output: [(text: String, stream: UInt8)] = [
        ("one\n", 1), ("bad\n", 2), ("\u{1B}two\n", 1),
    ]

    @Test("shows its log whole, by stream, by its end, and where it is")
    func log() throws {
        let bench = try Bench()
        bench.spool("put", "--", "x")
        try work(bench, .done, output: output)
        #expect(bench.spool("log", "1").text == "one\nbad\n\u{1B}two\n")
        #expect(bench.spool("log", "1", "--stderr").text == "bad\n")
        #expect(bench.spool("log", "1", "--tail", "1").text == "\u{1B}two\n")
        #expect(bench.spool("log", "1", "-f").text == "one\nbad\n\u{1B}two\n")
        #expect(bench.spool("log", "1", "--path").text == bench.file + "-spool/logs/1.1.log\n")
        #expect(bench.spool("log", "1", "--attempt", "2").status == 64)
        let show = bench.spool("show", "1").text
        #expect(show.contains("✔ done"))
        #expect(show.contains("│ \\etwo"))
    }

    @Test("J2: wakes who follows it and who joins")
    func follow() throws {
        let bench = try Bench()
        bench.spool("put", "--", "x")
        _ = bench.shell(
            "(spool log -f 1 > log.txt; echo $? > log.end) & (spool join 1 --json > join.txt; echo $? > join.end) &"
        )
        try work(bench, .done, output: output)
        let wait =
            "for n in $(seq 400); do test -s log.end -a -s join.end && break; read -t 0.05 <> <(:); done; "
        let ended = bench.shell(wait + "cat log.end join.end log.txt; tail -1 join.txt")
        #expect(ended.text.hasPrefix("0\n0\none\nbad\n"))
        #expect(ended.text.contains(#"{"type":"result","total":1,"done":1,"failed":0"#))
    }

    @Test(
        "is told by the exit status of put -w and of join",
        arguments: [
            (Verdict.done, Int32?(0), Int32?.none, Int32(0)), (.failed, 3, nil, 3),
            (.failed, nil, 9, 137), (.failed, 127, nil, 127),
        ])
    func status(_ verdict: Verdict, _ exit: Int32?, _ signal: Int32?, _ status: Int32) throws {
        let bench = try Bench()
        _ = bench.shell("(spool put -w -- x > put.txt 2>&1; echo $? > put.end) &")
        while access(bench.file, F_OK) != 0 { sched_yield() }
        try work(bench, verdict, exit: exit, signal: signal)
        let wait = "for n in $(seq 400); do test -s put.end && break; read -t 0.05 <> <(:); done; "
        #expect(bench.shell(wait + "cat put.end put.txt").text == "\(status)\n1\n")
        #expect(bench.spool("join", "1", "--exit-code").status == status)
        #expect(bench.spool("join", "-q", "default").status == (verdict == .done ? 0 : 1))
    }

    @Test("by `run` has its output and status there, and nothing else")
    func run() throws {
        let bench = try Bench()
        let result = bench.shell(
            "spool run -c 'echo out; echo err >&2; exit 3' 2>&1 | cat; echo ${PIPESTATUS[0]}")
        #expect(result.text == "out\nerr\n3\n")
        let worker = bench.spool("workers", "--json").text
        #expect(worker.contains(#""queues":["default"]"#))
        _ = bench.shell("kill $(spool workers --json | tr ',' '\\n' | sed -n 's/\"pid\"://p')")
    }

    @Test("leaves no process of a join or of a log that is followed, when they have ended")
    func gone() throws {
        let bench = try Bench()
        bench.spool("put", "--", "x")
        try work(bench, .done, output: output)
        #expect(bench.spool("join", "1").status == 0)
        #expect(bench.spool("log", "1", "-f").status == 0)
        // Each leaves the closing of its doorbell to a child, which has its environment.
        let left = bench.shell(
            """
            found() {
                for one in /proc/[0-9]*; do
                    grep -qsx spool $one/comm && grep -qsz "^SPOOL_FILE=$SPOOL_FILE$" $one/environ && echo $one
                done
            }
            for n in $(seq 100); do left=$(found); test -z "$left" && break; read -t 0.05 <> <(:); done
            echo -n "$left"
            """)
        #expect(left.text == "")
    }

    @Test("that failed is named by join, with what to do")
    func failed() throws {
        let bench = try Bench()
        bench.spool("put", "--", "x")
        try work(bench, .failed, exit: 1)
        let result = bench.spool("join")
        #expect(result.status == 1)
        #expect(
            result.errors
                == "✖ dead jobs are left from before: 1. Look at one with  spool show 1 ; "
                + "run again with  spool retry --dead\n")
        #expect(bench.spool("retry", "--dead").errors == "job 1 ready again\n")
    }
}
