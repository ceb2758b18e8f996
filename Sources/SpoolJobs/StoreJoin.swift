// StoreJoin.swift - what a snapshot join asks: is this one finished, and which one is not?

internal import SpoolThreads

extension Store {
    func isUnfinished(_ id: Int64) throws(SpoolError) -> Bool {
        let select = try statement(
            "SELECT 1 FROM job WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM finished WHERE id = ?1)")
        select.bind(1, id)
        defer { select.reset() }
        return try select.step()
    }

    /// Some unfinished job with an id up to `last`. Ready jobs of one priority stand in the order of their ids, so that
    /// the first of each priority decides.
    func unfinishedJob(queue: String?, upTo last: Int64) throws(SpoolError) -> Int64? {
        var found: Int64?
        // One moment: a job that is given back moves from one table to the other.
        try looking { () throws(SpoolError) in found = try unfinished(queue, last) }
        return found
    }

    private func unfinished(_ queue: String?, _ last: Int64) throws(SpoolError) -> Int64? {
        let lanes = try queue == nil ? readyLanes(of: Selection()) : lanes(of: queue)
        for lane in lanes where lane.counts.ready > 0 {
            if let id = try firstReady(lane.id, upTo: last) { return id }
        }
        guard queue != nil else { return try firstOther(upTo: last) }
        let counts = lanes.counts
        guard counts.unfinished > counts.ready else { return nil }
        let others = try statement(
            """
            SELECT id FROM running WHERE lane IN (SELECT value FROM json_each(?1)) AND id <= ?2
            UNION ALL
            SELECT id FROM scheduled WHERE lane IN (SELECT value FROM json_each(?1)) AND id <= ?2 LIMIT 1
            """)
        others.bind(1, lanes.ids)
        others.bind(2, last)
        defer { others.reset() }
        return try others.step() ? others.int(0) : nil
    }

    /// Of all queues: the order of the ids finds it.
    private func firstOther(upTo last: Int64) throws(SpoolError) -> Int64? {
        let select = try statement(
            """
            SELECT id FROM running WHERE id <= ?1 UNION ALL SELECT id FROM scheduled WHERE id <= ?1 LIMIT 1
            """)
        select.bind(1, last)
        defer { select.reset() }
        return try select.step() ? select.int(0) : nil
    }

    /// How many jobs with ids up to `last` ended dead, or cancelled: all but those that came later, as there may be a
    /// million from before.
    func count(_ state: State, queue: String?, upTo last: Int64) throws(SpoolError) -> Int {
        var found = 0
        try looking { () throws(SpoolError) in
            found = try counts(queue: queue)[state] - count(state, queue: queue, above: last)
        }
        return max(0, found)
    }

    private func count(
        _ state: State, queue: String?, above last: Int64
    ) throws(SpoolError) -> Int {
        let select = try statement(
            """
            SELECT count(*) FROM finished WHERE outcome = ?1 AND outcome <> 1 AND id > ?2 AND (?3 IS NULL OR lane IN (
              SELECT l.id FROM lane l JOIN queue q ON q.id = l.queue WHERE q.name = ?3))
            """)
        select.bind(1, state == .dead ? 2 : 3)
        select.bind(2, last)
        select.bind(3, queue)
        defer { select.reset() }
        return try select.step() ? select.number(0) : 0
    }

    private func firstReady(_ lane: Int64, upTo last: Int64) throws(SpoolError) -> Int64? {
        let select = try statement(
            """
            SELECT priority, id FROM ready WHERE lane = ?1 AND priority > ?2 ORDER BY priority, id LIMIT 1
            """)
        var priority: Int64 = -1
        while true {
            select.bind(1, lane)
            select.bind(2, priority)
            guard try select.step() else { return nil }
            let id = select.int(1)
            priority = select.int(0)
            select.reset()
            if id <= last { return id }
        }
    }
}
