// Rows.swift - what the store tells about jobs, attempts, queues and workers.

public import SpoolThreads

/// A job as `list` and `show` see it.
public struct JobRow: Hashable, Sendable {
    /// Its number in the store.
    public var id: Int64
    /// Where it stands.
    public var state: State
    /// The queue.
    public var queue: String
    /// The kind of a typed job; nil for commands.
    public var kind: String?
    /// Its name.
    public var name: String?
    /// Small runs first.
    public var priority: Int
    /// How often it was started.
    public var attempt: Int
    /// Runs that ended badly.
    public var failures: Int
    /// Failures that are forgiven.
    public var retries: Int
    /// When it was put.
    public var putAt: UnixTime
    /// When it may run, for scheduled and retrying ones.
    public var due: UnixTime?
    /// Start of its last attempt.
    public var started: UnixTime?
    /// When it ended for good.
    public var finished: UnixTime?
    /// The words quoted as a POSIX shell needs them; nil for typed jobs.
    public var command: String?
    /// Its arguments or bytes; the first of them, if whoever asked wanted no more.
    public var body: Body
    /// How many bytes its body has.
    public var bodySize: Int
    /// How long to wait after a failure; nil is the standard, 15 s ... 1 h.
    public var backoff: Backoff?
    /// When a run is stopped, counted from its start; nil never.
    public var timeout: Duration?
    /// The row of its place; nil: it has none.
    public var place: Int64?
    /// Name of the worker that runs or ran it last.
    public var worker: String?
    /// Exit status, unless a signal ended it.
    public var exit: Int?
    /// The signal that ended it, if one did.
    public var signal: Int?
    /// Why it did not succeed, one line for people.
    public var error: String?
    /// Somebody asked for it to stop and it has not yet.
    public var isCancelling: Bool
}

/// One start of a job.
public struct AttemptRow: Hashable, Sendable {
    /// The number of the start, from 1.
    public var number: Int
    /// Nil while it runs.
    public var verdict: Verdict?
    /// Name of the worker that ran it.
    public var worker: String?
    /// Its process.
    public var pid: Int?
    /// When it began.
    public var started: UnixTime
    /// When it ended.
    public var ended: UnixTime?
    /// Exit status, unless a signal ended it.
    public var exit: Int?
    /// The signal that ended it, if one did.
    public var signal: Int?
    /// Processor time in user mode, its children included.
    public var userMicroseconds: Int64?
    /// Processor time in the kernel, its children included.
    public var systemMicroseconds: Int64?
    /// Largest resident set of one process, in KiB.
    public var peakKiB: Int64?
    /// Why it did not succeed, one line for people.
    public var error: String?
}

/// How many jobs stand in each state.
public struct Counts: Hashable, Sendable {
    /// May be taken now.
    public var ready = 0
    /// Not started yet; those that wait for another attempt are `retrying`.
    public var scheduled = 0
    /// Wait for another attempt.
    public var retrying = 0
    /// In the hands of consumers.
    public var running = 0
    /// Ended well.
    public var done = 0
    /// Out of retries, or poison.
    public var dead = 0
    /// Stopped on purpose.
    public var cancelled = 0

    /// Made from its parts.
    public init() {}

    /// What `join` waits for.
    public var unfinished: Int { ready + scheduled + retrying + running }
    /// All of them.
    public var total: Int { unfinished + done + dead + cancelled }

    /// Added up, state by state.
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

/// A queue and what it holds.
public struct QueueRow: Hashable, Sendable {
    /// Its name.
    public var name: String
    /// When it was paused; nil: it is not.
    public var pausedSince: UnixTime?
    /// How many jobs stand in each state.
    public var counts: Counts
    /// When the first scheduled or retrying job is due.
    public var nextDue: UnixTime?
}

/// A process that claims jobs.
public struct WorkerRow: Hashable, Sendable {
    /// Its number, unique in the store.
    public var owner: Int64
    /// Its name.
    public var name: String
    /// Its process.
    public var pid: Int32
    /// How many jobs it runs at once; zero for a program with the library, which takes as many as it likes.
    public var consumers: Int
    /// As given with -q; empty for all queues.
    public var queues: String
    /// When it began.
    public var started: UnixTime
    /// In the hands of consumers.
    public var running: Int
}

/// Which jobs `list` shows.
public struct JobFilter: Hashable, Sendable {
    /// Empty: all states.
    public var states: Set<State> = []
    /// The queue.
    public var queue: String?
    /// The kind of a typed job; nil for commands.
    public var kind: String?
    /// Ids from ... to, both included.
    public var ids: ClosedRange<Int64>?
    /// Kept if the command, kind or name contains this text.
    public var text: String?
    /// Bytes of each body that are read at most; nil: all. A body may have 64 MiB.
    public var bodyLimit: Int?
    /// Newest first, at most this many.
    public var limit: Int

    /// Made from its parts.
    public init(limit: Int = 50) { self.limit = limit }
}
