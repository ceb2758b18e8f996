// Spool.swift - the root command: which commands there are, and how one is found, run and reported.
//
// `put` and `run` are parsed by hand (PutArguments.swift): the general parser costs more than the whole put, and it
// would repair the bytes of arguments that are not UTF-8.

private import CSpool
private import Glibc
internal import ArgumentParser
private import SpoolJobs
private import SpoolProcesses
internal import SpoolThreads
private import SpoolWorker

@main
struct Spool: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "spool",
        abstract: "A job queue in a file: put jobs in, work them off, join.",
        discussion: """
            spool put -- ffmpeg -i a.mov a.mp4     put a job; prints its id
            spool work                             run the jobs that are put, one a core
            spool list                             what there is
            spool join                             wait until all is done
            """,
        groupedSubcommands: groups)

    static let groups = [
        CommandGroup(
            name: "Jobs",
            subcommands: [
                Put.self, Run.self, List.self, Show.self, Log.self, Join.self, Retry.self,
                Cancel.self, Remove.self,
            ]),
        CommandGroup(name: "Queues", subcommands: [Queues.self, Pause.self, Resume.self]),
        CommandGroup(name: "Workers", subcommands: [Work.self, Workers.self]),
        CommandGroup(name: "Care", subcommands: [Initialize.self, Check.self]),
        CommandGroup(name: "Other", subcommands: [Completions.self, Version.self]),
    ]

    static func main() {
        Worker.becomeConsumerIfAsked("spool \(Version.number)")
        Descriptor.openStandardOnes()
        signal(SIGXFSZ, SIG_IGN)  // the write fails, and says why
        // No signal ends the first process of a container by itself.
        if getpid() == 1 { spool_say_when_ended(nil) }
        Store.boundGate(.seconds(20))
        Glibc.exit(Invocation(RawArguments.all()).run())
    }
}

/// The words of the command line as the kernel gave them.
enum RawArguments {
    static func all() -> [[UInt8]] { Array(Command.ownWords().dropFirst()) }
}

/// One run of `spool`, from its words to its exit status.
struct Invocation {
    private static let putNames: Set<String> = ["put", "add", "enqueue"]

    private let words: [[UInt8]]
    private let texts: [String]

    /// Nothing but options that may stand before a command.
    private let lacksCommand: Bool

    /// Global options may stand before the command too; they are moved behind it.
    init(_ words: [[UInt8]]) {
        let leading = Invocation.leadingOptions(words)
        lacksCommand = leading > 0 && leading == words.count
        let options = words[..<leading]
        let rest = words[leading...]
        let isHelp = rest.first?.elementsEqual("help".utf8) ?? false
        self.words = Array(rest.prefix(1) + (isHelp ? [] : options) + rest.dropFirst())
        texts = self.words.map { String(decoding: $0, as: UTF8.self) }
    }

    private static func leadingOptions(_ words: [[UInt8]]) -> Int {
        var at = 0
        while at < words.count {
            switch String(decoding: words[at], as: UTF8.self) {
            case "--json", "--quiet", "--verbose": at += 1
            case "--file", "--color": at = min(at + 2, words.count)
            case let word where word.hasPrefix("--file=") || word.hasPrefix("--color="): at += 1
            case let word where word.hasPrefix("-v") && word.dropFirst().allSatisfy({ $0 == "v" }):
                at += 1
            default: return at
            }
        }
        return at
    }

    func run() -> Int32 {
        do throws(SpoolError) {
            guard !lacksCommand else {
                throw .usage("a command is missing.", hint: "The commands:  spool --help")
            }
            guard let name = texts.first else { return try parsed(["--help"]) }
            let rest = Array(words.dropFirst())
            let own = texts.dropFirst().prefix { $0 != "--" }
            let asksForHelp =
                (own.contains("--help") || own.contains("-h")) && PutParser.asksForHelp(rest)
            if Invocation.putNames.contains(name) {
                return asksForHelp ? try parsed(["help", "put"]) : try Putting.put(rest)
            }
            if name == "run" {
                return asksForHelp ? try parsed(["help", "run"]) : try Running.run(rest)
            }
            if !name.hasPrefix("-") { try checkCommand(name) }
            try requireText()
            if name == "help", let topic = own.first {
                if topic == "--help" || topic == "-h" { return try parsed(["--help"]) }
                try checkCommand(topic)
            }
            return try parsed(name == "--version" ? ["version"] : texts)
        } catch {
            return report(error)
        }
    }

    /// The general parser has texts only: other bytes would name another file.
    private func requireText() throws(SpoolError) {
        for (word, text) in zip(words, texts) where Array(text.utf8) != word {
            throw .usage("'\(text)' must be UTF-8 text.")
        }
    }

    private func checkCommand(_ name: String) throws(SpoolError) {
        var known = ["help"]
        for command in Spool.groups.flatMap(\.subcommands) {
            known.append(command._commandName)
            known += command.configuration.aliases
        }
        guard !known.contains(name) else { return }
        throw .usage(
            "'\(name)' is not a spool command."
                + Suggestion.sentence(for: name, among: known),
            hint: Suggestion.nearest(to: name, among: known) == nil
                ? "The commands:  spool --help" : nil)
    }

    private func parsed(_ arguments: [String]) throws(SpoolError) -> Int32 {
        do {
            let words = takesIDs(arguments) ? Numbers.bundled(arguments) : arguments
            var command = try Spool.parseAsRoot(words)
            try command.run()
            return 0
        } catch let error as SpoolError {
            throw error
        } catch let code as ExitCode {
            return code.rawValue
        } catch {
            return try explain(error)
        }
    }

    private static let takingIDs: [any ParsableCommand.Type] = [
        Join.self, Retry.self, Cancel.self, Remove.self,
    ]

    private func takesIDs(_ arguments: [String]) -> Bool {
        Invocation.takingIDs.contains { command in
            let names = [command._commandName] + command.configuration.aliases
            return arguments.first.map(names.contains) ?? false
        }
    }

    /// What the parser has to say: help on stdout, anything else as an error of ours.
    private func explain(_ error: any Error) throws(SpoolError) -> Int32 {
        let text = Spool.fullMessage(for: error)
        guard Spool.exitCode(for: error) == .success else {
            let sentence = Invocation.plausible(
                Invocation.sentence(Spool.message(for: error)))
            let isLeftAlone =
                sentence.hasPrefix("missing expected argument")
                || sentence.hasPrefix("unknown option") && !sentence.hasSuffix("?")
            let help = texts.first.map { "Try:  spool help \($0)" }
            throw .usage(sentence, hint: isLeftAlone ? help : nil)
        }
        let screen = Screen(Settings())
        try screen.line(text)
        try screen.flush()
        return 0
    }

    /// Of a longer message the beginning says what is wrong: it may name thousands of words.
    private static let longestSentence = 300

    /// The parser's messages in the house's form: one of them, a small letter first, a full stop last.
    static func sentence(_ message: String) -> String {
        let lines = message.split(separator: "\n").filter { line in
            !line.drop { $0 == " " }.hasPrefix("or: ")
        }
        let whole = lines.joined(separator: " ")
        let text = Display.cut(whole, to: longestSentence)
        let first = text.prefix(1).lowercased()
        let isEnded = text.hasSuffix(".") || text.hasSuffix("?") || text.hasSuffix("…")
        return first + text.dropFirst() + (isEnded ? "" : ".")
    }

    /// Without a suggestion of the parser that is far from what was typed, as '--quiet' for '--wait'.
    private static func plausible(_ sentence: String) -> String {
        let parts = sentence.split(separator: "'", omittingEmptySubsequences: false)
        guard parts.count == 5, parts[2] == ". Did you mean ",
            Suggestion.nearest(to: String(parts[1]), among: [String(parts[3])]) == nil
        else { return sentence }
        return "\(parts[0])'\(parts[1])'."
    }

    private func report(_ error: SpoolError) -> Int32 {
        let own = texts.prefix { $0 != "--" }
        var settings = Settings(isJSON: own.contains("--json"))
        for (index, text) in own.enumerated() where text.hasPrefix("--color") {
            let value = text.split(separator: "=").dropFirst().first.map(String.init)
            let next = index + 1 < own.count ? own[index + 1] : ""
            settings.color = Settings.Color(rawValue: value ?? next) ?? .auto
        }
        Screen(settings).report(error)
        return error.exitCode
    }
}
