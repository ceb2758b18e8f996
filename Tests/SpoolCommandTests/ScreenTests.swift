// ScreenTests.swift - what programs and people read: JSON, tables, pipes that close.

import SpoolThreads
import Testing

@testable import SpoolCommand

@Suite("I7: output") struct ScreenTests {
    @Test("is one JSON object a job, with the documented keys")
    func json() throws {
        let bench = try Bench()
        bench.spool("put", "-k", "mail.send", "-n", "hello", "{\"to\":\n \"a@b\"}")
        let lines = bench.spool("list", "--json").text.split(separator: "\n")
        #expect(lines.count == 1)
        var keys: [String] = []
        var reader = JSONReader(Array(lines[0].utf8))
        try reader.readObject { (key, reader) throws(SpoolError) in
            keys.append(key)
            _ = try reader.skipValue()
        }
        #expect(
            keys == [
                "id", "state", "queue", "kind", "name", "priority", "attempt", "failures",
                "max_attempts", "args", "put_at", "due_at", "started_at", "finished_at",
                "took_ms", "exit", "signal", "error", "worker", "v",
            ])
        #expect(lines[0].contains(#""args":{"to":"a@b"}"#))
    }

    @Test("stderr is shown as far as it is there, whatever length its index claims")
    func claimedLength() throws {
        let bench = try Bench()
        bench.spool("put", "--", "sh", "-c", "echo one; echo two >&2")
        bench.spool("work", "--until-empty")
        let index = bench.directory + "/jobs.db-spool/logs/1.1.idx"
        _ = bench.shell("printf '%08d\\377\\377\\377\\377\\002\\0\\0\\0' 0 > \(index)")
        let limited = bench.shell("ulimit -v 1000000; spool log --stderr 1")
        #expect((limited.status, limited.errors) == (0, ""))
        #expect(limited.text.contains("one") && limited.text.contains("two"))
    }

    @Test("a reader that leaves early or was never there does no harm")
    func pipes() throws {
        let bench = try Bench()
        let lines = (1...5000).map { "\($0)\n" }.joined()
        _ = bench.spool("put", "--each", "--", "echo", input: lines)
        let head = bench.shell("spool list -n 0 | head -1")
        #expect((head.status, head.errors) == (0, ""))
        let closed = bench.shell("spool list >&-; spool put -- true >&-; spool list >&- 2>&-")
        #expect((closed.status, closed.errors) == (0, ""))
        #expect(bench.spool("check").status == 0)
        let ignored = bench.shell("trap '' PIPE; spool list --json -n 0 | head -1 > /dev/null")
        #expect((ignored.status, ignored.errors) == (0, ""))
        let full = bench.shell("spool list > /dev/full")
        #expect(full.status == 74)
        #expect(full.errors.hasPrefix("error: I/O error on stdout"))
    }

    @Test(
        "D4: a put whose id cannot be written says that the job was put, and which it is",
        arguments: [
            ("put -- true", "job 1 was put, but its id"),
            ("put --json -- true", "job 1 was put, but its id"),
            ("run -d -- true", "job 1 was put, but its id"),
            (
                "put --each --ids -- echo < <(seq 5000)",
                "5 000 jobs were put (1–5000), but their ids"
            ),
        ])
    func untold(_ words: String, _ sentence: String) throws {
        for (output, reason) in [
            ("> /dev/full", "No space left on device"), (">&3", "Broken pipe"),
        ] {
            let bench = try Bench()
            let gone = "exec 3> >(:); wait $!; "
            let result = bench.shell(gone + "spool \(words) \(output)")
            #expect(result.status == 74, "\(result.errors)")
            let said = "\(sentence) could not be written to standard output: \(reason)."
            #expect(result.errors.contains(said), "\(result.errors)")
            #expect(Int(bench.rows("SELECT count(*) FROM jobs")) ?? 0 > 0)
        }
    }

    @Test("has colour only where it is wanted")
    func colour() throws {
        let bench = try Bench()
        bench.spool("put", "--", "true")
        #expect(!bench.spool("list").text.contains("\u{1B}"))
        #expect(bench.spool("list", "--color", "always").text.contains("\u{1B}["))
        #expect(bench.shell("CLICOLOR_FORCE=1 spool list").text.contains("\u{1B}["))
        #expect(!bench.shell("NO_COLOR=1 CLICOLOR_FORCE=1 spool list").text.contains("\u{1B}"))
    }

    @Test("hides what is done, and says how to put the first job")
    func empty() throws {
        let bench = try Bench()
        bench.spool("init", "--quiet")
        #expect(bench.spool("list").text == "No jobs. Put one with:  spool put -- echo hello\n")
        #expect(bench.spool("join").status == 0)
    }

    @Test("finds nothing of a word that is a state, and says how the state is spelled")
    func stateAsWord() throws {
        let bench = try Bench()
        bench.spool("put", "--", "true")
        let result = bench.spool("list", "dead")
        #expect(result.text == "No job matches. There are: 1 ready\n")
        #expect(
            result.errors
                == "'dead' is looked for in what jobs say; the state is  state:dead\n")
        #expect(bench.spool("list", "state:dead").errors == "")
    }

    @Test("S4: a job's name cannot colour the table")
    func escaped() throws {
        let bench = try Bench()
        bench.spool("put", "--", "echo", "\u{1B}[31mred")
        #expect(bench.spool("list").text.contains(#"echo '\e[31mred'"#))
        #expect(bench.spool("show", "1").text.contains(#"echo '\e[31mred'"#))
    }

    @Test("takes as many ids as a command line has room for, in their order and without a thought")
    func manyIDs() throws {
        let bench = try Bench()
        bench.spool("put", "--each", "--", "true", input: String(repeating: "x\n", count: 100))
        let many = bench.shell("ulimit -t 20; spool rm $(seq 101 20100)")
        #expect((many.status, many.errors) == (66, "error: no job 101. The newest is 100.\n"))
        let wrong = bench.shell("spool rm $(seq 100) 1e3 $(seq 100)")
        #expect(wrong.errors.hasPrefix("error: '1e3' is not a job's id."))
        let long = bench.shell("spool rm $(seq 100) 9223372036854775808 $(seq 100)")
        #expect(long.errors.hasPrefix("error: '9223372036854775808' is not a job's id."))
        let all = bench.shell("spool cancel --json --signal 9 $(seq 100 -1 1)")
        let lines = (1...100).reversed().map { #"{"id":\#($0),"action":"cancel","v":1}"# + "\n" }
        #expect(all.text == lines.joined())
    }

    @Test(
        "is a table that is never wider than the terminal, and shows a part of each column",
        arguments: [80, 60, 40, 20])
    func narrow(_ width: Int) throws {
        let bench = try Bench()
        let queue = String(repeating: "q", count: 53)
        bench.spool("put", "-q", queue, "--", "echo", "one two three four five six seven")
        bench.spool(
            "put", "-q", queue, "--at", "2090-01-01T00:00:00Z", "--", "echo", "日本語日本語日本語日本語")
        for words in ["list", "queues"] {
            let lines = bench.shell("COLUMNS=\(width) spool \(words)").text.split(separator: "\n")
            for line in lines where !line.hasPrefix(" 1 ready") {
                #expect(Display.width(String(line)) <= width, "\(line)")
            }
            #expect(lines[1].contains("qqq…") || width == 20)
        }
        let shown = bench.shell("COLUMNS=\(width) spool list").text
        #expect(width == 20 || shown.contains("· re") && shown.contains("echo"))
        #expect(bench.spool("list").text.contains(queue + "  –    "))
    }

    @Test("is an object with --json, whatever was done")
    func done() throws {
        let bench = try Bench()
        bench.spool("put", "--", "true")
        for action in ["pause", "resume"] {
            let result = bench.spool("--json", action, "default")
            #expect(result.text == #"{"queue":"default","action":"\#(action)","v":1}"# + "\n")
            #expect(result.errors.isEmpty)
        }
        let worker = bench.spool("work", "--detach", "--json", "--idle-exit", "1ms")
        #expect(worker.text.hasPrefix(#"{"pid":"#) && worker.text.hasSuffix(#","v":1}"# + "\n"))
    }

    @Test("is measured in columns: emoji take two, marks none")
    func columns() {
        for (text, width) in [
            ("✅⭐🟢🥹", 8), ("e\u{301}", 1), ("日本", 4), ("🇩🇪", 2), ("—✔▶", 3), ("\u{17000}", 2),
        ] {
            #expect(Display.width(text) == width, "\(text)")
        }
        #expect(Display.cut("✅✅✅", to: 5) == "✅✅…")
    }

    @Test("draws no bar on a terminal that cannot redraw a line")
    func dumb() throws {
        let bench = try Bench()
        bench.spool("put", "--", "true")
        for (terminal, draws) in [("dumb", false), ("xterm", true)] {
            let join = "script -qec \"'\(Program.spool)' join --timeout 1ms\" /dev/null < /dev/null"
            let text = bench.shell("export TERM=\(terminal); \(join)").text
            #expect(text.contains("1 job not finished after 1ms"))
            #expect(text.contains("\u{1B}[K") == draws, "\(text)")
        }
    }

    @Test("cancel, retry, rm, pause and resume say what they did")
    func moves() throws {
        let bench = try Bench()
        bench.spool("put", "--", "true")
        #expect(bench.spool("cancel", "1").errors == "job 1 cancelled\n")
        #expect(bench.spool("list", "state:cancelled", "--ids").text == "1\n")
        #expect(bench.spool("retry", "1").errors == "job 1 ready again\n")
        #expect(bench.spool("pause", "default").errors == "queue 'default' is paused\n")
        #expect(!bench.spool("queues", "--json").text.contains(#""paused_at":null"#))
        #expect(bench.spool("resume", "default").status == 0)
        #expect(bench.spool("rm", "1", "--json").text == #"{"id":1,"action":"rm","v":1}"# + "\n")
        #expect(bench.spool("list", "-a", "--ids").text.isEmpty)
    }
}
