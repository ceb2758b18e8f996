// Running.swift - `spool run`: put, make sure that a worker watches, follow the output, exit with the job's status.

private import CSpool
private import Glibc
internal import ArgumentParser
internal import SpoolJobs
internal import SpoolThreads

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Put a command, run it now and follow it.",
        usage: """
            spool run [-d] [options] -- COMMAND [ARG...]
            spool run [-d] [options] -c TEXT
            """,
        discussion: """
            Makes sure that a worker watches the queue, starting one if need be (it ends after \
            30 s without work). Exits with the job's status, 128 and the signal's number after a \
            signal. Ctrl-C ends run, and the job goes on: spool cancel stops it.

              spool run -- make test
              spool run -d -- rsync -a src/ dst/
            """)

    @OptionGroup var global: GlobalOptions

    @Flag(name: .shortAndLong, help: "Only print the id; do not follow.")
    var detach = false
    @Option(name: .shortAndLong, help: "The queue. Default: $SPOOL_QUEUE, else default.")
    var queue: String?
    @Option(name: .shortAndLong, help: "A label for people.")
    var name: String?
    @Option(
        name: .customShort("c"), help: ArgumentHelp("Shell text to run.", valueName: "text"))
    var shell: String?
    @Option(
        help: "0...4294967295 or urgent, high, normal, low, idle; small runs first.",
        completion: .list(["urgent", "high", "normal", "low", "idle"]))
    var priority: String?
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
    @Argument(parsing: .captureForPassthrough, help: "The command.")
    var words: [String] = []

    func run() throws {
        let status = try Running.run(Array(RawArguments.all().dropFirst()))
        guard status == 0 else { throw ExitCode(status) }
    }
}

enum Running {
    static func run(_ words: [[UInt8]]) throws(SpoolError) -> Int32 {
        let arguments = try PutParser.parse(words, allowed: PutOption.ofRun)
        let screen = Screen(arguments.settings)
        let now = UnixTime.now()
        guard arguments.has(.shell) || !arguments.words.isEmpty else {
            throw .usage("no command given.", hint: "Try:  spool run -- echo hello")
        }
        let plan = try PutPlan(arguments, now: now)
        let store = try Store.open(arguments.settings.file(), warningOn: screen)
        if !arguments.has(.detach) {
            try OwnJob(of: store)?.check(waitingFor: plan.model, in: store)
        }
        let id = try store.put([plan.model], now: now).lowerBound
        guard !arguments.has(.detach) else {
            try ensureWorker(of: plan.model.queue, for: id, store)
            try PutReport.tell(id...id, [plan.model], listsIDs: false, on: screen)
            return 0
        }
        return try screen.saying(id) { () throws(SpoolError) in
            try ensureWorker(of: plan.model.queue, for: id, store)
            try follow(id, of: plan.model.queue, store, screen)
            return JobStatus.exitStatus(of: try store.job(id, bodyLimit: 0))
        }
    }

    private static func follow(
        _ id: Int64, of queue: String, _ store: Store, _ screen: Screen
    ) throws(SpoolError) {
        let follower = try LogFollower(id, in: store, screen: screen, attempt: nil)
        var notice = WaitNotice(store, screen)
        try follower.follow(streams: .both) { () throws(SpoolError) in
            try notice.tellIfPaused(id, on: queue)
            // The worker that was seen may have been about to end, or was killed. One for a file that was moved would
            // make a new one.
            try store.checkInPlace()
            try ensureWorker(of: queue, for: id, store)
        }
    }

    private static func ensureWorker(
        of queue: String, for id: Int64, _ store: Store
    ) throws(SpoolError) {
        let isWatched = try store.workers().contains {
            Watching.isWatching($0, queue, kind: nil)
        }
        guard !isWatched else { return }
        let words = [
            "spool", "work", "--detach", "-q", queue, "--idle-exit", "30s", "--file",
            store.files.database,
        ]
        // It says its pid, which is not this command's result.
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        var pid: pid_t = 0
        var arguments = words.map { strdup($0) }
        arguments.append(nil)
        defer { for pointer in arguments { free(pointer) } }
        let number = posix_spawn(&pid, "/proc/self/exe", &actions, nil, arguments, environ)
        let failure = SpoolError.noWorker(
            "job \(id) was put, but no worker could be started for '\(queue)'"
                + (number == 0 ? "." : ": \(SpoolError.reason(number)).")
                + (number == ENOENT ? " That takes /proc and /dev/null." : ""))
        guard number == 0 else { throw failure }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        guard status == 0 else { throw failure }
    }
}

extension Screen {
    /// Runs what waits for a job. Whoever ends the waiting by a signal, as by Ctrl-C, is told that the job goes on.
    func saying(
        _ id: Int64, _ wait: () throws(SpoolError) -> Int32
    ) throws(SpoolError) -> Int32 {
        guard !settings.isQuiet else { return try wait() }
        let below = isErrorTerminal ? "\n" : ""  // the terminal has echoed ^C
        spool_say_when_ended(
            "\(below)job \(id) was not stopped. Follow it with:  \(settings.command("log -f \(id)")) ; "
                + "stop it with:  \(settings.command("cancel \(id)"))\n")
        defer { spool_say_when_ended(nil) }
        return try wait()
    }
}

/// How a finished job's fate is told by an exit status.
enum JobStatus {
    /// The job's own status; 128 and the number after a signal; 1 when it ended badly in another way.
    static func exitStatus(of row: JobRow) -> Int32 {
        if row.state == .done { return 0 }
        if let signal = row.signal { return 128 + Int32(truncatingIfNeeded: signal) }
        if let exit = row.exit, exit != 0 { return Int32(truncatingIfNeeded: exit) }
        return 1
    }

    static func wait(
        for id: Int64, on queue: String, in store: Store, _ screen: Screen
    ) throws(SpoolError) -> Int32 {
        let joiner = try Joiner(.jobs([id]), of: store)
        defer { joiner.closeElsewhere() }
        var notice = WaitNotice(store, screen)
        try notice.tellIfPaused(id, on: queue)
        _ = try joiner.wait(until: .never) { notice.look(at: joiner, $0) }
        return exitStatus(of: try store.job(id, bodyLimit: 0))
    }
}
