// InjectionTests.swift - hostile text through every input, and what it must not do: be SQL, shell, a path, a terminal's
// control sequence, or show up where nobody asked for it.

import Testing

@Suite("Hostile input") struct InjectionTests {
    let bench: Bench

    init() throws { bench = try Bench() }

    static let sql = [
        "'; DROP TABLE job; --", "\" OR \"1\"=\"1", "1; DELETE FROM ready",
        "' UNION SELECT 1,2,3 --",
        "x'); ATTACH DATABASE '/tmp/x' AS x; --", "%' OR 1=1 --", "'||load_extension('x')||'",
        "\\'; VACUUM; --", "''''", "/**/",
    ]

    @Test("S1, S2: SQL in any value is a value", arguments: sql)
    func sqlCorpus(_ text: String) {
        bench.spool("put", "-n", "first", "--", "true")
        let schema = bench.rows("SELECT group_concat(sql) FROM sqlite_schema")
        bench.spool("put", "-n", text, "--env", "A=\(text)", "--", "echo", text)
        bench.spool("put", "-k", "mail", "{\"a\":\(Self.json(text))}")
        bench.spool("put", "-k", "mail", "--body", text)
        // Names have an alphabet, and filters a language: what they refuse they refuse with a sentence.
        for words in [
            ["put", "-q", text, "--", "true"], ["put", "-k", text], ["list", text],
            ["list", "state:\(text)"], ["list", "queue:\(text)"], ["list", "--sort", text],
            ["show", text], ["log", text], ["join", text], ["join", "-q", text], ["retry", text],
            ["cancel", text], ["rm", text], ["pause", text], ["resume", text],
            ["work", "-q", text, "--until-empty"],
        ] {
            let result = bench.spool(words)
            let isSaid = result.status >= 64 && result.errors.hasPrefix("error: ")
            let isEmpty = words[0] == "list" && result.status == 0
            #expect(isSaid || isEmpty, "\(words): \(result.status) \(result.errors)")
        }
        #expect(bench.rows("SELECT group_concat(sql) FROM sqlite_schema") == schema)
        #expect(bench.rows("SELECT count(*) FROM jobs") == "4")
        #expect(bench.spool("check").status == 0)
        bench.spool("work", "-j", "1", "--until-empty")
        #expect(bench.spool("log", "2").text == text + "\n")
    }

    private static func json(_ text: String) -> String {
        "\""
            + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            + "\""
    }

    static let shell = [
        "$(touch x)", "`touch x`", "; touch x", "| touch x", "&& touch x", "\ntouch x\n", "-rf",
        "--",
        "{touch,x}", "$HOME", "*", "~", "'; touch x; '", "\"; touch x; \"", "\\", "\u{1}", "> x",
        "<(touch x)", "!!", "a b", "", " ", "\t", "#", "é", "%s%n",
    ]

    @Test("S2: a command's words reach it as they are, and no shell sees them", arguments: shell)
    func shellCorpus(_ word: String) {
        bench.spool("put", "--", "printf", "%s\\n", word, word)
        bench.spool("put", "--each", "--", "printf", "%s\\n", "{}", input: word + "\n")
        bench.spool("put", "--each", "-c", "printf '%s\\n' {}", input: word + "\n")
        bench.spool("work", "-j", "1", "--until-empty")
        #expect(bench.spool("log", "1").text == "\(word)\n\(word)\n")
        // Each line of the input is a job, and an empty one is none.
        let lines = word.split(separator: "\n").map { $0 + "\n" }
        let rest = (2..<(2 + 2 * lines.count)).map { bench.spool("log", "\($0)").text }
        #expect(rest == (lines + lines).map(String.init))
        #expect(bench.shell("test -e x").status == 1)
    }

    @Test(
        "S2: the body of a typed job is its program's standard input, and its kind the one argument"
    )
    func typed() {
        bench.write("#!/bin/sh\necho \"$# $1\"; cat\n", to: "handle")
        _ = bench.shell("chmod 700 handle")
        bench.spool("put", "-k", "a/b:c", "--body", "$(touch x); `touch x`\n-rf")
        bench.spool("work", "-j", "1", "--until-empty", "--exec", "./handle")
        #expect(bench.spool("log", "1").text == "1 a/b:c\n$(touch x); `touch x`\n-rf")
        #expect(bench.shell("test -e x").status == 1)
    }

    @Test(
        "S3: no name becomes a path",
        arguments: ["../evil", "/etc/evil", "..", ".", "a/../../b", "c/d"])
    func paths(_ name: String) {
        _ = bench.shell("mkdir top && mkdir top/in")
        let file = bench.directory + "/top/in/jobs.db"
        bench.spool("put", "--file", file, "-q", name, "-n", name, "-k", name)
        bench.spool("put", "--file", file, "-q", name, "-n", name, "--", "echo", name)
        bench.spool("work", "--file", file, "-j", "1", "--until-empty", "--name", name)
        #expect(bench.spool("pause", "--file", file, name).status == 0)
        #expect(
            bench.shell("find top -type f -o -type l -o -type d | sort").text == """
                top
                top/in
                top/in/jobs.db
                top/in/jobs.db-shm
                top/in/jobs.db-spool
                top/in/jobs.db-spool/arrived
                top/in/jobs.db-spool/gate
                top/in/jobs.db-spool/live
                top/in/jobs.db-spool/logs
                top/in/jobs.db-spool/logs/2.1.idx
                top/in/jobs.db-spool/logs/2.1.log
                top/in/jobs.db-spool/pair
                top/in/jobs.db-spool/settled
                top/in/jobs.db-spool/shared
                top/in/jobs.db-wal

                """)
    }

    @Test(
        "P5: a link that was planted beside the database is not followed",
        arguments: [
            "gate", "shared", "live", "arrived", "settled", "logs/1.1.log", "logs/1.1.idx", "hint",
        ])
    func plantedLinks(_ name: String) {
        _ = bench.shell(
            "echo mine > victim; umask 077; mkdir -p jobs.db-spool/logs; ln -s ../victim jobs.db-spool/\(name);"
                + " ln -sf '\(bench.directory)/victim' jobs.db-spool/\(name)")
        let put = bench.spool("put", "-v", "--", "echo", "theirs")
        let work = bench.spool("work", "-j", "1", "--until-empty")
        #expect(bench.shell("cat victim").text == "mine\n")
        for result in [put, work] {
            #expect(result.status == 0 || result.errors.hasPrefix("error: "), "\(result.errors)")
        }
    }

    @Test("P5: a directory beside the database that others could have made is refused")
    func plantedDirectory() {
        _ = bench.shell("mkdir -m 700 elsewhere; ln -s elsewhere jobs.db-spool")
        let put = { bench.spool("put", "--", "true") }
        #expect(put().errors == "error: \(bench.file)-spool is not a directory.\n")
        _ = bench.shell("rm jobs.db-spool; mkdir -m 770 jobs.db-spool")
        #expect(put().errors.contains("can be written to by others"))
        #expect(bench.shell("ls elsewhere jobs.db-spool").text == "elsewhere:\n\njobs.db-spool:\n")
        _ = bench.shell("chmod 700 jobs.db-spool")
        #expect(put().status == 0)
    }

    @Test("P5: a link where the database is to be is not followed to a file that is not there")
    func plantedDatabase() {
        _ = bench.shell("ln -s nowhere jobs.db")
        let put = bench.spool("put", "--", "true")
        #expect(put.status >= 64 && put.errors.hasPrefix("error: "))
        #expect(bench.shell("test -e nowhere").status == 1)
        _ = bench.shell("rm jobs.db; spool init; ln jobs.db second")
        #expect(bench.spool("put", "--", "true").errors.contains("has 2 hard links"))
    }

    static let escapes =
        "\u{1B}]52;c;eA==\u{7}\u{1B}[2J\u{9B}31m\u{202E}\u{200B}\u{2066}\u{8}\u{1B}P+q\u{1B}\\"

    @Test(
        "S4: no command shows a terminal the control characters of a job",
        arguments: [[], ["--json"]])
    func terminal(_ more: [String]) {
        let evil = Self.escapes
        bench.spool("put", "-n", evil, "--env", "E=\(evil)", "--", "printf", evil)
        bench.spool("put", "-n", evil, "--", evil)
        bench.spool("put", "-k", "k", "--body", evil)
        bench.spool("work", "-j", "1", "--until-empty", "--name", evil)
        bench.spool("put", "-n", evil, "--delay", "1h", "--", "printf", evil)
        var count = 0
        defer { #expect(count > 1000) }
        for words in [
            ["list", "-a"], ["list", evil], ["show", "1", "-v"], ["show", "2", "-v"],
            ["show", "3"],
            ["log", "1"], ["log", "2"], ["workers"], ["queues"], ["cancel", "4"], ["show", "4"],
            ["put", "-q", evil, "--", "true"], ["put", "--dry-run", "--", evil], [evil],
            ["put", "--\(evil)"], ["show", evil], ["list", "--file", evil], ["check"],
        ] {
            // script(1) gives it a terminal.
            let all = words.prefix(1) + more + ["--color", "never"] + words.dropFirst()
            let quoted = all.map { "'" + $0.replacing("'", with: "'\\''") + "'" }
                .joined(separator: " ")
            bench.write("exec '\(Program.spool)' \(quoted)\n", to: "line")
            let shown = bench.shell("script -qec 'sh line' /dev/null < /dev/null").text
            count += shown.utf8.count
            let bad = shown.unicodeScalars.filter {
                $0.properties.generalCategory == .control && $0 != "\n" && $0 != "\r" && $0 != "\t"
                    || ["\u{202E}", "\u{200B}", "\u{2066}"].contains($0)
            }
            #expect(bad.isEmpty, "\(all): \(shown.debugDescription)")
        }
    }

    @Test("S12: what a job carries shows up only where it was asked for")
    func canaries() throws {
        let canary = "canary-7c1f"
        bench.spool("put", "--env", "SECRET=\(canary)", "--", "false")
        bench.spool("put", "-k", "mail", "--body", canary)
        bench.spool("put", "-k", "mail", "{\"token\":\"\(canary)\"")
        let worker = bench.spool("work", "-v", "-j", "1", "--until-empty")
        var said = [worker.errors, worker.text]
        for words in [
            ["list", "-a"], ["list", "id:1", "--json"], ["show", "1"], ["show", "1", "--json"],
            ["workers"], ["queues"], ["check"], ["log", "1"], ["retry", "1"], ["cancel", "1"],
        ] {
            let result = bench.spool(words)
            said += [result.text, result.errors]
        }
        for text in said { #expect(!text.contains(canary), "\(text)") }
        // Nothing but the database and its log has it.
        #expect(bench.shell("grep -rlF \(canary) . | grep -v '^./jobs.db'").text == "")
        // Asked for.
        #expect(bench.spool("show", "1", "-v").text.contains(canary))
    }
}
