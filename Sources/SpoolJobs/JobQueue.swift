// JobQueue.swift - the durable queue, in the words of Python's queue.Queue: put, get, taskDone, join.

public import SpoolThreads

/// A durable, joinable queue of typed jobs in a ``JobStore``.
///
/// Safe from any thread, any number of processes; not across a fork. A job that was got belongs to its ``JobStore``
/// until it is said how it went; when that is let go, or its process dies, the job is ready for others at once.
/// Each verb has a blocking form for threads and an async form for tasks (JobQueue+Async.swift). See queue.Queue and
/// multiprocessing.JoinableQueue in Python.
public struct JobQueue: Sendable {
    /// Its name in the store, as after `spool put -q`.
    public let name: String
    /// The kind of the jobs that are put as bytes.
    public let kind: String
    let store: JobStore

    /// A queue exists with its first job.
    /// - Parameter kind: What kind of jobs it puts and gets; its name unless given.
    /// - Throws: `badInput` for names that cannot be: letters, digits and -_.:/+@, 1 ... 128 bytes.
    public init(_ name: String, kind: String? = nil, in store: JobStore) throws(SpoolError) {
        try NewJob.checkName(name, "queue")
        try NewJob.checkName(kind ?? name, "kind")
        self.name = name
        self.kind = kind ?? name
        self.store = store
    }

    // MARK: - Producers

    /// Puts one job. It is on disk when this returns.
    /// - Returns: Its id.
    /// - Throws: as ``Store/put(_:now:)``.
    @discardableResult
    public func put(_ body: [UInt8], priority: Int = Job.normalPriority) throws(SpoolError) -> Int64
    {
        try put(contentsOf: [newJob(body, priority)]).lowerBound
    }

    /// Puts text, as its UTF-8 bytes.
    @discardableResult
    public func put(_ text: String, priority: Int = Job.normalPriority) throws(SpoolError) -> Int64
    {
        try put(Array(text.utf8), priority: priority)
    }

    /// Puts many jobs, all or none; ids are consecutive. Their own queue names are replaced by this queue's.
    @discardableResult
    public func put(contentsOf jobs: [NewJob]) throws(SpoolError) -> ClosedRange<Int64> {
        try store.commits.put(prepared(jobs), now: .now())
    }

    func newJob(_ body: [UInt8], _ priority: Int) -> NewJob {
        NewJob(.kind(kind), body: .bytes(body), queue: name, priority: priority)
    }

    /// Checked here, so that one caller's bad job does not undo what others put in the same transaction.
    func prepared(_ jobs: [NewJob]) throws(SpoolError) -> [NewJob] {
        guard !jobs.isEmpty else { throw .badInput("put needs at least one job.") }
        var jobs = jobs
        for index in jobs.indices {
            jobs[index].queue = name
            try jobs[index].validate()
        }
        return jobs
    }

    // MARK: - Consumers

    /// Takes the next job, waiting until one arrives. Settle it with ``taskDone(_:)``, ``fail(_:because:)`` or
    /// ``release(_:)``; ``work(timeout:_:)`` does that by itself.
    /// - Parameter timeout: Longest wait; nil waits for ever, zero only looks.
    /// - Throws: `empty` when the time is up; `badInput` for a negative time.
    public func get(timeout: Duration? = nil) throws(SpoolError) -> ClaimedJob {
        if let timeout, timeout < .zero { throw .badInput("a timeout cannot be negative.") }
        let deadline = Deadline(after: timeout)
        let owner = try store.owner()
        let watch = try store.watch(.arrived)
        let line = watch.line(queue: name, kind: kind)
        var wasCalled = false
        while true {
            let taken: Taken
            do throws(SpoolError) {
                taken = try store.commits.perform(syncing: .withTheNext) {
                    store throws(SpoolError) in
                    try take(store, owner)
                }
            } catch {
                if wasCalled { line.call() }
                throw error
            }
            if let job = answer(taken, watch, line) { return job }
            guard !deadline.isPast else { throw .empty }
            wasCalled = line.wait(again: wasCalled, until: deadline)
        }
    }

    /// As ``get(timeout:)`` without waiting.
    public func getNowait() throws(SpoolError) -> ClaimedJob { try get(timeout: .zero) }

    /// What a look gave: a job, how many more there are, and when the next one becomes ready.
    struct Taken: Sendable {
        var job: ClaimedJob?
        var more: Int
        var due: UnixTime?
    }

    /// One claim, inside a transaction that others share. Who finds nothing looks whether a worker has died.
    func take(_ store: Store, _ owner: Int64) throws(SpoolError) -> Taken {
        let selection = Selection(
            queues: [.init(queue: name)], kinds: .some([kind]), commands: false)
        func claim() throws(SpoolError) -> Exchange {
            try store.exchange(owner: owner, settle: [], take: 1, from: selection, now: .now()) {
                Double.random(in: 0..<1)
            }
        }
        var seen = try claim()
        if seen.claimed.isEmpty, try store.recover(now: .now()) > 0 { seen = try claim() }
        return Taken(job: seen.claimed.first, more: seen.takeable, due: seen.nextDue)
    }

    /// What is left is for those who wait, now or when it is due.
    func answer(_ taken: Taken, _ watch: Watch, _ line: TakerLine) -> ClaimedJob? {
        if taken.job != nil, taken.more > 0 { line.call(taken.more) }
        if let due = taken.due { watch.expect(Deadline(after: max(.zero, due - .now()))) }
        return taken.job
    }

    /// Says that a job is done. On disk when it returns: it never runs again.
    /// - Throws: `claimLost` when the job is not held any more (done before, or taken away); nothing changes then.
    public func taskDone(_ job: ClaimedJob) throws(SpoolError) {
        try settle(job.claim, .done, nil)
    }

    /// Says that a job failed: it is retried after its backoff, or dead when its retries are used up.
    /// - Throws: `claimLost`.
    public func fail(_ job: ClaimedJob, because reason: String) throws(SpoolError) {
        try settle(job.claim, .failed, reason)
    }

    /// Gives a job back unharmed, for whoever gets it next.
    /// - Throws: `claimLost`.
    public func release(_ job: ClaimedJob) throws(SpoolError) {
        try settle(job.claim, .released, nil)
    }

    private func settle(
        _ claim: Claim, _ verdict: Verdict, _ error: String?
    ) throws(SpoolError) {
        let isCurrent = try store.commits.perform { store throws(SpoolError) in
            try settleRows(store, claim, verdict, error)
        }
        guard isCurrent else { throw .claimLost(job: claim.job, attempt: claim.attempt) }
    }

    func settleRows(
        _ store: Store, _ claim: Claim, _ verdict: Verdict, _ error: String?
    ) throws(SpoolError) -> Bool {
        let now = UnixTime.now()
        let started = try store.startOf(claim) ?? now
        let outcome = Outcome(claim, verdict, Run(started: started, ended: now, error: error))
        // Of this queue's lanes only: nobody asks what the others hold.
        return try store.exchange(
            owner: claim.owner, settle: [outcome], take: 0,
            from: Selection(queues: [.init(queue: name)]), now: now
        ) { Double.random(in: 0..<1) }.settled[0] != nil
    }

    /// Takes the next job and runs `body`: returning is done, throwing is failed. The ordinary way to consume.
    /// - Throws: as ``get(timeout:)``; what `body` throws is recorded with the job, not passed on.
    @_disfavoredOverload  // else a task would take it for a body that awaits nothing
    public func work(
        timeout: Duration? = nil, _ body: (ClaimedJob) throws -> Void
    ) throws(SpoolError) {
        let job = try get(timeout: timeout)
        do {
            try body(job)
        } catch {
            return try fail(job, because: "\(error)")
        }
        try taskDone(job)
    }

    // MARK: - Joining and looking

    /// Blocks until every job that was put is finished, those put meanwhile too; scheduled ones count.
    /// - Returns: False when the time was up before.
    /// - Throws: `badInput` for a negative time; `notAStore` when the file was removed or replaced.
    @discardableResult
    public func join(timeout: Duration? = nil) throws(SpoolError) -> Bool {
        if let timeout, timeout < .zero { throw .badInput("a timeout cannot be negative.") }
        let deadline = Deadline(after: timeout)
        let watch = try store.watch(.settled)
        while true {
            let seen = watch.rings
            let isOver = try store.commits.perform(reading: true) { store throws(SpoolError) in
                try isFinished(store)
            }
            guard !isOver else { return true }
            guard !deadline.isPast else { return false }
            watch.wait(after: seen, until: deadline)
        }
    }

    /// A look of those who wait: nobody finishes anything in a file that was moved.
    func isFinished(_ store: Store) throws(SpoolError) -> Bool {
        try store.checkInPlace()
        return try counts(in: store).unfinished == 0
    }

    /// How many jobs were put and are not finished: ready, scheduled, retrying and running ones.
    public func unfinished() throws(SpoolError) -> Int { try counts().unfinished }

    /// How many jobs are ready: a hint, as it may have changed when you read it.
    public func count() throws(SpoolError) -> Int { try counts().ready }

    /// Whether no job is ready: a hint.
    public func isEmpty() throws(SpoolError) -> Bool { try count() == 0 }

    /// How many jobs stand in each state.
    public func counts() throws(SpoolError) -> Counts {
        try store.commits.perform(reading: true) { store throws(SpoolError) in
            try counts(in: store)
        }
    }

    private func counts(in store: Store) throws(SpoolError) -> Counts {
        try store.lanes(of: name).counts
    }
}
