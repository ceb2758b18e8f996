// StorePut.swift - jobs go in: facts written once, one row in ready or scheduled, counters once per transaction.

public import SpoolThreads

extension Store {
    /// Puts jobs in one transaction: on disk when it returns, or nothing was put.
    /// - Returns: Their ids, consecutive, in the order of `jobs`; empty input gives nil.
    /// - Throws: `badInput` and `tooLarge` for jobs that cannot be; `diskFull`, `inputOutput`, `readOnly`, `locked`;
    ///   `outcomeUnknown` when the disk failed in the sync, or another process has the jobs and stands still.
    @discardableResult
    public func put(_ jobs: [NewJob], now: UnixTime) throws(SpoolError) -> ClosedRange<Int64> {
        precondition(!jobs.isEmpty, "put needs at least one job")
        var known = NewJob.CheckedNames()
        for job in jobs { try job.validate(&known) }
        guard !isWriting else { return try putValid(jobs, now: now) }
        switch try post(jobs, now: now) {
        case .elsewhere(let ids, let unsynced):
            try unsynced.sync()
            return ids
        case .here(let isInside):
            let (ids, unsynced) = try commit("putting jobs", .afterwards, isInside: isInside) {
                () throws(SpoolError) in try putValid(jobs, now: now)
            }
            try unsynced?.sync()
            return ids
        }
    }

    /// As ``put(_:now:)`` inside a transaction, of jobs that were checked.
    func putValid(_ jobs: [NewJob], now: UnixTime) throws(SpoolError) -> ClosedRange<Int64> {
        let ids = try nextIDs(jobs.count)
        var tally = Tally()
        let areReady = jobs.count > 1 && jobs.allSatisfy { $0.due == nil }
        for (job, id) in zip(jobs, ids) {
            let lane = try laneID(queue: job.queue, kind: job.work.kind ?? "")
            try insertFacts(job, id, lane, now)
            let move = Move.put(due: job.due, now: now)
            if !areReady { try place(move, id, lane: lane, priority: job.priority) }
            tally.add(1, move.state, in: lane)
        }
        if areReady { try placeReady(ids) }
        try apply(tally)
        ring(.arrived)
        return ids
    }

    /// As ``place(_:_:lane:priority:)`` for several new jobs, all ready, in one statement: a fifth of the price.
    private func placeReady(_ ids: ClosedRange<Int64>) throws(SpoolError) {
        let insert = try statement(
            """
            INSERT INTO ready SELECT lane, priority, id, 0, 0, 0 FROM job WHERE id BETWEEN ?1 AND ?2
            """)
        insert.bind(1, ids.lowerBound)
        insert.bind(2, ids.upperBound)
        try insert.run("putting jobs")
    }

    /// The next ids: above all that there are, and all that there ever were.
    private func nextIDs(_ count: Int) throws(SpoolError) -> ClosedRange<Int64> {
        let select = try statement(
            "SELECT max(next_job, 1 + coalesce((SELECT max(id) FROM job), 0)) FROM spool")
        defer { select.reset() }
        guard try select.step("putting jobs") else {
            throw .storeCorrupt(path: files.database, detail: "the table spool is empty")
        }
        let first = select.int(0)
        let (end, isTooMany) = first.addingReportingOverflow(Int64(count))
        guard !isTooMany else {
            throw .storeCorrupt(path: files.database, detail: "no id is left above \(first)")
        }
        return first...(end - 1)
    }

    private func insertFacts(
        _ job: NewJob, _ id: Int64, _ lane: Int64, _ now: UnixTime
    ) throws(SpoolError) {
        let insert = try statement(
            """
            INSERT INTO job(id, lane, priority, put_at, retries, place, backoff_min, backoff_max, timeout, name,
              command, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
            """)
        insert.bind(1, id)
        insert.bind(2, lane)
        insert.bind(3, job.priority)
        insert.bind(4, now.microseconds)
        insert.bind(5, job.retries ?? Job.defaultRetries(of: job.work))
        insert.bind(6, try job.place.map { place throws(SpoolError) in try placeID(place) })
        insert.bind(7, job.backoff?.min.microseconds)
        insert.bind(8, job.backoff?.max.microseconds)
        insert.bind(9, job.timeout?.microseconds)
        insert.bind(10, job.name)
        switch job.work {
        case .command(let words): Words.quote(words).withUnsafeBytes { insert.bindText(11, $0) }
        case .kind: insert.bindNull(11)
        }
        switch job.body {
        case .none: insert.bindNull(12)
        case .json(let text): insert.bind(12, text)
        case .bytes(let bytes):
            return try bytes.withUnsafeBufferPointer { (bytes) throws(SpoolError) in
                try insert.run(
                    withBlob: UnsafeRawBufferPointer(bytes), at: 12, "putting job \(id)")
            }
        }
        try insert.run("putting job \(id)")
    }

    /// Writes the row that says where a job stands now; the row before it is gone already.
    func place(_ move: Move, _ id: Int64, lane: Int64, priority: Int) throws(SpoolError) {
        switch move {
        case .ready(let history):
            let insert = try statement("INSERT INTO ready VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
            insert.bind(1, lane)
            insert.bind(2, priority)
            insert.bind(3, id)
            history.bind(insert, from: 4)
            try insert.run()
        case .scheduled(let due, let history):
            let insert = try statement("INSERT INTO scheduled VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
            insert.bind(1, due.microseconds)
            insert.bind(2, id)
            insert.bind(3, lane)
            insert.bind(4, priority)
            history.bind(insert, from: 5)
            try insert.run()
        case .done, .dead, .cancelled:
            preconditionFailure("a finished job is written by finish, which knows its last attempt")
        }
    }

    func apply(_ tally: Tally) throws(SpoolError) {
        for (lane, change) in tally.changes where change != Counts() {
            var others = change
            others.ready = 0
            if others == Counts() {
                try apply(ready: change.ready, to: lane)
                continue
            }
            let update = try statement(
                """
                UPDATE lane SET ready = ready + ?2, scheduled = scheduled + ?3, retrying = retrying + ?4,
                  running = running + ?5, done = done + ?6, dead = dead + ?7, cancelled = cancelled + ?8 WHERE id = ?1
                """)
            update.bind(1, lane)
            update.bind(2, change.ready)
            update.bind(3, change.scheduled)
            update.bind(4, change.retrying)
            update.bind(5, change.running)
            update.bind(6, change.done)
            update.bind(7, change.dead)
            update.bind(8, change.cancelled)
            try update.run("counting jobs")
        }
    }

    /// What a put changes, with fewer columns to be looked at.
    private func apply(ready change: Int, to lane: Int64) throws(SpoolError) {
        let update = try statement("UPDATE lane SET ready = ready + ?2 WHERE id = ?1")
        update.bind(1, lane)
        update.bind(2, change)
        try update.run("counting jobs")
    }

    // MARK: - Lanes and places

    /// The lane of a queue and kind, made at its first job. The last one is remembered while the store is open.
    func laneID(queue: String, kind: String) throws(SpoolError) -> Int64 {
        if let last = lastLane, last.queue == queue, last.kind == kind { return last.id }
        let known = try findLane(queue, kind)
        let id = if let known { known } else { try makeLane(queue, kind) }
        lastLane = (queue, kind, id)
        return id
    }

    private func makeLane(_ queue: String, _ kind: String) throws(SpoolError) -> Int64 {
        let queues = try statement("INSERT OR IGNORE INTO queue(name) VALUES (?1)")
        queues.bind(1, queue)
        try queues.run()
        let lanes = try statement(
            "INSERT INTO lane(queue, kind) SELECT id, ?2 FROM queue WHERE name = ?1")
        lanes.bind(1, queue)
        lanes.bind(2, kind)
        try lanes.run()
        guard let made = try findLane(queue, kind) else {
            throw .storeCorrupt(path: files.database, detail: "queue \(queue) has no lane")
        }
        return made
    }

    private func findLane(_ queue: String, _ kind: String) throws(SpoolError) -> Int64? {
        let find = try statement(
            "SELECT l.id FROM queue q JOIN lane l ON l.queue = q.id WHERE q.name = ?1 AND l.kind = ?2"
        )
        find.bind(1, queue)
        find.bind(2, kind)
        defer { find.reset() }
        return try find.step() ? find.int(0) : nil
    }

    /// The row of a place; distinct environments are stored once. Remembered while the store is open.
    private func placeID(_ place: Place) throws(SpoolError) -> Int64 {
        if let known = places[place] { return known }
        if places.count >= 64 { places.removeAll() }
        let environment = try environmentID(place.environment)
        let insert = try statement(
            """
            INSERT INTO place(environment, cwd) VALUES (?1, ?2)
            ON CONFLICT (environment, cwd) DO UPDATE SET cwd = cwd RETURNING id
            """)
        insert.bind(1, environment)
        place.directory.withUnsafeBytes { insert.bindText(2, $0) }
        guard try insert.step() else {
            throw .storeCorrupt(path: files.database, detail: "a place was not stored")
        }
        let id = insert.int(0)
        insert.reset()
        places[place] = id
        return id
    }

    private func environmentID(_ variables: [UInt8]) throws(SpoolError) -> Int64 {
        let digest = Digest.fnv1a(variables)
        let find = try statement("SELECT id FROM environment WHERE digest = ?1 AND variables = ?2")
        find.bind(1, digest)
        variables.withUnsafeBytes { find.bindBlob(2, $0) }
        let known = try find.step() ? find.int(0) : nil
        find.reset()
        if let known { return known }
        let insert = try statement(
            "INSERT INTO environment(digest, variables) VALUES (?1, ?2) RETURNING id")
        insert.bind(1, digest)
        variables.withUnsafeBytes { insert.bindBlob(2, $0) }
        defer { insert.reset() }
        return try insert.step() ? insert.int(0) : 0
    }
}

extension Work {
    /// The kind of a typed job; nil for commands.
    public var kind: String? {
        if case .kind(let kind) = self { return kind }
        return nil
    }
}

extension History {
    func bind(_ statement: Statement, from index: Int32) {
        statement.bind(index, attempt)
        statement.bind(index + 1, failures)
        statement.bind(index + 2, deaths)
    }

    init(_ statement: Statement, from column: Int32) {
        self.init(
            attempt: statement.number(column), failures: statement.number(column + 1),
            deaths: statement.number(column + 2))
    }
}

/// The FNV-1a hash (Fowler, Noll, Vo): finds candidates; whoever uses it compares the bytes.
enum Digest {
    static func fnv1a(_ bytes: [UInt8]) -> Int64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return Int64(bitPattern: hash)
    }
}
