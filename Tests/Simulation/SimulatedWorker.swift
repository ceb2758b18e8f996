// SimulatedWorker.swift - a worker's process: the shell of Supervisor.swift around the real SupervisorState.
//
// Its store, its claims and its lock are real; its consumers and its fork server are simulated.

private import Glibc
internal import SpoolJobs
internal import SpoolThreads
internal import SpoolWorker

/// A worker from its start to its end.
final class SimulatedWorker {
    let number: Int64
    let settings: SupervisorState.Settings
    let owner: Int64
    let selection: Selection
    private unowned let world: World
    private(set) var store: Store?
    private(set) var state: SupervisorState
    private(set) var isAlive = true
    /// It was told to end.
    private(set) var isEnding = false
    private(set) var links: [SimulatedConsumer?]
    private var lifeline: Int32
    private var hasServer = true
    private var refusals = 0
    private var faults: [DiskFault] = []
    private var diesBeforeItRings = false
    private var frozenUntil: Int64 = 0
    private var inbox: [SupervisorState.Event] = []
    private var claimed: [ClaimedJob] = []
    private var births: Int64 = 0
    private var turns: Int64 = 0
    /// The agenda's entry that counts; others are old.
    private var wakeNumber = 0
    private var wakeAt = Int64.max
    /// Turns in a row after which there was nothing to wait for.
    private var sleepless = 0
    /// Since when a consumer was idle although there was work.
    private var hungrySince: Int64?

    init(_ world: World, _ number: Int64, consumers: Int, takingAll: Bool) throws {
        self.world = world
        self.number = number
        settings = SupervisorState.Settings(
            consumers: consumers, grace: .seconds(2), killAfter: .seconds(1),
            flowing: 1 + 3 * world.dice.below(2, .choice, number, 1))
        selection =
            takingAll ? Selection(kinds: .some(["typed"])) : Self.selection(world.dice, number)
        let store = try world.openStore()
        owner = try store.register(
            name: "worker \(number)", consumers: consumers, queues: "", now: world.wall)
        guard let held = store.lifelines.first else { throw Violation("an owner has no lock") }
        lifeline = world.breaks.broken == .noLifeline ? -1 : fcntl(held, F_DUPFD_CLOEXEC, 0)
        self.store = store
        links = Array(repeating: nil, count: consumers)
        state = SupervisorState(settings, now: world.deadline)
        schedule(0)
        world.say("worker \(number) begins, owner \(owner)")
    }

    /// Some workers take some queues only; the first of them takes all.
    private static func selection(_ dice: Dice, _ number: Int64) -> Selection {
        guard number > 1, dice.below(3, .choice, number) == 0 else {
            return Selection(kinds: .some(["typed"]))
        }
        return Selection(queues: [.init(queue: "quiet"), .init(queue: "mail")])
    }

    var isTakingAll: Bool { isAlive && !isEnding && selection.queues.isEmpty }

    // MARK: - Its loop

    func hear(_ event: SupervisorState.Event) {
        guard isAlive else { return }
        inbox.append(event)
        schedule(world.dice.time(upTo: .milliseconds(2), .turn, number, turns))
    }

    private func schedule(_ wait: Int64) {
        let time = max(world.now + max(1, wait), frozenUntil)
        guard time < wakeAt else { return }
        wakeAt = time
        wakeNumber += 1
        let mine = wakeNumber
        world.after(time - world.now) { [weak self] in
            guard let self, self.wakeNumber == mine, self.isAlive else { return }
            try self.loop()
        }
    }

    private var clock: Deadline {
        guard world.breaks.broken == .wallClock else { return world.deadline }
        return Deadline(nanoseconds: UInt64(max(1, world.now + world.wallShift * 1000)))
    }

    private func loop() throws {
        wakeAt = .max
        turns += 1
        if frozenUntil > world.now { return schedule(frozenUntil - world.now) }
        guard try !isInPause() else { return }
        do {
            while isAlive, !inbox.isEmpty { try take(inbox.removeFirst()) }
            try turn()
        } catch let error as SpoolError {
            // What makes going on impossible: it ends, and its consumers with it.
            world.say("worker \(number) ends: \(error.message)")
            vanish()
        }
        guard isAlive else { return }
        try watchHunger()
        let wake = state.wakeTime(clock)
        guard wake != .never else { throw Violation("R8: a worker sleeps for ever") }
        sleepless = wake <= clock ? sleepless + 1 : 0
        guard sleepless < 10 else { throw Violation("R9: worker \(number) turns and never sleeps") }
        schedule(Int64(clamping: wake.nanoseconds) - Int64(clamping: clock.nanoseconds))
    }

    /// While jobs flow it hears nothing for a moment.
    private func isInPause() throws -> Bool {
        guard let left = state.pacedUntil.remaining(at: clock), left > .zero else { return false }
        guard left < .milliseconds(10) else {
            throw Violation("R8: worker \(number) pauses for \(left)")
        }
        world.say("worker \(number) pauses")
        schedule(left.nanoseconds)
        return true
    }

    private func take(_ event: SupervisorState.Event) throws {
        if case .died(let slot, _, _, _) = event {
            // What is left of its command ends before its job can run again.
            links[slot]?.command?.end()
            links[slot] = nil
        }
        if case .stop = event, world.breaks.broken == .deafWorker { return }
        if case .outcomes(let slot, let outcomes) = event,
            world.breaks.strikes(.lostRecall, every: 7)
        {
            return try tell(
                .outcomes(slot: slot, outcomes.filter { $0.verdict != .recalled }))
        }
        try tell(event)
    }

    private func tell(_ event: SupervisorState.Event) throws {
        for action in state.handle(event, now: clock) { try perform(action) }
    }

    private func turn() throws {
        var isDecided = false
        while !isDecided, isAlive {
            isDecided = true
            for action in state.handle(.turn, now: clock) {
                if case .exchange = action { isDecided = false }
                try perform(action)
                guard isAlive else { return }
            }
        }
    }

    private func perform(_ action: SupervisorState.Action) throws {
        switch action {
        case .fork(let slot): fork(slot)
        case .endServer:
            dropServer()
            try tell(.serverDied)
        case .send(let slot, let indices):
            for index in indices { links[slot]?.post(.job(claimed[index])) }
        case .stop(let slot, let order): links[slot]?.post(.stop(order))
        case .recall(let slot): links[slot]?.post(.recall)
        case .bar(let slot): try bar(slot)
        case .kill(let slot):
            guard let link = links[slot], link.isKnown else { return }
            for news in link.takeNews() { try take(news) }
            if links[slot] === link, state.isToBeKilled(slot) {
                link.die("killed by its supervisor")
            }
        case .exchange(let outcomes, let take, let recover):
            try exchange(outcomes, take, recover)
        case .finish:
            try finish()
        }
    }

    private func bar(_ slot: Int) throws {
        guard let link = links[slot] else { return }
        let running = link.bar()
        for news in link.takeNews() { try take(news) }
        world.say("worker \(number), consumer \(slot): barred in job \(running)")
        guard links[slot] === link else { return }
        link.post(.bar)
        try tell(.barred(slot: slot, running: running, at: world.wall))
    }

    private func fork(_ slot: Int) {
        births += 1
        if refusals > 0 {
            refusals -= 1
            world.after(100_000) { self.hear(.forkFailed(slot: slot)) }
            return
        }
        hasServer = true
        let consumer = SimulatedConsumer(
            world, self, slot: slot, number: number * 10_000 + births)
        links[slot] = consumer
        let time = world.dice.time(upTo: .milliseconds(30), .birth, number, births)
        world.after(time) { if self.isAlive { consumer.bear() } }
    }

    private func finish() throws {
        guard let store else { return }
        world.say("worker \(number) ends in order")
        end()
        try world.judge.retire(
            store, owner, state.unsettled, now: world.wall,
            random: world.dice.fraction(.settle, number, turns))
        isAlive = false
        leaveStore()
    }

    // MARK: - The store

    private func exchange(_ outcomes: [Outcome], _ take: Int, _ recover: Bool) throws {
        guard let store else { return }
        // Nobody else sends signals here.
        if outcomes.contains(where: { $0.verdict == .failed && $0.run.signal != nil }) {
            throw Violation("R11: a job failed as its worker was told to end")
        }
        do {
            var result: Exchange?
            var recovered = 0
            let now = world.wall
            let call = {
                if recover {
                    recovered = try self.world.recover(store)
                }
                let asked = Judge.Asked(
                    owner: self.owner, outcomes: outcomes, take: take, selection: self.selection)
                result = try self.world.judge.exchange(
                    store, asked, now: now,
                    random: self.world.dice.fraction(.settle, self.number, self.turns))
            }
            let fault = faults.isEmpty ? nil : faults.removeFirst()
            if diesBeforeItRings, !outcomes.isEmpty || take > 0 {
                try world.silently(call)
                return crash(withServer: false)
            }
            try world.failing(fault, call)
            guard let result else { return }
            claimed = result.claimed
            try tell(
                .exchanged(.init(result, settled: outcomes.count, recovered: recovered, now)))
            claimed = []
        } catch let error as SpoolError {
            guard Supervisor.mayPass(error) else { throw error }
            world.say("worker \(number): \(error.message)")
            try tell(.exchangeFailed)
        }
    }

    /// R8: work that may be taken and a consumer that could take it do not wait for each other.
    private func watchHunger() throws {
        let isHungry =
            state.phase == .working && state.exchangeFailures == 0 && frozenUntil <= world.now
            && state.consumers.contains { $0.phase == .ready && $0.held.isEmpty && !$0.isBarred }
            && world.judge.model.countTakeable(selection) > 0
        guard isHungry else {
            hungrySince = nil
            return
        }
        let since = hungrySince ?? world.now
        hungrySince = since
        guard world.now - since < 2_000_000_000 else {
            throw Violation("R8: worker \(number) has an idle consumer, and jobs are ready")
        }
    }

    // MARK: - What befalls it

    func stop(atOnce: Bool) {
        isEnding = true
        hear(atOnce ? .stopNow : .stop)
    }

    /// TERM to it and to what its consumers run, one after the other, as chance has it.
    func stopEverybody(_ luck: inout Portions) {
        for link in links {
            world.after(Int64(luck.next(60)) * 1_000_000) { try link?.tellCommand() }
        }
        world.after(Int64(luck.next(60)) * 1_000_000) { self.stop(atOnce: false) }
    }

    func freeze(for time: Int64) {
        frozenUntil = max(frozenUntil, world.now + time)
        schedule(time)
    }

    func refuseForks(_ count: Int) { refusals += count }

    func fail(_ fault: DiskFault) { faults.append(fault) }

    func dieBeforeRinging() { diesBeforeItRings = true }

    func recoverFromFaults() {
        frozenUntil = 0
        faults = []
        refusals = 0
        diesBeforeItRings = false
        wakeAt = .max
        schedule(1)
    }

    /// The fork server is killed: who was about to be born never is.
    func loseServer() {
        dropServer()
        hear(.serverDied)
    }

    private func dropServer() {
        hasServer = false
        for (slot, link) in links.enumerated() {
            guard let link, !link.isKnown else { continue }
            link.isForgotten = true
            link.die("its socket ended")
            link.command?.end()
            links[slot] = nil
        }
    }

    /// SIGKILL. The fork server ends the consumers and what they run, and only then is the lock free; without a server
    /// the consumers end by themselves, and what they ran goes on.
    func crash(withServer: Bool) {
        guard isAlive else { return }
        world.say("worker \(number) crashes\(withServer ? " with its server" : "")")
        isAlive = false
        store = nil
        let isServed = hasServer && !withServer
        let orphans = links.compactMap { $0 }
        links = []
        let wait = world.dice.time(upTo: .milliseconds(200), .lag, number)
        if lifeline < 0 { world.dead.insert(owner) }
        world.after(wait) {
            for orphan in orphans {
                let command = orphan.command
                orphan.die("its worker died")
                if isServed { command?.end() }
            }
            self.releaseLock()
        }
    }

    /// It and all that it started end at once.
    func vanish() {
        guard isAlive else { return }
        end()
        isAlive = false
        world.dead.insert(owner)
        leaveStore()
    }

    private func end() {
        for link in links {
            link?.die("its worker ends")
            link?.command?.end()
        }
        links = Array(repeating: nil, count: links.count)
    }

    private func leaveStore() {
        store = nil
        if lifeline >= 0 { close(lifeline) }
        lifeline = -1
    }

    private func releaseLock() {
        world.dead.insert(owner)
        guard lifeline >= 0 else { return }
        close(lifeline)
        lifeline = -1
    }
}

extension World {
    /// Gives back what dead owners held.
    func recover(_ store: Store) throws -> Int {
        let count = try judge.recover(store, dead: dead.sorted(), now: wall)
        dead = []
        return count
    }
}
