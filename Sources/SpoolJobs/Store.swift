// STUB (skeleton for parallel work): the real file replaces this. Signatures are final unless told otherwise.
public import SpoolThreads

/// Where the files of a store are. Everything but the database itself stands in one directory beside it.
public struct StoreFiles: Hashable, Sendable {
    public let database: String
    public init(_ database: String) { self.database = database }
    /// FILE-spool, mode 0700.
    public var directory: String { database + "-spool" }
    public var gate: String { directory + "/gate" }      // flock around each write transaction
    public var live: String { directory + "/live" }      // one locked byte per owner that lives
    public var arrived: String { directory + "/arrived" }  // doorbell: work may be there
    public var settled: String { directory + "/settled" }  // doorbell: something finished
    public var logs: String { directory + "/logs" }
    public func log(_ job: Int64, attempt: Int) -> String { "\(logs)/\(job).\(attempt).log" }
}

public enum OpenMode: Sendable { case create, existing, readOnly }

/// Which jobs a worker takes. Empty `queues`: all. Names are tried in order unless a weight is above 1.
public struct Selection: Hashable, Sendable {
    public struct Choice: Hashable, Sendable {
        public var queue: String
        public var weight: Int
        public init(queue: String, weight: Int = 1) { self.queue = queue; self.weight = weight }
    }
    public var queues: [Choice]
    /// Which typed jobs it can do besides spool.noop: none (commands only) or all.
    public var kinds: Kinds
    public enum Kinds: Hashable, Sendable { case none, all, some(Set<String>) }
    /// Whether it runs commands.
    public var commands: Bool
    public init(queues: [Choice] = [], kinds: Kinds = .none, commands: Bool = true) {
        self.queues = queues; self.kinds = kinds; self.commands = commands
    }
}

public struct Cancellation: Hashable, Sendable {
    public var job: Int64
    public var attempt: Int
    public var signal: Int32
    public var grace: Duration
}

/// What one "finish k, take n" transaction gave.
public struct Exchange: Sendable {
    /// For each outcome given, in order: where the job went; nil if the claim was lost (nothing changed).
    public var settled: [Move?]
    public var claimed: [ClaimedJob]
    /// Running jobs of this owner that somebody wants stopped (told on each exchange until they settle).
    public var cancellations: [Cancellation]
    /// The next time at which a scheduled job of any queue becomes ready.
    public var nextDue: UnixTime?
    /// Counts over the selected queues after the exchange (ready counts exclude paused queues? no: plain counts).
    public var counts: Counts
    /// Retrying jobs (scheduled after an attempt) exist in the selected queues.
    public var retrying: Int
}

/// A store in a SQLite file. Not for several threads at once, and not across a fork: open one per thread or process.
public final class Store {
    public let files: StoreFiles
    private init(files: StoreFiles) { self.files = files }
    /// `.create` makes the file (0600) and its directory (0700); the others throw noStore when it is missing.
    public static func open(_ path: String, _ mode: OpenMode) throws(SpoolError) -> Store { fatalError() }
    public func close() {}

    // put: one transaction, durable when it returns; the ids are consecutive, in the order of `jobs`. Rings `arrived`.
    public func put(_ jobs: [NewJob], now: UnixTime) throws(SpoolError) -> ClosedRange<Int64> { fatalError() }

    // owners. The owner's byte of `live` stays locked until the process dies or `retire` is called.
    public func register(name: String, consumers: Int, queues: String, now: UnixTime) throws(SpoolError) -> Int64 { fatalError() }
    /// Releases what the owner still holds (verdict released) and ends it.
    public func retire(owner: Int64, now: UnixTime) throws(SpoolError) { fatalError() }
    /// Gives back the jobs of owners whose lock is gone. Returns how many jobs. Cheap when nobody died.
    @discardableResult
    public func recover(now: UnixTime) throws(SpoolError) -> Int { fatalError() }

    /// Settles outcomes, moves due jobs to ready, and claims up to `take` more, all in ONE transaction. Rings the bells.
    /// Does not begin a write transaction when there is nothing to settle and nothing ready or due to take.
    public func exchange(
        owner: Int64, settle: [Outcome], take: Int, from selection: Selection, now: UnixTime, random: () -> Double
    ) throws(SpoolError) -> Exchange { fatalError() }

    // by hand; each one transaction; unknown ids throw noSuchJob and nothing changes
    public func retry(_ ids: [Int64], now: UnixTime) throws(SpoolError) { fatalError() }
    /// All dead jobs (of a queue); returns their ids.
    public func retryDead(queue: String?, now: UnixTime) throws(SpoolError) -> [Int64] { fatalError() }
    /// Returns the ids that were running and were only asked to stop. done/dead jobs throw wrongState.
    public func cancel(_ ids: [Int64], signal: Int32, grace: Duration, now: UnixTime) throws(SpoolError) -> [Int64] { fatalError() }
    /// Removes jobs, their attempts and logs. Running ones throw wrongState.
    public func remove(_ ids: [Int64]) throws(SpoolError) { fatalError() }
    public func pause(queue: String, now: UnixTime) throws(SpoolError) { fatalError() }
    public func resume(queue: String) throws(SpoolError) { fatalError() }

    // looking
    public func job(_ id: Int64) throws(SpoolError) -> JobRow { fatalError() }  // noSuchJob(id, newest:)
    public func newestJob() throws(SpoolError) -> Int64? { fatalError() }
    /// Calls `body` per row, newest id first... running first (see list in cli.md): order is running, retrying/scheduled, ready, dead, cancelled, done.
    public func jobs(_ filter: JobFilter) throws(SpoolError) -> [JobRow] { fatalError() }
    public func attempts(of id: Int64) throws(SpoolError) -> [AttemptRow] { fatalError() }
    public func queues() throws(SpoolError) -> [QueueRow] { fatalError() }
    public func counts(queue: String?) throws(SpoolError) -> Counts { fatalError() }  // noSuchQueue
    public func workers() throws(SpoolError) -> [WorkerRow] { fatalError() }  // living ones
    public func place(_ id: Int64) throws(SpoolError) -> Place { fatalError() }
    /// Of these jobs, the ones that are finished badly (dead or cancelled); at most `limit`.
    public func failed(queue: String?, limit: Int) throws(SpoolError) -> [Int64] { fatalError() }
    /// Problems found by a full check (integrity, foreign keys, conservation of the counters, settings); empty: sound.
    public func check() throws(SpoolError) -> [String] { fatalError() }
}

/// Tells a waiting process that another one changed the store: an inotify watch on a doorbell file (rung after each
/// commit by Spool) and on the WAL (written by anybody).
public final class Doorbell {
    public enum Kind: Sendable { case arrived, settled }
    public init(_ kind: Kind, of store: Store) throws(SpoolError) { fatalError() }
    /// For epoll/poll: readable when it was rung or somebody wrote. Level-triggered until `answer`.
    public var descriptor: Int32 { fatalError() }
    /// Empties the descriptor. Call it BEFORE looking at the store, so that a ring after the look is not lost.
    /// Returns a delay after which to look again, when a foreign write was seen whose commit is not visible yet.
    public func answer() -> Duration? { fatalError() }
    /// Sleeps until it is rung or the deadline is past (at most 1 s, the safety poll). True: rung.
    public func wait(until deadline: Deadline) -> Bool { fatalError() }
}

/// What `join` waits for.
public enum JoinTarget: Hashable, Sendable {
    case all, queue(String)
    case upTo(queue: String?, last: Int64)   // snapshot
    case jobs([Int64])
}
public struct JoinProgress: Hashable, Sendable {
    public var total: Int, done: Int, failed: Int, running: Int, scheduled: Int
    public var nextDue: UnixTime?
    public var isFinished: Bool
}
extension Store {
    /// O(1) for queues; see docs. `total` for queues: what was unfinished when the join began plus what was finished since.
    public func joiner(_ target: JoinTarget) throws(SpoolError) -> Joiner { fatalError() }
}
public final class Joiner {
    public func look() throws(SpoolError) -> JoinProgress { fatalError() }
    /// Blocks until finished or deadline; calls `progress` after each change it sees.
    public func wait(until deadline: Deadline, progress: (JoinProgress) -> Void) throws(SpoolError) -> JoinProgress { fatalError() }
    /// Jobs among those joined that ended dead or cancelled, at most `limit` ids.
    public func failures(limit: Int) throws(SpoolError) -> [Int64] { fatalError() }
}
