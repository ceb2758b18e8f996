// StoreExchange.swift - "finish k, take n" in one transaction: the hot path of every worker.
//
// A claim takes the first rows of a lane in (priority, id) order, which is a range of the ready table's key for each
// priority: two range statements move any number of jobs of one. Several lanes are merged by taking from the best one
// up to the head of the next.

public import SpoolThreads

extension Store {
    /// A claim stops early when the bodies that it would carry pass this many bytes.
    static var claimBytes: Int { 8 << 20 }

    /// Settles outcomes, makes due jobs ready, and claims up to `take` more, all in one transaction. Writes
    /// nothing when there is nothing to settle and nothing to take.
    /// - Parameters:
    ///   - owner: From ``register(name:consumers:queues:now:)``.
    ///   - isExpected: There are likely jobs to take: it is not looked whether there are before others are kept from
    ///     writing.
    ///   - counting: When nothing can be taken, it says what the selected queues hold: it reads the counters of all.
    ///   - random: In 0 ..< 1: spreads retries, draws queues by weight.
    public func exchange(
        owner: Int64, settle outcomes: [Outcome], take: Int, from selection: Selection,
        isExpected: Bool = false, counting: Bool = false, now: UnixTime, random: () -> Double
    ) throws(SpoolError) -> Exchange {
        if outcomes.isEmpty, !isExpected {
            let seen = try look(owner: owner, selection, counting)
            let isDue = seen.nextDue.map { $0 <= now } ?? false
            if !isDue, take == 0 || seen.takeable == 0 { return seen }
        }
        // Of a claim alone nobody was told that it is on disk.
        return try write("claiming jobs", outcomes.isEmpty ? .withTheNext : .first) {
            () throws(SpoolError) in
            try exchangeRows(owner, outcomes, take, selection, counting, now, random)
        }
    }

    private func exchangeRows(
        _ owner: Int64, _ outcomes: [Outcome], _ take: Int, _ selection: Selection,
        _ counting: Bool, _ now: UnixTime, _ random: () -> Double
    ) throws(SpoolError) -> Exchange {
        var tally = Tally()
        let promoted = try promoteDue(now, &tally)
        let settled = try settle(outcomes, now, random, &tally)
        // Read once: what changes their counters here stands in the tally.
        let lanes = try readyLanes(of: selection)
        let claimed =
            take > 0
            ? try claim(owner, take, selection, lanes.adding(tally), now, random, &tally) : []
        try apply(tally)
        if !settled.isEmpty { ring(.settled) }
        if promoted > 0 || settled.contains(where: { $0?.state == .ready }) { ring(.arrived) }
        let counting = counting && claimed.isEmpty
        var result = try look(owner: owner, selection, lanes.adding(tally), counting)
        result.settled = settled
        result.claimed = claimed
        return result
    }

    /// What the store holds for a worker, without claiming.
    private func look(
        owner: Int64, _ selection: Selection, _ counting: Bool
    ) throws(SpoolError) -> Exchange {
        var seen = Exchange()
        try looking { () throws(SpoolError) in
            seen = try look(owner: owner, selection, readyLanes(of: selection), counting)
        }
        return seen
    }

    private func look(
        owner: Int64, _ selection: Selection, _ lanes: [Lane], _ counting: Bool
    ) throws(SpoolError) -> Exchange {
        var result = Exchange()
        result.version = try dataVersion()
        result.cancellations = try cancellations(owner: owner)
        result.nextDue = try nextDue()
        for lane in lanes where selection.includes(lane.queue) && selection.canDo(lane.kind) {
            let ready = lane.counts.ready
            guard lane.isPaused else {
                result.takeable += ready
                continue
            }
            if ready > 0 { result.paused[lane.queue, default: 0] += ready }
        }
        if counting, result.takeable == 0 { try count(selection, &result) }
        return result
    }

    /// Adds what the queues hold in which nothing can be taken, at the price of each.
    private func count(_ selection: Selection, _ seen: inout Exchange) throws(SpoolError) {
        var counts = Counts()
        for lane in try lanes(of: selection) where selection.canDo(lane.kind) {
            counts = counts + lane.counts
            guard lane.isPaused, lane.counts.retrying > 0 else { continue }
            seen.paused[lane.queue, default: 0] += lane.counts.retrying
        }
        seen.counts = counts
    }

    // MARK: - Due jobs

    /// Makes jobs ready whose time has come, at most a thousand at once.
    private func promoteDue(_ now: UnixTime, _ tally: inout Tally) throws(SpoolError) -> Int {
        guard let due = try nextDue(), due <= now else { return 0 }
        let select = try statement(
            """
            SELECT due, id, lane, priority, attempt, failures, deaths FROM scheduled WHERE due <= ?1
            ORDER BY due, id LIMIT 1000
            """)
        select.bind(1, now.microseconds)
        var rows: [(due: Int64, id: Int64, lane: Int64, priority: Int, history: History)] = []
        while try select.step() {
            rows.append(
                (
                    select.int(0), select.int(1), select.int(2), Int(select.int(3)),
                    History(select, from: 4)
                ))
        }
        let delete = try statement("DELETE FROM scheduled WHERE due = ?1 AND id = ?2")
        for row in rows {
            delete.bind(1, row.due)
            delete.bind(2, row.id)
            try delete.run()
            try place(.ready(row.history), row.id, lane: row.lane, priority: row.priority)
            let before: State = row.history.attempt > 0 ? .retrying : .scheduled
            tally.add(-1, before, in: row.lane)
            tally.add(1, .ready, in: row.lane)
        }
        return rows.count
    }

    func nextDue() throws(SpoolError) -> UnixTime? {
        let select = try statement("SELECT due FROM scheduled ORDER BY due LIMIT 1")
        defer { select.reset() }
        return try select.step() ? UnixTime(microseconds: select.int(0)) : nil
    }

    // MARK: - Claiming

    private func claim(
        _ owner: Int64, _ take: Int, _ selection: Selection, _ lanes: [Lane], _ now: UnixTime,
        _ random: () -> Double, _ tally: inout Tally
    ) throws(SpoolError) -> [ClaimedJob] {
        var claimed: [ClaimedJob] = []
        var room = Store.claimBytes
        for group in groups(lanes, selection, random) {
            var heads = try heads(of: group)
            while claimed.count < take, room > 0, let best = heads.popLast() {
                let lane = group[best.lane]
                let count = try takeRun(
                    lane, take - claimed.count, below: heads.last?.rank ?? .last, owner, now, &room,
                    &claimed)
                guard count > 0 else {
                    throw .storeCorrupt(
                        path: files.database,
                        detail: "job \(best.rank.id) has no facts, or is ready in two lanes")
                }
                tally.add(-count, .ready, in: lane.id)
                tally.add(count, .running, in: lane.id)
                guard claimed.count < take, let next = try head(of: lane.id) else { continue }
                insert(Head(lane: best.lane, rank: next), in: &heads)
            }
        }
        return claimed
    }

    /// The lanes that are taken from together, in order of preference.
    private func groups(_ lanes: [Lane], _ selection: Selection, _ random: () -> Double) -> [[Lane]]
    {
        let open = lanes.filter {
            !$0.isPaused && $0.counts.ready > 0 && selection.includes($0.queue)
                && selection.canDo($0.kind)
        }
        guard !selection.queues.isEmpty else { return [open] }
        return selection.order(random).map { queue in open.filter { $0.queue == queue } }
    }

    /// The first job of a lane, which is one of several.
    private struct Head {
        var lane: Int
        var rank: Rank
    }

    /// Of the lanes that have one, the first to be taken last: from there it goes, and its next one comes, without
    /// moving those of ten thousand others.
    private func heads(of group: [Lane]) throws(SpoolError) -> [Head] {
        var heads: [Head] = []
        for (index, lane) in group.enumerated() {
            let first = if let known = lane.head { known } else { try head(of: lane.id) }
            if let first { heads.append(Head(lane: index, rank: first)) }
        }
        return heads.sorted { $0.rank > $1.rank }
    }

    private func insert(_ head: Head, in heads: inout [Head]) {
        var (low, high) = (0, heads.count)
        while low < high {
            let middle = (low + high) / 2
            if heads[middle].rank > head.rank { low = middle + 1 } else { high = middle }
        }
        heads.insert(head, at: low)
    }

    private func head(of lane: Int64) throws(SpoolError) -> Rank? {
        let select = try statement(
            "SELECT priority, id FROM ready WHERE lane = ?1 ORDER BY priority, id LIMIT 1")
        select.bind(1, lane)
        defer { select.reset() }
        return try select.step() ? Rank(priority: select.int(0), id: select.int(1)) : nil
    }

    /// Takes a run of the first jobs of one lane, up to another lane's head.
    private func takeRun(
        _ lane: Lane, _ take: Int, below bound: Rank, _ owner: Int64, _ now: UnixTime,
        _ room: inout Int,
        _ claimed: inout [ClaimedJob]
    ) throws(SpoolError) -> Int {
        let select =
            bound == .last ? try firstOf(lane.id, take) : try firstOf(lane.id, take, below: bound)
        let first = claimed.count
        while room > 0 {
            guard try select.step() else { break }
            try select.checkRoom(for: ClaimedJob.body, copies: 4)
            let job = ClaimedJob(select, lane, owner)
            let history = History(
                attempt: job.claim.attempt, failures: select.number(8),
                deaths: select.number(9))
            claims[job.claim.job] = Held(
                lane: lane.id, history: history, owner: owner, started: now)
            room -= job.body.count
            claimed.append(job)
        }
        select.reset()
        if claimed.count > first { lives?.idle = nil }
        try moveToRunning(lane.id, claimed[first...], owner, now)
        return claimed.count - first
    }

    private func firstOf(_ lane: Int64, _ take: Int) throws(SpoolError) -> Statement {
        let select = try statement(
            """
            SELECT r.priority, r.id, r.attempt, j.retries, j.timeout, j.place, j.command, j.body, r.failures, r.deaths
            FROM ready r CROSS JOIN job j ON j.id = r.id
            WHERE r.lane = ?1 ORDER BY r.priority, r.id LIMIT ?2
            """)
        select.bind(1, lane)
        select.bind(2, take)
        return select
    }

    private func firstOf(
        _ lane: Int64, _ take: Int, below bound: Rank
    ) throws(SpoolError) -> Statement {
        let select = try statement(
            """
            SELECT r.priority, r.id, r.attempt, j.retries, j.timeout, j.place, j.command, j.body, r.failures, r.deaths
            FROM ready r CROSS JOIN job j ON j.id = r.id
            WHERE r.lane = ?1 AND (r.priority, r.id) < (?3, ?4) ORDER BY r.priority, r.id LIMIT ?2
            """)
        select.bind(1, lane)
        select.bind(2, take)
        select.bind(3, bound.priority)
        select.bind(4, bound.id)
        return select
    }

    /// Moves the first jobs of a lane, which stand in its order: one range for each priority among them.
    private func moveToRunning(
        _ lane: Int64, _ jobs: ArraySlice<ClaimedJob>, _ owner: Int64, _ now: UnixTime
    ) throws(SpoolError) {
        var rest = jobs
        while let priority = rest.first?.priority {
            let group = rest.prefix { $0.priority == priority }
            rest = rest.dropFirst(group.count)
            try moveGroup(lane, priority, group, owner, now)
        }
    }

    private func moveGroup(
        _ lane: Int64, _ priority: Int, _ group: ArraySlice<ClaimedJob>, _ owner: Int64,
        _ now: UnixTime
    ) throws(SpoolError) {
        guard let last = group.last?.claim.job else { return }
        let insert = try statement(
            """
            INSERT INTO running(id, lane, owner, attempt, failures, deaths, started)
            SELECT id, lane, ?4, attempt + 1, failures, deaths, ?5 FROM ready
            WHERE lane = ?1 AND priority = ?2 AND id <= ?3 ORDER BY id
            """)
        insert.bind(1, lane)
        insert.bind(2, priority)
        insert.bind(3, last)
        insert.bind(4, owner)
        insert.bind(5, now.microseconds)
        try insert.run("claiming jobs")
        let delete = try statement(
            "DELETE FROM ready WHERE lane = ?1 AND priority = ?2 AND id <= ?3")
        delete.bind(1, lane)
        delete.bind(2, priority)
        delete.bind(3, last)
        try delete.run("claiming jobs")
        guard connection.changes == group.count else {
            throw .storeCorrupt(
                path: files.database,
                detail: "a claim of \(group.count) jobs moved \(connection.changes)")
        }
    }

    // MARK: - Cancellations

    private func cancellations(owner: Int64) throws(SpoolError) -> [Cancellation] {
        let select = try statement(
            """
            SELECT c.id, c.attempt, c.signal, c.grace FROM cancellation c
            CROSS JOIN running r ON r.id = c.id AND r.attempt = c.attempt WHERE r.owner = ?1
            """)
        select.bind(1, owner)
        var found: [Cancellation] = []
        while try select.step() {
            found.append(
                Cancellation(
                    job: select.int(0), attempt: select.number(1),
                    signal: Int32(clamping: select.int(2)),
                    grace: .microseconds(select.int(3))))
        }
        return found
    }

    /// Job and attempt of every running job that somebody wants stopped: nearly always none.
    func cancellationsByJob() throws(SpoolError) -> [Int64: Int] {
        let select = try statement("SELECT id, attempt FROM cancellation")
        var found: [Int64: Int] = [:]
        while try select.step() { found[select.int(0)] = select.number(1) }
        return found
    }
}

extension ClaimedJob {
    /// The column.
    fileprivate static let body: Int32 = 7

    fileprivate init(_ row: Statement, _ lane: Lane, _ owner: Int64) {
        let isTyped = !lane.kind.isEmpty
        self.init(
            claim: Claim(job: row.int(1), attempt: row.number(2) + 1, owner: owner),
            queue: lane.queue,
            work: isTyped ? .kind(lane.kind) : .command(Words.parse(row.bytes(6))),
            body: Body(row, Self.body), priority: Int(row.int(0)),
            timeout: row.optionalInt(4).map { .microseconds($0) },
            maxAttempts: row.number(3) + 1, place: row.optionalInt(5))
    }
}

extension Body {
    init(_ row: Statement, _ column: Int32) {
        if row.isNull(column) {
            self = .none
        } else if row.isText(column) {
            self = .json(row.text(column))
        } else {
            self = .bytes(row.bytes(column))
        }
    }
}
