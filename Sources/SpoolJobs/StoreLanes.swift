// StoreLanes.swift - the lanes and their counters. A file may have a hundred thousand queues: who asks for one reads
// only that, and who takes from all reads those in which something is ready.

internal import SpoolThreads

/// A lane as it stands at the beginning of a transaction.
struct Lane {
    var id: Int64
    var queue: String
    var kind: String
    var isPaused: Bool
    var counts: Counts
    /// The first of its ready jobs, where the lane was found by it.
    var head: Rank?
}

/// A job's place in the order of a lane.
struct Rank: Comparable {
    var priority: Int64
    var id: Int64

    static let first = Rank(priority: .min, id: .min)
    static let last = Rank(priority: .max, id: .max)

    static func < (a: Rank, b: Rank) -> Bool { (a.priority, a.id) < (b.priority, b.id) }
}

extension [Lane] {
    /// As they are once a tally is applied.
    func adding(_ tally: Tally) -> [Lane] {
        var lanes = self
        for index in lanes.indices {
            lanes[index].counts = lanes[index].counts + tally[lanes[index].id]
        }
        return lanes
    }

    /// What they hold together.
    var counts: Counts { reduce(Counts()) { $0 + $1.counts } }

    /// Their numbers as JSON, for json_each in a statement.
    var ids: String { "[" + map { String($0.id) }.joined(separator: ",") + "]" }
}

extension Store {
    /// The lanes of one queue, none if there is no such queue; or of all.
    func lanes(of queue: String? = nil) throws(SpoolError) -> [Lane] {
        guard let queue else {
            return try lanes(
                statement(
                    """
                    SELECT l.id, q.name, l.kind, q.paused_at IS NOT NULL, l.ready, l.scheduled, l.retrying, l.running,
                      l.done, l.dead, l.cancelled FROM lane l JOIN queue q ON q.id = l.queue
                    """))
        }
        let select = try statement(
            """
            SELECT l.id, q.name, l.kind, q.paused_at IS NOT NULL, l.ready, l.scheduled, l.retrying, l.running,
              l.done, l.dead, l.cancelled FROM queue q CROSS JOIN lane l ON l.queue = q.id WHERE q.name = ?1
            """)
        select.bind(1, queue)
        return try lanes(select)
    }

    /// Those that a worker may look at, all of them.
    func lanes(of selection: Selection) throws(SpoolError) -> [Lane] {
        guard !selection.queues.isEmpty else { return try lanes() }
        var found: [Lane] = []
        for queue in Set(selection.queues.map(\.queue)) { found += try lanes(of: queue) }
        return found
    }

    private func lanes(_ select: Statement) throws(SpoolError) -> [Lane] {
        var lanes: [Lane] = []
        while try select.step() { lanes.append(Lane(select)) }
        return lanes
    }

    /// Those that a worker may take from, at the price of those in which something is ready: the order of the ready
    /// jobs is skipped through from lane to lane. An index of them would cost each put a page. In a transaction: each
    /// step would be one of its own.
    func readyLanes(of selection: Selection) throws(SpoolError) -> [Lane] {
        guard selection.queues.isEmpty else { return try lanes(of: selection) }
        let select = try statement(
            """
            SELECT l.id, q.name, l.kind, q.paused_at IS NOT NULL, l.ready, l.scheduled, l.retrying, l.running,
              l.done, l.dead, l.cancelled, r.priority, r.id
            FROM ready r CROSS JOIN lane l ON l.id = r.lane CROSS JOIN queue q ON q.id = l.queue
            WHERE r.lane > ?1 ORDER BY r.lane, r.priority, r.id LIMIT 1
            """)
        var lanes: [Lane] = []
        while true {
            select.bind(1, lanes.last?.id ?? .min)
            guard try select.step() else { return lanes }
            var lane = Lane(select)
            lane.head = Rank(priority: select.int(11), id: select.int(12))
            lanes.append(lane)
            select.reset()
        }
    }
}

extension Lane {
    fileprivate init(_ row: Statement) {
        self.init(
            id: row.int(0), queue: row.text(1), kind: row.text(2), isPaused: row.int(3) != 0,
            counts: Counts(row, from: 4))
    }
}

extension Counts {
    init(_ row: Statement, from column: Int32) {
        ready = row.number(column)
        scheduled = row.number(column + 1)
        retrying = row.number(column + 2)
        running = row.number(column + 3)
        done = row.number(column + 4)
        dead = row.number(column + 5)
        cancelled = row.number(column + 6)
    }

    /// How many stand in one state.
    subscript(state: State) -> Int {
        switch state {
        case .ready: ready
        case .scheduled: scheduled
        case .retrying: retrying
        case .running: running
        case .done: done
        case .dead: dead
        case .cancelled: cancelled
        }
    }
}
