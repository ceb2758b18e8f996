// Job.swift - what is put, what a consumer gets, and what it reports.

public import SpoolThreads

/// What a job does when it runs.
public enum Work: Hashable, Sendable {
    /// A command and its arguments, run by execve(2) without a shell. Bytes, because file names are bytes.
    case command([[UInt8]])
    /// A typed job for a handler or for `spool work --exec`. ``Job/noop`` is done by every worker.
    case kind(String)
}

/// What a job carries.
public enum Body: Hashable, Sendable {
    case none
    /// JSON arguments of a typed job, shown as such.
    case json(String)
    case bytes([UInt8])

    /// The bytes that a consumer finds on its standard input.
    public var bytes: [UInt8] {
        switch self {
        case .none: []
        case .json(let text): Array(text.utf8)
        case .bytes(let bytes): bytes
        }
    }
}

/// Where a command runs: kept as it was at put, stored once per distinct environment.
public struct Place: Hashable, Sendable {
    /// The working directory, as bytes.
    public var directory: [UInt8]
    /// `NAME=value`, each ended by a NUL, as the kernel keeps them.
    public var environment: [UInt8]

    /// Made from its parts.
    public init(directory: [UInt8], environment: [UInt8]) {
        self.directory = directory
        self.environment = environment
    }
}

/// A job that is about to be put.
public struct NewJob: Hashable, Sendable {
    /// What it does.
    public var work: Work
    /// What it carries.
    public var body: Body
    /// The queue it is in.
    public var queue: String
    /// Its label, if it has one.
    public var name: String?
    /// 0 ... 4294967295, small runs first.
    public var priority: Int
    /// Not before this time; nil is at once.
    public var due: UnixTime?
    /// How many failures are forgiven; nil is the rule of its kind of work: none for commands, 4 for typed jobs.
    public var retries: Int?
    /// How long to wait after a failure; nil is the standard, 15 s ... 1 h.
    public var backoff: Backoff?
    /// When a run is stopped, counted from its start; nil never.
    public var timeout: Duration?
    /// The row of its place; nil: it has none.
    public var place: Place?

    /// Made from its parts.
    public init(
        _ work: Work, body: Body = .none, queue: String = "default", name: String? = nil,
        priority: Int = Job.normalPriority, due: UnixTime? = nil, retries: Int? = nil,
        backoff: Backoff? = nil,
        timeout: Duration? = nil, place: Place? = nil
    ) {
        self.work = work
        self.body = body
        self.queue = queue
        self.name = name
        self.priority = priority
        self.due = due
        self.retries = retries
        self.backoff = backoff
        self.timeout = timeout
        self.place = place
    }
}

/// A job in a consumer's hands. (job, attempt, owner) is the fence: a claim that is not current changes nothing.
public struct Claim: Hashable, Sendable {
    /// The id of the job.
    public var job: Int64
    /// The number of the start, from 1.
    public var attempt: Int
    /// The process that holds it.
    public var owner: Int64

    /// Made from its parts.
    public init(job: Int64, attempt: Int, owner: Int64) {
        self.job = job
        self.attempt = attempt
        self.owner = owner
    }
}

/// A job as a consumer gets it.
public struct ClaimedJob: Hashable, Sendable {
    /// The fence: what settling it needs.
    public var claim: Claim
    /// The queue it is in.
    public var queue: String
    /// What it does.
    public var work: Work
    /// What it carries.
    public var body: Body
    /// Small runs first.
    public var priority: Int
    /// When a run is stopped, counted from its start; nil never.
    public var timeout: Duration?
    /// Attempts in all that its retries allow; what `SPOOL_MAX_ATTEMPTS` says.
    public var maxAttempts: Int
    /// The row of its ``Place``; ``Store/place(_:)`` gives it. Nil: it has none.
    public var place: Int64?
}

/// What a run used and how it ended, for its attempt's row.
public struct Run: Hashable, Sendable {
    /// When it began.
    public var started: UnixTime
    /// When it ended.
    public var ended: UnixTime
    /// The process that ran it; 0 if none did.
    public var pid: Int32
    /// Exit status, unless a signal ended it.
    public var exit: Int32?
    /// The signal that ended it, if one did.
    public var signal: Int32?
    /// Processor time in user mode, its children included.
    public var userMicroseconds: Int64
    /// Processor time in the kernel, its children included.
    public var systemMicroseconds: Int64
    /// Largest resident set of one process, in KiB.
    public var peakKiB: Int64
    /// Why it did not succeed, one line for people.
    public var error: String?

    /// Made from its parts.
    public init(
        started: UnixTime, ended: UnixTime, pid: Int32 = 0, exit: Int32? = nil,
        signal: Int32? = nil,
        userMicroseconds: Int64 = 0, systemMicroseconds: Int64 = 0, peakKiB: Int64 = 0,
        error: String? = nil
    ) {
        self.started = started
        self.ended = ended
        self.pid = pid
        self.exit = exit
        self.signal = signal
        self.userMicroseconds = userMicroseconds
        self.systemMicroseconds = systemMicroseconds
        self.peakKiB = peakKiB
        self.error = error
    }
}

/// A consumer's report on a claim.
public struct Outcome: Hashable, Sendable {
    /// The fence: what settling it needs.
    public var claim: Claim
    /// How it went.
    public var verdict: Verdict
    /// What it used.
    public var run: Run

    /// Made from its parts.
    public init(_ claim: Claim, _ verdict: Verdict, _ run: Run) {
        self.claim = claim
        self.verdict = verdict
        self.run = run
    }
}

/// Names, limits and defaults of jobs.
public enum Job {
    /// Kind of a job that every worker does without running anything: for benchmarks and health checks.
    public static let noop = "spool.noop"
    /// The priority of a job that names none.
    public static let normalPriority = 1024
    /// The priorities that there are; small runs first.
    public static let priorities = 0...4_294_967_295
    /// The words that stand for a priority on the command line.
    public static let priorityNames = [
        ("urgent", 0), ("high", 512), ("normal", 1024), ("low", 65536), ("idle", 4_294_967_295),
    ]
    /// Largest body, and largest command with its arguments.
    public static let maximumBytes = 64 << 20
    /// Longest name of a queue or kind.
    public static let maximumNameBytes = 128
    /// Failures that are forgiven a typed job that says nothing of retries.
    public static let defaultRetriesOfKinds = 4

    /// Failures that are forgiven when a job says nothing of retries.
    public static func defaultRetries(of work: Work) -> Int {
        switch work {
        case .command: 0
        case .kind: defaultRetriesOfKinds
        }
    }
}
