// WordsTests.swift - the words of a command line: how they may be spelled, and what is no text.

import Testing

@Suite("The words of a command line") struct WordsTests {
    @Test("-vv may stand before a command, and any global option before help")
    func leading() throws {
        let bench = try Bench()
        bench.spool("put", "--", "true")
        #expect(bench.spool("-vv", "list", "--ids").text == "1\n")
        let help = bench.spool("--file", "x.db", "--json", "help", "put")
        #expect(help.status == 0 && help.text.hasPrefix("OVERVIEW: Put a job"), "\(help.errors)")
    }

    let bench: Bench

    init() throws { bench = try Bench() }

    @Test(
        "may have a short option's value joined to it, whatever the command",
        arguments: [
            "put -qmail -- true", "list -qmail -n5", "join -qmail --snapshot",
            "retry --dead -qmail",
        ])
    func joined(_ words: String) {
        bench.spool("put", "-q", "mail", "--", "true")
        bench.spool("work", "--until-empty")
        let result = bench.spool(words.split(separator: " ").map(String.init))
        #expect(result.status == 0, "\(result.errors)")
    }

    @Test("are shown as they were typed, also when there are many")
    func many() {
        _ = bench.shell("spool put -- true $(seq 70)")
        let result = bench.shell("spool log $(seq 70)")
        #expect(result.errors.hasPrefix("error: 69 unexpected arguments: '2', '3', '4', '5', "))
        #expect(result.errors.count < 400)
        #expect(bench.shell("spool list --ids $(seq 70)").text == "1\n")
    }

    @Test("of which some are options and none is a command are refused with what is missing")
    func missing() {
        let result = bench.spool("--json")
        #expect(result.status == 64)
        #expect(result.errors.contains(#""message":"a command is missing.""#))
    }

    @Test(
        "that ask for help get it, wherever they do",
        arguments: ["help --help", "help -h", "--json --help"])
    func help(_ words: String) {
        let result = bench.spool(words.split(separator: " ").map(String.init))
        #expect((result.status, result.errors) == (0, ""))
        #expect(result.text.hasPrefix("OVERVIEW: A job queue in a file"))
    }

    @Test(
        "that ask for help where it cannot be written end with an error",
        arguments: ["--help", "put --help"])
    func unwritten(_ words: String) {
        let result = bench.shell("spool \(words) > /dev/full")
        #expect(result.status == 74)
        #expect(result.errors.hasPrefix("error: I/O error on stdout"))
    }

    @Test(
        "are refused as a file's name when they are no UTF-8, and make no other file",
        arguments: [
            ("SPOOL_FILE=$'\\xff.db' spool put -- true", "SPOOL_FILE must be UTF-8 text."),
            ("SPOOL_FILE= HOME=$'\\xff' spool put -- true", "HOME must be UTF-8 text."),
            (
                "SPOOL_FILE= XDG_DATA_HOME=$'/tmp/\\xff' spool list",
                "XDG_DATA_HOME must be UTF-8 text."
            ),
            ("spool --file $'\\xff.db' put -- true", "--file must be UTF-8 text."),
            ("spool work --file $'\\xff.db' --until-empty", "'\u{FFFD}.db' must be UTF-8 text."),
            ("spool init $'\\xff.db'", "'\u{FFFD}.db' must be UTF-8 text."),
            (
                "spool put -k x --body $'@\\xff'",
                "the file's name after --body @ must be UTF-8 text."
            ),
        ])
    func noText(_ command: String, _ sentence: String) {
        let result = bench.shell("touch $'\\xef\\xbf\\xbd'; " + command)
        #expect((result.status, result.errors) == (64, "error: \(sentence)\n"))
        #expect(bench.shell("ls").text == "\u{FFFD}\n")
    }

    @Test("that lead to a file below a directory whose name is no UTF-8 are refused")
    func directory() {
        let result = bench.shell("mkdir $'\\xff' && cd $'\\xff' && spool --file a.db put -- true")
        #expect(result.status == 65)
        #expect(result.errors == "error: a.db leads to a path that is not UTF-8 text.\n")
        #expect(bench.shell("ls -R | grep -c .db").text == "0\n")
    }
}

@Suite("Completions") struct CompletionsTests {
    @Test(
        "bash offers commands, options, and the words and files that an option takes",
        arguments: [
            ("spool pau", "pause"), ("spool put --prio", "--priority"),
            ("spool put --priority ", "urgent high normal low idle"),
            ("spool list --color n", "never"), ("spool completions z", "zsh"),
            ("spool put --ndjson jo", "jobs.ndjson"), ("spool put --cwd su", "sub"),
            ("spool cancel --signal US", "USR1 USR2"),
        ])
    func bash(_ line: String, _ offered: String) throws {
        let bench = try Bench()
        bench.write("", to: "jobs.ndjson")
        bench.write(
            """
            mkdir sub; source <(spool completions bash)
            COMP_LINE='\(line)'; COMP_POINT=${#COMP_LINE}
            read -ra COMP_WORDS <<< "$COMP_LINE"; case $COMP_LINE in *' ') COMP_WORDS+=('');; esac
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            _spool spool "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
            echo "${COMPREPLY[@]}"
            """, to: "complete")
        #expect(bench.shell(". ./complete").text == offered + "\n")
    }
}

@Suite("put --ndjson") struct NDJSONWordsTests {
    let bench: Bench

    init() throws { bench = try Bench() }

    @Test(
        "tells a fault by its one line, and by the names of NDJSON",
        arguments: [
            (#"{"command":["a"] x}"#, "stdin:2 column 18: expected ',' or '}'."),
            (
                #"{"command":["a"],"cwd":"/no/such"}"#,
                #"stdin:2: "cwd" '/no/such': No such file or directory."#
            ),
        ])
    func place(_ line: String, _ sentence: String) {
        let result = bench.spool("put", "--ndjson", "-", input: "\n" + line)
        #expect((result.status, result.errors) == (65, "error: \(sentence) Nothing was put.\n"))
    }

    @Test("--continue tells a file without a good line from an empty one")
    func noGoodLine() {
        let bad = bench.spool("put", "--ndjson", "-", "--continue", input: "bad\n")
        #expect(bad.errors.hasSuffix("The line was skipped.\nNo line is good: nothing was put.\n"))
        let empty = bench.spool("put", "--ndjson", "-", "--continue", input: "\n")
        #expect(empty.errors == "The input is empty: nothing was put.\n")
        let each = bench.spool("put", "--each", "--", "true", input: "\n")
        #expect(each.errors == "The input is empty: nothing was put.\n")
    }

    @Test("join --json gives every line its version")
    func version() {
        bench.spool("put", "--", "true")
        let lines = bench.spool("join", "--json", "--timeout", "1ms").text.split(separator: "\n")
        #expect(lines.count == 2)
        for line in lines { #expect(line.hasSuffix(#","v":1}"#)) }
    }
}
