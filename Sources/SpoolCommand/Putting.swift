// Putting.swift - what `put` does: make the jobs, put them in one transaction, say which they are.

private import CSpool
private import Glibc
internal import SpoolJobs
internal import SpoolThreads

enum Putting {
    /// Longest line of --each and --ndjson: a body at its limit, every byte of it escaped.
    private static let longestLine = 6 * Job.maximumBytes

    static func put(_ words: [[UInt8]]) throws(SpoolError) -> Int32 {
        let arguments = try PutParser.parse(words)
        let screen = Screen(arguments.settings)
        let now = UnixTime.now()
        let plan = try PutPlan(arguments, now: now)
        let jobs = try jobs(plan, screen, now: now)
        guard !jobs.isEmpty else { return 0 }
        if arguments.has(.dryRun) { return try PutReport.dryRun(jobs, on: screen) }
        let path = try arguments.settings.file()
        let store = try Store.open(path, warningOn: screen)
        if arguments.has(.wait) { try OwnJob(of: store)?.check(waitingFor: jobs[0], in: store) }
        PutHints.warnOfNewQueue(jobs, in: store, screen)
        let ids = try named(path) { () throws(SpoolError) in try store.put(jobs, now: now) }
        let tell = { () throws(SpoolError) in
            try PutReport.tell(ids, jobs, listsIDs: arguments.has(.ids), on: screen)
        }
        guard arguments.has(.wait) else {
            try tell()
            PutHints.sayIfNobodyWatches(jobs, in: store, screen)
            return 0
        }
        return try screen.saying(ids.lowerBound) { () throws(SpoolError) in
            try tell()
            return try JobStatus.wait(for: ids.lowerBound, on: jobs[0].queue, in: store, screen)
        }
    }

    /// The job store says "putting jobs"; a person who put wants to know that it was not.
    private static func named<Value>(
        _ path: String, _ body: () throws(SpoolError) -> Value
    ) throws(SpoolError) -> Value {
        do throws(SpoolError) {
            return try body()
        } catch .diskFull {
            throw .diskFull(path: path, doing: "the job was not put")
        }
    }

    private static func jobs(
        _ plan: PutPlan, _ screen: Screen, now: UnixTime
    ) throws(SpoolError) -> [NewJob] {
        switch plan.source {
        case .one: return [plan.model]
        case .lines(let template, let terminator):
            var reader = LineReader(0, terminator: terminator, longest: longestLine)
            var jobs: [NewJob] = []
            var number = 1
            while try reader.next({ (bytes, line) throws(SpoolError) in
                // As parallel does: an empty line is a job without a word only by mistake.
                guard !line.isEmpty else { return }
                jobs.append(try template.job(plan.model, line: Array(bytes[line]), number: number))
            }) { number += 1 }
            if jobs.isEmpty { sayNothingWasPut("The input is empty", screen) }
            return jobs
        case .ndjson(let path, let skipsBadLines):
            return try ndjson(path, skipsBadLines, plan.model, screen, now: now)
        }
    }

    private static func sayNothingWasPut(_ why: String, _ screen: Screen) {
        screen.note("\(why): nothing was put.")
    }

    private static func ndjson(
        _ path: String, _ skipsBadLines: Bool, _ model: NewJob, _ screen: Screen, now: UnixTime
    ) throws(SpoolError) -> [NewJob] {
        let descriptor = path == "-" ? 0 : try Descriptor.open(toRead: path)
        defer { if path != "-" { Descriptor.close(descriptor) } }
        var hasSkipped = false
        let skip = { (message: String) in
            hasSkipped = true
            screen.warn("\(message) The line was skipped.")
        }
        let source = path == "-" ? "stdin" : path
        let file = NDJSONFile(
            source: source, format: NDJSON(model: model, now: now),
            skip: skipsBadLines ? skip : nil)
        let jobs = try file.jobs(
            from: LineReader(
                descriptor, source: source, terminator: 0x0A, longest: longestLine))
        if jobs.isEmpty {
            sayNothingWasPut(hasSkipped ? "No line is good" : "The input is empty", screen)
        }
        return jobs
    }
}

/// What `put` says about the jobs that it put.
enum PutReport {
    static func tell(
        _ ids: ClosedRange<Int64>, _ jobs: [NewJob], listsIDs: Bool, on screen: Screen
    ) throws(SpoolError) {
        let what =
            ids.count == 1
            ? "job \(ids.lowerBound) was put, but its id"
            : "\(Phrases.counted(ids.count, "job")) were put (\(ids.lowerBound)–\(ids.upperBound)), but"
                + " their ids"
        try screen.deliver(what) { () throws(SpoolError) in
            try write(ids, jobs, listsIDs: listsIDs, on: screen)
        }
    }

    private static func write(
        _ ids: ClosedRange<Int64>, _ jobs: [NewJob], listsIDs: Bool, on screen: Screen
    ) throws(SpoolError) {
        let isMany = jobs.count > 1
        if screen.settings.isJSON {
            if isMany, !listsIDs {
                var object = JSONObject()
                object.set("count", jobs.count)
                object.set("first", ids.lowerBound)
                object.set("last", ids.upperBound)
                object.set("v", 1)
                try screen.line(object)
            } else {
                for (id, job) in zip(ids, jobs) {
                    var object = JSONObject()
                    object.set("id", id)
                    object.set("queue", job.queue)
                    object.set("v", 1)
                    try screen.line(object)
                }
            }
            return
        }
        if !isMany || listsIDs {
            for id in ids { try screen.line(String(id)) }
        }
        guard isMany else { return }
        let queues = Set(jobs.map(\.queue))
        let place =
            queues.count == 1 ? queues.first ?? "" : Phrases.counted(queues.count, "queue")
        screen.note(
            "\(Phrases.counted(jobs.count, "job")) on \(place) (\(ids.lowerBound)–\(ids.upperBound))"
        )
    }

    /// What would be put, one job a line; nothing is opened or written.
    static func dryRun(_ jobs: [NewJob], on screen: Screen) throws(SpoolError) -> Int32 {
        for job in jobs {
            let text =
                switch job.work {
                case .command(let words): String(decoding: Words.quote(words), as: UTF8.self)
                case .kind(let kind):
                    job.body == .none
                        ? kind : kind + " " + String(decoding: job.body.bytes, as: UTF8.self)
                }
            guard screen.settings.isJSON else {
                try screen.line("would put on \(job.queue): \(Escaping.line(text))")
                continue
            }
            var object = JSONObject()
            object.set("queue", job.queue)
            switch job.work {
            case .command(let words):
                object.set("command", words.map { String(decoding: $0, as: UTF8.self) })
            case .kind(let kind): object.set("kind", kind)
            }
            object.set("priority", job.priority)
            object.set("due_at", job.due)
            object.set("v", 1)
            try screen.line(object)
        }
        try screen.flush()
        return 0
    }
}

/// Advice on a terminal. It costs statements that a script's put does not pay.
enum PutHints {
    private static let pause = Duration.seconds(60)

    /// 'mial' beside an existing 'mail' is usually a slip; the job is put all the same.
    static func warnOfNewQueue(_ jobs: [NewJob], in store: Store, _ screen: Screen) {
        guard isWanted(screen) else { return }
        // A store that cannot be read fails in the put, with its own words.
        guard let names = try? store.queueNames() else { return }
        for queue in Set(jobs.map(\.queue)).subtracting(names).sorted() {
            guard let nearest = Suggestion.mistyped(queue, among: names) else { continue }
            screen.warn("'\(queue)' is a new queue; the nearest existing one is '\(nearest)'.")
        }
    }

    static func sayIfNobodyWatches(_ jobs: [NewJob], in store: Store, _ screen: Screen) {
        guard isWanted(screen), let job = jobs.first else { return }
        let queue = job.queue
        // The jobs are put; that nothing can be said about workers is not worth an error.
        guard let workers = try? store.workers() else { return }
        guard !workers.contains(where: { Watching.isWatching($0, queue, kind: job.work.kind) })
        else { return }
        guard Watching.isDue(store.files.directory + "/hint", every: pause) else { return }
        screen.note(
            "hint: no worker is watching '\(queue)'. Start one with:  "
                + screen.settings.command(Watching.work(queue)))
    }

    private static func isWanted(_ screen: Screen) -> Bool {
        !screen.settings.isQuiet && !screen.settings.isJSON
            && (screen.isErrorTerminal || screen.settings.verbosity > 0)
    }
}

/// Which worker takes from which queue.
enum Watching {
    /// `queues` is what -q was given: names, each perhaps with a weight as in mail*5. Programs with the library run no
    /// commands.
    /// - Parameter kind: Nil: of a command.
    static func isWatching(_ worker: WorkerRow, _ queue: String, kind: String?) -> Bool {
        guard worker.consumers > 0 || kind != nil else { return false }
        return worker.queues.isEmpty
            || worker.queues.split(separator: ",").contains { choice in
                choice.prefix { $0 != "*" } == queue[...]
            }
    }

    /// The words that start a worker for a queue.
    static func work(_ queue: String) -> String {
        queue == "default" ? "work" : "work -q \(queue)"
    }

    /// Whether the file was touched longer ago than `pause`; touches it then.
    static func isDue(_ path: String, every pause: Duration) -> Bool {
        var status = stat()
        if stat(path, &status) == 0 {
            let touched = UnixTime(microseconds: Int64(status.st_mtim.tv_sec) * 1_000_000)
            let age = UnixTime.now() - touched
            if age >= .zero, age < pause { return false }
        }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { return true }
        defer { close(descriptor) }
        futimens(descriptor, nil)
        return true
    }
}
