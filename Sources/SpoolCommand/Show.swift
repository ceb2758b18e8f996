// Show.swift - `spool show`: everything that is known about a job.

internal import ArgumentParser
internal import SpoolJobs
internal import SpoolThreads

struct Show: SpoolSubcommand {
    static let configuration = CommandConfiguration(
        abstract: "Show everything about a job.",
        discussion: "  spool show 17\n  spool show 17 -v        with its environment")

    /// How much of a body and of a log is shown.
    private static let previewBytes = 1024
    private static let previewLines = 5
    private static let previewLogBytes = 4096

    @OptionGroup var global: GlobalOptions
    @Argument(help: "The job.")
    var id: String

    func perform(on screen: Screen) throws(SpoolError) -> Int32 {
        let id = try Numbers.id(id)
        let store = try Looking.open(screen.settings.file())
        let limit = screen.settings.isJSON ? nil : Show.previewBytes
        let row = try store.job(id, bodyLimit: limit)
        let attempts = try store.attempts(of: id)
        let place: Place? = if let place = row.place { try store.place(place) } else { nil }
        if screen.settings.isJSON {
            try screen.line(json(row, attempts, place, store.files))
            return 0
        }
        let now = UnixTime.now()
        try head(row, on: screen, now: now)
        try timeline(row, on: screen, now: now)
        if !attempts.isEmpty { try table(attempts, row, now: now).write(on: screen) }
        try location(place, on: screen)
        try body(row.body, row.bodySize, on: screen)
        try log(row, store.files, on: screen)
        return 0
    }

    private func field(_ name: String, _ value: String, _ screen: Screen) throws(SpoolError) {
        let title = name + String(repeating: " ", count: max(0, 13 - name.utf8.count))
        try screen.line("  " + screen.paint(title, .dim) + value)
    }

    private func head(_ row: JobRow, on screen: Screen, now: UnixTime) throws(SpoolError) {
        let state = JobText.state(row.state)
        let stopping = row.isCancelling ? "  (asked to stop)" : ""
        try screen.line(
            screen.paint("job \(row.id)", .bold) + "  " + screen.paint(state.text, state.style)
                + stopping)
        if let name = row.name { try field("name", Escaping.line(name), screen) }
        try field("queue", Escaping.line(row.queue), screen)
        if let kind = row.kind { try field("kind", Escaping.line(kind), screen) }
        if let command = row.command { try field("command", Escaping.line(command), screen) }
        try field("priority", "\(row.priority)\(priorityWord(row.priority))", screen)
        let rule = row.backoff.map { "\(Phrases.long($0.min))..\(Phrases.long($0.max))" }
        try field(
            "retries",
            "\(min(row.failures, row.retries)) of \(row.retries) used"
                + (rule.map { ", backoff \($0)" } ?? ""),
            screen)
        if let timeout = row.timeout { try field("timeout", Phrases.long(timeout), screen) }
        if let error = row.error {
            try field("error", screen.paint(Escaping.line(error), .red), screen)
        }
    }

    private func priorityWord(_ priority: Int) -> String {
        Job.priorityNames.first { $0.1 == priority }.map { " (\($0.0))" } ?? ""
    }

    private func timeline(_ row: JobRow, on screen: Screen, now: UnixTime) throws(SpoolError) {
        func moment(_ time: UnixTime) -> String {
            let distance =
                time > now
                ? "in \(Phrases.long(Phrases.until(time - now)))"
                : "\(Phrases.long(now - time)) ago"
            return Times.local(time, now: now, seconds: true) + "  (\(distance))"
        }
        try field("put", moment(row.putAt), screen)
        if let due = row.due { try field("due", moment(due), screen) }
        if let started = row.started { try field("started", moment(started), screen) }
        if let finished = row.finished { try field("finished", moment(finished), screen) }
        if let worker = row.worker { try field("worker", Escaping.line(worker), screen) }
    }

    private func table(_ attempts: [AttemptRow], _ row: JobRow, now: UnixTime) -> Table {
        var table = Table([
            ("TRY", .right), ("OUTCOME", .left), ("STARTED", .left), ("TOOK", .left),
            ("CPU", .left), ("PEAK", .left), ("WORKER", .left), ("WHY", .left),
        ])
        for attempt in attempts {
            let cpu = (attempt.userMicroseconds ?? 0) + (attempt.systemMicroseconds ?? 0)
            table.add([
                Cell(String(attempt.number)),
                Cell(
                    attempt.verdict?.name ?? "running",
                    attempt.verdict == nil || attempt.verdict == .done ? .green : .red),
                Cell(Times.local(attempt.started, now: now, seconds: true)),
                Cell(Phrases.short((attempt.ended ?? now) - attempt.started)),
                Cell(attempt.userMicroseconds == nil ? "–" : Phrases.short(.microseconds(cpu))),
                Cell(attempt.peakKiB.map { Phrases.size(Int($0) * 1024) } ?? "–"),
                Cell(Escaping.line(attempt.worker ?? "–")),
                Cell(Escaping.line(attempt.error ?? "")),
            ])
        }
        return table
    }

    private func location(_ place: Place?, on screen: Screen) throws(SpoolError) {
        guard let place else { return }
        try field(
            "cwd", Escaping.line(String(decoding: place.directory, as: UTF8.self)), screen)
        let variables = Places.split(place.environment)
        let isShown = screen.settings.verbosity > 0
        try field(
            "environment",
            Phrases.counted(variables.count, "variable") + (isShown ? "" : " (-v shows them)"),
            screen)
        guard isShown else { return }
        for variable in variables {
            try screen.line("    " + Escaping.line(String(decoding: variable, as: UTF8.self)))
        }
    }

    private func body(_ body: Body, _ size: Int, on screen: Screen) throws(SpoolError) {
        guard body != .none else { return }
        let isCut = body.count < size
        let kept = isCut ? CharacterPieces.whole(body.bytes) : body.bytes
        let name = if case .json = body { "args" } else { "body" }
        let more = isCut ? "…  (\(Phrases.size(size)) in all)" : ""
        try field(name, Escaping.line(String(decoding: kept, as: UTF8.self)) + more, screen)
    }

    private func log(
        _ row: JobRow, _ files: StoreFiles, on screen: Screen
    ) throws(SpoolError) {
        guard row.attempt > 0 else { return }
        let path = files.log(row.id, attempt: row.attempt)
        guard let size = LogFile.size(path), size > 0 else {
            return try field("log", "no output", screen)
        }
        let (limit, lines) = (Show.previewLogBytes, Show.previewLines)
        let last = LogFile.lastLines(path, lines, atMost: limit)
        let isCut = last.count == limit && size > limit
        let part = isCut ? ", here the last \(Phrases.size(limit))" : ""
        try field("log", "\(Escaping.line(path))  (\(Phrases.size(size))\(part))", screen)
        let text = (isCut ? "…" : "") + Escaping.output(CharacterPieces.end(of: last))
        for line in text.split(separator: "\n") {
            try screen.line("    " + screen.paint("│ ", .dim) + line)
        }
    }

    private func json(
        _ row: JobRow, _ attempts: [AttemptRow], _ place: Place?, _ files: StoreFiles
    ) -> JSONObject {
        var object = JobText.json(row)
        object.set("timeout_ms", row.timeout)
        object.set("backoff_min_ms", row.backoff?.min)
        object.set("backoff_max_ms", row.backoff?.max)
        object.set("cancelling", row.isCancelling)
        object.set("cwd", place.map { String(decoding: $0.directory, as: UTF8.self) })
        object.set("environment_count", place.map { Places.split($0.environment).count })
        object.set(
            "log", row.attempt > 0 ? files.log(row.id, attempt: row.attempt) : nil)
        object.set("attempts", json: JSONWriter.array(attempts.map { json($0).bytes }))
        object.set("v", 1)
        return object
    }

    private func json(_ attempt: AttemptRow) -> JSONObject {
        var object = JSONObject()
        object.set("attempt", attempt.number)
        object.set("outcome", attempt.verdict?.name ?? "running")
        object.set("worker", attempt.worker)
        object.set("pid", attempt.pid)
        object.set("started_at", attempt.started)
        object.set("ended_at", attempt.ended)
        object.set("exit", attempt.exit)
        object.set("signal", attempt.signal)
        object.set("user_ms", attempt.userMicroseconds.map { $0 / 1000 })
        object.set("system_ms", attempt.systemMicroseconds.map { $0 / 1000 })
        object.set("peak_kib", attempt.peakKiB)
        object.set("error", attempt.error)
        return object
    }
}
