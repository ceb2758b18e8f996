// ReadingTests.swift - durations, times, JSON and the escaping of what jobs wrote.

import SpoolThreads
import Testing

@testable import SpoolCommand

@Suite("What people type") struct ReadingTests {
    @Test(
        "is read as a duration",
        arguments: [
            ("90s", 90_000), ("10m", 600_000), ("1h30m", 5_400_000), ("2d", 172_800_000),
            ("1.5h", 5_400_000), ("250ms", 250), ("0s", 0), ("36525d", 3_155_760_000_000),
        ])
    func duration(_ text: String, _ milliseconds: Int) throws {
        #expect(try Durations.parse(text, option: "-d") == .milliseconds(milliseconds))
    }

    @Test("I6: is read as a duration to the microsecond, whatever its fraction is in binary")
    func exactDuration() throws {
        #expect(try Durations.parse("1.001s", option: "-d") == .milliseconds(1001))
        #expect(try Durations.parse("0.001ms", option: "-d") == .microseconds(1))
        #expect(
            try Durations.parse("1.999999999999w", option: "-d").microseconds == 1_209_599_999_999)
    }

    @Test("is an environment of bytes: names that are no UTF-8 do not replace each other")
    func variables() throws {
        var variables: [[UInt8]] = []
        for variable: [UInt8] in [[0xFF, 0x3D, 1], [0xFE, 0x3D, 2], [0xFF, 0x3D, 3]] {
            try Places.set(variable, in: &variables)
        }
        #expect(variables == [[0xFE, 0x3D, 2], [0xFF, 0x3D, 3]])
    }

    @Test(
        "is an environment in the time of its variables, however many are set, the last of a name")
    func manyVariables() throws {
        let number = 20_000
        let added = (0..<2 * number).map { Array("K\($0 % number)=\($0)".utf8) }
        var variables = [Array("K7=old".utf8), Array("HOME=/".utf8), Array("none".utf8)]
        let start = Deadline.now()
        try Places.set(all: added, in: &variables)
        // Each looked for among all before it took minutes.
        #expect(Deadline.now() - start < .seconds(10))
        let kept = ["HOME=/", "none"] + (0..<number).map { "K\($0)=\($0 + number)" }
        #expect(variables == kept.map { Array($0.utf8) })
        #expect(throws: SpoolError.self) {
            try Places.set(all: added + [Array("=1".utf8)], in: &variables)
        }
        #expect(variables.count == kept.count)
    }

    @Test("is no directory with a NUL in it, of which the kernel would see the beginning only")
    func directory() {
        #expect(throws: SpoolError.self) { try Places.directory(Array("/\0tmp".utf8)) }
    }

    @Test("I6: a time that never comes is still some years off")
    func until() {
        #expect(Phrases.long(Phrases.until(.microseconds(Int64.max))) == "106751991d4h")
        #expect(Phrases.until(.milliseconds(1)) == .seconds(1))
        #expect(Phrases.until(.seconds(-1)) == .seconds(-1))
    }

    @Test(
        "is not taken for a duration",
        arguments: ["", "1", "s", "1x", "-1s", "1s1h", "1.s.", "1h 3m", "٣s", ".5s", "1e3s", "1hm"])
    func noDuration(_ text: String) {
        #expect(throws: SpoolError.self) { try Durations.parse(text, option: "-d") }
    }

    @Test("is read as a moment, with its offset and fraction")
    func moment() throws {
        let now = UnixTime(microseconds: 1_790_000_000_000_000)
        for text in ["2026-11-25T09:00:00Z", "2026-11-25T10:30:00+01:30", "2026-11-25t09:00z"] {
            let time = try Times.parse(text, option: "--at", now: now)
            #expect(time.rfc3339 == "2026-11-25T09:00:00.000Z")
        }
        let exact = try Times.parse("2026-11-25T09:00:00.1234567Z", option: "--at", now: now)
        #expect(exact.microseconds % 1_000_000 == 123_456)
        #expect(throws: SpoolError.self) {
            try Times.parse("2020-01-01T00:00:00Z", option: "--at", now: now)
        }
    }

    @Test("a time of day that is over means tomorrow's")
    func tomorrow() throws {
        let now = UnixTime.now()
        for text in ["00:00", "12:00", "23:59:59"] {
            let time = try Times.parse(text, option: "--at", now: now)
            #expect(time > now)
            #expect(time - now <= .seconds(25 * 3600))
        }
    }
}

@Suite("JSON") struct JSONTests {
    @Test(
        "is accepted",
        arguments: [
            "{}", "[]", "0", "-1.5e+3", "true", "null", #""\u00e9\ud83d\ude00\n""#,
            #" {"a":[1,{"b":null}], "c":"é"} "#,
        ])
    func accepted(_ text: String) throws {
        try JSONReader.check(Array(text.utf8))
    }

    @Test(
        "is refused with line, column and what was expected",
        arguments: [
            ("", "line 1 column 1: expected a value."),
            (#"{"a":1"#, "line 1 column 7: expected ',' or '}'."),
            (#"{"é":1 x}"#, "line 1 column 8: expected ',' or '}'."),
            ("[1,\n 2,\n]", "line 3 column 1: expected a value."),
            ("01", "line 1 column 2: expected the end."),
            ("1.", "line 1 column 3: expected a digit."),
            (#""\x""#, #"line 1 column 2: expected an escape such as \n or \"."#),
            (#""\ud800""#, "line 1 column 8: expected a whole pair."),
            (#""abc"#, "line 1 column 5: expected the closing '\"'."),
            ("nul", "line 1 column 1: expected a value."),
        ])
    func refused(_ text: String, _ sentence: String) {
        #expect(throws: SpoolError.badInput(sentence)) { try JSONReader.check(Array(text.utf8)) }
    }

    @Test("I4: neither depth nor broken UTF-8 gets through")
    func hostile() {
        let deep = [UInt8](repeating: UInt8(ascii: "["), count: 100_000)
        #expect(throws: SpoolError.self) { try JSONReader.check(deep) }
        for bytes: [UInt8] in [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xE2, 0x82]] {
            #expect(throws: SpoolError.self) { try JSONReader.check([0x22] + bytes + [0x22]) }
        }
    }

    @Test("is written so that it is read back")
    func written() throws {
        let text = "a\"\\\n\t\u{1}\u{7F}é😀"
        var reader = JSONReader(JSONWriter.string(text))
        #expect(try reader.readString() == text)
    }
}

@Suite("S4: what a job named or wrote") struct EscapingTests {
    @Test("cannot reach the terminal as control")
    func control() {
        let evil = "\u{1B}]52;c;eA==\u{7}\u{202E}\u{200B}\u{9B}2J\r\n\u{7F}é"
        #expect(
            Escaping.line(evil)
                == #"\e]52;c;eA==\x07\u{202e}\u{200b}\u{009b}2J\r\n\x7fé"#)
        #expect(Escaping.output(Array("a\tb\r\n\u{1B}[1m".utf8)) == "a\tb\n\\e[1m")
    }

    @Test("shows no scalar of the categories Cc, Cf and Zl, whatever it is")
    func every() {
        for value in UInt32(0)...0x10FFFF {
            guard let scalar = Unicode.Scalar(value) else { continue }
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator:
                #expect(!Escaping.line(String(scalar)).unicodeScalars.contains(scalar))
            default: break
            }
        }
    }
}
