// PutTests.swift - what `put` takes, and what it puts.

import SpoolJobs
import SpoolThreads
import Testing

@testable import SpoolCommand

@Suite("put") struct PutTests {
    @Test("prints the id, and nothing else")
    func id() throws {
        let bench = try Bench()
        let result = bench.spool("put", "--", "echo", "--help")
        #expect((result.text, result.errors, result.status) == ("1\n", "", 0))
        #expect(bench.spool("list", "--ids").text == "1\n")
    }

    @Test("I2: keeps words that are not UTF-8 byte for byte")
    func bytes() throws {
        let bench = try Bench()
        let word: [UInt8] = [0x66, 0xFF, 0xFE, 0x27, 0x0A, 0x20, 0x80]
        _ = bench.run([Array("put".utf8), Array("--".utf8), Array("echo".utf8), word])
        let store = try Store.open(bench.file, .existing)
        let owner = try store.register(name: "test", consumers: 1, queues: "", now: .now())
        let exchange = try store.exchange(
            owner: owner, settle: [], take: 1, from: Selection(), now: .now(), random: { 0 })
        #expect(exchange.claimed.map(\.work) == [.command([Array("echo".utf8), word])])
    }

    @Test("--each fills the line in as GNU parallel does")
    func each() throws {
        let bench = try Bench()
        let result = bench.spool(
            "put", "--each", "--dry-run", "--", "x", "{}", "{.}", "{/}", "{//}", "{/.}",
            input: "a/b.c.txt\n")
        #expect(
            result.text == "would put on default: x a/b.c.txt a/b.c b.c.txt a b.c\n")
        #expect(bench.spool("list").status == 66)
    }

    @Test("--each appends the line to a command without braces, and quotes it in -c")
    func eachAppended() throws {
        let bench = try Bench()
        let words = bench.spool("put", "--each", "--dry-run", "--", "echo", input: "a b\n\nc")
        #expect(words.text == "would put on default: echo 'a b'\nwould put on default: echo c\n")
        bench.spool("put", "--each", "-c", "cat {} > out", input: "$(touch x)\n")
        #expect(bench.spool("show", "1", "--json").text.contains(#"cat '$(touch x)' > out"#))
    }

    @Test("--each says how many, and --ids which")
    func many() throws {
        let bench = try Bench()
        let lines = (1...1200).map { "\($0)\n" }.joined()
        let first = bench.spool("put", "--each", "-q", "media", "--", "echo", input: lines)
        #expect((first.text, first.errors) == ("", "1 200 jobs on media (1–1200)\n"))
        let ids = bench.spool("put", "--each", "--ids", "--quiet", "--", "echo", input: "a\nb\n")
        #expect((ids.text, ids.errors) == ("1201\n1202\n", ""))
    }

    @Test("has the same options by hand as in its help")
    func sameOptions() throws {
        let bench = try Bench()
        let help = bench.shell("COLUMNS=200 spool put --help").text
        for option in PutOption.ofPut {
            if let long = option.long { #expect(help.contains(long), "\(long)") }
            if let short = option.short { #expect(help.contains("-\(short)"), "-\(short)") }
        }
        let words = help.split { " ,.:\n".contains($0) }.map(String.init)
        let shown = Set(words.filter { $0.hasPrefix("--") && $0.count > 2 })
        let known = Set(PutOption.ofPut.compactMap(\.long)).union(["--help"])
        #expect(shown.subtracting(known).isEmpty)
        let running = bench.shell("COLUMNS=200 spool help run").text
        for option in PutOption.ofRun { #expect(running.contains(option.shown), "\(option)") }
    }

    @Test("takes short options alone, joined to their value and in a cluster")
    func shortOptions() throws {
        for words in [
            ["-w", "-q", "m", "ls"], ["-qm", "-w", "ls"], ["-wqm", "ls"], ["-wq", "m", "ls"],
        ] {
            let arguments = try PutParser.parse(words.map { Array($0.utf8) })
            #expect(try arguments.text(.queue) == "m")
            #expect(arguments.has(.wait))
            #expect(arguments.words == [Array("ls".utf8)])
        }
    }

    @Test("says once a minute that nobody watches, and warns of a queue that may be a slip")
    func hints() throws {
        let bench = try Bench()
        let first = bench.spool("put", "-v", "-q", "mail", "--", "true")
        #expect(
            first.errors
                == "hint: no worker is watching 'mail'. Start one with:  spool work -q mail\n")
        let second = bench.spool("put", "-v", "-q", "mial", "--", "true")
        #expect(
            second.errors
                == "warning: 'mial' is a new queue; the nearest existing one is 'mail'.\n")
        #expect(bench.spool("put", "-q", "mali", "--", "true").errors.isEmpty)
    }

    @Test("takes a body from text, a file and stdin, and JSON only for kinds")
    func bodies() throws {
        let bench = try Bench()
        bench.write("from a file", to: "body")
        bench.spool("put", "--body", "text", "--", "cat")
        bench.spool("put", "--body", "@body", "--", "cat")
        bench.spool("put", "-q", "thumbs", "--body", "-", input: "from stdin")
        let shown = bench.spool("list", "--json").text
        for body in ["text", "from a file", "from stdin"] {
            #expect(shown.contains("\"body\":\"\(body)\""))
        }
        #expect(shown.contains(#""queue":"thumbs","kind":"thumbs""#))
    }

    @Test("refuses a word that execve(2) would refuse")
    func longWord() throws {
        let bench = try Bench()
        let long = String(repeating: "x", count: 131_072)
        bench.write(#"{"command":["echo","\#(long)"]}"#, to: "long.ndjson")
        let result = bench.spool("put", "--ndjson", "long.ndjson")
        #expect(result.status == 65)
        #expect(result.errors.contains("has 131072 bytes, the limit is 131071"))
    }
}

@Suite("put -w") struct PutWaitTests {
    @Test("prints the id before it waits, as without -w")
    func id() throws {
        let bench = try Bench()
        let result = bench.shell(
            "spool put -w -- sh -c 'exit 7' & spool work --max-jobs 1 --quiet; wait $!; echo $?")
        #expect(result.text == "1\n7\n")
    }
}

@Suite("A line of NDJSON") struct NDJSONTests {
    @Test("means by null that a key is not there, beside one that excludes it, too")
    func null() throws {
        let at = try job(#"{"kind":"k","delay":null,"at":"2090-01-01T00:00:00Z"}"#)
        #expect(at?.due?.rfc3339 == "2090-01-01T00:00:00.000Z")
        let now = try job(#"{"kind":"k","delay":null,"at":null,"command":null}"#)
        #expect(now?.due == nil && now?.work == .kind("k"))
    }

    private func job(_ text: String) throws -> NewJob? {
        let place = Place(directory: Array("/".utf8), environment: Array("A=1\0".utf8))
        let model = NewJob(.kind("x"), queue: "q", place: place)
        let bytes = Array(text.utf8)
        return try NDJSON(model: model, now: UnixTime(microseconds: 0))
            .job(bytes, 0..<bytes.count)
    }

    @Test("becomes the job that its keys say")
    func job() throws {
        let typed = try job(
            #"{"queue":"mail","kind":"m","args":{"a":[1]},"priority":"low","delay":"1s","retries":2}"#
        )
        #expect(typed?.queue == "mail")
        #expect(typed?.work == .kind("m"))
        #expect(typed?.body == .json(#"{"a":[1]}"#))
        #expect(typed?.priority == 65536)
        #expect(typed?.due == UnixTime(microseconds: 1_000_000))
        #expect(typed?.place == nil)
        let command = try job(#"{"command":["echo","\u00e9 \ud83d\ude00"],"env":{"B":"2"}}"#)
        #expect(command?.work == .command([Array("echo".utf8), Array("é 😀".utf8)]))
        #expect(command?.place?.environment == Array("A=1\0B=2\0".utf8))
        #expect(command?.queue == "q")
    }

    @Test("P3: limits its job as --limit does, instead of the limits of the command line")
    func limit() throws {
        let line = #"{"command":["x"],"env":{"B":"2"},"limit":"files=9,cpu=1m"}"#
        let expected = Array("A=1\0B=2\0SPOOL_LIMIT=files=9,cpu=60\0".utf8)
        #expect(try job(line)?.place?.environment == expected)
        let bench = try Bench()
        bench.write(#"{"command":["a"]}"# + "\n" + line, to: "jobs.ndjson")
        let put = bench.spool(
            "put", "--clean-env", "--limit", "memory=1M", "--ndjson", "jobs.ndjson")
        #expect(put.status == 0, "\(put.errors)")
        let kept = bench.rows(
            """
            SELECT instr(hex(variables), hex('LIMIT=memory=1048576')) > 0,
            instr(hex(variables), hex('LIMIT=files=9,cpu=60')) > 0 FROM job
            JOIN place ON place = place.id JOIN environment ON environment = environment.id
            ORDER BY job.id
            """)
        #expect(kept == "1|0\n0|1")
    }

    @Test("has the same body that list --json says, whatever its bytes are")
    func body() throws {
        for count in 0...5 {
            let bytes = (0..<count).map { UInt8(255 - 3 * $0) }
            #expect(Base64.decode(Base64.encode(bytes)) == bytes)
        }
        #expect((Base64.encode([0xFF]), Base64.encode(Array("abcd".utf8))) == ("/w==", "YWJjZA=="))
        for wrong in ["/w=", "/w", "/x==", "=w==", "/w =", "====", "/w==/w==", "/-=="] {
            #expect(Base64.decode(wrong) == nil, "\(wrong)")
        }
        let bench = try Bench()
        bench.spool("put", "-k", "m", "--priority", "low", #"{"to":"é"}"#)
        bench.spool("put", "-n", "label", "--body", "text", "--", "cat", "a b")
        #expect(bench.shell("printf 'a\\377\\0b' | spool put -k m --body -").status == 0)
        let chosen = "{queue, kind, name, command, priority, args, body, body_base64}"
        let put = bench.shell(
            """
            spool list --json | jq -c '\(chosen)' | spool put --file copy.db --ndjson -
            for file in jobs.db copy.db; do
                sqlite3 $file "SELECT state, queue, kind, name, command, priority, hex(body) FROM jobs
                ORDER BY coalesce(kind, ''), priority, id" > $file.jobs
            done
            cat copy.db.jobs; cmp jobs.db.jobs copy.db.jobs
            """)
        #expect(put.status == 0, "\(put.text)\(put.errors)")
        #expect(put.text.contains("61FF0062"))
    }

    @Test(
        "is refused with what is wrong",
        arguments: [
            (#"{"kind":"m","prority":1}"#, #"unknown key "prority" (did you mean "priority"?)."#),
            (#"{"kind":1}"#, #""kind" must be a string."#),
            (#"{"command":"ls"}"#, #""command" must be an array of strings."#),
            (#"{"command":[]}"#, "the command is empty."),
            (#"{}"#, #"neither "command" nor "kind" is there."#),
            (#"{"kind":"m","command":["x"]}"#, #""command" and "kind" exclude each other."#),
            (#"{"kind":"m","args":1,"body":"x"}"#, #""args" and "body" exclude each other."#),
            (
                #"{"kind":"m","body":"","body_base64":""}"#,
                #""body" and "body_base64" exclude each other."#
            ),
            (
                #"{"kind":"m","body_base64":"/w="}"#,
                #""body_base64" must be base 64, with its padding."#
            ),
            (#"{"kind":"m","kind":"n"}"#, #""kind" stands there twice."#),
            (#"{"kind":"m","cwd":"/"}"#, #""cwd", "env" and "limit" belong to a "command"."#),
            (
                #"{"kind":"m","limit":"files=9"}"#,
                #""cwd", "env" and "limit" belong to a "command"."#
            ),
            (#"{"command":["x"],"limit":{"files":9}}"#, #""limit" must be a string."#),
            (
                #"{"command":["x"],"limit":"file=9"}"#,
                #""limit" 'file': there are memory, files, processes, cpu, output. Did you mean 'files'?"#
            ),
            (
                #"{"command":["x"],"limit":"memory=lots"}"#,
                #""limit" memory 'lots': a size looks like 500M, 2G or a number of bytes."#
            ),
            (#"{"kind":"m",}"#, "line 1 column 13: expected a key in quotes."),
            (#"{"kind":"m"} x"#, "line 1 column 14: expected the end."),
            (#"["kind"]"#, "line 1 column 1: expected '{'."),
            (
                #"{"kind":"m","priority":1.5}"#,
                #""priority" must be 0…4294967295 or urgent, high, normal, low, idle; got '1.5'."#
            ),
        ])
    func refused(_ line: String, _ sentence: String) {
        #expect(throws: SpoolError.badInput(sentence)) {
            do { _ = try job(line) } catch SpoolError.usage(let text, _) {
                throw SpoolError.badInput(text)
            }
        }
    }
}
