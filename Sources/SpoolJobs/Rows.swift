// Rows.swift - what the store tells about jobs, attempts, queues and workers.

public import SpoolThreads

/// A job as `list` and `show` see it.
public struct JobRow: Hashable, Sendable {
    public var id: Int64
    public var state: State
    public var queue: String
    public var kind: String?
    public var name: String?
    public var priority: Int
    public var attempt: Int
    public var failures: Int
    public var retries: Int
    public var putAt: UnixTime
    /// When it may run, for scheduled and retrying ones.
    public var due: UnixTime?
    /// Start of its last attempt.
    public var started: UnixTime?
    public var finished: UnixTime?
    /// The words quoted as a POSIX shell needs them; nil for typed jobs.
    public var command: String?
    public var body: Body
    public var backoff: Backoff?
    public var timeout: Duration?
    public var place: Int64?
    /// Name of the worker that runs or ran it last.
    public var worker: String?
    public var exit: Int?
    public var signal: Int?
    public var error: String?
    /// Somebody asked for it to stop and it has not yet.
    public var isCancelling: Bool
}

/// One start of a job.
public struct AttemptRow: Hashable, Sendable {
    public var number: Int
    /// Nil while it runs.
    public var verdict: Verdict?
    public var worker: String?
    public var pid: Int?
    public var started: UnixTime
    public var ended: UnixTime?
    public var exit: Int?
    public var signal: Int?
    public var userMicroseconds: Int64?
    public var systemMicroseconds: Int64?
    public var peakKiB: Int64?
    public var error: String?
}

/// How many jobs stand in each state.
public struct Counts: Hashable, Sendable {
    public var ready = 0
    /// Not started yet; those that wait for another attempt are `retrying`.
    public var scheduled = 0
    public var retrying = 0
    public var running = 0
    public var done = 0
    public var dead = 0
    public var cancelled = 0

    public init() {}

    public var unfinished: Int { ready + scheduled + retrying + running }
    public var total: Int { unfinished + done + dead + cancelled }

    public static func + (a: Counts, b: Counts) -> Counts {
        var sum = a
        sum.ready += b.ready
        sum.scheduled += b.scheduled
        sum.retrying += b.retrying
        sum.running += b.running
        sum.done += b.done
        sum.dead += b.dead
        sum.cancelled += b.cancelled
        return sum
    }
}

public struct QueueRow: Hashable, Sendable {
    public var name: String
    public var pausedSince: UnixTime?
    public var counts: Counts
    /// When the first scheduled or retrying job is due.
    public var nextDue: UnixTime?
}

/// A process that claims jobs.
public struct WorkerRow: Hashable, Sendable {
    public var owner: Int64
    public var name: String
    public var pid: Int32
    public var consumers: Int
    /// As given with -q; empty for all queues.
    public var queues: String
    public var started: UnixTime
    public var running: Int
}

/// Which jobs `list` shows.
public struct JobFilter: Hashable, Sendable {
    /// Empty: all states.
    public var states: Set<State> = []
    public var queue: String?
    public var kind: String?
    public var ids: ClosedRange<Int64>?
    /// Kept if the command, kind or name contains this text.
    public var text: String?
    /// Newest first, at most this many.
    public var limit: Int

    public init(limit: Int = 50) { self.limit = limit }
}
