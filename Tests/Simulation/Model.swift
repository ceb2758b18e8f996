// Model.swift - the judge: what a queue of jobs is, in a page, written apart from Spool's own rules.
//
// It is told what the store was asked, says what must come of it, and the two are compared after every transaction.

internal import SpoolJobs
internal import SpoolThreads

/// The jobs as they must be.
struct Model {
    struct Job: Equatable {
        var item: Int64
        var queue: String
        var kind: String
        var priority: Int
        var retries: Int
        var backoff: Backoff
        var isForLater: Bool
        var state: State
        var due: UnixTime?
        var attempt = 0
        var failures = 0
        var deaths = 0
        var owner: Int64?
        /// The attempt that somebody wants stopped.
        var unwanted: Int?
    }

    var jobs: [Int64: Job] = [:]
    var paused: Set<String> = []
    var nextID: Int64 = 1

    mutating func put(_ job: Job) {
        jobs[nextID] = job
        nextID += 1
    }

    mutating func promote(_ now: UnixTime) {
        for (id, job) in jobs where job.state == .scheduled || job.state == .retrying {
            guard let due = job.due, due <= now else { continue }
            jobs[id]?.state = .ready
            jobs[id]?.due = nil
        }
    }

    /// Nil: the claim is not current, and nothing changes.
    mutating func settle(_ claim: Claim, _ verdict: Verdict) -> Job? {
        guard var job = jobs[claim.job], job.state == .running, job.attempt == claim.attempt,
            job.owner == claim.owner
        else { return nil }
        let isUnwanted = job.unwanted == claim.attempt && verdict != .done
        (job.owner, job.unwanted) = (nil, nil)
        if verdict == .recalled { job.attempt -= 1 }
        switch verdict {
        case _ where isUnwanted: job.state = .cancelled
        case .done: job.state = .done
        case .cancelled: job.state = .cancelled
        case .released, .workerLost, .recalled: job.state = .ready
        case .failed, .timedOut:
            job.failures += 1
            job.deaths = 0
            job.state = job.failures > job.retries ? .dead : .retrying
        case .consumerDied:
            job.deaths += 1
            job.state = job.deaths == 1 ? .ready : job.deaths == 2 ? .retrying : .dead
        }
        // What ended otherwise than by a death has no deaths behind it; the record of dead jobs keeps their number.
        if !job.state.isUnfinished, verdict != .consumerDied { job.deaths = 0 }
        jobs[claim.job] = job
        return job
    }

    /// The ids that a worker may take, the next one first.
    func takeable(_ selection: Selection) -> [Int64] {
        let names = selection.queues.map(\.queue)
        func place(_ job: Job) -> Int { names.firstIndex(of: job.queue) ?? 0 }
        return jobs.filter { mayTake($1, selection) }.sorted {
            (place($0.value), $0.value.priority, $0.key)
                < (place($1.value), $1.value.priority, $1.key)
        }.map(\.key)
    }

    func countTakeable(_ selection: Selection) -> Int {
        jobs.values.reduce(0) { $0 + (mayTake($1, selection) ? 1 : 0) }
    }

    private func mayTake(_ job: Job, _ selection: Selection) -> Bool {
        job.state == .ready && !paused.contains(job.queue)
            && (selection.queues.isEmpty || selection.queues.contains { $0.queue == job.queue })
            && Self.canDo(selection, job.kind)
    }

    static func canDo(_ selection: Selection, _ kind: String) -> Bool {
        if kind.isEmpty { return selection.commands }
        if case .some(let kinds) = selection.kinds, kinds.contains(kind) { return true }
        return kind == SpoolJobs.Job.noop
    }

    mutating func claim(_ owner: Int64, _ take: Int, _ selection: Selection) -> [Claim] {
        guard take > 0 else { return [] }
        return takeable(selection).prefix(take).map { id in
            jobs[id]?.state = .running
            jobs[id]?.owner = owner
            jobs[id]?.attempt += 1
            return Claim(job: id, attempt: jobs[id]?.attempt ?? 0, owner: owner)
        }
    }

    mutating func cancel(_ id: Int64) {
        guard let job = jobs[id] else { return }
        if job.state == .running { jobs[id]?.unwanted = job.attempt }
        guard job.state.isUnfinished, job.state != .running else { return }
        jobs[id]?.state = .cancelled
        jobs[id]?.due = nil
    }

    mutating func retry(_ id: Int64) {
        guard var job = jobs[id] else { return }
        (job.state, job.due, job.failures, job.deaths) = (.ready, nil, 0, 0)
        jobs[id] = job
    }

    func counts(_ isCounted: (Job) -> Bool = { _ in true }) -> Counts {
        var counts = Counts()
        for job in jobs.values where isCounted(job) {
            switch job.state {
            case .scheduled: counts.scheduled += 1
            case .retrying: counts.retrying += 1
            case .ready: counts.ready += 1
            case .running: counts.running += 1
            case .done: counts.done += 1
            case .dead: counts.dead += 1
            case .cancelled: counts.cancelled += 1
            }
        }
        return counts
    }
}
