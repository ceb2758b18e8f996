// Chronicle.swift - the histories of a run, for the history checkers: who held a job, and when its command ran.

internal import History
internal import SpoolJobs

/// Writes down what happens, in the order in which it happens.
final class Chronicle {
    /// Claims: from the store that gave them to the store that took them back.
    private(set) var claims: [HistoryEvent] = []
    /// Runs of commands: what must not overlap, whatever the store believes.
    private(set) var runs: [HistoryEvent] = []
    private var time: Int64 = 0
    private var process: Int64 = 0

    /// A moment of its own.
    func tick() -> Int64 {
        time += 1
        return time
    }

    /// An operation on a claim or an item that began at `begun` and ends now.
    func note(
        _ operation: HistoryEvent.Operation, _ job: Model.Job?, attempt: Int? = nil,
        begun: Int64, _ end: HistoryEvent.Kind = .return
    ) {
        guard let job else { return }
        process += 1
        let invoked = HistoryEvent(
            time: begun, process: process, .invoke, operation, item: job.item,
            attempt: attempt.map(Int64.init), priority: job.rank, queue: job.queue)
        claims.append(invoked)
        claims.append(HistoryEvent(time: tick(), process: process, end, operation))
    }

    /// A join that began at `begun` ends now.
    func noteJoin(of queue: String?, begun: Int64) {
        process += 1
        claims.append(HistoryEvent(time: begun, process: process, .invoke, .join, queue: queue))
        claims.append(HistoryEvent(time: tick(), process: process, .return, .join))
    }

    func noteLeft(_ job: Model.Job) {
        claims.append(HistoryEvent(time: tick(), process: 0, .info, .left, item: job.item))
    }

    /// A command began (`get`), or none of it runs any more (`back`).
    func run(_ operation: HistoryEvent.Operation, of claim: Claim, number: Int64) {
        process += 1
        if operation == .get { begun[claim.job, default: 0] += 1 }
        if operation == .get, known.insert(claim.job).inserted {
            runs.append(
                HistoryEvent(time: tick(), process: process, .invoke, .put, item: claim.job))
            runs.append(HistoryEvent(time: tick(), process: process, .return, .put))
        }
        let start = HistoryEvent(
            time: tick(), process: process, .invoke, operation, item: claim.job, attempt: number)
        runs.append(start)
        runs.append(HistoryEvent(time: tick(), process: process, .return, operation))
    }

    private var known: Set<Int64> = []

    /// How often a command of a job was begun.
    func starts(of job: Int64) -> Int { begun[job] ?? 0 }
    private var begun: [Int64: Int] = [:]

    /// What the checkers find wrong.
    func findings() -> [String] {
        // A worker may die after a command has ended: then it ends a second time, which is no fault of a run.
        let overlaps = History(runs).findings().filter { $0.check == "overlap" }
        let wrong = History(claims).findings([.fifo, .priority])
        return wrong.map { "H: \($0) (of the claims)" } + overlaps.map { "X1: \($0) (of the runs)" }
    }
}

extension Model.Job {
    /// Its place in the order of its queue; a job that is put for later has none.
    var rank: Int64? { isForLater ? nil : Int64(priority) }
}
