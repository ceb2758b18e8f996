// SupervisorState+Overdue.swift - consumers that have not done what they should have done by now.
//
// A consumer keeps its job's time-out, and obeys a wish to cancel, by itself. One that was stopped (SIGSTOP) or hangs
// cannot: the supervisor kills it a moment after that, and with it what it runs.

internal import SpoolJobs
internal import SpoolThreads

extension SupervisorState {
    /// What a consumer gets beyond the time in which it should have ended its job.
    static let patience = Duration.seconds(2)

    mutating func kills(_ now: Deadline) -> [Action] {
        guard hasLimits else { return [] }
        return consumers.indices.filter { overdueAt($0) <= now }.map { slot in
            consumers[slot].isOverdue = true
            return .kill(slot: slot)
        }
    }

    /// Whether one that was to be killed still is, once all that it had said was heard.
    package func isToBeKilled(_ slot: Int) -> Bool {
        isStopping ? !consumers[slot].held.isEmpty : consumers[slot].isOverdue
    }

    /// It has said something: perhaps what it should have done.
    mutating func forgive(_ slot: Int, _ now: Deadline) {
        if lateAt(slot) > now { consumers[slot].isOverdue = false }
    }

    /// When the next consumer is to be killed.
    var nextOverdue: Deadline {
        guard hasLimits else { return .never }
        return consumers.indices.reduce(.never) { min($0, overdueAt($1)) }
    }

    private var hasLimits: Bool { !told.isEmpty || !limits.isEmpty }

    private func overdueAt(_ slot: Int) -> Deadline {
        consumers[slot].isOverdue ? .never : lateAt(slot)
    }

    private func lateAt(_ slot: Int) -> Deadline {
        let consumer = consumers[slot]
        guard let head = consumer.held.first else { return .never }
        let stopBy = consumer.held.reduce(Deadline.never) { min($0, told[$1.job]?.until ?? .never) }
        guard let limit = limits[head.job] else { return stopBy }
        return min(stopBy, consumer.headSince + limit + settings.killAfter + Self.patience)
    }

    /// What the run of a job counts as whose consumer died, and why.
    func fate(of job: Int64, in slot: Int, _ cause: String) -> (Verdict, String) {
        if isStopping { return (.released, "the worker was stopped") }
        guard consumers[slot].isOverdue else { return (.consumerDied, "consumer died: \(cause)") }
        if told[job] != nil { return (.cancelled, "cancelled; its consumer did not answer") }
        guard let limit = limits[job] else { return (.consumerDied, "its consumer did not answer") }
        return (.timedOut, "timed out after \(limit.typed); its consumer did not answer")
    }
}
