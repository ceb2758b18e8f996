// SimulatedConsumer.swift - a consumer's process: Consumer.swift and CommandRun.swift without sockets and processes.
//
// What it decides about jobs that wait is the real WaitingJobs. It can die at any point, be stopped and go on.

internal import SpoolJobs
internal import SpoolThreads
internal import SpoolWorker

/// A consumer, and the supervisor's end of its line.
final class SimulatedConsumer {
    enum Message {
        case job(ClaimedJob)
        case stop(StopOrder)
        case recall
        case bar
    }

    /// Where it dies, if that is not at once.
    enum Trap { case atBegin, afterOutcome, beforeFlush }

    let slot: Int
    let number: Int64
    private unowned let world: World
    private unowned let worker: SimulatedWorker
    private(set) var isAlive = false
    private(set) var isFrozen = false
    /// The hello was read.
    var isKnown = false
    /// Given up before it was born.
    var isForgotten = false
    var trap: Trap?
    /// The word in the shared page.
    private(set) var page: Int64 = 0
    /// In the page, too: it may begin nothing.
    private var isBarred = false
    private(set) var command: SimulatedCommand?

    private var waiting = WaitingJobs<ClaimedJob> { $0.claim }
    private var current: ClaimedJob?
    private var verdict: Verdict?
    private var began = UnixTime(microseconds: 0)
    private var inbox: [Message] = []
    private var unflushed: [Outcome] = []
    private var lastArrival: Int64 = 0
    private var lastNews: Int64 = 0
    /// What it has said and nobody has read.
    private var unread: [(number: Int64, news: SupervisorState.Event)] = []
    private var messages: Int64 = 0
    /// Which sleep a wake-up is for.
    private var alarms: Int64 = 0

    init(_ world: World, _ worker: SimulatedWorker, slot: Int, number: Int64) {
        self.world = world
        self.worker = worker
        self.slot = slot
        self.number = number
    }

    /// How many jobs its supervisor has sent it.
    var held: Int { worker.isAlive ? worker.state.consumers[slot].held.count : 0 }

    func bear() {
        guard !isForgotten else { return }
        isAlive = true
        send(.born(slot: slot))
    }

    // MARK: - The line

    /// To the consumer, in order, each after a while of its own.
    func post(_ message: Message) {
        messages += 1
        lastArrival = max(
            lastArrival + 1,
            world.now + world.dice.time(upTo: .milliseconds(20), .delay, number, messages))
        world.after(lastArrival - world.now) { try self.arrive(message) }
    }

    private func arrive(_ message: Message) throws {
        guard isAlive else { return }
        inbox.append(message)
        try listen()
    }

    /// To the supervisor. What was sent arrives though the sender has died since.
    private func send(_ news: SupervisorState.Event) {
        messages += 1
        lastNews = max(
            lastNews + 1,
            world.now + world.dice.time(upTo: .milliseconds(20), .delay, -number, messages))
        let number = messages
        unread.append((number, news))
        world.after(lastNews - world.now) {
            if case .born = news { self.isKnown = !self.isForgotten }
            // Else it was read before its time.
            guard self.unread.first?.number == number else { return }
            self.unread.removeFirst()
            guard !self.isForgotten else { return }
            self.worker.hear(news)
        }
    }

    /// Reads all that it has said so far.
    func takeNews() -> [SupervisorState.Event] {
        defer { unread = [] }
        return unread.map(\.news)
    }

    /// From now on it begins nothing. What it has begun; 0 is none.
    func bar() -> Int64 {
        isBarred = true
        return page
    }

    private func flush() {
        guard !unflushed.isEmpty else { return }
        send(.outcomes(slot: slot, unflushed))
        unflushed = []
    }

    // MARK: - Its loop

    private func listen() throws {
        while isAlive, !isFrozen, !inbox.isEmpty {
            switch inbox.removeFirst() {
            case .job(let job): waiting.append(job)
            case .stop(let order): try obey(order)
            case .bar:
                _ = waiting.giveBack()
                isBarred = false
                send(.unbarred(slot: slot))
            case .recall:
                for claim in waiting.giveBack() { unflushed.append(unstarted(claim, .recalled)) }
                flush()
            }
        }
        if isAlive, !isFrozen, current == nil { try beginNext() }
    }

    private func unstarted(_ claim: Claim, _ verdict: Verdict) -> Outcome {
        Outcome(claim, verdict, Run(started: world.wall, ended: world.wall))
    }

    private func obey(_ order: StopOrder) throws {
        if let current, current.claim.job == order.job, current.claim.attempt == order.attempt {
            try stop(as: order.verdict, order.signal, order.grace)
        } else if let (claim, verdict) = waiting.stop(order) {
            unflushed.append(unstarted(claim, verdict))
            flush()
        }
    }

    private func beginNext() throws {
        while isAlive, current == nil, !isBarred || world.breaks.broken == .noBar,
            let job = waiting.next()
        {
            page = job.claim.job
            if trap == .atBegin {
                trap = nil
                return die("killed as it began")
            }
            if job.work == .kind(Job.noop) {
                unflushed.append(
                    Outcome(job.claim, .done, Run(started: world.wall, ended: world.wall)))
                page = 0
            } else {
                flush()
                try begin(job)
            }
        }
        guard isAlive else { return }
        if trap == .beforeFlush, !unflushed.isEmpty { return die("killed before it told") }
        flush()
    }

    private func begin(_ job: ClaimedJob) throws {
        current = job
        verdict = nil
        began = world.wall
        let command = world.command(of: job.claim)
        self.command = command
        command.onEnd = { [weak self] in try self?.commandEnded() }
        let fate = Self.fate(of: job)
        // Most are so short that others are handed ahead.
        let isShort = world.dice.below(4, .run, job.claim.job, -1) > 0
        let time = world.dice.time(
            upTo: .milliseconds(isShort ? 4 : 400), .run, job.claim.job, Int64(job.claim.attempt))
        if fate != .hangs, fate != .ignoresSignals {
            world.after(time) { try self.play(fate, command) }
        }
        if let timeout = job.timeout { alarm(timeout) { try self.timeUp() } }
    }

    static func fate(of job: ClaimedJob) -> Fate {
        job.body.bytes.first.flatMap { Fate(rawValue: $0) } ?? .succeeds
    }

    private func play(_ fate: Fate, _ command: SimulatedCommand) throws {
        switch fate {
        case .killsConsumer where self.command === command && !command.isOver:
            die("killed by its job")
        case .fails: try command.finish(false)
        case .failsOnce: try command.finish(command.claim.attempt > 1)
        default: try command.finish(true)
        }
    }

    /// A wake-up of the run that is on now; a consumer that was stopped sleeps through it until it goes on.
    private func alarm(_ wait: Duration, _ body: @escaping () throws -> Void) {
        let mine = alarms
        world.after(wait.nanoseconds) {
            guard self.isAlive, self.alarms == mine else { return }
            if self.isFrozen {
                self.overslept.append { if self.alarms == mine { try body() } }
            } else {
                try body()
            }
        }
    }

    private var overslept: [() throws -> Void] = []

    private func timeUp() throws { try stop(as: .timedOut, 15, worker.settings.killAfter) }

    private func stop(as reason: Verdict, _ signal: Int32, _ grace: Duration) throws {
        guard let current, let command, !command.isOver else { return }
        if verdict == nil { verdict = reason }
        if signal == 9 { return try command.kill() }
        alarm(grace) { try command.kill() }
        command.terminate(Self.fate(of: current))
    }

    /// TERM to every process reaches its command; it hears nothing itself.
    func tellCommand() throws {
        guard isAlive, let current else { return }
        try command?.hearEverybodyTold(Self.fate(of: current))
    }

    private func commandEnded() throws {
        guard isAlive, !isFrozen, let current, let command, command.isOver else { return }
        alarms += 1
        let succeeded = command.succeeded ?? false
        let wasTold = command.wasToldToEnd
        let run = Run(
            started: began, ended: max(began, world.wall), pid: Int32(number),
            exit: wasTold ? nil : succeeded ? 0 : 1, signal: wasTold ? 15 : nil)
        unflushed.append(Outcome(current.claim, verdict ?? (succeeded ? .done : .failed), run))
        self.current = nil
        self.command = nil
        flush()
        if trap == .afterOutcome {
            trap = nil
            return die("killed after it had told")
        }
        page = 0
        // It does not look for messages between two jobs.
        try beginNext()
        try listen()
    }

    // MARK: - What befalls it

    func die(_ cause: String) {
        guard isAlive else { return }
        isAlive = false
        world.say("worker \(worker.number), consumer \(slot): \(cause), at job \(page)")
        send(.died(slot: slot, running: page, cause: cause, at: world.wall))
    }

    func freeze(for time: Int64) {
        guard isAlive, !isFrozen else { return }
        isFrozen = true
        world.after(time) { try self.goOn() }
    }

    func goOn() throws {
        guard isFrozen else { return }
        isFrozen = false
        guard isAlive else { return }
        let missed = overslept
        overslept = []
        if command?.isOver ?? false { try commandEnded() }
        for body in missed { try body() }
        try listen()
    }
}
