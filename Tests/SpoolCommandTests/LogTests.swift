// LogTests.swift - what a job wrote, as `log` and `show` give it to people and programs, whatever its shape.

import Testing

@testable import SpoolCommand

@Suite("The log of a job") struct LogTests {
    let bench: Bench

    init() throws { bench = try Bench() }

    private func run(_ text: String) {
        bench.spool("put", "-c", text)
        bench.spool("work", "-j", "1", "--until-empty")
    }

    private func makeLog(_ text: String) {
        run("echo")
        _ = bench.shell("\(text) > jobs.db-spool/logs/1.1.log")
    }

    @Test(
        "of one line is read from its end in a time that grows with its length only",
        arguments: ["log --tail 1 1", "show 1"])
    func oneLine(_ words: String) {
        makeLog("head -c 40000000 /dev/zero | tr '\\0' a")
        let result = bench.shell("ulimit -t 10; spool \(words) | wc -c")
        #expect(result.errors == "")
        #expect((Int(result.text.dropLast()) ?? 0) > 1000)
    }

    @Test("ends with as many lines as were asked for, with or without a last line end")
    func tail() {
        makeLog("{ seq 100000; printf last; }")
        #expect(bench.spool("log", "--tail", "2", "1").text == "100000\nlast")
        #expect(bench.spool("log", "--tail", "0", "1").text == "")
        #expect(bench.shell("spool log --tail 90000 1 | head -1").text == "10002\n")
        makeLog("seq 100000")
        #expect(bench.spool("log", "--tail", "2", "1").text == "99999\n100000\n")
    }

    @Test("of one line is cut by show, which says so")
    func preview() {
        makeLog("head -c 1000000 /dev/zero | tr '\\0' a")
        let shown = bench.spool("show", "1").text
        #expect(shown.utf8.count < 8000)
        #expect(shown.contains("(976.5 KiB, here the last 4 096 bytes)"))
        #expect(shown.contains("│ …aaa"))
        makeLog("seq 3")
        #expect(bench.spool("show", "1").text.hasSuffix("(6 bytes)\n    │ 1\n    │ 2\n    │ 3\n"))
    }

    @Test("has whole characters where its pieces meet, in JSON and on a terminal")
    func characters() {
        run(#"exec python3 -c 'print("a" + "é" * 60000)'"#)
        for words in ["spool log 1 --json", "script -qc '\(Program.spool) log 1' /dev/null"] {
            let result = bench.shell("\(words) < /dev/null")
            #expect(!result.text.contains("\u{FFFD}"), "\(words)")
            #expect(result.text.count { $0 == "é" } == 60000, "\(words)")
        }
    }

    @Test("shows a character that never came whole, at its end")
    func unfinished() {
        run(#"printf 'a\303'; printf 'b\303' >&2"#)
        let shown = bench.spool("log", "1", "--json").text
        #expect(shown.count { $0 == "\u{FFFD}" } == 2)
        #expect(shown.contains(#""text":"a","#) || shown.contains("\"text\":\"a\u{FFFD}\""))
    }

    @Test("and a body are cut between two characters by show")
    func cut() {
        let body = "a" + String(repeating: "é", count: 1000)
        bench.spool("put", "--body", body, "-k", "x")
        #expect(bench.spool("show", "1").text.contains("é…  (2 001 bytes in all)"))
        run(#"exec python3 -c 'print("a" + "é" * 3000)'"#)
        for id in ["1", "2"] { #expect(!bench.spool("show", id).text.contains("\u{FFFD}")) }
    }

    @Test("gives a piece on up to its last whole character")
    func pieces() {
        let text = "aé€😀\u{80}"
        let bytes = Array(text.utf8) + [0xFF, 0x80, 0x80, 0xC3, 0x41]
        for border in 0...bytes.count {
            var pieces = CharacterPieces()
            let first = pieces.add(Array(bytes[..<border]))
            let all = first + pieces.add(Array(bytes[border...])) + pieces.end()
            #expect(all == bytes)
            let isOfText = border <= text.utf8.count
            #expect(!isOfText || String(validating: first, as: UTF8.self) != nil, "\(border)")
        }
    }
}
