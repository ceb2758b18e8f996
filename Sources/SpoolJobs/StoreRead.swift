// StoreRead.swift - looking: nothing here writes, and nothing counts rows on a path that somebody waits for.

public import SpoolThreads

extension Store {
    /// - Throws: `noSuchJob`.
    public func job(_ id: Int64) throws(SpoolError) -> JobRow {
        guard let row = try row(id) else { throw .noSuchJob(id, newest: try newestJob()) }
        return row
    }

    /// The highest id in use; nil when there is no job.
    public func newestJob() throws(SpoolError) -> Int64? {
        let select = try statement("SELECT max(id) FROM job")
        defer { select.reset() }
        return try select.step() ? select.optionalInt(0) : nil
    }

    private func row(_ id: Int64) throws(SpoolError) -> JobRow? {
        let select = try statement(
            """
            SELECT j.id, q.name, l.kind, j.name, j.priority, j.put_at, j.retries, j.place, j.backoff_min, j.backoff_max,
              j.timeout, j.command, j.body, y.id IS NOT NULL, s.id IS NOT NULL, r.id IS NOT NULL, f.outcome,
              coalesce(y.attempt, s.attempt, r.attempt, f.attempt),
              coalesce(y.failures, s.failures, r.failures, f.failures),
              s.due, coalesce(r.started, f.started), f.finished, o.name, f.exit, f.signal, f.error, c.id IS NOT NULL
            FROM job j JOIN lane l ON l.id = j.lane JOIN queue q ON q.id = l.queue
              LEFT JOIN ready y ON y.lane = j.lane AND y.priority = j.priority AND y.id = j.id
              LEFT JOIN scheduled s ON s.id = j.id LEFT JOIN running r ON r.id = j.id
              LEFT JOIN finished f ON f.id = j.id LEFT JOIN owner o ON o.id = coalesce(r.owner, f.owner)
              LEFT JOIN cancellation c ON c.id = r.id AND c.attempt = r.attempt
            WHERE j.id = ?1
            """)
        select.bind(1, id)
        defer { select.reset() }
        return try select.step() ? JobRow(select) : nil
    }

    // MARK: - Lists

    /// The jobs that a filter lets through: running, retrying, ready (the next to run first), scheduled (the next due
    /// first), dead, cancelled, done (the newest first).
    public func jobs(_ filter: JobFilter) throws(SpoolError) -> [JobRow] {
        var rows: [JobRow] = []
        try forEachJob(filter) { row throws(SpoolError) in
            rows.append(row)
            return true
        }
        return rows
    }

    /// As ``jobs(_:)``, one by one, until `body` says false: a million rows need no memory. All as they stood at one
    /// moment.
    public func forEachJob(
        _ filter: JobFilter, _ body: (JobRow) throws(SpoolError) -> Bool
    ) throws(SpoolError) {
        try looking { () throws(SpoolError) in try eachJob(filter, body) }
    }

    private func eachJob(
        _ filter: JobFilter, _ body: (JobRow) throws(SpoolError) -> Bool
    ) throws(SpoolError) {
        let lanes = try lanes().filter { filter.lets($0) }
        let order: [State] = [.running, .retrying, .ready, .scheduled, .dead, .cancelled, .done]
        var left = filter.limit
        for state in order where filter.states.isEmpty || filter.states.contains(state) {
            guard left > 0 else { return }
            try forEachID(state, lanes, filter) { (id) throws(SpoolError) in
                guard let row = try row(id), filter.lets(row) else { return left > 0 }
                left -= 1
                guard try body(row) else { left = 0; return false }
                return left > 0
            }
        }
    }

    private func forEachID(
        _ state: State, _ lanes: [Lane], _ filter: JobFilter,
        _ body: (Int64) throws(SpoolError) -> Bool
    ) throws(SpoolError) {
        if state == .ready { return try forEachReadyID(lanes, filter, body) }
        let select = try select(state)
        select.bind(1, "[" + lanes.map { String($0.id) }.joined(separator: ",") + "]")
        select.bind(2, filter.ids?.lowerBound ?? 0)
        select.bind(3, filter.ids?.upperBound ?? Int64.max)
        defer { select.reset() }
        while try select.step() {
            guard try body(select.int(0)) else { return }
        }
    }

    /// The two that share a table end with their last row, as the counters of the same moment tell: behind it there may
    /// be a million of the other.
    private func select(_ state: State) throws(SpoolError) -> Statement {
        switch state {
        case .running:
            try statement(
                """
                SELECT id FROM running WHERE lane IN (SELECT value FROM json_each(?1)) AND id BETWEEN ?2 AND ?3
                ORDER BY id
                """)
        case .retrying:
            try statement(
                """
                SELECT id FROM scheduled WHERE attempt > 0 AND lane IN (SELECT value FROM json_each(?1))
                  AND id BETWEEN ?2 AND ?3 ORDER BY due, id
                  LIMIT (SELECT coalesce(sum(retrying), 0) FROM lane WHERE id IN (SELECT value FROM json_each(?1)))
                """)
        case .ready, .scheduled:
            try statement(
                """
                SELECT id FROM scheduled WHERE attempt = 0 AND lane IN (SELECT value FROM json_each(?1))
                  AND id BETWEEN ?2 AND ?3 ORDER BY due, id
                  LIMIT (SELECT coalesce(sum(scheduled), 0) FROM lane WHERE id IN (SELECT value FROM json_each(?1)))
                """)
        case .done, .dead, .cancelled: try selectFinished(state)
        }
    }

    /// `outcome <> 1` is the condition of the index that leaves out the millions that are done.
    private func selectFinished(_ state: State) throws(SpoolError) -> Statement {
        switch state {
        case .dead:
            try statement(
                """
                SELECT id FROM finished WHERE outcome = 2 AND outcome <> 1
                  AND lane IN (SELECT value FROM json_each(?1)) AND id BETWEEN ?2 AND ?3 ORDER BY id DESC
                """)
        case .cancelled:
            try statement(
                """
                SELECT id FROM finished WHERE outcome = 3 AND outcome <> 1
                  AND lane IN (SELECT value FROM json_each(?1)) AND id BETWEEN ?2 AND ?3 ORDER BY id DESC
                """)
        default:
            try statement(
                """
                SELECT id FROM finished WHERE outcome = 1 AND lane IN (SELECT value FROM json_each(?1))
                  AND id BETWEEN ?2 AND ?3 ORDER BY id DESC
                """)
        }
    }

    /// The lanes' first jobs, merged in the order in which they would run.
    private func forEachReadyID(
        _ lanes: [Lane], _ filter: JobFilter, _ body: (Int64) throws(SpoolError) -> Bool
    ) throws(SpoolError) {
        let select = try statement(
            """
            SELECT priority, id FROM ready WHERE lane = ?1 AND id BETWEEN ?3 AND ?4 ORDER BY priority, id LIMIT ?2
            """)
        // A text filter looks at rows that the limit would have cut off.
        let limit = filter.text == nil ? filter.limit : Int.max
        var found: [(priority: Int64, id: Int64)] = []
        for lane in lanes {
            select.bind(1, lane.id)
            select.bind(2, limit)
            select.bind(3, filter.ids?.lowerBound ?? 0)
            select.bind(4, filter.ids?.upperBound ?? Int64.max)
            while try select.step() { found.append((select.int(0), select.int(1))) }
        }
        found.sort { ($0.priority, $0.id) < ($1.priority, $1.id) }
        for (_, id) in found {
            guard try body(id) else { return }
        }
    }

    /// The starts of a job, first to last.
    /// - Throws: `noSuchJob`.
    public func attempts(of id: Int64) throws(SpoolError) -> [AttemptRow] {
        _ = try job(id)
        let select = try statement(
            """
            SELECT a.attempt, a.verdict, o.name, a.pid, a.started, a.ended, a.exit, a.signal, a.user_us, a.system_us,
              a.rss_kib, a.error FROM (
              SELECT attempt, verdict, owner, pid, started, ended, exit, signal, user_us, system_us, rss_kib, error
              FROM attempt WHERE job = ?1
              UNION ALL
              SELECT attempt, verdict, owner, pid, started, finished, exit, signal, user_us, system_us, rss_kib, error
              FROM finished WHERE id = ?1 AND verdict IS NOT NULL
              UNION ALL
              SELECT attempt, 0, owner, NULL, started, NULL, NULL, NULL, NULL, NULL, NULL, NULL
              FROM running WHERE id = ?1) a
            LEFT JOIN owner o ON o.id = a.owner ORDER BY a.attempt
            """)
        select.bind(1, id)
        var rows: [AttemptRow] = []
        while try select.step() { rows.append(AttemptRow(select)) }
        return rows
    }

    // MARK: - Queues and counts

    /// All queues by name, with what they hold.
    public func queues() throws(SpoolError) -> [QueueRow] {
        var counts: [String: Counts] = [:]
        var due: [String: UnixTime] = [:]
        for lane in try lanes() {
            counts[lane.queue, default: Counts()] =
                counts[lane.queue, default: Counts()] + lane.counts
            guard lane.counts.scheduled + lane.counts.retrying > 0,
                let next = try nextDue(in: lane.id)
            else { continue }
            due[lane.queue] = min(due[lane.queue] ?? next, next)
        }
        let select = try statement("SELECT name, paused_at FROM queue ORDER BY name")
        var rows: [QueueRow] = []
        while try select.step() {
            let name = select.text(0)
            rows.append(
                QueueRow(
                    name: name,
                    pausedSince: select.optionalInt(1).map { UnixTime(microseconds: $0) },
                    counts: counts[name] ?? Counts(), nextDue: due[name]))
        }
        return rows
    }

    /// Since when a queue is paused. Nil: it is not, or there is no such queue.
    public func pausedSince(queue: String) throws(SpoolError) -> UnixTime? {
        let select = try statement("SELECT paused_at FROM queue WHERE name = ?1")
        select.bind(1, queue)
        defer { select.reset() }
        return try select.step()
            ? select.optionalInt(0).map { UnixTime(microseconds: $0) } : nil
    }

    func nextDue(in lane: Int64) throws(SpoolError) -> UnixTime? {
        let select = try statement("SELECT due FROM scheduled WHERE lane = ?1 ORDER BY due LIMIT 1")
        select.bind(1, lane)
        defer { select.reset() }
        return try select.step() ? UnixTime(microseconds: select.int(0)) : nil
    }

    /// How many jobs stand in each state, in one queue or in all: a read of the counters.
    /// - Throws: `noSuchQueue`.
    public func counts(queue: String?) throws(SpoolError) -> Counts {
        if let queue { try requireQueue(queue) }
        return try lanes().filter { queue == nil || $0.queue == queue }
            .reduce(Counts()) { $0 + $1.counts }
    }

    func requireQueue(_ name: String) throws(SpoolError) {
        let names = try queueNames()
        guard !names.contains(name) else { return }
        throw .noSuchQueue(name, nearest: Spelling.nearest(to: name, among: names))
    }

    /// The names of all queues.
    public func queueNames() throws(SpoolError) -> [String] {
        let select = try statement("SELECT name FROM queue ORDER BY name")
        var names: [String] = []
        while try select.step() { names.append(select.text(0)) }
        return names
    }

    /// The ids of jobs that ended dead or cancelled, newest first.
    public func failed(
        queue: String?, states: Set<State> = [.dead, .cancelled], upTo last: Int64 = .max,
        limit: Int
    ) throws(SpoolError) -> [Int64] {
        var filter = JobFilter(limit: limit)
        filter.ids = 0...last
        filter.queue = queue
        let lanes = try lanes().filter { filter.lets($0) }
        var ids: [Int64] = []
        for state in [State.dead, .cancelled] where states.contains(state) {
            try forEachID(state, lanes, filter) { (id) throws(SpoolError) in
                if ids.count < limit { ids.append(id) }
                return ids.count < limit
            }
        }
        return ids
    }

    /// Where a command runs, by the id of ``ClaimedJob/place``.
    public func place(_ id: Int64) throws(SpoolError) -> Place {
        let select = try statement(
            "SELECT p.cwd, e.variables FROM place p JOIN environment e ON e.id = p.environment WHERE p.id = ?1"
        )
        select.bind(1, id)
        defer { select.reset() }
        guard try select.step() else {
            throw .storeCorrupt(path: files.database, detail: "place \(id) is missing")
        }
        return Place(directory: select.bytes(0), environment: select.bytes(1))
    }
}

extension JobFilter {
    func lets(_ lane: Lane) -> Bool {
        (queue == nil || lane.queue == queue) && (kind == nil || lane.kind == kind)
    }

    func lets(_ row: JobRow) -> Bool {
        guard let text else { return true }
        return [row.command, row.kind, row.name].contains { $0?.contains(text) ?? false }
    }
}

extension JobRow {
    fileprivate init(_ row: Statement) {
        let attempt = row.number(17)
        let kind = row.text(2)
        let backoff: Backoff? = row.optionalInt(8).map {
            Backoff(min: .microseconds($0), max: .microseconds(row.int(9)))
        }
        func time(_ column: Int32) -> UnixTime? {
            row.optionalInt(column).map { UnixTime(microseconds: $0) }
        }
        self.init(
            id: row.int(0),
            state: State(
                isReady: row.int(13) != 0, isScheduled: row.int(14) != 0,
                isRunning: row.int(15) != 0,
                outcome: row.optionalInt(16), attempt: attempt),
            queue: row.text(1), kind: kind.isEmpty ? nil : kind, name: row.optionalText(3),
            priority: Int(row.int(4)), attempt: attempt, failures: row.number(18),
            retries: row.number(6), putAt: UnixTime(microseconds: row.int(5)), due: time(19),
            started: time(20), finished: time(21), command: row.optionalText(11),
            body: Body(row, 12), backoff: backoff,
            timeout: row.optionalInt(10).map { .microseconds($0) }, place: row.optionalInt(7),
            worker: row.optionalText(22), exit: row.optionalNumber(23),
            signal: row.optionalNumber(24), error: row.optionalText(25),
            isCancelling: row.int(26) != 0)
    }
}

extension AttemptRow {
    fileprivate init(_ row: Statement) {
        self.init(
            number: row.number(0), verdict: Verdict(rawValue: row.number(1)),
            worker: row.optionalText(2), pid: row.optionalNumber(3),
            started: UnixTime(microseconds: row.int(4)),
            ended: row.optionalInt(5).map { UnixTime(microseconds: $0) },
            exit: row.optionalNumber(6), signal: row.optionalNumber(7),
            userMicroseconds: row.optionalNumber(8).map(Int64.init),
            systemMicroseconds: row.optionalNumber(9).map(Int64.init),
            peakKiB: row.optionalNumber(10).map(Int64.init), error: row.optionalText(11))
    }
}
