// Judge.swift - every call of a store in a simulated run goes through here, and is compared with the model.

private import CFaultDisk
internal import History
internal import SpoolJobs
internal import SpoolThreads

/// Something that must not be.
struct Violation: Error {
    var text: String

    init(_ text: String) { self.text = text }
}

/// Compares what the store does with what it must do.
final class Judge {
    private(set) var model = Model()
    /// What the file also may hold since a commit whose outcome is not known; only a recovery of its log can tell. What
    /// is written after it takes its place in the log: then this is no longer what the file can hold.
    private(set) var doubt: Model?
    let chronicle = Chronicle()
    let breaks: Breaks
    private(set) var transactions = 0
    /// Reasons for which jobs were started again by hand.
    var retries: [Int64: Int] = [:]
    /// The owners that run their jobs themselves.
    var programs: Set<Int64> = []

    init(_ breaks: Breaks) { self.breaks = breaks }

    /// Runs one call of the store; an error must have changed nothing, or what would have happened.
    func judged<Value>(
        _ store: Store, _ next: Model, _ call: () throws(SpoolError) -> Value,
        _ note: (HistoryEvent.Kind) -> Void
    ) throws -> Value {
        do throws(SpoolError) {
            return try call()
        } catch {
            fault_disk_heal()
            if case .outcomeUnknown = error {
                // A put whose sync failed is there for all to see; a commit that failed is not, before a recovery.
                if try difference(store, next) == nil { model = next } else { doubt = next }
                note(.info)
            } else {
                note(.fail)
                try verify(store, "D4: after \(error.code)")
            }
            throw error
        }
    }

    func settled(_ store: Store, _ next: Model) throws {
        fault_disk_heal()
        model = next
        transactions += 1
        breaks.bend(store)
        try verify(store, "J5")
        if transactions % 64 == 0 { try verifyAll(store) }
    }

    // MARK: - Producers

    @discardableResult
    func put(
        _ store: Store, _ jobs: [NewJob], _ items: [Int64], now: UnixTime
    ) throws -> ClosedRange<Int64> {
        let begun = chronicle.tick()
        let (next, made) = afterPut(jobs, items, now)
        let ids = try judged(store, next) { () throws(SpoolError) in
            try store.put(jobs, now: now)
        } _: { end in
            let said = self.breaks.broken == .earlyReply ? HistoryEvent.Kind.return : end
            for job in made { self.chronicle.note(.put, job, begun: begun, said) }
        }
        try acceptPut(store, ids, next, made, begun)
        return ids
    }

    func afterPut(
        _ jobs: [NewJob], _ items: [Int64], _ now: UnixTime
    ) -> (model: Model, made: [Model.Job]) {
        var next = model
        let made = zip(jobs, items).map { Model.Job($0, item: $1, now) }
        for job in made { next.put(job) }
        return (next, made)
    }

    func acceptPut(
        _ store: Store, _ ids: ClosedRange<Int64>, _ next: Model, _ made: [Model.Job],
        _ begun: Int64
    ) throws {
        try acceptGrouped(ids, next, made, begun)
        try settled(store, next)
    }

    /// One put of several in a transaction.
    func acceptGrouped(
        _ ids: ClosedRange<Int64>, _ next: Model, _ made: [Model.Job], _ begun: Int64
    ) throws {
        guard ids == model.nextID...(next.nextID - 1) else {
            throw Violation("D1: put gave the ids \(ids), not those from \(model.nextID)")
        }
        for job in made { chronicle.note(.put, job, begun: begun) }
        model = next
    }

    /// Puts and a claim of one transaction of which nobody can tell whether it happened.
    func doubtful(
        _ store: Store, _ puts: [(NewJob, Int64)], _ asked: Asked, _ now: UnixTime, _ begun: Int64
    ) throws {
        fault_disk_heal()
        let before = model
        for (job, item) in puts {
            let (next, made) = afterPut([job], [item], now)
            for job in made { chronicle.note(.put, job, begun: begun, .info) }
            model = next
        }
        let all = expectation(asked, now).model
        model = before
        if try difference(store, all) == nil { model = all } else { doubt = all }
    }

    // MARK: - Workers

    func exchange(
        _ store: Store, _ asked: Asked, now: UnixTime, random: Double
    ) throws -> Exchange {
        let begun = chronicle.tick()
        let expected = expectation(asked, now)
        let real = try judged(store, expected.model) { () throws(SpoolError) in
            try store.exchange(
                owner: asked.owner, settle: breaks.bent(asked.outcomes, model), take: asked.take,
                from: asked.selection, counting: true, now: now
            ) { random }
        } _: { end in
            for (outcome, job) in zip(asked.outcomes, expected.settled) {
                self.note(outcome, job, begun, end)
            }
        }
        try accept(store, real, asked, expected, begun, now)
        return real
    }

    /// What a worker asks for.
    struct Asked {
        var owner: Int64
        var outcomes: [Outcome] = []
        var take: Int
        var selection: Selection
    }

    struct Expectation {
        var model: Model
        var settled: [Model.Job?]
        var claims: [Claim]
    }

    func expectation(_ asked: Asked, _ now: UnixTime) -> Expectation {
        var next = model
        next.promote(now)
        let settled = asked.outcomes.map { next.settle($0.claim, $0.verdict) }
        let claims = next.claim(asked.owner, asked.take, asked.selection)
        return Expectation(model: next, settled: settled, claims: claims)
    }

    func accept(
        _ store: Store, _ real: Exchange, _ asked: Asked, _ expected: Expectation, _ begun: Int64,
        _ now: UnixTime
    ) throws {
        var next = expected.model
        for (index, outcome) in asked.outcomes.enumerated() {
            let job = expected.settled[index]
            try compare(real.settled[index], job, outcome, &next, now)
            note(outcome, job, begun, job == nil ? .fail : .return)
        }
        let claims = real.claimed.map(\.claim)
        guard claims == expected.claims else {
            throw Violation("X: claimed \(claims), not \(expected.claims)")
        }
        try settled(store, next)
        for claim in claims {
            chronicle.note(.get, next.jobs[claim.job], attempt: claim.attempt, begun: begun)
        }
        try compareLook(real, asked)
    }

    private func note(
        _ outcome: Outcome, _ job: Model.Job?, _ begun: Int64, _ end: HistoryEvent.Kind
    ) {
        let operation = job.map { HistoryEvent.Operation($0.state) } ?? .done
        chronicle.note(
            operation, model.jobs[outcome.claim.job], attempt: outcome.claim.attempt, begun: begun,
            end)
    }

    private func compare(
        _ move: Move?, _ job: Model.Job?, _ outcome: Outcome, _ next: inout Model, _ now: UnixTime
    ) throws {
        let id = outcome.claim.job
        guard let move, let job else {
            if move == nil, job == nil { return }
            throw Violation(
                "X2: job \(id), \(outcome.verdict) of \(outcome.claim): went to \(String(describing: move))"
            )
        }
        let history = History(job)
        guard move.state == job.state, move.history == history else {
            throw Violation(
                "R6, X2: job \(id), \(outcome.verdict): went to \(move), not to \(job.state) \(history)"
            )
        }
        guard case .scheduled(let due, _) = move else { return }
        guard job.waits(outcome.verdict).contains((due - now).microseconds) else {
            throw Violation("R7: job \(id), \(outcome.verdict): waits \(due - now)")
        }
        if next.jobs[id]?.state == .retrying { next.jobs[id]?.due = due }
    }

    private typealias History = SpoolJobs.History

    /// What an exchange says besides must be true, too.
    private func compareLook(_ real: Exchange, _ asked: Asked) throws {
        let names = asked.selection.queues.map(\.queue)
        let counts = model.counts { job in
            (names.isEmpty || names.contains(job.queue)) && Model.canDo(asked.selection, job.kind)
        }
        let unwanted = model.jobs.filter { $1.owner == asked.owner && $1.unwanted == $1.attempt }
        let isCounted = real.takeable == 0 && real.claimed.isEmpty
        guard real.counts == (isCounted ? counts : nil),
            real.takeable == model.countTakeable(asked.selection),
            real.nextDue == model.jobs.values.compactMap(\.due).min(),
            Set(real.cancellations.map(\.job)) == Set(unwanted.keys)
        else {
            throw Violation("J5: an exchange says \(real), the jobs are \(model.jobs)")
        }
    }

    /// Gives back what dead owners held.
    func recover(_ store: Store, dead: [Int64], now: UnixTime) throws -> Int {
        let begun = chronicle.tick()
        var next = model
        let lost = model.jobs.filter { _, job in job.owner.map(dead.contains) ?? false }
        let after = lost.map { id, job in
            (id, lose(id, job, in: &next, isAlone: lost.count { $1.owner == job.owner } == 1, now))
        }
        func tell(_ end: HistoryEvent.Kind) {
            for (id, job) in after.sorted(by: { $0.0 < $1.0 }) {
                let operation = job.map { HistoryEvent.Operation($0.state) } ?? .back
                chronicle.note(
                    operation, model.jobs[id], attempt: model.jobs[id]?.attempt, begun: begun, end)
            }
        }
        let count = try judged(store, next) { () throws(SpoolError) in
            try store.recover(now: now)
        } _: {
            tell($0)
        }
        guard count == lost.count else {
            throw Violation("R4: \(count) jobs of dead workers came back, not \(lost.count)")
        }
        tell(.return)
        if !dead.isEmpty { try settled(store, next) }
        return count
    }

    /// R6: a program died in the only job that it had; of several nobody knows.
    private func lose(
        _ id: Int64, _ job: Model.Job, in next: inout Model, isAlone: Bool, _ now: UnixTime
    ) -> Model.Job? {
        let owner = job.owner ?? 0
        let verdict: Verdict =
            isAlone && programs.contains(owner) ? .consumerDied : .workerLost
        let after = next.settle(Claim(job: id, attempt: job.attempt, owner: owner), verdict)
        if after?.state == .retrying { next.jobs[id]?.due = now + .seconds(1) }
        return after
    }

    /// An owner ends in order, and settles what it has left.
    func retire(
        _ store: Store, _ owner: Int64, _ outcomes: [Outcome], now: UnixTime, random: Double
    ) throws {
        let begun = chronicle.tick()
        var next = model
        let done = outcomes.map { next.settle($0.claim, $0.verdict) }
        let held = next.jobs.filter { $1.owner == owner }
        var after: [(Int64, Model.Job?)] = []
        for (id, job) in held.sorted(by: { $0.key < $1.key }) {
            after.append(
                (id, next.settle(Claim(job: id, attempt: job.attempt, owner: owner), .released)))
        }
        func tell(_ end: HistoryEvent.Kind) {
            for (outcome, job) in zip(outcomes, done) {
                note(outcome, job, begun, job == nil ? .fail : end)
            }
            for (id, job) in after {
                let operation = job.map { HistoryEvent.Operation($0.state) } ?? .back
                chronicle.note(
                    operation, model.jobs[id], attempt: model.jobs[id]?.attempt, begun: begun, end)
            }
        }
        let moves = try judged(store, next) { () throws(SpoolError) in
            try store.retire(
                owner: owner, settling: breaks.bent(outcomes, model), now: now
            ) { random }
        } _: {
            tell($0)
        }
        for (index, outcome) in outcomes.enumerated() {
            try compare(moves[index], done[index], outcome, &next, now)
        }
        tell(.return)
        try settled(store, next)
    }

    // MARK: - Comparing all of it

    /// The counters say what the jobs are.
    func verify(_ store: Store, _ when: String) throws {
        let counts: Counts
        do throws(SpoolError) {
            counts = try store.counts(queue: nil)
        } catch {
            throw Violation("\(when): the counters cannot be read: \(error.message)")
        }
        guard counts == model.counts() else {
            throw Violation("\(when): the counters say \(counts), the jobs are \(model.counts())")
        }
    }

    /// The file is sound, its counters equal its tables, and each job is where it must be.
    func verifyAll(_ store: Store) throws {
        let problems = try store.check()
        guard problems.isEmpty else { throw Violation("D3, J5: \(problems)") }
        if let difference = try difference(store, model) { throw Violation("D3: \(difference)") }
    }

    /// Nil: the file holds what the model says.
    private func difference(_ store: Store, _ model: Model) throws -> String? {
        guard try store.counts(queue: nil) == model.counts() else { return "the counters differ" }
        for (id, job) in model.jobs {
            let row = try store.job(id)
            guard row.state == job.state, row.attempt == job.attempt, row.failures == job.failures,
                row.name == String(job.item)
            else { return "job \(id) is \(row), not \(job)" }
        }
        return nil
    }

    /// After the log was recovered: a commit that nobody was told of may be there or not, nothing else.
    func resolve(_ store: Store) throws {
        defer { doubt = nil }
        if let doubt, try difference(store, doubt) == nil, try difference(store, model) != nil {
            model = doubt
            for (id, job) in model.jobs where job.state == .retrying && job.due == nil {
                model.jobs[id]?.due = try store.job(id).due
            }
        }
        try verifyAll(store)
    }
}
