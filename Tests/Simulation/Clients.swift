// Clients.swift - who is not a worker: producers, people, joiners, and an application that takes jobs itself.

internal import History
internal import SpoolJobs
internal import SpoolThreads

/// One process with one store, as a program that uses the library is.
final class Clients {
    private unowned let world: World
    private(set) var store: Store?
    /// The owner of what the application takes.
    private var owner: Int64 = 0
    private var held: [ClaimedJob] = []
    private var old: [Claim] = []
    private var joins: [Join] = []
    private var items: Int64 = 0
    private var draws: Int64 = 0
    private(set) var paused: Set<String> = []

    /// Somebody who waits for jobs to end.
    private final class Join {
        /// Nil once its process has ended; it keeps its store open.
        var joiner: Joiner?
        let queue: String?
        let begun: Int64
        var isOver = false
        /// Whether the bell will ring for it, or has since it last looked.
        var isRung = false

        init(_ joiner: Joiner, _ queue: String?, _ begun: Int64) {
            self.joiner = joiner
            self.queue = queue
            self.begun = begun
        }
    }

    init(_ world: World) throws {
        self.world = world
        items = 0
        try open(.create)
    }

    private func open(_ mode: OpenMode) throws {
        let store = try world.openStore(mode)
        owner = try store.register(name: "application", consumers: 0, queues: "", now: world.wall)
        world.judge.programs.insert(owner)
        self.store = store
    }

    /// After it vanished.
    func begin() throws { try open(.existing) }

    /// The process ends, and with it what it held and waited for.
    func vanish() {
        store = nil
        world.dead.insert(owner)
        held = []
        for join in joins { join.joiner = nil }
        joins = []
    }

    var isIdle: Bool { joins.allSatisfy(\.isOver) && held.isEmpty }

    /// Errors of the store end what a client wanted; they were judged already.
    private func attempt(_ body: (Store) throws -> Void) throws {
        guard let store else { return }
        do { try body(store) } catch let error as SpoolError {
            world.say("refused: \(error.message)")
        }
    }

    // MARK: - Putting

    /// A job as chance will have it.
    func newJob(_ luck: inout Portions) -> (NewJob, Int64) {
        items += 1
        let queue = ["mail", "mail", "typed", "quiet", "guest"][luck.next(5)]
        let fates: [Fate] = [
            .succeeds, .succeeds, .succeeds, .succeeds, .fails, .failsOnce, .killsConsumer, .hangs,
            .ignoresSignals,
        ]
        let fate = fates[luck.next(fates.count)]
        let work: Work =
            switch queue {
            case "mail": .command([Array("run".utf8)])
            case "quiet": .kind(Job.noop)
            default: .kind(queue)
            }
        var job = NewJob(
            work, body: .bytes([fate.rawValue]), queue: queue, name: String(items),
            priority: luck.next(3), retries: luck.next(4),
            backoff: Backoff(min: .milliseconds(50 + luck.next(500)), max: .seconds(2)))
        if luck.chance(15) { job.due = world.wall + .milliseconds(luck.next(3000)) }
        if luck.chance(20) || fate == .hangs || fate == .ignoresSignals {
            job.timeout = .milliseconds(100 + luck.next(800))
        }
        return (job, items)
    }

    func put(_ luck: inout Portions, count: Int, fault: DiskFault? = nil) throws {
        let made = (0..<count).map { _ in newJob(&luck) }
        try attempt { store in
            try world.failing(fault) {
                _ = try world.judge.put(
                    store, made.map(\.0), made.map(\.1), now: world.wall)
            }
        }
    }

    // MARK: - People

    func byHand(_ verb: Judge.Verb, _ luck: inout Portions) throws {
        let known = world.judge.model.jobs.keys.sorted()
        guard !known.isEmpty else { return }
        let ids = Set((0...luck.next(2)).map { _ in known[luck.next(known.count)] }).sorted()
        try attempt { try world.judge.byHand($0, verb, ids, now: world.wall) }
    }

    func pause(_ luck: inout Portions) throws {
        let queues = Set(world.judge.model.jobs.values.map(\.queue)).sorted()
        guard !queues.isEmpty else { return }
        let queue = queues[luck.next(queues.count)]
        try setPause(queue, true)
        world.after(Int64(luck.next(3000)) * 1_000_000) { try self.setPause(queue, false) }
    }

    private func setPause(_ queue: String, _ isPaused: Bool) throws {
        // A queue all of whose jobs were removed is known all the same.
        try attempt { try world.judge.pause($0, queue, isPaused, now: world.wall) }
    }

    func resumeAll() throws {
        for queue in world.judge.model.paused.sorted() { try setPause(queue, false) }
        try takeAll()
    }

    // MARK: - Joining

    func join(_ luck: inout Portions) throws {
        let queues = Set(world.judge.model.jobs.values.map(\.queue)).sorted()
        let queue = queues.isEmpty || luck.chance(50) ? nil : queues[luck.next(queues.count)]
        try attempt { store in
            let begun = world.judge.chronicle.tick()
            let target = queue.map { JoinTarget.queue($0) } ?? .all
            let join = Join(try Joiner(target, of: store), queue, begun)
            joins.append(join)
            try look(join, isSafety: false)
            poll(join)
        }
    }

    private func poll(_ join: Join) {
        world.after(Doorbell.safetyPoll.nanoseconds) {
            guard !join.isOver, self.store != nil, self.joins.contains(where: { $0 === join })
            else {
                return
            }
            // As Doorbell.goRounds: there may be nobody else who finds it out.
            try self.attempt { _ = try self.world.recover($0) }
            try self.look(join, isSafety: true)
            self.poll(join)
        }
    }

    private func look(_ join: Join, isSafety: Bool) throws {
        guard !join.isOver else { return }
        let wasRung = join.isRung
        join.isRung = false
        guard var progress = try join.joiner?.look() else { return }
        if world.breaks.broken == .hastyJoin { progress.isFinished = isHastilyFinished(join) }
        guard progress.isFinished else { return }
        if isSafety, !wasRung, world.silences == 0 {
            throw Violation("J2: the end of the last job did not ring for a join")
        }
        join.isOver = true
        world.judge.chronicle.noteJoin(of: join.queue, begun: join.begun)
    }

    private func isHastilyFinished(_ join: Join) -> Bool {
        let counts = world.judge.model.counts { join.queue == nil || $0.queue == join.queue }
        return counts.unfinished == counts.running
    }

    func hearSettled() {
        for join in joins where !join.isOver {
            join.isRung = true
            draws += 1
            world.after(world.dice.time(upTo: .milliseconds(8), .bell, -1, draws)) {
                guard self.store != nil, self.joins.contains(where: { $0 === join }) else { return }
                try self.look(join, isSafety: false)
            }
        }
    }

    // MARK: - An application's own consumers

    /// What a thread does that waits for a job: it looks when somebody rings.
    func hearArrived() {
        guard world.isQuiet else { return }
        draws += 1
        world.after(world.dice.time(upTo: .milliseconds(8), .bell, -2, draws)) {
            try self.takeAll()
        }
    }

    /// When nothing goes wrong any more the application takes all that it can, again and again.
    private func takeAll() throws {
        guard world.isQuiet, store != nil else { return }
        for _ in 0..<4 { try take(fault: nil) }
        let isSure = !isLooking
        isLooking = true
        guard isSure else { return }
        world.after(500_000_000) {
            self.isLooking = false
            try self.takeAll()
        }
    }

    private var isLooking = false

    private func asked(_ outcomes: [Outcome], take: Int) -> Judge.Asked {
        Judge.Asked(
            owner: owner, outcomes: outcomes, take: take, selection: world.selectionOfGuests)
    }

    func take(fault: DiskFault?) throws {
        try attempt { store in
            try world.failing(fault) {
                let result = try world.judge.exchange(
                    store, asked([], take: 1), now: world.wall, random: 0)
                for job in result.claimed { keep(job) }
            }
        }
    }

    /// Holds a job for a while and then says how it went.
    private func keep(_ job: ClaimedJob) {
        held.append(job)
        let time = world.dice.time(
            upTo: .milliseconds(600), .run, -job.claim.job, Int64(job.claim.attempt))
        world.after(time) {
            guard self.held.contains(where: { $0.claim == job.claim }) else { return }
            try self.settle(job)
        }
    }

    private func settle(_ job: ClaimedJob) throws {
        let verdicts: [Verdict] = [.done, .done, .done, .failed, .released]
        let choice = world.dice.below(
            verdicts.count, .fate, job.claim.job, Int64(job.claim.attempt))
        let verdict = world.isQuiet ? .done : verdicts[choice]
        let outcome = Outcome(job.claim, verdict, Run(started: world.wall, ended: world.wall))
        try attempt { store in
            _ = try world.judge.exchange(
                store, asked([outcome], take: 0), now: world.wall, random: 0)
            old.append(job.claim)
            held.removeAll { $0.claim == job.claim }
        }
        if held.contains(where: { $0.claim == job.claim }) {
            world.after(50_000_000) { try self.settle(job) }
        }
    }

    /// X2: a verdict on a claim that is not held any more.
    func settleStale(_ luck: inout Portions) throws {
        guard !old.isEmpty else { return }
        let claim = old[luck.next(old.count)]
        let verdict = Verdict.allCases[luck.next(Verdict.allCases.count)]
        let outcome = Outcome(claim, verdict, Run(started: world.wall, ended: world.wall))
        try attempt { store in
            _ = try world.judge.exchange(
                store, asked([outcome], take: 0), now: world.wall, random: 0)
        }
    }

    // MARK: - Group commit

    /// What three threads want at once: a put, a put that is refused by the disk or not, and a job.
    func together(_ luck: inout Portions, fault: DiskFault?) throws {
        guard let store else { return }
        let now = world.wall
        let puts = (0..<2).map { _ in newJob(&luck) }
        let wanted = asked([], take: 1)
        var taken: Exchange?
        var requests = puts.map { job in GroupCommit.Request(.put([job.0], now: now)) }
        requests.append(
            GroupCommit.Request(
                .perform(.first) { store throws(SpoolError) in
                    taken = try store.exchange(
                        owner: wanted.owner, settle: [], take: 1, from: wanted.selection,
                        counting: true, now: now
                    ) { 0 }
                }))
        let begun = world.judge.chronicle.tick()
        try world.failing(fault) { GroupCommit(store).commit(requests) }
        if case .outcomeUnknown = requests[0].error {
            return try world.judge.doubtful(store, puts, wanted, now, begun)
        }
        for (index, job) in puts.enumerated() {
            let (next, made) = world.judge.afterPut([job.0], [job.1], now)
            guard requests[index].error == nil, let ids = requests[index].ids else {
                for job in made { world.judge.chronicle.note(.put, job, begun: begun, .fail) }
                continue
            }
            // The counters already say what all of them did: they are compared once, below.
            try world.judge.acceptGrouped(ids, next, made, begun)
        }
        guard requests[2].error == nil, let taken else {
            return try world.judge.verify(store, "D4")
        }
        let expected = world.judge.expectation(wanted, now)
        try world.judge.accept(store, taken, wanted, expected, begun, now)
        for job in taken.claimed { keep(job) }
    }
}
