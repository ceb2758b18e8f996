// Work.swift - `spool work`: a worker, in the foreground or detached.

private import Glibc
internal import ArgumentParser
internal import SpoolJobs
private import SpoolProcesses
internal import SpoolThreads
internal import SpoolWorker

struct Work: SpoolSubcommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the jobs that are put.",
        discussion: """
            Takes commands and spool.noop; typed jobs too with --exec, which runs PROGRAM with the \
            kind as its argument and the body on stdin. Several queues are worked off in the order \
            given, or by weight (mail*5,default: mail five times as often).

            TERM or INT: no new jobs, running ones get --grace; a second one stops at once.

              spool work -j 4
              spool work -q 'mail*5,default' --exec ./handle
              spool work --until-empty && echo all done
            """)

    @OptionGroup var global: GlobalOptions

    @Option(
        name: [.customShort("q", allowingJoined: true), .long],
        help: ArgumentHelp("Queues to work for. Default: all.", valueName: "name[*weight],..."))
    var queue: [String] = []
    @Option(
        name: [.customShort("j", allowingJoined: true), .customLong("jobs")],
        help: ArgumentHelp("Jobs at once. Default: one a core.", valueName: "n"))
    var consumers: String?
    @Option(
        help: ArgumentHelp("Program for typed jobs.", valueName: "program"), completion: .file())
    var exec: String?
    @Flag(
        help: ArgumentHelp(
            "End when nothing that this worker can take is ready, running or retrying; 1 if a job "
                + "failed for good or was cancelled."))
    var untilEmpty = false
    @Option(help: ArgumentHelp("Take so many jobs, then end.", valueName: "n"))
    var maxJobs: String?
    @Option(help: ArgumentHelp("End after so long without work.", valueName: "duration"))
    var idleExit: String?
    @Flag(help: "Go on in the background; prints the process id.")
    var detach = false
    @Option(
        help: ArgumentHelp(
            "What running jobs get when the worker is asked to end. Default: 25s.",
            valueName: "duration"))
    var grace: String?
    @Option(
        help: ArgumentHelp(
            "From TERM to KILL for a job that is stopped. Default: 10s.", valueName: "duration"))
    var killAfter: String?
    @Option(help: ArgumentHelp("Name in tables. Default: host:pid.", valueName: "name"))
    var name: String?
    @Option(
        help: ArgumentHelp(
            "Most that is kept of a run's output, as 500K. Default: 1M.", valueName: "size"))
    var logLimit: String?

    @Option(
        help: ArgumentHelp(
            "Most that a process of any job may use, as in put.", valueName: "name=value"))
    var limit: [String] = []

    /// A worker hears signals in between.
    static let gatePatience = Duration.seconds(1)

    func perform(on screen: Screen) throws(SpoolError) -> Int32 {
        let options = try options(screen.settings)
        if detach { return try Detached.start(options, screen) }
        let supervisor = try Supervisor(options) { screen.note("spool work: \($0)") }
        if isatty(2) != 0 || screen.settings.verbosity > 0 {
            screen.note(Self.greeting(options))
        }
        Store.boundGate(Work.gatePatience)
        let summary = try supervisor.run()
        try tell(summary, on: screen)
        if untilEmpty, exec == nil { sayWhatIsLeft(options, screen) }
        return untilEmpty && summary.dead + summary.cancelled > 0 ? 1 : 0
    }

    func options(_ settings: Settings) throws(SpoolError) -> WorkerOptions {
        let count = try consumers.map { text throws(SpoolError) in
            try Numbers.count(text, option: "-j", in: 1...Worker.mostConsumers)
        }
        var options = WorkerOptions(
            file: try settings.file(), consumers: count ?? Worker.usableCores)
        let chosen = try QueueList.parse(queue)
        options.selection = Selection(queues: chosen, kinds: exec == nil ? .none : .all)
        options.queues = queue.joined(separator: ",")
        options.program = try program()
        options.untilEmpty = untilEmpty
        options.maxJobs = try maxJobs.map { text throws(SpoolError) in
            try Numbers.count(text, option: "--max-jobs", in: 1...Int(Int32.max))
        }
        options.idleExit = try idleExit.map { text throws(SpoolError) in
            try Durations.parse(text, option: "--idle-exit")
        }
        if let grace { options.grace = try Durations.parse(grace, option: "--grace") }
        if let killAfter {
            options.killAfter = try Durations.parse(killAfter, option: "--kill-after")
        }
        options.name = try name.map { text throws(SpoolError) in try Numbers.label(text) }
        if let logLimit {
            options.logLimit = Int(
                try Limits.bytes(logLimit, "--log-limit", most: 1 << 30, shown: "1G"))
        }
        if !limit.isEmpty {
            let text = limit.joined(separator: ",")
            options.limits = try Limits.parse(text, option: "--limit")
        }
        return options
    }

    /// Found here and once: a job may have a directory and a PATH of its own.
    private func program() throws(SpoolError) -> String? {
        guard let exec else { return nil }
        let path: [UInt8]
        do throws(Command.Failure) {
            path = try Command([Array(exec.utf8)], environment: Command.currentEnvironment()).find()
        } catch {
            throw .usage(
                "--exec: \(error.reason).",
                hint: "It is a program's name or path, without arguments.")
        }
        let slash = UInt8(ascii: "/")
        let isAbsolute = path.first == slash
        let absolute = isAbsolute ? path : try Places.directory(nil) + [slash] + path
        guard let text = String(validating: absolute, as: UTF8.self) else {
            throw .usage("--exec: the program's path must be UTF-8 text.")
        }
        return text
    }

    /// Who sees a worker end with jobs that are ready wants to know why: it takes all but typed ones.
    private func sayWhatIsLeft(_ options: WorkerOptions, _ screen: Screen) {
        guard !screen.settings.isQuiet, let store = try? Store.open(options.file, .readOnly),
            let queues = try? store.queues()
        else { return }
        let chosen = options.selection.queues.map(\.queue)
        for queue in queues where chosen.isEmpty || chosen.contains(queue.name) {
            guard queue.counts.ready > 0, queue.pausedSince == nil else { continue }
            var filter = JobFilter(limit: 1)
            (filter.states, filter.queue) = ([.ready], queue.name)
            guard let kind = (try? store.jobs(filter))?.first?.kind, kind != Job.noop else {
                continue
            }
            let count = queue.counts.ready
            screen.note(
                "spool work: \(Phrases.counted(count, "job")) \(count == 1 ? "is" : "are") left on "
                    + "'\(queue.name)': typed ones, as \(kind), need a worker with --exec PROGRAM")
        }
    }

    private static func greeting(_ options: WorkerOptions) -> String {
        let queues = options.queues.isEmpty ? "all queues" : options.queues
        return "spool work: \(Phrases.counted(options.consumers, "consumer")) on \(queues) of "
            + "\(options.file)  (Ctrl-C ends it)"
    }

    private func tell(_ summary: WorkSummary, on screen: Screen) throws(SpoolError) {
        if screen.settings.isJSON {
            var object = JSONObject()
            object.set("type", "result")
            object.set("done", summary.done)
            object.set("retrying", summary.retrying)
            object.set("dead", summary.dead)
            object.set("cancelled", summary.cancelled)
            object.set("released", summary.released)
            object.set("missed_wakeups", summary.missedWakeups)
            object.set("took_ms", summary.took)
            object.set("v", 1)
            return try screen.line(object)
        }
        var parts = ["\(Phrases.grouped(summary.done)) done"]
        for (count, word) in [
            (summary.retrying, "to be retried"), (summary.dead, "dead"),
            (summary.cancelled, "cancelled"), (summary.released, "given back"),
        ] where count > 0 { parts.append("\(Phrases.grouped(count)) \(word)") }
        let seconds = Double(max(1, summary.took.microseconds)) / 1e6
        let rate = Int(Double(summary.jobs) / seconds)
        var line =
            "spool work: \(parts.joined(separator: ", ")) in \(Phrases.short(summary.took))"
        if rate > 0 { line += ", \(Phrases.counted(rate, "job"))/s" }
        if screen.settings.verbosity > 0 { line += ", \(summary.missedWakeups) missed wake-ups" }
        screen.note(line)
    }
}

/// Queues as -q takes them: names with optional weights, by commas or in several options.
enum QueueList {
    static func parse(_ options: [String]) throws(SpoolError) -> [Selection.Choice] {
        var choices: [Selection.Choice] = []
        for text in options.flatMap({ $0.split(separator: ",", omittingEmptySubsequences: false) })
        {
            let parts = text.split(separator: "*", maxSplits: 1, omittingEmptySubsequences: false)
            let name = try Numbers.name(String(parts[0]), what: "-q")
            var weight = 1
            if parts.count > 1 {
                weight = try Numbers.count(
                    String(parts[1]), option: "the weight of '\(name)'", in: 1...1000)
            }
            guard !choices.contains(where: { $0.queue == name }) else {
                throw .usage("-q names '\(name)' twice.")
            }
            choices.append(.init(queue: name, weight: weight))
        }
        return choices
    }
}
