// State.swift - the states of a job and every move between them: the one place that decides.
//
//             put                    due                 claim                 done
//  (nothing) ─────▶ scheduled ───────────▶ ready ───────────────▶ running ───────────────▶ done
//     └──────────────────────────────────▶ │ ▲ ▲                  │ │ │ │
//                      ▲                   │ │ └─ released, died ──┘ │ │ └── cancel ──▶ cancelled
//                      └── failed, backoff ┼─┼──────────────────────┘ │
//                                          │ └── retry by hand ───┐   └── failures used up ─▶ dead
//                          cancel ◀────────┘      (from done, dead, cancelled)
//
// Pure: no clock, no store, no randomness. The store turns a Move into one fenced change of rows.

public import SpoolThreads

/// Where a job stands. `retrying` is a name for scheduled after at least one attempt; the table knows only scheduled.
public enum State: String, CaseIterable, Sendable {
    case scheduled, retrying, ready, running, done, dead, cancelled

    /// Work remains: `join` waits for these.
    public var isUnfinished: Bool {
        switch self {
        case .scheduled, .retrying, .ready, .running: true
        case .done, .dead, .cancelled: false
        }
    }
}

/// How a run of a job ended. The raw value is what the column `verdict` holds.
public enum Verdict: Int, CaseIterable, Sendable {
    /// Exit status 0, or the handler returned.
    case done = 1
    /// Another exit status, a signal, or the handler threw. Counts as a failure.
    case failed = 2
    /// Stopped at its time-out. Counts as a failure.
    case timedOut = 3
    /// Somebody asked for it to stop, and it did.
    case cancelled = 4
    /// Given back unharmed: the worker is going. Counts as nothing.
    case released = 5
    /// The consumer that ran it died. Three in a row make the job dead: it is poison.
    case consumerDied = 6
    /// The worker died with all its consumers. Counts as nothing: it is not the job's fault.
    case workerLost = 7
    /// Taken back before it began. Counts as nothing, not even as a start: it leaves no record.
    case recalled = 8

    /// The name in tables and JSON.
    public var name: String {
        switch self {
        case .done: "done"
        case .failed: "failed"
        case .timedOut: "timed out"
        case .cancelled: "cancelled"
        case .released: "released"
        case .consumerDied: "consumer died"
        case .workerLost: "worker lost"
        case .recalled: "recalled"
        }
    }
}

/// What a job has behind it. `attempt` numbers its starts and is the fence; it never goes back.
public struct History: Hashable, Sendable {
    /// How often it was started.
    public var attempt: Int
    /// Runs that ended badly.
    public var failures: Int
    /// Consumers that died with it, one after the other.
    public var deaths: Int

    /// Made from its parts.
    public init(attempt: Int = 0, failures: Int = 0, deaths: Int = 0) {
        self.attempt = attempt
        self.failures = failures
        self.deaths = deaths
    }
}

/// What a job allows: how many failures are forgiven, and how long to wait after each.
public struct Policy: Hashable, Sendable {
    /// Failures that are forgiven.
    public var retries: Int
    /// How long to wait after each failure.
    public var backoff: Backoff

    /// Made from its parts.
    public init(retries: Int, backoff: Backoff = .standard) {
        self.retries = retries
        self.backoff = backoff
    }

    /// A job that was under three consumers when they died, one after the other, is not tried on a fourth.
    public static let deathsThatMakePoison = 3
}

/// Where a job goes next.
public enum Move: Hashable, Sendable {
    case ready(History)
    case scheduled(due: UnixTime, History)
    case done(History)
    case dead(History, reason: String)
    case cancelled(History)

    /// What the job then has behind it.
    public var history: History {
        switch self {
        case .ready(let history), .scheduled(_, let history), .done(let history),
            .dead(let history, _), .cancelled(let history):
            history
        }
    }

    /// Where it stands.
    public var state: State {
        switch self {
        case .ready: .ready
        case .scheduled(_, let history): history.attempt > 0 ? .retrying : .scheduled
        case .done: .done
        case .dead: .dead
        case .cancelled: .cancelled
        }
    }

    /// Where a new job begins.
    public static func put(due: UnixTime?, now: UnixTime) -> Move {
        guard let due, due > now else { return .ready(History()) }
        return .scheduled(due: due, History())
    }

    /// Where a running job goes when its run has ended.
    /// - Parameters:
    ///   - cancelling: Somebody asked for it to stop: it then ends cancelled, unless it was done already.
    ///   - random: In 0 ..< 1, spreads the retries of jobs that failed together.
    public static func settle(
        _ verdict: Verdict, _ history: History, _ policy: Policy, cancelling: Bool, now: UnixTime,
        random: Double
    ) -> Move {
        var next = history
        // Nobody began it: its number may be given again.
        if verdict == .recalled { next.attempt -= 1 }
        if verdict != .consumerDied { next.deaths = 0 }
        if cancelling, verdict != .done { return .cancelled(next) }
        switch verdict {
        case .done: return .done(next)
        case .cancelled: return .cancelled(next)
        case .released, .workerLost: return .ready(history)
        case .recalled:
            next.deaths = history.deaths
            return .ready(next)
        case .failed, .timedOut:
            next.failures += 1
            guard next.failures <= policy.retries else { return .dead(next, reason: "failed") }
            let wait = policy.backoff.delay(after: next.failures, random: random)
            return .scheduled(due: now + wait, next)
        case .consumerDied:
            return afterDeath(&next, now: now)
        }
    }

    /// At once after the first death, since it is seldom the job's fault; a pause after the second lets others pass.
    private static func afterDeath(_ next: inout History, now: UnixTime) -> Move {
        next.deaths += 1
        guard next.deaths < Policy.deathsThatMakePoison else {
            return .dead(next, reason: "poison: \(next.deaths) consumers died with it")
        }
        guard next.deaths > 1 else { return .ready(next) }
        return .scheduled(due: now + .seconds(1), next)
    }

    /// Where `retry` by hand takes a job: its failures are forgiven, its attempts go on counting. Nil: not from there.
    public static func retry(from state: State, _ history: History) -> Move? {
        switch state {
        case .done, .dead, .cancelled, .scheduled, .retrying:
            .ready(History(attempt: history.attempt))
        case .ready, .running: nil
        }
    }

    /// Where `cancel` takes a job that is not running. Nil: not from there; a running one is asked to stop.
    public static func cancel(from state: State, _ history: History) -> Move? {
        switch state {
        case .ready, .scheduled, .retrying: .cancelled(history)
        case .running, .done, .dead, .cancelled: nil
        }
    }
}
