// StoreList.swift - lists of jobs: they read what they show, and nothing of what stands behind it.

public import SpoolThreads

extension Store {
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
    /// moment: `body` may look at more, but neither list nor write with this store.
    public func forEachJob(
        _ filter: JobFilter, _ body: (JobRow) throws(SpoolError) -> Bool
    ) throws(SpoolError) {
        try looking { () throws(SpoolError) in try eachJob(filter, body) }
    }

    /// As ``forEachJob(_:_:)``, of their ids, which need no look at the jobs unless a text is searched for.
    public func forEachID(
        _ filter: JobFilter, _ body: (Int64) throws(SpoolError) -> Bool
    ) throws(SpoolError) {
        guard filter.text == nil else {
            var filter = filter
            filter.bodyLimit = 0
            return try forEachJob(filter) { (row) throws(SpoolError) in try body(row.id) }
        }
        try looking { () throws(SpoolError) in
            var left = filter.limit
            try eachID(filter, left > 0) { (id) throws(SpoolError) in
                left -= 1
                guard try body(id) else { left = 0; return false }
                return left > 0
            }
        }
    }

    static func busyLooking(_ why: String) -> SpoolError {
        .badInput("a store \(why).", hint: "Collect the ids first, or use another store for it.")
    }

    private func eachJob(
        _ filter: JobFilter, _ body: (JobRow) throws(SpoolError) -> Bool
    ) throws(SpoolError) {
        // A search looks at many, and says nothing of most of them.
        let reader = BodyReader(self, limit: filter.text == nil ? filter.bodyLimit : 0)
        let isWhole = filter.bodyLimit == reader.limit
        let whole = isWhole ? nil : BodyReader(self, limit: filter.bodyLimit)
        defer {
            reader.end()
            whole?.end()
        }
        var left = filter.limit
        try eachID(filter, left > 0) { (id) throws(SpoolError) in
            guard var found = try row(id, reader), filter.lets(found) else { return left > 0 }
            if let whole { found = try row(id, whole) ?? found }
            left -= 1
            guard try body(found) else { left = 0; return false }
            return left > 0
        }
    }

    /// The ids in the order of a list, until `body` says false.
    private func eachID(
        _ filter: JobFilter, _ wants: Bool, _ body: (Int64) throws(SpoolError) -> Bool
    ) throws(SpoolError) {
        let lanes = try lanes(of: filter.queue).filter { filter.lets($0) }
        let counts = lanes.counts
        let order: [State] = [.running, .retrying, .ready, .scheduled, .dead, .cancelled, .done]
        var goesOn = wants
        for state in order where filter.states.isEmpty || filter.states.contains(state) {
            guard goesOn else { return }
            try forEachID(state, lanes, filter, atMost: counts[state]) { (id) throws(SpoolError) in
                goesOn = try body(id)
                return goesOn
            }
        }
    }

    /// - Parameter most: How many there are, as the counters of the same moment tell: behind the last one there may be
    ///   a million of other lanes, or of another state.
    private func forEachID(
        _ state: State, _ lanes: [Lane], _ filter: JobFilter, atMost most: Int,
        _ body: (Int64) throws(SpoolError) -> Bool
    ) throws(SpoolError) {
        guard !isListing else { throw Store.busyLooking("tells one list at a time") }
        isListing = true
        defer { isListing = false }
        guard most > 0 else { return }
        if state == .ready { return try forEachReadyID(lanes, filter, body) }
        let select = try select(state)
        select.bind(1, lanes.ids)
        select.bind(2, filter.ids?.lowerBound ?? 0)
        select.bind(3, filter.ids?.upperBound ?? Int64.max)
        select.bind(4, most)
        defer { select.reset() }
        while try select.step() {
            guard try body(select.int(0)) else { return }
        }
    }

    /// `+id`: by the index of the ids a list of twenty would sort all.
    private func select(_ state: State) throws(SpoolError) -> Statement {
        switch state {
        case .running:
            try statement(
                """
                SELECT id FROM running WHERE lane IN (SELECT value FROM json_each(?1)) AND id BETWEEN ?2 AND ?3
                ORDER BY id LIMIT ?4
                """)
        case .retrying:
            try statement(
                """
                SELECT id FROM scheduled WHERE attempt > 0 AND lane IN (SELECT value FROM json_each(?1))
                  AND +id BETWEEN ?2 AND ?3 ORDER BY due, id LIMIT ?4
                """)
        case .ready, .scheduled:
            try statement(
                """
                SELECT id FROM scheduled WHERE attempt = 0 AND lane IN (SELECT value FROM json_each(?1))
                  AND +id BETWEEN ?2 AND ?3 ORDER BY due, id LIMIT ?4
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
                  AND lane IN (SELECT value FROM json_each(?1)) AND id BETWEEN ?2 AND ?3 ORDER BY id DESC LIMIT ?4
                """)
        case .cancelled:
            try statement(
                """
                SELECT id FROM finished WHERE outcome = 3 AND outcome <> 1
                  AND lane IN (SELECT value FROM json_each(?1)) AND id BETWEEN ?2 AND ?3 ORDER BY id DESC LIMIT ?4
                """)
        default:
            try statement(
                """
                SELECT id FROM finished WHERE outcome = 1 AND lane IN (SELECT value FROM json_each(?1))
                  AND id BETWEEN ?2 AND ?3 ORDER BY id DESC LIMIT ?4
                """)
        }
    }

    /// The lanes' jobs, merged in the order in which they would run: first as many as are wanted, then ever more.
    private func forEachReadyID(
        _ lanes: [Lane], _ filter: JobFilter, _ body: (Int64) throws(SpoolError) -> Bool
    ) throws(SpoolError) {
        let lanes = lanes.filter { $0.counts.ready > 0 }.map(\.id)
        // A text filter looks at rows that the limit would have cut off.
        var size = min(filter.text == nil ? filter.limit : 1000, Store.readyPage)
        var last = Rank.first
        while true {
            let page = try firstReady(size, of: lanes, after: last, filter.ids)
            for rank in page {
                guard try body(rank.id) else { return }
            }
            guard page.count == size, let end = page.last else { return }
            last = end
            size = min(2 * size, Store.readyPage)
        }
    }

    /// Ready jobs that a list has in memory at most.
    private static var readyPage: Int { 1 << 16 }

    private func firstReady(
        _ count: Int, of lanes: [Int64], after last: Rank, _ ids: ClosedRange<Int64>?
    ) throws(SpoolError) -> [Rank] {
        let select = try statement(
            """
            SELECT priority, id FROM ready WHERE lane = ?1 AND (priority, id) > (?5, ?6) AND id BETWEEN ?3 AND ?4
            ORDER BY priority, id LIMIT ?2
            """)
        var found: [Rank] = []
        var worst = Rank.last
        for lane in lanes {
            select.bind(1, lane)
            select.bind(2, count)
            select.bind(3, ids?.lowerBound ?? 0)
            select.bind(4, ids?.upperBound ?? Int64.max)
            select.bind(5, last.priority)
            select.bind(6, last.id)
            defer { select.reset() }
            while try select.step() {
                let rank = Rank(priority: select.int(0), id: select.int(1))
                guard rank < worst else { break }
                found.append(rank)
            }
            guard found.count >= 2 * count else { continue }
            found = Array(found.sorted().prefix(count))
            worst = found.last ?? .last
        }
        return Array(found.sorted().prefix(count))
    }

    /// The ids of jobs that ended dead or cancelled, newest first.
    /// - Throws: `noSuchQueue`.
    public func failed(
        queue: String?, states: Set<State> = [.dead, .cancelled], upTo last: Int64 = .max,
        limit: Int
    ) throws(SpoolError) -> [Int64] {
        if let queue { try requireQueue(queue) }
        var filter = JobFilter(limit: limit)
        filter.ids = 0...last
        var ids: [Int64] = []
        try looking { () throws(SpoolError) in
            let lanes = try lanes(of: queue)
            let counts = lanes.counts
            for state in [State.dead, .cancelled] where states.contains(state) {
                try forEachID(state, lanes, filter, atMost: counts[state]) { id in
                    if ids.count < limit { ids.append(id) }
                    return ids.count < limit
                }
            }
        }
        return ids
    }
}

extension JobFilter {
    func lets(_ lane: Lane) -> Bool {
        kind == nil || lane.kind == kind
    }

    func lets(_ row: JobRow) -> Bool {
        guard let text else { return true }
        return [row.command, row.kind, row.name].contains { $0?.contains(text) ?? false }
    }
}
