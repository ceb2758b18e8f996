// StoreSettle.swift - a running job leaves: every way out goes through one fenced DELETE.

internal import SpoolThreads

/// A running job's row.
struct Held {
    var lane: Int64
    var history: History
    var owner: Int64
    var started: UnixTime
}

extension Held? {
    /// Whether it is the row of this very claim, if there is one.
    fileprivate func isRow(of claim: Claim) -> Bool {
        self?.history.attempt == claim.attempt && self?.owner == claim.owner
    }
}

extension Store {
    /// Settles outcomes in the transaction that is open.
    /// - Returns: For each where the job went; nil if the claim was lost.
    func settle(
        _ outcomes: [Outcome], _ now: UnixTime, _ random: () -> Double, _ tally: inout Tally
    ) throws(SpoolError) -> [Move?] {
        guard !outcomes.isEmpty else { return [] }
        let asked = try cancellationsByJob()
        var moves: [Move?] = []
        moves.reserveCapacity(outcomes.count)
        for outcome in outcomes {
            moves.append(
                try settle(outcome, cancelling: asked[outcome.claim.job], now, random, &tally))
        }
        return moves
    }

    /// Takes a claim back and puts the job where its verdict leads. Nil: the claim is not current, nothing changed.
    private func settle(
        _ outcome: Outcome, cancelling: Int?, _ now: UnixTime, _ random: () -> Double,
        _ tally: inout Tally
    ) throws(SpoolError) -> Move? {
        guard let held = try takeAway(outcome.claim) else { return nil }
        let isCancelling = cancelling == outcome.claim.attempt
        if cancelling != nil { try forgetCancellation(outcome.claim.job) }
        let move = try decide(outcome, held, isCancelling, now, random)
        try record(outcome, move, held, now)
        tally.add(-1, .running, in: held.lane)
        tally.add(1, move.state, in: held.lane)
        return move
    }

    /// The fence: only the attempt and owner that hold the job can move it.
    private func takeAway(_ claim: Claim) throws(SpoolError) -> Held? {
        let known = claims.removeValue(forKey: claim.job)
        // What was remembered is what stands in the row, if the row is there: it never changes while the claim lasts.
        guard let held = known.isRow(of: claim) ? known : try read(claim) else { return nil }
        let delete = try statement(
            "DELETE FROM running WHERE id = ?1 AND attempt = ?2 AND owner = ?3")
        delete.bind(1, claim.job)
        delete.bind(2, claim.attempt)
        delete.bind(3, claim.owner)
        try delete.run("finishing job \(claim.job)")
        return connection.changes == 1 ? held : nil
    }

    /// Not by DELETE ... RETURNING, which costs SQLite a temporary table each time.
    private func read(_ claim: Claim) throws(SpoolError) -> Held? {
        let select = try statement(
            """
            SELECT lane, attempt, failures, deaths, started FROM running
            WHERE id = ?1 AND attempt = ?2 AND owner = ?3
            """)
        select.bind(1, claim.job)
        select.bind(2, claim.attempt)
        select.bind(3, claim.owner)
        guard try select.step("finishing job \(claim.job)") else { return nil }
        defer { select.reset() }
        return Held(
            lane: select.int(0), history: History(select, from: 1), owner: claim.owner,
            started: UnixTime(microseconds: select.int(4)))
    }

    private func decide(
        _ outcome: Outcome, _ held: Held, _ isCancelling: Bool, _ now: UnixTime,
        _ random: () -> Double
    ) throws(SpoolError) -> Move {
        // A job that was done needs none of its facts: the page with its payload is left alone.
        let isDone = outcome.verdict == .done
        let policy = isDone ? Policy(retries: 0) : try facts(of: outcome.claim.job).policy
        return Move.settle(
            outcome.verdict, held.history, policy, cancelling: isCancelling, now: now,
            random: isDone ? 0 : random())
    }

    private func record(
        _ outcome: Outcome, _ move: Move, _ held: Held, _ now: UnixTime
    ) throws(SpoolError) {
        let id = outcome.claim.job
        var run = outcome.run
        if case .dead(_, let reason) = move {
            run.error = run.error.map { reason == "failed" ? $0 : "\(reason): \($0)" } ?? reason
        }
        let hasRun = outcome.verdict != .recalled
        switch move {
        case .ready, .scheduled:
            if hasRun { try insertAttempt(id, outcome.verdict, held, run) }
            try place(move, id, lane: held.lane, priority: facts(of: id).priority)
        case .done, .dead, .cancelled:
            let last = hasRun ? (outcome.verdict, held.owner, run) : nil
            try finish(id, move, held.lane, now, last)
        }
    }

    /// Writes a finished job's row, with the record of its last attempt if it had one.
    func finish(
        _ id: Int64, _ move: Move, _ lane: Int64, _ now: UnixTime,
        _ last: (verdict: Verdict, owner: Int64, run: Run)?
    ) throws(SpoolError) {
        let insert = try statement(
            """
            INSERT INTO finished(id, lane, outcome, attempt, failures, finished, verdict, owner, pid, started, exit,
              signal, user_us, system_us, rss_kib, error)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
            """)
        insert.bind(1, id)
        insert.bind(2, lane)
        insert.bind(3, move.outcomeNumber)
        insert.bind(4, move.history.attempt)
        insert.bind(5, move.history.failures)
        insert.bind(6, now.microseconds)
        insert.bind(7, last.map { Int64($0.verdict.rawValue) })
        insert.bind(8, last?.owner)
        bind(last?.run, insert, pid: 9, started: 10, from: 11)
        try insert.run("finishing job \(id)")
    }

    private func insertAttempt(
        _ id: Int64, _ verdict: Verdict, _ held: Held, _ run: Run
    ) throws(SpoolError) {
        let insert = try statement(
            """
            INSERT INTO attempt(job, attempt, verdict, owner, ended, pid, started, exit, signal, user_us, system_us,
              rss_kib, error) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
            """)
        insert.bind(1, id)
        insert.bind(2, held.history.attempt)
        insert.bind(3, verdict.rawValue)
        insert.bind(4, held.owner)
        insert.bind(5, run.ended.microseconds)
        bind(run, insert, pid: 6, started: 7, from: 8)
        try insert.run("finishing job \(id)")
    }

    private func bind(_ run: Run?, _ insert: Statement, pid: Int32, started: Int32, from: Int32) {
        // Zero and "did not run" are told apart by pid; NULL costs no bytes.
        insert.bind(pid, run.flatMap { $0.pid == 0 ? nil : Int64($0.pid) })
        insert.bind(started, run?.started.microseconds)
        insert.bind(from, run?.exit.map(Int64.init))
        insert.bind(from + 1, run?.signal.map(Int64.init))
        let used = run.flatMap { $0.pid == 0 ? nil : $0 }
        insert.bind(from + 2, used?.userMicroseconds)
        insert.bind(from + 3, used?.systemMicroseconds)
        insert.bind(from + 4, used?.peakKiB)
        insert.bind(from + 5, run?.error)
    }

    private func forgetCancellation(_ id: Int64) throws(SpoolError) {
        let delete = try statement("DELETE FROM cancellation WHERE id = ?1")
        delete.bind(1, id)
        try delete.run()
    }

    /// When a claim's run began; nil if it is not current.
    func startOf(_ claim: Claim) throws(SpoolError) -> UnixTime? {
        let select = try statement("SELECT started FROM running WHERE id = ?1 AND attempt = ?2")
        select.bind(1, claim.job)
        select.bind(2, claim.attempt)
        defer { select.reset() }
        return try select.step() ? UnixTime(microseconds: select.int(0)) : nil
    }

    /// What a move needs to know of a job besides its history.
    func facts(of id: Int64) throws(SpoolError) -> (lane: Int64, priority: Int, policy: Policy) {
        let select = try statement(
            "SELECT lane, priority, retries, backoff_min, backoff_max FROM job WHERE id = ?1")
        select.bind(1, id)
        defer { select.reset() }
        guard try select.step() else { throw .noSuchJob(id, newest: try newestJob()) }
        var policy = Policy(retries: select.number(2))
        if let min = select.optionalInt(3), let max = select.optionalInt(4) {
            policy.backoff = Backoff(min: .microseconds(min), max: .microseconds(max))
        }
        return (select.int(0), Int(select.int(1)), policy)
    }
}

extension Move {
    fileprivate var outcomeNumber: Int {
        switch self {
        case .done: 1
        case .dead: 2
        case .cancelled: 3
        case .ready, .scheduled: preconditionFailure("only a final move has an outcome")
        }
    }
}
