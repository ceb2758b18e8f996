// PutArguments.swift - the words of `put` and `run`, parsed by hand and byte for byte.

internal import SpoolJobs
internal import SpoolThreads

/// What was said to `put`, each value still as it was typed.
struct PutArguments {
    var settings = Settings()
    var flags: Set<PutOption> = []
    var values: [PutOption: [UInt8]] = [:]
    var variables: [[UInt8]] = []
    /// What is neither option nor value: the command, or the JSON arguments of a typed job.
    var words: [[UInt8]] = []

    func has(_ option: PutOption) -> Bool {
        flags.contains(option) || values[option] != nil || option == .env && !variables.isEmpty
    }

    /// The value as text.
    /// - Throws: `.usage` when it is not UTF-8.
    func text(_ option: PutOption) throws(SpoolError) -> String? {
        guard let bytes = values[option] else { return nil }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw .usage("\(option.shown) must be UTF-8 text.")
        }
        return text
    }
}

/// Reads options up to `--` or the first word of the command.
struct PutParser {
    private let allowed: Set<PutOption>
    private var rest: ArraySlice<[UInt8]>
    private var arguments = PutArguments()

    init(_ words: [[UInt8]], allowed: Set<PutOption>) {
        self.allowed = allowed
        rest = words[...]
    }

    static func parse(
        _ words: [[UInt8]], allowed: Set<PutOption> = PutOption.ofPut
    ) throws(SpoolError) -> PutArguments {
        var parser = PutParser(words, allowed: allowed)
        try parser.parse()
        return parser.arguments
    }

    /// Whether --help stands where an option would: `spool put tar --help` puts, since tar begins the command.
    static func asksForHelp(_ words: [[UInt8]]) -> Bool {
        var parser = PutParser(words, allowed: Set(PutOption.allCases))
        while let word = parser.rest.popFirst() {
            let text = String(decoding: word, as: UTF8.self)
            if text == "--help" || text == "-h" { return true }
            guard text.hasPrefix("-"), text != "--", text != "-" else { return false }
            // An error in an earlier option is told in its own words later.
            do throws(SpoolError) { try parser.parseOption(text, word) } catch { return false }
        }
        return false
    }

    private mutating func parse() throws(SpoolError) {
        while let word = rest.popFirst() {
            let text = String(decoding: word, as: UTF8.self)
            if text == "--" {
                arguments.words += rest
                break
            }
            if text == "-" || !text.hasPrefix("-") {
                // A typed job's options may follow its arguments; a command takes the rest as it is.
                arguments.words.append(word)
                if arguments.has(.kind) { continue }
                arguments.words += rest
                break
            }
            try parseOption(text, word)
        }
        arguments.settings.isJSON = arguments.has(.json)
        arguments.settings.isQuiet = arguments.has(.quiet)
        arguments.settings.fileOption = try arguments.text(.file)
        if let color = try arguments.text(.color) { try arguments.settings.setColor(color) }
    }

    private mutating func parseOption(_ text: String, _ word: [UInt8]) throws(SpoolError) {
        if text.hasPrefix("--") {
            try parseLong(text, word)
        } else {
            try parseShort(text, word)
        }
    }

    private mutating func parseLong(_ text: String, _ word: [UInt8]) throws(SpoolError) {
        let equals = word.firstIndex(of: UInt8(ascii: "="))
        let name = equals.map { String(decoding: word[..<$0], as: UTF8.self) } ?? text
        guard let option = allowed.first(where: { $0.long == name }) else { throw unknown(name) }
        guard let equals else {
            try take(option, value: nil)
            return
        }
        guard option.takesValue else { throw .usage("\(name) takes no value.") }
        try take(option, value: Array(word[(equals + 1)...]))
    }

    /// `-w`, `-q media`, `-qmedia`, `-wq media`.
    private mutating func parseShort(_ text: String, _ word: [UInt8]) throws(SpoolError) {
        for index in 1..<word.count {
            let letter = Character(Unicode.Scalar(word[index]))
            guard let option = allowed.first(where: { $0.short == letter }) else {
                throw unknown(index == 1 ? text : "-\(letter)")
            }
            guard option.takesValue else {
                try take(option, value: nil)
                continue
            }
            let tail = Array(word[(index + 1)...])
            try take(option, value: tail.isEmpty ? nil : tail)
            return
        }
    }

    private mutating func take(_ option: PutOption, value: [UInt8]?) throws(SpoolError) {
        guard option.takesValue else {
            if option == .verbose { arguments.settings.verbosity += 1 }
            arguments.flags.insert(option)
            return
        }
        guard let value = value ?? rest.popFirst() else {
            throw .usage("\(option.shown) needs a value.")
        }
        if option == .env {
            arguments.variables.append(value)
        } else if option == .limit, let before = arguments.values[option] {
            arguments.values[option] = before + [UInt8(ascii: ",")] + value
        } else {
            arguments.values[option] = value
        }
    }

    private func unknown(_ name: String) -> SpoolError {
        let known = allowed.compactMap(\.long).sorted()
        return .usage(
            "unknown option '\(name)' before the command."
                + Suggestion.sentence(for: name, among: known),
            hint: "(write -- before a command that begins with '-')")
    }
}
