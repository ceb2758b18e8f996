// StoreMoves.swift - moves that people make: retry, cancel, remove, pause, resume. Each call is one transaction.

public import SpoolThreads

/// Where a job stands and what it has behind it, read from the one table that holds its id.
struct Standing {
    var state: State
    var lane: Int64
    var priority: Int
    var history: History
    var due: UnixTime?
}

extension Store {
    /// Takes jobs that ended, or that wait for their time, back to ready; their attempts stay on record.
    /// - Throws: `noSuchJob`, or `wrongState` for one that is ready or running; then none was moved.
    public func retry(_ ids: [Int64], now: UnixTime) throws(SpoolError) {
        try moveByHand { () throws(SpoolError) in
            ids
        } move: { (id, standing, tally) throws(SpoolError) in
            try retry(id, standing, &tally)
        }
    }

    /// Takes all dead jobs, of one queue or of all, back to ready, a thousand in a transaction: others write in
    /// between. When one of them fails those before it stand.
    /// - Returns: Their ids.
    /// - Throws: `noSuchQueue`.
    public func retryDead(queue: String?, now: UnixTime) throws(SpoolError) -> [Int64] {
        var retried: [Int64] = []
        var last = Int64.max
        // Without dead jobs nothing is written.
        while try !failed(queue: queue, states: [.dead], upTo: last, limit: 1).isEmpty {
            // Looked for again where they are moved: other commands may have moved some meanwhile.
            let some = try moveByHand { () throws(SpoolError) in
                try failed(queue: queue, states: [.dead], upTo: last, limit: Store.retriedAtOnce)
            } move: { (id, standing, tally) throws(SpoolError) in
                try retry(id, standing, &tally)
            }
            retried += some
            // The newest come first. One that has died again meanwhile was retried once: that is enough.
            guard let oldest = some.last, oldest > 0 else { break }
            last = oldest - 1
            // Whoever has waited at the gate is there before us.
            Pause.briefly(upTo: .milliseconds(1))
        }
        return retried
    }

    private static var retriedAtOnce: Int { 1000 }

    /// Throws what ``retry(_:now:)`` would, and moves nothing.
    public func checkRetry(_ ids: [Int64]) throws(SpoolError) {
        try look(at: ids) { (id, standing) throws(SpoolError) in _ = try retryMove(id, standing) }
    }

    private func retry(
        _ id: Int64, _ standing: Standing, _ tally: inout Tally
    ) throws(SpoolError) {
        let move = try retryMove(id, standing)
        try leave(id, standing, &tally)
        try place(move, id, lane: standing.lane, priority: standing.priority)
        tally.add(1, .ready, in: standing.lane)
    }

    private func retryMove(_ id: Int64, _ standing: Standing) throws(SpoolError) -> Move {
        guard let move = Move.retry(from: standing.state, standing.history) else {
            throw .wrongState(
                job: id, state: standing.state.rawValue,
                wanted: "retry works on dead, cancelled, done, scheduled and retrying jobs")
        }
        return move
    }

    /// Cancels jobs: those that wait end cancelled at once, running ones are asked to stop.
    /// - Parameter grace: From `signal` to SIGKILL.
    /// - Returns: The ids that were running.
    /// - Throws: `noSuchJob`, or `wrongState` for one that has ended; then none was cancelled.
    @discardableResult
    public func cancel(
        _ ids: [Int64], signal: Int32, grace: Duration, now: UnixTime
    ) throws(SpoolError) -> [Int64] {
        var running: [Int64] = []
        try moveByHand { () throws(SpoolError) in
            ids
        } move: { (id, standing, tally) throws(SpoolError) in
            guard let move = try cancelMove(id, standing) else {
                try askToStop(id, standing.history.attempt, signal, grace)
                running.append(id)
                return
            }
            try leave(id, standing, &tally)
            try finish(id, move, standing.lane, now, nil)
            tally.add(1, .cancelled, in: standing.lane)
        }
        return running
    }

    /// Throws what ``cancel(_:signal:grace:now:)`` would, and cancels nothing.
    /// - Returns: The ids that are running.
    public func checkCancel(_ ids: [Int64]) throws(SpoolError) -> [Int64] {
        var running: [Int64] = []
        try look(at: ids) { (id, standing) throws(SpoolError) in
            if try cancelMove(id, standing) == nil { running.append(id) }
        }
        return running
    }

    /// Nil: it runs, and is asked to stop.
    private func cancelMove(_ id: Int64, _ standing: Standing) throws(SpoolError) -> Move? {
        guard standing.state != .running else { return nil }
        guard let move = Move.cancel(from: standing.state, standing.history) else {
            throw .wrongState(
                job: id, state: standing.state.rawValue,
                wanted: "cancel works on jobs that have not ended")
        }
        return move
    }

    /// Removes jobs and their attempts for good.
    /// - Throws: `noSuchJob`, or `wrongState` for one that runs; then none was removed.
    public func remove(_ ids: [Int64]) throws(SpoolError) {
        var logs: [(job: Int64, attempt: Int)] = []
        try moveByHand { () throws(SpoolError) in
            ids
        } move: { (id, standing, tally) throws(SpoolError) in
            try requireRemovable(id, standing)
            try leave(id, standing, &tally, keepingAttempts: false)
            // The attempts that there are, not all up to the last: that is a number that anybody may have written.
            logs.append((id, standing.history.attempt))
            let attempts = try statement("DELETE FROM attempt WHERE job = ?1 RETURNING attempt")
            attempts.bind(1, id)
            while try attempts.step() { logs.append((id, attempts.number(0))) }
            let job = try statement("DELETE FROM job WHERE id = ?1")
            job.bind(1, id)
            try job.run()
            try retireID(id)
        }
        for (id, attempt) in logs {
            Path.remove(files.log(id, attempt: attempt))
            Path.remove(files.logIndex(id, attempt: attempt))
        }
    }

    /// Throws what ``remove(_:)`` would, and removes nothing.
    public func checkRemove(_ ids: [Int64]) throws(SpoolError) {
        try look(at: ids) { (id, standing) throws(SpoolError) in
            try requireRemovable(id, standing)
        }
    }

    private func requireRemovable(_ id: Int64, _ standing: Standing) throws(SpoolError) {
        guard standing.state == .running else { return }
        throw .wrongState(
            job: id, state: "running", wanted: "rm works on jobs that do not run",
            hint: "Stop it first with:  spool cancel \(id)")
    }

    /// The greatest id would be given again when its job is gone.
    private func retireID(_ id: Int64) throws(SpoolError) {
        let raise = try statement(
            """
            UPDATE spool SET next_job = ?2
            WHERE next_job <= ?1 AND ?1 > (SELECT coalesce(max(id), 0) FROM job)
            """)
        raise.bind(1, id)
        raise.bind(2, id == .max ? id : id + 1)
        try raise.run()
    }

    /// Looks where jobs stand, at one moment.
    private func look(
        at ids: [Int64], _ body: (Int64, Standing) throws(SpoolError) -> Void
    ) throws(SpoolError) {
        try looking { () throws(SpoolError) in
            for id in ids.onceEach { try body(id, try standing(of: id)) }
        }
    }

    /// - Parameter ids: Asked in the transaction that moves them.
    /// - Returns: What `ids` returned.
    @discardableResult
    private func moveByHand(
        _ ids: () throws(SpoolError) -> [Int64],
        move: (Int64, Standing, inout Tally) throws(SpoolError) -> Void
    ) throws(SpoolError) -> [Int64] {
        do throws(SpoolError) {
            return try write("changing jobs") { () throws(SpoolError) in
                let ids = try ids().onceEach
                var tally = Tally()
                for id in ids {
                    let standing = try standing(of: id)
                    try move(id, standing, &tally)
                }
                try apply(tally)
                for bell in Bell.allCases { ring(bell) }
                return ids
            }
        } catch .noSuchJob(let id, _) {
            // Which is the newest is asked again: those that were removed before it are back.
            throw .noSuchJob(id, newest: try newestJob())
        }
    }

    /// Takes a job that does not run out of the table that holds it, and out of that table's counter.
    private func leave(
        _ id: Int64, _ standing: Standing, _ tally: inout Tally, keepingAttempts: Bool = true
    ) throws(SpoolError) {
        switch standing.state {
        case .ready:
            let delete = try statement(
                "DELETE FROM ready WHERE lane = ?1 AND priority = ?2 AND id = ?3")
            delete.bind(1, standing.lane)
            delete.bind(2, standing.priority)
            delete.bind(3, id)
            try delete.run()
        case .scheduled, .retrying:
            let delete = try statement("DELETE FROM scheduled WHERE id = ?1")
            delete.bind(1, id)
            try delete.run()
        case .done, .dead, .cancelled:
            if keepingAttempts { try keepLastAttempt(id) }
            let delete = try statement("DELETE FROM finished WHERE id = ?1")
            delete.bind(1, id)
            try delete.run()
        case .running: preconditionFailure("a running job leaves through settle, which is fenced")
        }
        guard connection.changes == 1 else {
            throw .storeCorrupt(path: files.database, detail: "job \(id) is not where it should be")
        }
        tally.add(-1, standing.state, in: standing.lane)
    }

    private func keepLastAttempt(_ id: Int64) throws(SpoolError) {
        let insert = try statement(
            """
            INSERT INTO attempt SELECT id, attempt, verdict, owner, pid, started, finished, exit, signal, user_us,
              system_us, rss_kib, error FROM finished WHERE id = ?1 AND verdict IS NOT NULL
            """)
        insert.bind(1, id)
        try insert.run()
    }

    private func askToStop(
        _ id: Int64, _ attempt: Int, _ signal: Int32, _ grace: Duration
    ) throws(SpoolError) {
        let insert = try statement("INSERT OR REPLACE INTO cancellation VALUES (?1, ?2, ?3, ?4)")
        insert.bind(1, id)
        insert.bind(2, attempt)
        insert.bind(3, Int64(signal))
        insert.bind(4, grace.microseconds)
        try insert.run()
    }

    /// Finds the one table that holds the job.
    func standing(of id: Int64) throws(SpoolError) -> Standing {
        let select = try statement(
            """
            SELECT j.lane, j.priority, y.id IS NOT NULL, s.id IS NOT NULL, r.id IS NOT NULL, f.outcome, s.due,
              coalesce(y.attempt, s.attempt, r.attempt, f.attempt),
              coalesce(y.failures, s.failures, r.failures, f.failures),
              coalesce(y.deaths, s.deaths, r.deaths, 0)
            FROM job j LEFT JOIN ready y ON y.lane = j.lane AND y.priority = j.priority AND y.id = j.id
              LEFT JOIN scheduled s ON s.id = j.id LEFT JOIN running r ON r.id = j.id
              LEFT JOIN finished f ON f.id = j.id WHERE j.id = ?1
            """)
        select.bind(1, id)
        defer { select.reset() }
        guard try select.step() else { throw .noSuchJob(id, newest: try newestJob()) }
        let history = History(select, from: 7)
        let state = State(
            isReady: select.int(2) != 0, isScheduled: select.int(3) != 0,
            isRunning: select.int(4) != 0,
            outcome: select.optionalInt(5), attempt: history.attempt)
        return Standing(
            state: state, lane: select.int(0), priority: Int(select.int(1)), history: history,
            due: select.optionalInt(6).map { UnixTime(microseconds: $0) })
    }

    // MARK: - Queues

    /// Stops workers from taking jobs of a queue; running ones go on.
    public func pause(queue: String, now: UnixTime) throws(SpoolError) {
        try setPause(queue, now.microseconds)
    }

    /// Lets workers take jobs of a paused queue again.
    public func resume(queue: String) throws(SpoolError) { try setPause(queue, nil) }

    private func setPause(_ queue: String, _ since: Int64?) throws(SpoolError) {
        try requireQueue(queue)
        try write("changing queue \(queue)") { () throws(SpoolError) in
            // A queue that is paused already keeps the time since when.
            let update = try statement(
                """
                UPDATE queue SET paused_at = CASE WHEN ?2 IS NULL THEN NULL ELSE coalesce(paused_at, ?2) END
                WHERE name = ?1
                """)
            update.bind(1, queue)
            update.bind(2, since)
            try update.run()
            ring(.arrived)
        }
    }
}

extension State {
    /// The state that the tables' rows of one job spell.
    init(isReady: Bool, isScheduled: Bool, isRunning: Bool, outcome: Int64?, attempt: Int) {
        if isRunning {
            self = .running
        } else if isReady {
            self = .ready
        } else if isScheduled {
            self = attempt > 0 ? .retrying : .scheduled
        } else {
            self = outcome == 1 ? .done : outcome == 2 ? .dead : .cancelled
        }
    }
}
