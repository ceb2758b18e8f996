// JobQueue+Async.swift - the same verbs for tasks: they never block a thread of the cooperative
// pool, and a task that is cancelled while it waits loses no job.

public import SpoolThreads

extension JobQueue {
    /// As ``put(_:priority:)-9s1c``; what has begun to be written when the task is cancelled is written.
    @discardableResult
    public func put(_ body: [UInt8], priority: Int = Job.normalPriority) async throws(SpoolError)
        -> Int64
    {
        try await put(contentsOf: [newJob(body, priority)]).lowerBound
    }

    /// Puts text, as its UTF-8 bytes.
    @discardableResult
    public func put(_ text: String, priority: Int = Job.normalPriority) async throws(SpoolError)
        -> Int64
    {
        try await put(Array(text.utf8), priority: priority)
    }

    /// Puts many jobs, all or none.
    @discardableResult
    public func put(contentsOf jobs: [NewJob]) async throws(SpoolError) -> ClosedRange<Int64> {
        try await store.commits.put(prepared(jobs), now: .now())
    }

    /// Takes the next job, waiting until one arrives.
    /// - Throws: `SpoolError.empty` when the time is up; `CancellationError` when the task was
    ///   cancelled while it waited: then no job was taken.
    public func get(timeout: Duration? = nil) async throws -> ClaimedJob {
        if let timeout, timeout < .zero {
            throw SpoolError.badInput("a timeout cannot be negative.")
        }
        let deadline = Deadline(after: timeout)
        let owner = try await store.ownerForTasks()
        let watch = try store.watch(.arrived)
        let line = watch.line(queue: name, kind: kind)
        var wasCalled = false
        while true {
            let taken: Taken
            do {
                try Task.checkCancellation()
                taken = try await store.commits.perform(syncing: .withTheNext) {
                    [self] store throws(SpoolError) in
                    try take(store, owner)
                }
            } catch {
                if wasCalled { line.call() }
                throw error
            }
            if let job = answer(taken, watch, line) { return job }
            guard !deadline.isPast else { throw SpoolError.empty }
            wasCalled = try await line.wait(again: wasCalled, until: deadline)
        }
    }

    /// As the blocking form.
    public func taskDone(_ job: ClaimedJob) async throws(SpoolError) {
        try await settle(job.claim, .done, nil)
    }

    /// As the blocking form.
    public func fail(_ job: ClaimedJob, because reason: String) async throws(SpoolError) {
        try await settle(job.claim, .failed, reason)
    }

    /// As the blocking form.
    public func release(_ job: ClaimedJob) async throws(SpoolError) {
        try await settle(job.claim, .released, nil)
    }

    private func settle(
        _ claim: Claim, _ verdict: Verdict, _ error: String?
    ) async throws(SpoolError) {
        let isCurrent = try await store.commits.perform { [self] store throws(SpoolError) in
            try settleRows(store, claim, verdict, error)
        }
        guard isCurrent else { throw .claimLost(job: claim.job, attempt: claim.attempt) }
    }

    /// Takes the next job and runs `body`: returning is done, throwing is failed; a task that was cancelled
    /// gives the job back. One that was not has failed, though what it waited for was cancelled. `body` runs where the
    /// caller does, on its actor.
    public nonisolated(nonsending) func work(
        timeout: Duration? = nil,
        _ body: nonisolated(nonsending) (ClaimedJob) async throws -> Void
    ) async throws {
        let job = try await get(timeout: timeout)
        do {
            try await body(job)
        } catch is CancellationError where Task.isCancelled {
            return try await release(job)
        } catch {
            return try await fail(job, because: "\(error)")
        }
        try await taskDone(job)
    }

    /// Waits until every job that was put is finished.
    /// - Returns: False when the time was up before.
    /// - Throws: `CancellationError` when the task was cancelled.
    @discardableResult
    public func join(timeout: Duration? = nil) async throws -> Bool {
        if let timeout, timeout < .zero {
            throw SpoolError.badInput("a timeout cannot be negative.")
        }
        let deadline = Deadline(after: timeout)
        let watch = try store.watch(.settled)
        while true {
            try Task.checkCancellation()
            let seen = watch.rings
            let isOver = try await store.commits.perform(reading: true) {
                [self] store throws(SpoolError) in
                try isFinished(store)
            }
            guard !isOver else { return true }
            guard !deadline.isPast else { return false }
            await watch.wait(after: seen, until: deadline)
        }
    }
}
