// StoreOwners.swift - who claims jobs, and giving back what the dead ones held.
//
// An owner holds the lock on its own byte of the file live, and of the database's log. The kernel drops them when the
// process dies, however it dies, so a dead owner's jobs are ready for whoever looks next: there is no lease to sit out.

private import Glibc
public import SpoolThreads

extension Store {
    /// Makes this store an owner of claims, until its process dies or ``retire(owner:now:)``.
    /// - Parameters:
    ///   - name: What tables show as the worker; host:pid is usual.
    ///   - consumers: How many processes it has for its jobs. Zero: it runs them itself, and its death is a consumer's.
    ///   - queues: As given with -q; empty for all.
    public func register(
        name: String, consumers: Int, queues: String, now: UnixTime
    ) throws(SpoolError) -> Int64 {
        let lives = try openLives()
        return try write("registering a worker") { () throws(SpoolError) in
            var owner = try nextOwner()
            // The lock comes before the row can be seen: nobody finds a registered owner without it. One whose
            // registration was undone may have left its lock.
            while try !lives.begin(owner) { owner = try nextOwner() }
            let insert = try statement(
                "INSERT INTO owner(id, name, pid, consumers, queues, started) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
            )
            insert.bind(1, owner)
            insert.bind(2, name)
            insert.bind(3, Int64(getpid()))
            insert.bind(4, consumers)
            insert.bind(5, queues)
            insert.bind(6, now.microseconds)
            try insert.run()
            lives.idle = owner
            return owner
        }
    }

    /// Whether it was registered, and has not ended.
    func isOwner(_ owner: Int64) throws(SpoolError) -> Bool {
        let select = try statement("SELECT 1 FROM owner WHERE id = ?1 AND ended IS NULL")
        defer { select.reset() }
        select.bind(1, owner)
        return try select.step()
    }

    /// The descriptors that keep this store's owners alive, once one was registered. A process that holds copies keeps
    /// them alive too: give them to whoever must have ended before their jobs may run elsewhere.
    public var lifelines: [Int32] { lives?.descriptors ?? [] }

    private func openLives() throws(SpoolError) -> Lives {
        if let lives { return lives }
        let opened = try Lives(files)
        lives = opened
        return opened
    }

    private var existingLives: Lives? {
        Path.entry(files.live) == .missing ? nil : try? openLives()
    }

    private func nextOwner() throws(SpoolError) -> Int64 {
        let next = try statement(
            "UPDATE spool SET next_owner = next_owner + 1 RETURNING next_owner - 1")
        defer { next.reset() }
        guard try next.step("registering a worker") else {
            throw .storeCorrupt(path: files.database, detail: "the table spool is empty")
        }
        let owner = next.int(0)
        guard Lives.canHave(owner) else {
            throw .storeCorrupt(path: files.database, detail: "no worker can have number \(owner)")
        }
        return owner
    }

    /// Settles what no exchange has settled, releases what the owner still holds, attempts not counted, and ends it.
    /// - Parameter random: In 0 ..< 1: spreads retries.
    /// - Returns: For each outcome where the job went; nil if the claim was lost.
    @discardableResult
    public func retire(
        owner: Int64, settling outcomes: [Outcome] = [], now: UnixTime,
        random: () -> Double = { 0 }
    ) throws(SpoolError) -> [Move?] {
        let moves = try write("ending a worker") { () throws(SpoolError) in
            var tally = Tally()
            let moves = try settle(outcomes, now, random, &tally)
            try apply(tally)
            let held = try claims(of: [owner])[owner] ?? []
            let count = try end(owner, held, .released, error: nil, now)
            if count > 0 || !moves.isEmpty { ringForAll() }
            if lives?.idle == owner { try forget(owner) }
            return moves
        }
        lives?.end(owner)
        return moves
    }

    /// Gives back the jobs of owners that died. Cheap when nobody did.
    /// - Returns: How many jobs came back.
    @discardableResult
    public func recover(now: UnixTime) throws(SpoolError) -> Int {
        let dead = try deadOwners()
        guard !dead.isEmpty else { return 0 }
        let lost = try claims(of: dead).values.joined().map(\.claim)
        surroundings.endLeftovers(lost, files.database)
        return try write("taking back a dead worker's jobs") { () throws(SpoolError) in
            var count = 0
            // Whoever died meanwhile has leftovers that were not ended: the next look finds it.
            let held = try claims(of: dead)
            for owner in dead { count += try bury(owner, held[owner] ?? [], now) }
            if count > 0 { ringForAll() }
            return count
        }
    }

    /// Of a worker with consumers of its own nobody's death is its jobs' fault: it would have told of it. Whoever runs
    /// jobs himself died in the one that he had; of several nobody knows which it was, or whether it was one of them.
    private func bury(
        _ owner: Int64, _ held: [Running], _ now: UnixTime
    ) throws(SpoolError) -> Int {
        guard held.count == 1, try runsItsJobs(owner) else {
            return try end(owner, held, .workerLost, error: "the worker died", now)
        }
        return try end(owner, held, .consumerDied, error: "consumer died: its program ended", now)
    }

    private func runsItsJobs(_ owner: Int64) throws(SpoolError) -> Bool {
        let select = try statement("SELECT 1 FROM owner WHERE id = ?1 AND consumers = 0")
        defer { select.reset() }
        select.bind(1, owner)
        return try select.step()
    }

    /// A job that was given back is ready, or it ended, as one that was to be cancelled.
    private func ringForAll() {
        for bell in Bell.allCases { ring(bell) }
    }

    private func deadOwners() throws(SpoolError) -> [Int64] {
        let lives = try openLives()
        let select = try statement("SELECT id FROM owner WHERE ended IS NULL")
        var owners: [Int64] = []
        while try select.step() { owners.append(select.int(0)) }
        return owners.filter { !lives.isAlive($0) }
    }

    private typealias Running = (claim: Claim, started: UnixTime)

    /// What these owners hold: one way through all that runs, however many they are.
    private func claims(of owners: [Int64]) throws(SpoolError) -> [Int64: [Running]] {
        let wanted = Set(owners)
        let select = try statement("SELECT id, attempt, started, owner FROM running")
        var claims: [Int64: [Running]] = [:]
        while try select.step() {
            let owner = select.int(3)
            guard wanted.contains(owner) else { continue }
            let claim = Claim(job: select.int(0), attempt: select.number(1), owner: owner)
            claims[owner, default: []].append((claim, UnixTime(microseconds: select.int(2))))
        }
        return claims
    }

    private func end(
        _ owner: Int64, _ held: [Running], _ verdict: Verdict, error: String?, _ now: UnixTime
    ) throws(SpoolError) -> Int {
        let outcomes = held.map { (claim, started) in
            Outcome(claim, verdict, Run(started: started, ended: now, error: error))
        }
        var tally = Tally()
        _ = try settle(outcomes, now, { 0 }, &tally)
        try apply(tally)
        let update = try statement("UPDATE owner SET ended = ?2 WHERE id = ?1 AND ended IS NULL")
        update.bind(1, owner)
        update.bind(2, now.microseconds)
        try update.run()
        return outcomes.count
    }

    /// Of one that never had a job no attempt tells: a worker that is started each minute leaves nothing for it.
    private func forget(_ owner: Int64) throws(SpoolError) {
        let delete = try statement("DELETE FROM owner WHERE id = ?1")
        delete.bind(1, owner)
        try delete.run()
    }

    /// The processes that claim from this store and live.
    public func workers() throws(SpoolError) -> [WorkerRow] {
        // Who only looks makes no file, and on a read-only file system opens none. The log tells, too.
        let lives = gate == nil ? existingLives : try openLives()
        var rows: [WorkerRow] = []
        try looking { () throws(SpoolError) in
            let running = try countRunning()
            let select = try statement(
                "SELECT id, name, pid, consumers, queues, started FROM owner WHERE ended IS NULL ORDER BY id"
            )
            while try select.step() {
                rows.append(
                    WorkerRow(
                        owner: select.int(0), name: select.text(1),
                        pid: Int32(clamping: select.int(2)), consumers: select.number(3),
                        queues: select.text(4), started: UnixTime(microseconds: select.int(5)),
                        running: running[select.int(0)] ?? 0))
            }
        }
        let log = files.writeAheadLog
        return rows.filter { lives?.isAlive($0.owner) ?? Lives.hold(log, $0.owner) }
    }

    /// How many jobs each owner has.
    private func countRunning() throws(SpoolError) -> [Int64: Int] {
        let select = try statement("SELECT owner FROM running")
        var counts: [Int64: Int] = [:]
        while try select.step() { counts[select.int(0), default: 0] += 1 }
        return counts
    }
}
