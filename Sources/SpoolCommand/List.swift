// List.swift - `spool list`: the jobs of a store, as a table, as JSON lines, or as ids.

internal import ArgumentParser
internal import SpoolJobs
internal import SpoolThreads

struct List: SpoolSubcommand {
    static let configuration = CommandConfiguration(
        abstract: "List jobs.",
        discussion: """
            Jobs that are done are hidden unless asked for with -a or state:done. Filters: \
            state:dead queue:mail kind:mail.send id:17..20, any other word is searched for. Of \
            a job's arguments the table has the first KiB; --json has all.

              spool list
              spool list state:dead queue:mail --json
            """,
        aliases: ["ls", "status"])

    @OptionGroup var global: GlobalOptions
    @Option(
        name: [.customShort("q", allowingJoined: true), .long], help: "Only this queue.")
    var queue: String?
    @Option(
        name: .customShort("n", allowingJoined: true),
        help: ArgumentHelp("At most so many; 0 is all.", valueName: "limit"))
    var limit = "50"
    @Flag(name: .shortAndLong, help: "Jobs that are done too.")
    var all = false
    @Flag(help: "Only the ids, one a line.")
    var ids = false
    @Argument(help: "What to show: state:dead queue:mail kind:mail.send id:17..20 text.")
    var filter: [String] = []

    func perform(on screen: Screen) throws(SpoolError) -> Int32 {
        let limit = try Numbers.count(limit, option: "-n", in: 0...Int.max)
        var jobs = JobFilter(limit: limit == 0 ? Int.max : limit)
        if let queue { jobs.queue = try Numbers.name(queue, what: "queue") }
        for word in filter { try ListFilter.apply(word, to: &jobs) }
        if jobs.states.isEmpty, !all { jobs.states = Set(State.allCases).subtracting([.done]) }
        let store = try Looking.open(screen.settings.file())
        let counts = try store.counts(queue: jobs.queue)
        let now = UnixTime.now()
        if ids || screen.settings.isJSON {
            try screen.hurrying { () throws(SpoolError) in
                try stream(jobs, of: store, on: screen)
            }
            return 0
        }
        jobs.bodyLimit = JobText.shownOfArguments
        let rows = try store.jobs(jobs)
        guard !rows.isEmpty else {
            try sayEmpty(counts, on: screen)
            return 0
        }
        try table(rows, now: now).write(on: screen)
        try screen.line(" " + footer(counts, shown: rows.count, limit: limit))
        return 0
    }

    private func stream(
        _ jobs: JobFilter, of store: Store, on screen: Screen
    ) throws(SpoolError) {
        guard !ids else {
            return try store.forEachID(jobs) { (id) throws(SpoolError) in
                try screen.line(String(id))
                return !screen.hasLostItsReader
            }
        }
        try store.forEachJob(jobs) { (row) throws(SpoolError) in
            var object = JobText.json(row)
            object.set("v", 1)
            try screen.line(object)
            return !screen.hasLostItsReader
        }
    }

    private func table(_ rows: [JobRow], now: UnixTime) -> Table {
        var table = Table([
            ("ID", .right), ("STATE", .left), ("QUEUE", .left), ("TRY", .left), ("AGE", .left),
            ("TOOK", .left), ("JOB", .left),
        ])
        for row in rows {
            table.add([
                Cell(String(row.id)), JobText.state(row.state), Cell(Escaping.line(row.queue)),
                Cell(JobText.tries(row)), Cell(Phrases.age(now - row.putAt)),
                Cell(JobText.took(row, now: now)), Cell(JobText.summary(row)),
            ])
        }
        return table
    }

    private func footer(_ counts: Counts, shown: Int, limit: Int) -> String {
        var parts = JobText.counts(counts)
        let hidesDone = counts.done > 0 && !all && filter.isEmpty
        if hidesDone { parts[parts.count - 1] += " (hidden, -a)" }
        let visible = counts.total - (hidesDone ? counts.done : 0)
        if shown == limit, shown < visible {
            parts.append("the first \(Phrases.grouped(shown)) shown (-n 0: all)")
        }
        return parts.joined(separator: " · ")
    }

    private func sayEmpty(_ counts: Counts, on screen: Screen) throws(SpoolError) {
        guard !filter.isEmpty || counts.total > 0 else {
            try screen.line("No jobs. Put one with:  spool put -- echo hello")
            return
        }
        let there = JobText.counts(counts).joined(separator: " · ")
        let isAllDone = filter.isEmpty && counts.done > 0
        try screen.line(
            isAllDone
                ? "Nothing is left to do. \(there) (hidden, -a)"
                : "No job matches. There are: \(there.isEmpty ? "none" : there)")
        if let state = filter.first(where: { State(rawValue: $0) != nil }) {
            screen.note("'\(state)' is looked for in what jobs say; the state is  state:\(state)")
        }
    }
}

/// The words that say which jobs to show.
enum ListFilter {
    private static let keys = ["state", "queue", "kind", "id"]

    static func apply(_ word: String, to filter: inout JobFilter) throws(SpoolError) {
        guard let colon = word.firstIndex(of: ":") else {
            filter.text = filter.text.map { $0 + " " + word } ?? word
            return
        }
        let value = String(word[word.index(after: colon)...])
        let key = String(word[..<colon])
        switch key {
        case "state": filter.states.insert(try state(value))
        case "queue": try set(&filter.queue, key, try Numbers.name(value, what: "queue"))
        case "kind": try set(&filter.kind, key, try Numbers.name(value, what: "kind"))
        case "id": try set(&filter.ids, key, try ids(value))
        default:
            if let near = Suggestion.nearest(to: key, among: keys) {
                throw .usage("unknown filter '\(key):'. Did you mean '\(near):'?")
            }
            filter.text = filter.text.map { $0 + " " + word } ?? word
        }
    }

    /// No job is in two queues: of two that are asked for, one would be left out in silence.
    private static func set<Value: Equatable>(
        _ place: inout Value?, _ key: String, _ value: Value
    ) throws(SpoolError) {
        guard place == nil || place == value else {
            throw .usage("\(key): was given twice; list shows one at a time.")
        }
        place = value
    }

    private static func state(_ text: String) throws(SpoolError) -> State {
        if let state = State(rawValue: text) { return state }
        let known = State.allCases.map(\.rawValue)
        throw .usage(
            "'\(text)' is not a state; the states are \(known.joined(separator: ", "))."
                + Suggestion.sentence(for: text, among: known))
    }

    /// `17`, `17..20`, `17..` or `..20`.
    private static func ids(_ text: String) throws(SpoolError) -> ClosedRange<Int64> {
        guard let (low, high) = Durations.splitRange(text) else {
            let id = try Numbers.id(text)
            return id...id
        }
        let first = low.isEmpty ? 1 : try Numbers.id(low)
        let last = high.isEmpty ? Int64.max : try Numbers.id(high)
        guard first <= last else { throw .usage("id:\(text): the first id is above the last.") }
        return first...last
    }
}
