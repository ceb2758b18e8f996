// StoreCheck.swift - is the file sound? SQLite's own checks, and Spool's conservation law: every job stands in exactly
// one state, and the counters say so.

public import SpoolThreads

extension Store {
    /// Looks at everything, as it stands at one moment, and changes nothing. Takes time in proportion to the file.
    /// - Returns: One sentence for each problem; empty when the store is sound.
    public func check() throws(SpoolError) -> [String] {
        var problems: [String] = []
        try looking { () throws(SpoolError) in problems = try problemsNow() }
        return problems
    }

    private func problemsNow() throws(SpoolError) -> [String] {
        var problems = try texts("PRAGMA integrity_check").filter { $0 != "ok" }
        let missing = try checkSchema()
        guard missing.isEmpty else { return problems + missing }
        problems += try texts("SELECT DISTINCT \"table\" FROM pragma_foreign_key_check").map {
            "the table \($0) points to rows that do not exist"
        }
        problems += try checkIDs()
        problems += try checkPlaces()
        problems += try checkCounters()
        problems += try checkClaims()
        return problems
    }

    /// What a new file has, and this one has not, or as something else: nothing can be said of its jobs then.
    private func checkSchema() throws(SpoolError) -> [String] {
        let model = try Connection(":memory:", .existing)
        for migration in Migration.all { try model.execute(migration.sql) }
        let select: StaticString = "SELECT type || ' ' || name FROM sqlite_schema ORDER BY name"
        let wanted = try model.prepare(select)
        let there = Set(try texts(select))
        var problems: [String] = []
        while try wanted.step() {
            let object = wanted.text(0)
            if !there.contains(object) { problems.append("the \(object) is missing") }
        }
        return problems
    }

    private func checkIDs() throws(SpoolError) -> [String] {
        try texts("SELECT one FROM spool").count == 1
            ? [] : ["the table spool is empty: no job can get an id"]
    }

    private func checkPlaces() throws(SpoolError) -> [String] {
        let select = try statement(
            """
            SELECT j.id, (y.id IS NOT NULL) + (s.id IS NOT NULL) + (r.id IS NOT NULL) + (f.id IS NOT NULL) AS places
            FROM job j LEFT JOIN ready y ON y.lane = j.lane AND y.priority = j.priority AND y.id = j.id
              LEFT JOIN scheduled s ON s.id = j.id LEFT JOIN running r ON r.id = j.id
              LEFT JOIN finished f ON f.id = j.id WHERE places <> 1 LIMIT 20
            """)
        var problems: [String] = []
        while try select.step() {
            problems.append("job \(select.int(0)) stands in \(select.int(1)) states instead of one")
        }
        let orphans = try statement(
            """
            SELECT id FROM (SELECT id FROM ready UNION ALL SELECT id FROM scheduled UNION ALL SELECT id FROM running
              UNION ALL SELECT id FROM finished) WHERE id NOT IN (SELECT id FROM job) LIMIT 20
            """)
        while try orphans.step() {
            problems.append("job \(orphans.int(0)) has a state but no facts")
        }
        return problems
    }

    private func checkCounters() throws(SpoolError) -> [String] {
        let counted = try countAll()
        return try lanes().filter { $0.counts != counted[$0.id] }.map { lane in
            let of = lane.kind.isEmpty ? "commands" : lane.kind
            return "the counters of \(of) in queue \(lane.queue) do not match its jobs"
        }
    }

    /// What the lanes' counters should be: each table is read once, however many lanes there are.
    private func countAll() throws(SpoolError) -> Tally {
        var tally = Tally()
        let ready = try statement("SELECT lane, count(*) FROM ready GROUP BY lane")
        while try ready.step() { tally.add(ready.number(1), .ready, in: ready.int(0)) }
        let scheduled = try statement("SELECT lane, attempt > 0 FROM scheduled")
        while try scheduled.step() {
            tally.add(1, scheduled.int(1) == 0 ? .scheduled : .retrying, in: scheduled.int(0))
        }
        let running = try statement("SELECT lane FROM running")
        while try running.step() { tally.add(1, .running, in: running.int(0)) }
        let finished = try statement("SELECT lane, outcome FROM finished")
        while try finished.step() {
            let outcome = finished.int(1)
            let state: State = outcome == 1 ? .done : outcome == 2 ? .dead : .cancelled
            tally.add(1, state, in: finished.int(0))
        }
        return tally
    }

    private func checkClaims() throws(SpoolError) -> [String] {
        let select = try statement(
            """
            SELECT r.id FROM running r LEFT JOIN owner o ON o.id = r.owner
            WHERE o.id IS NULL OR o.ended IS NOT NULL LIMIT 20
            """)
        var problems: [String] = []
        while try select.step() {
            problems.append("job \(select.int(0)) runs under a worker that has ended")
        }
        return problems
    }

    private func texts(_ sql: StaticString) throws(SpoolError) -> [String] {
        let select = try statement(sql)
        var found: [String] = []
        while try select.step() { found.append(select.text(0)) }
        return found
    }

    /// Whether another connection has committed since the last call with the same memory.
    func dataVersion() throws(SpoolError) -> Int64 {
        let select = try statement("PRAGMA data_version")
        defer { select.reset() }
        return try select.step() ? select.int(0) : 0
    }
}
