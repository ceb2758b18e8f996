// Log.swift - `spool log`: what a job wrote.

internal import ArgumentParser
internal import SpoolJobs
internal import SpoolThreads

struct Log: SpoolSubcommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what a job wrote.",
        discussion: """
            Output goes raw to a pipe; on a terminal control characters are shown escaped. With \
            --json each piece as it came: time, stream, attempt and text.

              spool log 17
              spool log -f 17
            """,
        aliases: ["logs"])

    @OptionGroup var global: GlobalOptions
    @Flag(name: .shortAndLong, help: "Follow until the job is finished.")
    var follow = false
    @Option(help: "The log of this attempt. Default: the last.")
    var attempt: String?
    @Option(help: ArgumentHelp("Only the last lines.", valueName: "lines"))
    var tail: String?
    @Flag(help: "Only what it wrote to stderr.")
    var stderr = false
    @Flag(help: "Print where the log is.")
    var path = false
    @Flag(help: "Escape nothing, also on a terminal.")
    var raw = false
    @Argument(help: "The job.")
    var id: String

    func perform(on screen: Screen) throws(SpoolError) -> Int32 {
        let id = try Numbers.id(id)
        var number: Int?
        if let attempt {
            number = try Numbers.count(attempt, option: "--attempt", in: 1...1_000_000_000)
        }
        var lines: Int?
        if let tail { lines = try Numbers.count(tail, option: "--tail", in: 0...1_000_000_000) }
        if lines != nil, follow || stderr {
            throw .usage("--tail goes with neither --follow nor --stderr.")
        }
        if lines != nil, screen.settings.isJSON {
            throw .usage("--tail counts lines, and --json has pieces: they exclude each other.")
        }
        screen.showsRaw = raw
        let store = try Looking.open(screen.settings.file())
        let row = try store.job(id, bodyLimit: 0)
        if follow, OwnJob(of: store)?.id == id {
            throw .badInput(
                "this is job \(id), and would follow its own words: that would never end.")
        }
        if let number, number > row.attempt, !follow {
            throw .usage("job \(id) has \(Phrases.counted(row.attempt, "attempt")), not \(number).")
        }
        let file = store.files.log(id, attempt: number ?? max(1, row.attempt))
        if path {
            try tell(file, on: screen)
        } else if follow {
            let follower = try LogFollower(id, in: store, screen: screen, attempt: number)
            follower.writesJSON = screen.settings.isJSON
            try follower.follow(streams: stderr ? .errorOnly : .both)
        } else if let lines {
            try LogFile.showLast(lines, of: file, on: screen)
        } else {
            try copy(store.files, id, number ?? max(1, row.attempt), on: screen)
            sayNothing(row, file, screen)
        }
        return 0
    }

    private func tell(_ path: String, on screen: Screen) throws(SpoolError) {
        guard screen.settings.isJSON else { return try screen.line(path) }
        var object = JSONObject()
        object.set("path", path)
        object.set("v", 1)
        try screen.line(object)
    }

    private func copy(
        _ files: StoreFiles, _ id: Int64, _ attempt: Int, on screen: Screen
    ) throws(SpoolError) {
        var tail = LogTail(
            files, id, attempt: attempt, streams: stderr ? .errorOnly : .both)
        try tail.copy(to: screen, asJSON: screen.settings.isJSON)
        try tail.finish(on: screen, asJSON: screen.settings.isJSON)
    }

    private func sayNothing(_ row: JobRow, _ file: String, _ screen: Screen) {
        guard screen.isTerminal, LogFile.size(file) ?? 0 == 0 else { return }
        screen.note(
            row.attempt == 0
                ? "job \(row.id) has not started yet; follow it with:  "
                    + screen.settings.command("log -f \(row.id)")
                : "job \(row.id) wrote nothing.")
    }
}
