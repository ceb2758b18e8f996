// StoreRead.swift - looking: nothing here writes, and nothing counts rows on a path that somebody waits for.

public import SpoolThreads

extension Store {
    /// - Parameter bodyLimit: Bytes of its body that are read at most; nil: all.
    /// - Throws: `noSuchJob`.
    public func job(_ id: Int64, bodyLimit: Int? = nil) throws(SpoolError) -> JobRow {
        let reader = BodyReader(self, limit: bodyLimit)
        defer { reader.end() }
        var found: JobRow?
        if reader.limit == nil {
            found = try row(id, reader)
        } else {
            try looking { () throws(SpoolError) in found = try row(id, reader) }
        }
        guard let found else { throw .noSuchJob(id, newest: try newestJob()) }
        return found
    }

    /// The highest id in use; nil when there is no job.
    public func newestJob() throws(SpoolError) -> Int64? {
        let select = try statement("SELECT max(id) FROM job")
        defer { select.reset() }
        return try select.step() ? select.optionalInt(0) : nil
    }

    func row(_ id: Int64, _ bodies: BodyReader) throws(SpoolError) -> JobRow? {
        let select = try statement(
            """
            SELECT j.id, q.name, l.kind, j.name, j.priority, j.put_at, j.retries, j.place, j.backoff_min, j.backoff_max,
              j.timeout, j.command, CASE WHEN ?2 OR typeof(j.body) NOT IN ('text', 'blob') THEN j.body END,
              y.id IS NOT NULL, s.id IS NOT NULL, r.id IS NOT NULL, f.outcome,
              coalesce(y.attempt, s.attempt, r.attempt, f.attempt),
              coalesce(y.failures, s.failures, r.failures, f.failures),
              s.due, coalesce(r.started, f.started), f.finished, o.name, f.exit, f.signal, f.error, c.id IS NOT NULL,
              typeof(j.body)
            FROM job j JOIN lane l ON l.id = j.lane JOIN queue q ON q.id = l.queue
              LEFT JOIN ready y ON y.lane = j.lane AND y.priority = j.priority AND y.id = j.id
              LEFT JOIN scheduled s ON s.id = j.id LEFT JOIN running r ON r.id = j.id
              LEFT JOIN finished f ON f.id = j.id LEFT JOIN owner o ON o.id = coalesce(r.owner, f.owner)
              LEFT JOIN cancellation c ON c.id = r.id AND c.attempt = r.attempt
            WHERE j.id = ?1
            """)
        select.bind(1, id)
        select.bind(2, bodies.limit == nil ? 1 : 0)
        defer { select.reset() }
        guard try select.step() else { return nil }
        // Read whole it becomes JSON, which grows by doubling.
        try select.checkRoom(for: JobRow.body, copies: 8)
        var row = JobRow(select)
        let type = select.text(27)
        if bodies.limit != nil, ["text", "blob"].contains(type) {
            (row.body, row.bodySize) = try bodies.beginning(of: id, isText: type == "text")
        }
        return row
    }

    /// The starts of a job, first to last.
    /// - Throws: `noSuchJob`.
    public func attempts(of id: Int64) throws(SpoolError) -> [AttemptRow] {
        _ = try job(id, bodyLimit: 0)
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
        var rows: [QueueRow] = []
        try looking { () throws(SpoolError) in rows = try queuesNow() }
        return rows
    }

    private func queuesNow() throws(SpoolError) -> [QueueRow] {
        let lanes = try lanes()
        let waiting = lanes.filter { $0.counts.scheduled + $0.counts.retrying > 0 }
        let dues = try nextDues(of: Set(waiting.map(\.id)))
        var counts: [String: Counts] = [:]
        var due: [String: UnixTime] = [:]
        for lane in lanes {
            counts[lane.queue, default: Counts()] =
                counts[lane.queue, default: Counts()] + lane.counts
            guard let next = dues[lane.id] else { continue }
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

    /// When the first job of each of these lanes is due: one way through the times, up to the last lane's first.
    private func nextDues(of lanes: Set<Int64>) throws(SpoolError) -> [Int64: UnixTime] {
        guard !lanes.isEmpty else { return [:] }
        let select = try statement("SELECT lane, due FROM scheduled ORDER BY due")
        defer { select.reset() }
        var left = lanes
        var dues: [Int64: UnixTime] = [:]
        while !left.isEmpty, try select.step() {
            guard let lane = left.remove(select.int(0)) else { continue }
            dues[lane] = UnixTime(microseconds: select.int(1))
        }
        return dues
    }

    /// How many jobs stand in each state, in one queue or in all: a read of the counters.
    /// - Throws: `noSuchQueue`.
    public func counts(queue: String?) throws(SpoolError) -> Counts {
        if let queue {
            try requireQueue(queue)
            return try lanes(of: queue).counts
        }
        let select = try statement(
            "SELECT ready, scheduled, retrying, running, done, dead, cancelled FROM lane")
        var sum = Counts()
        while try select.step() { sum = sum + Counts(select, from: 0) }
        return sum
    }

    /// How many jobs are ready on each queue, or on one, where there are any.
    public func ready(queue: String?) throws(SpoolError) -> [String: Int] {
        var ready: [String: Int] = [:]
        try looking { () throws(SpoolError) in
            let chosen = queue.map { [Selection.Choice(queue: $0)] } ?? []
            for lane in try readyLanes(of: Selection(queues: chosen)) where lane.counts.ready > 0 {
                ready[lane.queue, default: 0] += lane.counts.ready
            }
        }
        return ready
    }

    func requireQueue(_ name: String) throws(SpoolError) {
        let select = try statement("SELECT 1 FROM queue WHERE name = ?1")
        select.bind(1, name)
        defer { select.reset() }
        guard try !select.step() else { return }
        throw .noSuchQueue(name, nearest: Spelling.nearest(to: name, among: try queueNames()))
    }

    /// The names of all queues.
    public func queueNames() throws(SpoolError) -> [String] {
        let select = try statement("SELECT name FROM queue ORDER BY name")
        var names: [String] = []
        while try select.step() { names.append(select.text(0)) }
        return names
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

extension JobRow {
    /// The column.
    fileprivate static let body: Int32 = 12

    fileprivate init(_ row: Statement) {
        let attempt = row.number(17)
        let kind = row.text(2)
        let backoff: Backoff? = row.optionalInt(8).map {
            Backoff(min: .microseconds($0), max: .microseconds(row.int(9)))
        }
        let body = Body(row, Self.body)
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
            body: body, bodySize: body.count, backoff: backoff,
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
