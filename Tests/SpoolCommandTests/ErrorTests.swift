// ErrorTests.swift - every wrong command line has its one sentence and its exit code, and changes nothing.

import SpoolJobs
import SpoolThreads
import Testing

struct Mistake: Sendable, CustomTestStringConvertible {
    let words: [String]
    let status: Int32
    let sentence: String
    var testDescription: String { words.joined(separator: " ") }

    init(_ words: [String], _ status: Int32, _ sentence: String) {
        self.words = words
        self.status = status
        self.sentence = sentence
    }
}

private let durationShape = "a duration looks like 90s, 10m, 1h30m, 2d."
private let timeShape = #"a time looks like 21:43, "2026-11-25 09:00" or 2026-11-25T09:00:00Z."#

private let putMistakes = [
    Mistake(["put"], 64, "no command given.  Try:  spool put -- echo hello"),
    Mistake(["put", "--"], 64, "no command given.  Try:  spool put -- echo hello"),
    Mistake(["put", "--", ""], 64, "the command is empty.  Try:  spool put -- echo hello"),
    Mistake(
        ["put", "--prioritty", "3", "--", "ls"], 64,
        "unknown option '--prioritty' before the command. Did you mean '--priority'?"
            + "  (write -- before a command that begins with '-')"),
    Mistake(["put", "-q"], 64, "--queue needs a value."),
    Mistake(["put", "--wait=3", "ls"], 64, "--wait takes no value."),
    Mistake(
        ["put", "--priority", "hihg", "ls"], 64,
        "--priority must be 0…4294967295 or urgent, high, normal, low, idle; got 'hihg'."
            + " Did you mean 'high'?"),
    Mistake(
        ["put", "--priority", "4294967296", "ls"], 64,
        "--priority must be 0…4294967295 or urgent, high, normal, low, idle; got '4294967296'."),
    Mistake(
        ["put", "--priority", "-1", "ls"], 64,
        "--priority must be 0…4294967295 or urgent, high, normal, low, idle; got '-1'."),
    Mistake(["put", "--delay", "10 mintes", "ls"], 64, "--delay '10 mintes': " + durationShape),
    Mistake(["put", "--delay", "10", "ls"], 64, "--delay '10': " + durationShape),
    Mistake(["put", "--delay", "-5m", "ls"], 64, "--delay '-5m': " + durationShape),
    Mistake(
        ["put", "--delay", "36526d", "ls"], 64,
        "--delay '36526d' is too long; the most is 36525d, a hundred years."),
    Mistake(["put", "--at", "25:00", "ls"], 64, "--at '25:00': " + timeShape),
    Mistake(["put", "--at", "2026-02-30", "ls"], 64, "--at '2026-02-30': " + timeShape),
    Mistake(
        ["put", "--delay", "1s", "--at", "09:00", "ls"], 64,
        "--delay and --at exclude each other."),
    Mistake(["put", "--retries", "-1", "ls"], 64, "--retries must be 0…1000000; got '-1'."),
    Mistake(
        ["put", "--retries", "1000001", "ls"], 64, "--retries must be 0…1000000; got '1000001'."),
    Mistake(
        ["put", "--backoff", "1h..1s", "ls"], 64,
        "--backoff '1h..1s': the first wait is longer than the last."),
    Mistake(["put", "--timeout", "0s", "ls"], 64, "--timeout must be more than nothing."),
    Mistake(["put", "--env", "X", "ls"], 64, "--env 'X': write NAME=value."),
    Mistake(
        ["put", "--cwd", "/no/such", "ls"], 64, "--cwd '/no/such': No such file or directory."),
    Mistake(
        ["put", "-q", "a b", "ls"], 64,
        "queue 'a b': a name has 1…128 letters, digits and -_.:/+@."),
    Mistake(["put", "-c", "ls", "ls"], 64, "-c takes no command beside it; got 'ls'."),
    Mistake(
        ["put", "-k", "mail.send", #"{"to":1 x"#], 65,
        "the arguments of mail.send are not JSON: line 1 column 9: expected ',' or '}'."),
    Mistake(
        ["put", "-k", "m", "{}", "--body", "x"], 64,
        "a typed job has JSON arguments or a --body, not both."),
    Mistake(
        ["put", "--body", "@no.such", "cat"], 66,
        "cannot read no.such: No such file or directory."),
    Mistake(
        ["put", "--ndjson", "no.such"], 66, "cannot read no.such: No such file or directory."),
    Mistake(["put", "--ndjson", "/"], 66, "cannot read /: Is a directory."),
    Mistake(["put", "--body", "@/", "cat"], 66, "cannot read /: Is a directory."),
    Mistake(["put", "-0", "ls"], 64, "-0 belongs to --each."),
    Mistake(
        ["put", "--each", "--body", "@-", "cat"], 64, "--each and --body @- both read stdin."),
    Mistake(["run"], 64, "no command given.  Try:  spool run -- echo hello"),
]

private let otherMistakes = [
    Mistake(["lst"], 64, "'lst' is not a spool command. Did you mean 'list'?"),
    Mistake(["show"], 64, "missing expected argument '<id>'.  Try:  spool help show"),
    Mistake(
        ["put", "--tail", "3", "--", "ls"], 64,
        "unknown option '--tail' before the command."
            + "  (write -- before a command that begins with '-')"),
    Mistake(["stat"], 64, "'stat' is not a spool command. Did you mean 'status'?"),
    Mistake(["li"], 64, "'li' is not a spool command. Did you mean 'list'?"),
    Mistake(["compl"], 64, "'compl' is not a spool command. Did you mean 'completions'?"),
    Mistake(
        ["put", "--prio", "3", "--", "ls"], 64,
        "unknown option '--prio' before the command. Did you mean '--priority'?"
            + "  (write -- before a command that begins with '-')"),
    Mistake(["xyzzy"], 64, "'xyzzy' is not a spool command. The commands:  spool --help"),
    Mistake(["--file", "x"], 64, "a command is missing. The commands:  spool --help"),
    Mistake(["-v", "--color=never"], 64, "a command is missing. The commands:  spool --help"),
    Mistake(["list", "-aqx"], 64, "unknown option '-aqx'.  Try:  spool help list"),
    Mistake(["join", "--wait"], 64, "unknown option '--wait'.  Try:  spool help join"),
    Mistake(["list", "--dead"], 64, "unknown option '--dead'.  Try:  spool help list"),
    Mistake(["log", "1", "2", "3"], 64, "2 unexpected arguments: '2', '3'."),
    Mistake(["list", "--jso"], 64, "unknown option '--jso'. Did you mean '--json'?"),
    Mistake(["show", "99"], 66, "no job 99. The newest is 1."),
    Mistake(
        ["show", "x"], 64,
        "'x' is not a job's id. Ids are numbers, as  spool list  shows them."),
    Mistake(
        ["show", "0"], 64, "'0' is not a job's id. Ids are numbers, as  spool list  shows them."),
    Mistake(
        ["list", "state:deda"], 64,
        "'deda' is not a state; the states are scheduled, retrying, ready, running, done, dead, "
            + "cancelled. Did you mean 'dead'?"),
    Mistake(["list", "quue:x"], 64, "unknown filter 'quue:'. Did you mean 'queue:'?"),
    Mistake(["list", "-q", "defualt"], 66, "no queue 'defualt'. Did you mean 'default'?"),
    Mistake(
        ["list", "queue:a", "queue:b"], 64, "queue: was given twice; list shows one at a time."),
    Mistake(
        ["list", "-q", "a", "queue:b"], 64, "queue: was given twice; list shows one at a time."),
    Mistake(["list", "id:1", "id:2"], 64, "id: was given twice; list shows one at a time."),
    Mistake(["list", "id:9..2"], 64, "id:9..2: the first id is above the last."),
    Mistake(["join", "-q", "default", "1"], 64, "join takes ids, or -q QUEUE, or --all."),
    Mistake(["join", "--exit-code"], 64, "--exit-code goes with one id."),
    Mistake(["join", "--timeout", "1ms"], 124, "1 job not finished after 1ms (--timeout)."),
    Mistake(["join", "7"], 66, "no job 7. The newest is 1."),
    Mistake(["retry"], 64, "retry takes ids, or --dead.  Try:  spool retry --dead"),
    Mistake(["cancel", "1", "2"], 66, "no job 2. The newest is 1."),
    Mistake(["rm", "2"], 66, "no job 2. The newest is 1."),
    Mistake(
        ["cancel", "1", "--signal", "TREM"], 64,
        "--signal must be 1…64 or TERM, INT, HUP, QUIT, KILL, USR1, USR2, ABRT, ALRM; got 'TREM'."
            + " Did you mean 'TERM'?"),
    Mistake(["pause", "defualt"], 66, "no queue 'defualt'. Did you mean 'default'?"),
    Mistake(
        ["completions", "fsh"], 64,
        "completions are for bash, zsh and fish; got 'fsh'. Did you mean 'fish'?"),
    Mistake(
        ["--file", "/no/such.db", "list"], 66,
        "no spool file at /no/such.db. Create it with:  spool init /no/such.db"
    ),
    Mistake(
        ["--color", "blue", "list"], 64, "--color must be auto, always or never; got 'blue'."),
]

@Suite("I1: a wrong command line") struct ErrorTests {
    @Test(
        "is told in one sentence, with its exit code, and changes nothing",
        arguments: putMistakes + otherMistakes)
    func sentence(_ mistake: Mistake) throws {
        let bench = try Bench()
        #expect(bench.spool("put", "--", "true").status == 0)
        let before = bench.spool("list", "-a", "--json").text
        let result = bench.spool(mistake.words)
        #expect(result.errors == "error: \(mistake.sentence)\n")
        #expect(result.status == mistake.status)
        #expect(result.output.isEmpty)
        #expect(bench.spool("list", "-a", "--json").text == before)
    }

    @Test("is an object with --json")
    func json() throws {
        let bench = try Bench()
        let result = bench.spool("put", "--json", "--delay", "x", "ls")
        #expect(
            result.errors == """
                {"error":{"code":"usage","message":"--delay 'x': \(durationShape)","hint":null}}

                """)
    }

    @Test(
        "names a file that cannot be read by a code of its own",
        arguments: [["--ndjson", "no.such"], ["--body", "@no.such", "cat"], ["--ndjson", "/"]])
    func input(_ words: [String]) throws {
        let bench = try Bench()
        let result = bench.spool(["put", "--json"] + words)
        #expect(result.status == 66)
        #expect(result.errors.hasPrefix(#"{"error":{"code":"no_input","message":"cannot read "#))
    }

    @Test("a join that ran out of time has its result, too")
    func joinTimeout() throws {
        let bench = try Bench()
        bench.spool("put", "--", "true")
        let result = bench.spool("join", "--json", "--timeout", "1ms")
        #expect(result.status == 124)
        #expect(result.text.contains(#""type":"result","total":1,"done":0,"failed":0"#))
        #expect(result.text.hasSuffix("\"finished\":false,\"v\":1}\n"))
    }

    @Test("in a long NDJSON file is told by its line; the others keep their order")
    func longFile() throws {
        let bench = try Bench()
        let padding = String(repeating: "x", count: 100)
        let lines = (1...20_000).map { number in
            number % 7_000 == 0
                ? #"{"kind":"count","prority":1}"#
                : #"{"kind":"count","name":"\#(number)","body":"\#(padding)"}"#
        }
        bench.write(lines.joined(separator: "\n"), to: "jobs.ndjson")
        let result = bench.spool("put", "--ndjson", "jobs.ndjson")
        #expect(result.status == 65)
        #expect(result.errors.hasPrefix("error: jobs.ndjson:7000: unknown key"))
        let rest = bench.spool("put", "--ndjson", "jobs.ndjson", "--continue")
        #expect(rest.status == 0)
        #expect(
            rest.errors.split(separator: "\n").prefix(2).map { $0.prefix(26) }
                == ["warning: jobs.ndjson:7000:", "warning: jobs.ndjson:14000"])
        #expect(bench.rows("SELECT count(*), min(id), max(id) FROM job") == "19998|1|19998")
        #expect(
            bench.rows(
                "SELECT count(*) FROM job a JOIN job b ON b.id = a.id + 1 WHERE b.name + 0 <= a.name + 0"
            )
                == "0")
    }

    @Test("in line 17 of an NDJSON file puts nothing")
    func ndjson() throws {
        let bench = try Bench()
        let good = #"{"kind":"mail.send","args":{"to":"a@b"}}"# + "\n"
        let bad = #"{"kind":"mail.send","prority":3}"# + "\n"
        bench.write(String(repeating: good, count: 16) + bad + good, to: "jobs.ndjson")
        let result = bench.spool("put", "--ndjson", "jobs.ndjson")
        #expect(
            result.errors
                == #"error: jobs.ndjson:17: unknown key "prority" (did you mean "priority"?). "#
                + "Nothing was put.\n")
        #expect(result.status == 65)
        #expect(bench.spool("list").status == 66)
        let rest = bench.spool("put", "--ndjson", "jobs.ndjson", "--continue")
        #expect(rest.status == 0)
        #expect(rest.errors.hasSuffix("17 jobs on default (1–17)\n"))
    }

    @Test("a file that is no store is refused and named")
    func foreignFile() throws {
        let bench = try Bench()
        bench.write("%PDF-1.4 and much more text than a header has, so that it is read", to: "x.db")
        let result = bench.spool("put", "--file", "x.db", "--", "true")
        #expect(
            result.errors
                == "error: \(bench.directory)/x.db is not a SQLite database (first bytes '%PDF').\n"
        )
        #expect(result.status == 65)
    }
}
