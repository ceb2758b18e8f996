// Spool.swift - the root command: which commands there are, and how one is found, run and reported.
//
// `put` and `run` are parsed by hand (PutArguments.swift): the general parser costs more than the whole put, and it
// would repair the bytes of arguments that are not UTF-8.

internal import ArgumentParser
private import Glibc
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

    /// Global options may stand before the command too; they are moved behind it.
    init(_ words: [[UInt8]]) {
        let leading = Invocation.leadingOptions(words)
        let options = words[..<leading]
        let rest = words[leading...]
        self.words = Array(rest.prefix(1) + options + rest.dropFirst())
        texts = self.words.map { String(decoding: $0, as: UTF8.self) }
    }

    private static func leadingOptions(_ words: [[UInt8]]) -> Int {
        var at = 0
        while at < words.count {
            switch String(decoding: words[at], as: UTF8.self) {
            case "--json", "--quiet", "-v", "--verbose": at += 1
            case "--file", "--color": at += 2
            case let word where word.hasPrefix("--file=") || word.hasPrefix("--color="): at += 1
            default: return at
            }
        }
        return 0
    }

    func run() -> Int32 {
        do throws(SpoolError) {
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
            if name == "help", let topic = own.first { try checkCommand(topic) }
            return try parsed(name == "--version" ? ["version"] : texts)
        } catch {
            return report(error)
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
            var command = try Spool.parseAsRoot(Numbers.bundled(arguments))
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

    /// What the parser has to say: help on stdout, anything else as an error of ours.
    private func explain(_ error: any Error) throws(SpoolError) -> Int32 {
        let text = Spool.fullMessage(for: error)
        guard Spool.exitCode(for: error) == .success else {
            throw .usage(Invocation.sentence(Spool.message(for: error)))
        }
        _ = Descriptor.write(Array((text + "\n").utf8), to: 1)
        return 0
    }

    /// The parser's messages in the house's form: a small letter first, a full stop last.
    static func sentence(_ message: String) -> String {
        let text = message.split(separator: "\n").joined(separator: " ")
        let first = text.prefix(1).lowercased()
        let isEnded = text.hasSuffix(".") || text.hasSuffix("?")
        return first + text.dropFirst() + (isEnded ? "" : ".")
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
