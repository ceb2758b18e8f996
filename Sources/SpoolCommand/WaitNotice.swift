// WaitNotice.swift - tells who waits for jobs why they do not run: their queue is paused, or no worker takes from it.
//
// Said once on stderr, and again only if it was otherwise in between. A script that waits has nobody who would know
// why, so it is said there, too; --quiet turns it off.

internal import SpoolJobs
internal import SpoolThreads

struct WaitNotice {
    /// Between two looks, and before the first. It takes two: a worker that is replaced is away for a moment.
    private static let pause = Duration.seconds(1)

    private let store: Store
    private let screen: Screen
    private var next = Deadline(after: WaitNotice.pause)
    private var pauses: [String: UnixTime] = [:]
    /// Queues that nobody took from at the last look, and those of which that was told.
    private var unwatched: Set<String> = []
    private var told: Set<String> = []

    /// What is ready on one queue.
    private struct Ready {
        /// "job 17 waits", "12 jobs wait".
        let what: String
        let queue: String
        /// Nil: of a command.
        let kind: String?
    }

    init(_ store: Store, _ screen: Screen) {
        self.store = store
        self.screen = screen
    }

    /// Looks at once.
    mutating func tellIfPaused(_ id: Int64, on queue: String) throws(SpoolError) {
        let since = try store.pausedSince(queue: queue)
        tell(since, Ready(what: "job \(id) waits", queue: queue, kind: nil)) {}
    }

    /// Looks at most once a second.
    /// - Parameter queue: Of a join of a queue's jobs; nil: of all. Jobs that are joined by their ids have their own.
    /// - Parameter before: Called before something is said.
    mutating func look(
        at joiner: Joiner, of queue: String? = nil, _ progress: JoinProgress,
        before: () -> Void = {}
    ) {
        guard !screen.settings.isQuiet, !progress.isFinished, Deadline.now() >= next else { return }
        next = Deadline(after: WaitNotice.pause)
        // What cannot be read ends the waiting itself, with its own words.
        guard let ready = try? ready(joiner, queue), let workers = try? store.workers() else {
            return
        }
        var unwatched: Set<String> = []
        for jobs in ready {
            if let since = try? store.pausedSince(queue: jobs.queue) {
                tell(since, jobs, before)
                continue
            }
            pauses[jobs.queue] = nil
            let isWatched = workers.contains {
                Watching.isWatching($0, jobs.queue, kind: jobs.kind)
            }
            guard !isWatched else { continue }
            unwatched.insert(jobs.queue)
            guard self.unwatched.contains(jobs.queue), !told.contains(jobs.queue) else { continue }
            told.insert(jobs.queue)
            before()
            screen.note(
                "\(jobs.what), and no worker is watching '\(jobs.queue)'. Start one with:  "
                    + screen.settings.command(Watching.work(jobs.queue)))
        }
        self.unwatched = unwatched
        told.formIntersection(unwatched)
    }

    private mutating func tell(_ pausedSince: UnixTime?, _ jobs: Ready, _ before: () -> Void) {
        defer { pauses[jobs.queue] = pausedSince }
        guard let pausedSince, pausedSince != pauses[jobs.queue] else { return }
        before()
        screen.note(
            "\(jobs.what) in the paused queue '\(jobs.queue)'. Go on with:  "
                + screen.settings.command("resume \(jobs.queue)"))
    }

    private func ready(_ joiner: Joiner, _ queue: String?) throws(SpoolError) -> [Ready] {
        if let id = joiner.awaited {
            let row = try store.job(id, bodyLimit: 0)
            guard row.state == .ready else { return [] }
            return [Ready(what: "job \(id) waits", queue: row.queue, kind: row.kind)]
        }
        return try store.ready(queue: queue).sorted { $0.key < $1.key }.map { (name, count) in
            // Of any kind: a program with the library may take them.
            Ready(
                what: Phrases.counted(count, "job") + (count == 1 ? " waits" : " wait"),
                queue: name, kind: "")
        }
    }
}
