// Join.swift - `spool join`: waits until jobs are finished, and says how they ended.

internal import ArgumentParser
internal import SpoolJobs
internal import SpoolThreads

struct Join: SpoolSubcommand {
    static let configuration = CommandConfiguration(
        abstract: "Wait until jobs are finished.",
        usage: "spool join [ID...] [-q QUEUE] [--all] [--snapshot] [--timeout D] [--exit-code]",
        discussion: """
            Without arguments: until nothing is unfinished in any queue; jobs put meanwhile, \
            scheduled and retrying ones count too. Exits 1 if a job failed or was cancelled, or \
            dead jobs are left from before; 124 when --timeout ran out.

              spool join
              spool join -q media --timeout 1h
              spool join 17 --exit-code
            """,
        aliases: ["wait"])

    /// Ids of failed jobs that the last line names.
    private static let namedFailures = 3

    @OptionGroup var global: GlobalOptions
    @Option(
        name: [.customShort("q", allowingJoined: true), .long], help: "All jobs of this queue.")
    var queue: String?
    @Flag(help: "All jobs of all queues.")
    var all = false
    @Flag(help: "Only jobs that were put before now.")
    var snapshot = false
    @Option(help: "Give up after so long: 90s, 10m; exit 124.")
    var timeout: String?
    @Flag(help: "With one id: exit with that job's own status.")
    var exitCode = false
    @Argument(help: "The jobs.")
    var ids: [String] = []

    func perform(on screen: Screen) throws(SpoolError) -> Int32 {
        var limit: Duration?
        if let timeout { limit = try Durations.parse(timeout, option: "--timeout") }
        let jobs = try Numbers.ids(ids)
        try check(jobs)
        let store = try Looking.open(screen.settings.file())
        guard let target = try target(jobs, store) else { return 0 }
        // With a time limit it ends, whatever it waits for.
        if limit == nil { try OwnJob(of: store)?.check(joining: target) }
        let joiner = try Joiner(target, of: store)
        var bar = ProgressBar(title: queue ?? "", screen: screen)
        var notice = WaitNotice(store, screen)
        let begin = Deadline.now()
        let last = try joiner.wait(until: Deadline(after: limit)) { progress in
            notice.look(at: joiner, of: queue, progress) { bar.makeRoom() }
            bar.show(progress, at: .now())
        }
        bar.end()
        // Last: after a fork each page that is written costs a fault.
        defer { joiner.closeElsewhere() }
        let failures = try joiner.failures(limit: Join.namedFailures + 1)
        try tell(last, failures, of: joiner, since: begin, of: store, on: screen)
        guard last.isFinished else {
            let left = last.total - last.done - last.failed
            throw .timedOut(
                "\(Phrases.counted(left, "job")) not finished after "
                    + "\(Phrases.long(limit ?? .zero)) (--timeout).")
        }
        if exitCode, let job = jobs.first { return JobStatus.exitStatus(of: try store.job(job)) }
        return failures.isEmpty && last.failed == 0 ? 0 : 1
    }

    private func check(_ jobs: [Int64]) throws(SpoolError) {
        let ways = [!jobs.isEmpty, queue != nil, all].filter { $0 }.count
        guard ways <= 1 else { throw .usage("join takes ids, or -q QUEUE, or --all.") }
        if exitCode, jobs.count != 1 { throw .usage("--exit-code goes with one id.") }
        if snapshot, !jobs.isEmpty { throw .usage("--snapshot goes with -q QUEUE or --all.") }
    }

    /// Nil: there never was a job.
    private func target(_ jobs: [Int64], _ store: Store) throws(SpoolError) -> JoinTarget? {
        if !jobs.isEmpty { return .jobs(jobs) }
        var name: String?
        if let queue { name = try Numbers.name(queue, what: "queue") }
        guard snapshot else { return name.map(JoinTarget.queue) ?? .all }
        return try store.newestJob().map { .upTo(queue: name, last: $0) }
    }

    private func tell(
        _ last: JoinProgress, _ failures: [Int64], of joiner: Joiner, since begin: Deadline,
        of store: Store, on screen: Screen
    ) throws(SpoolError) {
        let took = Deadline.now().nanoseconds - begin.nanoseconds
        if screen.settings.isJSON {
            var object = ProgressBar.json("result", last)
            object.set(
                "failed_ids", json: JSONWriter.array(failures.map { Array(String($0).utf8) }))
            object.set("took_ms", Duration.nanoseconds(Int64(took)))
            object.set("finished", last.isFinished)
            object.set("v", 1)
            return try screen.line(object)
        }
        if !joiner.removed.isEmpty {
            let ids = joiner.removed.prefix(Join.namedFailures).map(String.init)
            let more = joiner.removed.count > Join.namedFailures ? " …" : ""
            screen.note("✖ removed while join waited: \(ids.joined(separator: " "))\(more)")
        }
        guard !failures.isEmpty, last.isFinished else { return }
        let named = failures.prefix(Join.namedFailures).map(String.init).joined(separator: " ")
        let more = failures.count > Join.namedFailures ? " …" : "."
        let option = queue.map { " -q \($0)" } ?? ""
        let isDead = try store.job(failures[0], bodyLimit: 0).state == .dead
        let again = ids.isEmpty && isDead ? "--dead\(option)" : named
        let count =
            last.failed > 0
            ? "\(Phrases.grouped(last.failed)) of \(Phrases.grouped(last.total)) failed"
            : "dead jobs are left from before"
        screen.note(
            "✖ \(count): \(named)\(more) Look at one with  "
                + "\(screen.settings.command("show \(failures[0])")) ; "
                + "run again with  \(screen.settings.command("retry \(again)"))")
    }
}
