// Put.swift - `spool put` as help and completions see it; Putting.swift does it.

internal import ArgumentParser
internal import SpoolThreads

struct Put: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Put a job, or many.",
        usage: """
            spool put [options] -- COMMAND [ARG...]
            spool put [options] -c TEXT
            spool put [options] -k KIND [JSON]
            spool put [options] --each [-0] -- COMMAND [{}...]
            spool put [options] --ndjson FILE
            """,
        discussion: """
            Prints the id of the job once it is on disk. Small priorities run first: urgent 0, \
            high 512, normal 1024, low 65536, idle 4294967295.

              spool put -q media -- ffmpeg -i a.mov a.mp4
              spool put -c 'make && ./t > out'
              spool put -k mail.send '{"to":"a@b"}' --delay 10m
              spool put --each -- convert {} {.}.png < files.txt

            With --each: {} is the line, {.} without extension, {/} the name, {//} the \
            directory, {/.} the name without extension; in -c TEXT they are quoted.
            """,
        aliases: ["add", "enqueue"])

    @OptionGroup var global: GlobalOptions

    @Option(name: .shortAndLong, help: "The queue. Default: $SPOOL_QUEUE, else default.")
    var queue: String?
    @Option(name: .shortAndLong, help: "A label for people.")
    var name: String?
    @Option(
        name: .customShort("c"), help: ArgumentHelp("Shell text to run.", valueName: "text"))
    var shell: String?
    @Option(name: .shortAndLong, help: "A typed job of this kind; its JSON is checked.")
    var kind: String?
    @Option(help: ArgumentHelp("stdin of the job: text, @file, - for stdin.", valueName: "text"))
    var body: String?
    @Flag(help: "One job for each line of stdin.")
    var each = false
    @Flag(name: .customShort("0"), help: "With --each: lines end with NUL.")
    var null = false
    @Option(
        help: ArgumentHelp("One job for each line of JSON; - is stdin.", valueName: "file"),
        completion: .file())
    var ndjson: String?
    @Flag(name: .customLong("continue"), help: "With --ndjson: skip bad lines.")
    var proceed = false
    @Option(
        help: "0...4294967295 or urgent, high, normal, low, idle; small runs first.",
        completion: .list(["urgent", "high", "normal", "low", "idle"]))
    var priority: String?
    @Option(help: "Not before so long from now: 90s, 10m, 1h30m, 2d.")
    var delay: String?
    @Option(help: "Not before: 21:43, \"2026-11-25 09:00\", RFC 3339.")
    var at: String?
    @Option(help: "Failures that are forgiven. Default: 0, typed jobs 4.")
    var retries: String?
    @Option(help: "Wait between attempts: 15s..1h doubles, 30s stays.")
    var backoff: String?
    @Option(help: "Longest run, then TERM and KILL.")
    var timeout: String?
    @Option(
        help: ArgumentHelp(
            "Most that a process of it may use: memory=1G, files=100, processes=50, cpu=10m, "
                + "output=2G (its largest file); several by commas.", valueName: "name=value"))
    var limit: [String] = []
    @Option(
        help: ArgumentHelp("Directory to run in. Default: this one.", valueName: "directory"),
        completion: .directory)
    var cwd: String?
    @Option(help: ArgumentHelp("Set a variable; repeatable.", valueName: "name=value"))
    var env: [String] = []
    @Flag(help: "Run with no variables but those of --env and Spool's own.")
    var cleanEnv = false
    @Flag(name: .shortAndLong, help: "Wait for the job, and exit with its status.")
    var wait = false
    @Flag(help: "Print every id, one a line.")
    var ids = false
    @Flag(help: "Say what would be put, and put nothing.")
    var dryRun = false
    @Argument(parsing: .captureForPassthrough, help: "The command, or a typed job's JSON.")
    var words: [String] = []

    func run() throws {
        let status = try Putting.put(Array(RawArguments.all().dropFirst()))
        guard status == 0 else { throw ExitCode(status) }
    }
}
