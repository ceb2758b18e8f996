// BoundaryTests.swift - numbers at both sides of their limits, and what programs may rely on in the output.

import Testing

private struct Boundary: Sendable, CustomTestStringConvertible {
    let words: [String]
    let good: [String]
    let bad: [String]
    /// Stands behind the value.
    var rest = ["--", "true"]
    var testDescription: String { words.joined(separator: " ") }
}

private let notNumbers = [
    "", " ", "+1", "-1", "-0x1", "1e3", "0x10", "1.0", "١", "9223372036854775807",
    "9223372036854775808", "18446744073709551616", "99999999999999999999999999", "NaN",
]

private let boundaries = [
    Boundary(
        words: ["put", "--priority"], good: ["0", "1", "4294967294", "4294967295"],
        bad: ["4294967296"] + notNumbers),
    Boundary(
        words: ["put", "--retries"], good: ["0", "999999", "1000000"], bad: ["1000001"] + notNumbers
    ),
    Boundary(
        words: ["put", "--delay"], good: ["0s", "1ms", "36525d", "876600h"],
        bad: ["36525d1ms", "36526d", "99999999999999999999d", "1e400s", "-1s", "infs", "nans"]
            + notNumbers),
    Boundary(
        words: ["put", "--timeout"], good: ["1ms", "36525d"],
        bad: ["0s", "0.0001ms", "36526d"] + notNumbers),
    Boundary(
        words: ["put", "--backoff"], good: ["0s..0s", "1s..36525d"], bad: ["2s..1s", "1s..36526d"]),
    Boundary(
        words: ["put", "--at"], good: ["9999-12-31T23:59:59Z"],
        bad: [
            "2000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "2026-13-01", "2026-02-29", "24:00",
            "23:60",
        ]),
    Boundary(
        words: ["put", "--limit"],
        good: [
            "memory=1M", "memory=1048576T", "files=3", "processes=1073741824", "output=0", "cpu=1s",
        ],
        bad: [
            "memory=1048575", "memory=1048577T", "memory=99999999999999999999", "files=2", "cpu=0s",
            "processes=0", "processes=1073741825", "memory=-1", "memory=", "memory", "disk=1G", "",
        ]),
    Boundary(
        words: ["work", "--until-empty", "-j"], good: ["1"], bad: ["0", "1025"] + notNumbers,
        rest: []),
    Boundary(
        words: ["work", "--until-empty", "--log-limit"], good: ["0", "1073741824", "1G"],
        bad: ["1073741825", "2G", "1048577K", "1g", "G"] + notNumbers, rest: []),
    Boundary(
        words: ["work", "--until-empty", "--max-jobs"], good: ["1", "2147483647"],
        bad: ["0", "2147483648"] + notNumbers, rest: []),
    Boundary(
        words: ["show"], good: ["1"],
        bad: ["0", "2", "9007199254740993", "9223372036854775808", "-1", ""], rest: []),
    Boundary(
        words: ["list", "-n"], good: ["0", "1"], bad: ["-1", "99999999999999999999"], rest: []),
]

@Suite("Numbers, and output for programs") struct BoundaryTests {
    let bench: Bench

    init() throws { bench = try Bench() }

    @Test(
        "I6: are taken up to their limits, and refused beyond, at both sides", arguments: boundaries
    )
    private func numbers(_ boundary: Boundary) {
        bench.spool("put", "--", "true")
        let count = { bench.rows("SELECT count(*) FROM jobs") }
        for value in boundary.good {
            let result = bench.spool(boundary.words + [value] + boundary.rest)
            #expect(result.status == 0, "\(value): \(result.errors)")
        }
        let before = count()
        for value in boundary.bad {
            let result = bench.spool(boundary.words + [value] + boundary.rest)
            #expect(
                (64...66).contains(result.status) && result.errors.hasPrefix("error: "),
                "\(value): \(result.status) \(result.text)\(result.errors)")
            #expect(result.errors.split(separator: "\n").count == 1)
        }
        #expect(count() == before)
        #expect(bench.spool("check").status == 0)
    }

    /// What changes from run to run, made the same.
    private func golden(_ text: String) -> String {
        text.replacing(/"\d{4}-\d\d-\d\dT[0-9:.]+Z"/, with: "TIME")
            .replacing(/"(pid|took_ms|cpu_ms|user_ms|system_ms|peak_kib|age_ms|up_ms)":\d+/) {
                "\"\($0.1)\":N"
            }
            .replacing(/"worker":"[^"]*"/, with: "\"worker\":W")
            .replacing(bench.directory, with: "DIR")
    }

    @Test("I7: is the same for programs from one version to the next")
    func goldenOutput() {
        let put = { (words: [String]) in bench.spool(["put", "--json"] + words).text }
        #expect(
            put(["-q", "a", "--", "sh", "-c", "echo out; exit 3"]) == #"{"id":1,"queue":"a","v":1}"#
                + "\n")
        #expect(put(["-k", "mail", #"{"to":"x"}"#]) == #"{"id":2,"queue":"default","v":1}"# + "\n")
        let worked = golden(bench.spool("work", "--json", "-j", "1", "--until-empty").text)
        #expect(
            worked
                == #"{"type":"result","done":0,"retrying":0,"dead":1,"cancelled":0,"released":0,"#
                + #""missed_wakeups":0,"took_ms":N,"v":1}"# + "\n")
        #expect(
            golden(bench.spool("log", "--json", "1").text)
                == #"{"time":TIME,"stream":"stdout","attempt":1,"text":"out\n","v":1}"# + "\n")
        #expect(
            golden(bench.spool("log", "--json", "--path", "1").text)
                == #"{"path":"DIR/jobs.db-spool/logs/1.1.log","v":1}"# + "\n")
        #expect(
            golden(bench.spool("list", "--json", "id:1").text) == """
                {"id":1,"state":"dead","queue":"a","kind":null,"name":null,"command":["sh","-c",\
                "echo out; exit 3"],"priority":1024,"attempt":1,"failures":1,"max_attempts":1,"put_at":TIME,\
                "due_at":null,"started_at":TIME,"finished_at":TIME,"took_ms":N,"exit":3,"signal":null,\
                "error":"exit 3","worker":W,"v":1}

                """)
        #expect(
            bench.spool("queues", "--json").text == """
                {"queue":"a","ready":0,"scheduled":0,"retrying":0,"running":0,"done":0,"dead":1,"cancelled":0,\
                "paused_at":null,"next_due_at":null,"v":1}
                {"queue":"default","ready":1,"scheduled":0,"retrying":0,"running":0,"done":0,"dead":0,\
                "cancelled":0,"paused_at":null,"next_due_at":null,"v":1}

                """)
    }

    @Test(
        "I7: a command that has no JSON says so",
        arguments: [["completions", "bash"], ["log", "1", "--tail", "2"]])
    func noJSON(_ words: [String]) {
        bench.spool("put", "--", "true")
        let result = bench.spool(words + ["--json"])
        #expect(result.status == 64)
        #expect(result.errors.hasPrefix(#"{"error":{"code":"usage""#) && result.text.isEmpty)
    }

    @Test(
        "I1: an option that a typed job cannot have is refused, not dropped",
        arguments: [["--cwd", "/"], ["--env", "A=1"], ["--clean-env"], ["--limit", "files=9"]])
    func placeOfTypedJob(_ option: [String]) {
        for words in [["-k", "mail"], ["--body", "x"]] {
            let result = bench.spool(["put"] + option + words)
            #expect(result.status == 64)
            #expect(
                result.errors
                    == "error: \(option[0]) belongs to a command; a typed job runs where its worker stands.\n"
            )
        }
    }

    @Test("R13: logs of detached workers that have ended do not pile up")
    func detachedLogs() {
        _ = bench.shell(
            "spool init; for i in $(seq 30); do touch jobs.db-spool/worker-999999$i.log; done")
        // Of a worker in another container, whose process id nobody has here.
        let start =
            "touch -d 2001-01-01 jobs.db-spool/worker-9999999.log; exec 9< jobs.db-spool/worker-9999999.log; flock -s 9"
        _ = bench.shell("\(start); spool work --detach --idle-exit 1ms")
        #expect(bench.shell("ls jobs.db-spool | grep -c '^worker-'").text == "12\n")
        #expect(bench.shell("ls jobs.db-spool/worker-9999999.log").status == 0)
    }

    @Test("R13: a worker that is started again and again, and finds no job, leaves no row")
    func ownersWithoutJobs() {
        for _ in 0..<3 { bench.spool("work", "--until-empty") }
        let owners = "sqlite3 jobs.db 'SELECT id FROM owner'"
        #expect(bench.shell(owners).text == "")
        bench.spool("put", "--", "true")
        for _ in 0..<2 { bench.spool("work", "--until-empty") }
        #expect(bench.shell(owners).text == "4\n")
    }
}
