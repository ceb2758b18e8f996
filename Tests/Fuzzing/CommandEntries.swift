// CommandEntries.swift - words: as they are stored, as templates of `put --each`, as options of `put`.

@testable private import SpoolCommand
private import SpoolJobs
internal import SpoolThreads

extension FuzzEntry {
    static let words = FuzzEntry(
        "words",
        texts: [
            "echo 'it'\\''s' done", "echo\0it's\0done", "a\0\0b", "''", "'", "\\", " a  b ",
            "'a\nb'",
            "x\0$HOME\0`id`\0;rm",
        ]
    ) { bytes, broken in
        let quote = broken == .carelessQuotes ? carelessly : { @Sendable in Words.quote($0) }
        let words = bytes.pieces
        let line = quote(words)
        try demand(
            line.count <= 4 * bytes.count + 3 * words.count, "\(line.count) of \(bytes.count) bytes"
        )
        try demand(Words.parse(line) == words, "\(words.map(\.text)) is stored as \(line.text)")
        let read = Words.parse(bytes)
        try demand(
            Words.parse(quote(read)) == read, "\(bytes.text) is not stored as the same words")
    }

    private static func carelessly(_ words: [[UInt8]]) -> [UInt8] {
        Array(words.map { "'\($0.text)'" }.joined(separator: " ").utf8)
    }

    static let template = FuzzEntry(
        "template",
        texts: [
            "\u{0}convert\0{}\0{.}.png\0a/b.tif", "\u{1}cat {} > {/.}.txt\0it's/a b.c",
            "\u{2}mail.send\0{\"to\":\"a\"}", "\u{0}echo\0x", "\u{0}{//}\0{/}\0/a",
            "\u{1}{}\0$(id)",
            "\u{0}{{}}\0.{.}.\0..a/.b",
        ]
    ) { bytes, _ in
        var words = Array(bytes.dropFirst()).pieces
        let line = words.popLast() ?? []
        var arguments = PutArguments()
        let form = (bytes.first ?? 0) % 3
        switch form {
        case 0: arguments.words = words.isEmpty ? [[]] : words
        case 1: arguments.values[.shell] = words.first ?? []
        default: arguments.values[.kind] = words.first ?? []
        }
        let model = NewJob(.kind("k"))
        let job = try answer(to: bytes) { () throws(SpoolError) in
            try PutTemplate(arguments).job(model, line: line, number: 1)
        }
        guard let job else { return }
        switch job.work {
        case .command(let made):
            try checkTemplate(
                made, form == 1 ? [words.first ?? []] : arguments.words, line, form == 1)
        case .kind:
            try demand(job.body == .json(line.text), "the line is not the arguments")
        }
    }

    /// Against a template filled in the plain way: holes are looked for one form after the other.
    private static func checkTemplate(
        _ made: [[UInt8]], _ words: [[UInt8]], _ line: [UInt8], _ isShell: Bool
    ) throws {
        let quoted = isShell ? Words.quote([line]) : line
        if isShell {
            try demand(Words.parse(quoted) == [line], "\(line.text) becomes shell code")
        }
        let holes: [[UInt8]] = ["{}", "{.}", "{/}", "{//}", "{/.}"].map { Array($0.utf8) }
        let hasHole = words.contains { word in holes.contains { word.contains($0) } }
        if !hasHole {
            let plain = isShell ? [words[0] + [0x20] + quoted] : words + [line]
            let expected = isShell ? ["sh", "-c"].map { Array($0.utf8) } + plain : plain
            return try demand(made == expected, "\(made.map(\.text)) of \(words.map(\.text))")
        }
        let shown = isShell ? [made.last ?? []] : made
        try demand(shown.count == words.count, "\(words.count) words became \(shown.count)")
        for (word, template) in zip(shown, words) where template == Array("{}".utf8) {
            try demand(word == quoted, "{} of \(line.text) is \(word.text)")
        }
        let room = words.reduce(0) { $0 + $1.count * (4 * line.count + 3) }
        try demand(shown.reduce(0) { $0 + $1.count } <= room, "longer than all of its holes")
    }

    static let put = FuzzEntry(
        "put",
        texts: [
            "--queue\0mail\0-w\0--\0echo\0hello", "-qmail\0-n\0x\0-k\0mail.send\0{\"a\":1}",
            "--delay=10m\0--retries=3\0--backoff\u{0}1s..2s\0ls", "--each\0-0\0convert\0{}",
            "--env\0A=1\0--env=B=2\0--clean-env\0--cwd\0/\0true", "-c\0echo $HOME",
            "-vvv\0--json\0x",
            "--ndjson=-\0--continue", "--body\0text\0-qtube", "--at\u{0}2027-11-25\0x", "--hepl",
        ]
    ) { bytes, _ in
        let words = bytes.pieces
        _ = PutParser.asksForHelp(words)
        let arguments = try answer(to: bytes) { () throws(SpoolError) in
            try PutParser.parse(words)
        }
        guard let arguments else { return }
        let written = written(arguments)
        let again = try mustParse("\(written.map(\.text))") { () throws(SpoolError) in
            try PutParser.parse(written)
        }
        try demand(
            again.flags == arguments.flags && again.values == arguments.values
                && again.variables == arguments.variables && again.words == arguments.words
                && again.settings.verbosity == arguments.settings.verbosity,
            "\(arguments) is written \(written.map(\.text))")
        try plan(arguments, bytes)
    }

    private static func written(_ arguments: PutArguments) -> [[UInt8]] {
        var words: [[UInt8]] = []
        for (option, value) in arguments.values {
            words += [Array((option.long ?? "-" + String(option.short ?? "?")).utf8), value]
        }
        words += arguments.variables.map { Array("--env=".utf8) + $0 }
        for option in arguments.flags where option != .verbose {
            words.append(Array((option.long ?? "-" + String(option.short ?? "?")).utf8))
        }
        words += (0..<arguments.settings.verbosity).map { _ in Array("-v".utf8) }
        return words + [Array("--".utf8)] + arguments.words
    }

    private static func plan(_ arguments: PutArguments, _ bytes: [UInt8]) throws {
        // Those bodies are read from a file, or from our own stdin.
        let body = arguments.values[.body] ?? []
        guard body.first != UInt8(ascii: "@"), body != [UInt8(ascii: "-")] else { return }
        let plan = try answer(to: bytes) { () throws(SpoolError) in
            try PutPlan(arguments, now: readingTime)
        }
        guard let plan else { return }
        _ = try answer(to: bytes) { () throws(SpoolError) in try plan.model.validate() }
        guard let place = plan.model.place else { return }
        try demand(!place.directory.contains(0), "a directory with a NUL in it")
        let kept = Set(Places.split(place.environment))
        let names = arguments.variables.map { $0.prefix { $0 != UInt8(ascii: "=") } }
        for (index, variable) in arguments.variables.enumerated()
        where !names[(index + 1)...].contains(names[index]) {
            try demand(kept.contains(variable), "--env \(variable.text) is lost")
        }
    }
}
