// WorkerOptions.swift - what a worker is asked for, and what it tells at the end.

public import SpoolJobs
public import SpoolProcesses
internal import SpoolThreads

/// What `spool work` was asked for.
public struct WorkerOptions: Sendable {
    /// The store, made if it is missing.
    public var file: String
    /// Which jobs it takes.
    public var selection = Selection()
    /// The queues as they were typed, for tables; empty for all.
    public var queues = ""
    /// How many jobs it runs at once.
    public var consumers: Int
    /// The program for typed jobs, looked for in PATH; it gets the kind as its argument and the body on stdin.
    public var program: String?
    /// Ends when nothing is ready, running or retrying; what waits in a paused queue is none of it.
    public var untilEmpty = false
    /// Claims in all.
    public var maxJobs: Int?
    /// Ends when there was nothing to do for so long.
    public var idleExit: Duration?
    /// What running jobs get at SIGTERM before they are stopped.
    public var grace = Duration.seconds(25)
    /// From SIGTERM to SIGKILL when a job is stopped at its time-out or at the end of the grace.
    public var killAfter = Duration.seconds(10)
    /// What tables show as the worker; nil is host:pid.
    public var name: String?
    /// Bytes of output kept of one attempt.
    public var logLimit = 1 << 20
    /// What each job may use at most, whatever it asked for itself.
    public var limits = ResourceLimits()

    /// Made from its parts.
    public init(file: String, consumers: Int) {
        self.file = file
        self.consumers = consumers
    }
}

/// What a worker did.
public struct WorkSummary: Hashable, Sendable {
    /// Jobs that ended well.
    public var done = 0
    /// Runs that failed and will be repeated.
    public var retrying = 0
    /// Jobs that are out of retries, or poison.
    public var dead = 0
    /// Jobs that were stopped on purpose.
    public var cancelled = 0
    /// Given back unharmed, or after their consumer died.
    public var released = 0
    /// Times that only the safety poll found work: 0 unless a wake-up was lost.
    public var missedWakeups = 0
    /// From its start to its end.
    public var took = Duration.zero

    /// Made from its parts.
    public init() {}

    /// Runs that came to an end.
    public var jobs: Int { done + retrying + dead + cancelled }

    /// Jobs that were called back before they began are not worth telling.
    mutating func count(_ moves: [Move?], of outcomes: [Outcome]) {
        for (move, outcome) in zip(moves, outcomes) where outcome.verdict != .recalled {
            switch move {
            case .done: done += 1
            case .scheduled: retrying += 1
            case .dead: dead += 1
            case .cancelled: cancelled += 1
            case .ready: released += 1
            case nil: break
            }
        }
    }
}
