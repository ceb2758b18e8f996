// EndChecks.swift - what must hold when everything has come to rest.

internal import SpoolJobs
internal import SpoolWorker

enum EndChecks {
    static func check(_ world: World) throws {
        let judge = world.judge
        let counts = judge.model.counts()
        guard counts.unfinished == 0 else {
            let stuck = judge.model.jobs.filter(\.value.state.isUnfinished).sorted {
                $0.key < $1.key
            }
            let shown = stuck.prefix(5).map { "\($0) \($1.state) in \($1.queue)" }
            throw Violation("liveness: nothing goes wrong any more, and \(shown) do not end")
        }
        guard world.clients?.isIdle ?? true else {
            throw Violation("J2: all jobs have ended, and a join has not returned")
        }
        guard let store = world.clients?.store else { throw Violation("no store at the end") }
        try judge.verifyAll(store)
        for id in judge.model.jobs.keys.sorted() { try checkStarts(of: id, world, store) }
        let missed = world.workers.reduce(0) { $0 + $1.state.missedWakeups }
        if missed > 0, world.silences == 0, world.furthestShift == 0 {
            throw Violation("R8: \(missed) times only the safety poll found work")
        }
        let findings = judge.chronicle.findings()
        guard findings.isEmpty else { throw Violation(findings.joined(separator: "; ")) }
    }

    /// X3: each start stands in the record, and each but the first has its reason. R6: three deaths in a row are the
    /// last.
    private static func checkStarts(of id: Int64, _ world: World, _ store: Store) throws {
        guard let job = world.judge.model.jobs[id] else { return }
        let attempts = try store.attempts(of: id)
        guard
            attempts.map(\.number)
                == Array(1...max(1, job.attempt)).filter({ _ in job.attempt > 0 })
        else { throw Violation("X3: job \(id) began \(job.attempt) times, on record: \(attempts)") }
        let starts = world.judge.chronicle.starts(of: id)
        guard starts <= job.attempt else {
            throw Violation("X3: job \(id) was begun \(starts) times, and claimed \(job.attempt)")
        }
        let reasons = attempts.dropLast().filter { $0.verdict != .done && $0.verdict != .cancelled }
        let again = world.judge.retries[id] ?? 0
        guard attempts.count <= 1 + reasons.count + again else {
            throw Violation(
                "X3: job \(id) has more starts than reasons: \(attempts.map(\.verdict))")
        }
        var deaths = 0
        for (index, attempt) in attempts.enumerated() {
            if attempt.verdict == .failed || attempt.verdict == .timedOut { deaths = 0 }
            if attempt.verdict == .consumerDied { deaths += 1 }
            if deaths >= 3, index < attempts.count - 1, again == 0 {
                throw Violation("R6: job \(id) killed \(deaths) consumers and ran again")
            }
        }
    }
}
