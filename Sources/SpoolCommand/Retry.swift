// Retry.swift - `spool retry`: takes finished jobs back to ready.

internal import ArgumentParser
internal import SpoolJobs
internal import SpoolThreads

struct Retry: SpoolSubcommand {
    static let configuration = CommandConfiguration(
        abstract: "Run jobs again.",
        usage: "spool retry ID... | --dead [-q QUEUE]",
        discussion: """
            Takes dead, cancelled, done and waiting jobs back to ready; their attempts are kept. \
            Ids are taken all or none; with --dead a thousand at a time, so that others can put \
            meanwhile: after a failure run it again.

              spool retry 17
              spool retry --dead -q mail
            """,
        aliases: ["restart"])

    @OptionGroup var global: GlobalOptions
    @Flag(help: "All dead jobs.")
    var dead = false
    @Option(
        name: [.customShort("q", allowingJoined: true), .long], help: "With --dead: of this queue.")
    var queue: String?
    @Flag(help: "Say what would be done, and do nothing.")
    var dryRun = false
    @Argument(help: "The jobs.")
    var ids: [String] = []

    func perform(on screen: Screen) throws(SpoolError) -> Int32 {
        let jobs = try Numbers.ids(ids)
        guard dead != !jobs.isEmpty else {
            throw .usage(
                "retry takes ids, or --dead.", hint: "Try:  spool retry --dead")
        }
        guard queue == nil || dead else { throw .usage("-q belongs to --dead.") }
        var name: String?
        if let queue { name = try Numbers.name(queue, what: "queue") }
        let store = try Looking.open(screen.settings.file())
        let retried = try dryRun ? planned(jobs, name, store) : retry(jobs, name, store)
        try Changed.tell(retried, "retry", dryRun ? "would be ready" : "ready again", on: screen)
        return 0
    }

    private func retry(
        _ jobs: [Int64], _ queue: String?, _ store: Store
    ) throws(SpoolError) -> [Int64] {
        guard !dead else { return try store.retryDead(queue: queue, now: .now()) }
        try store.retry(jobs, now: .now())
        return jobs
    }

    private func planned(
        _ jobs: [Int64], _ queue: String?, _ store: Store
    ) throws(SpoolError) -> [Int64] {
        if dead { return try store.failed(queue: queue, states: [.dead], limit: Int.max) }
        try store.checkRetry(jobs)
        return jobs
    }
}

extension JSONObject {
    /// What was done to a queue.
    init(queue: String, action: String) {
        self.init()
        set("queue", queue)
        set("action", action)
        set("v", 1)
    }
}

/// What commands that change jobs say: the ids in JSON, a sentence for people.
enum Changed {
    static func tell(
        _ ids: [Int64], _ action: String, _ phrase: String, on screen: Screen
    ) throws(SpoolError) {
        guard screen.settings.isJSON else {
            let count = ids.count == 1 ? "job \(ids[0])" : Phrases.counted(ids.count, "job")
            screen.note("\(count) \(phrase)")
            return
        }
        for id in ids {
            var object = JSONObject()
            object.set("id", id)
            object.set("action", action)
            object.set("v", 1)
            try screen.line(object)
        }
    }
}
