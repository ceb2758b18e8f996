// Model+Words.swift - the model's jobs in the words of the store and of the history, and back.

internal import History
internal import SpoolJobs
internal import SpoolThreads

extension HistoryEvent.Operation {
    /// How a claim ended, by where the job then is.
    init(_ state: State) {
        switch state {
        case .done: self = .done
        case .dead: self = .dead
        case .cancelled: self = .cancel
        case .scheduled, .retrying, .ready, .running: self = .back
        }
    }
}

extension SpoolJobs.History {
    init(_ job: Model.Job) {
        self.init(attempt: job.attempt, failures: job.failures, deaths: job.deaths)
    }
}

extension Model.Job {
    init(_ job: NewJob, item: Int64, _ now: UnixTime) {
        let isLater = job.due.map { $0 > now } ?? false
        self.init(
            item: item, queue: job.queue, kind: job.work.kind ?? "", priority: job.priority,
            retries: job.retries ?? 0, backoff: job.backoff ?? .standard, isForLater: isLater,
            state: isLater ? .scheduled : .ready, due: isLater ? job.due : nil)
    }

    /// How long it may wait for its next attempt, in microseconds: docs/job-life.md.
    func waits(_ verdict: Verdict) -> ClosedRange<Int64> {
        if verdict == .consumerDied { return 1_000_000...1_000_000 }
        var longest = backoff.min.microseconds
        for _ in 1..<max(2, failures) where failures > 1 { longest *= 2 }
        longest = min(longest, backoff.max.microseconds)
        return (longest - longest / 4 - 1)...longest
    }
}
