// Supervisor.swift - the shell around SupervisorState: performs its actions, and tells it what happened.
//
// One thread, one epoll. It is the only one in a worker that touches the store: each turn of the loop gathers what
// arrived and settles it in the same transaction that claims more. Order at the start: signals are blocked, the fork
// server is exec'd, and only then is the store opened, so that no connection or lock can cross into a child.

private import CSpool
private import Glibc
package import SpoolJobs
internal import SpoolProcesses
internal import SpoolSelectors
public import SpoolThreads

/// A worker: keeps consumers alive and busy with the jobs of a store, until it is asked to end.
///
/// For the main thread of a process of its own, with one thread: it takes over the process's signals and children.
public final class Supervisor {
    let options: WorkerOptions
    let store: Store
    let owner: Int64
    let setup: ConsumerSetup
    let selector: DefaultSelector
    let slots: SlotPage
    let slotsFile: Int32
    let executable: String
    /// For what a person should know while it runs, one line each.
    let say: (String) -> Void
    var server: ForkServer?
    var links: [ConsumerLink?]
    var lastCell = -1
    /// What was said of what is tried again, and until when it is not said again.
    var lastReport = (text: "", until: Deadline.never)
    var state: SupervisorState
    var summary = WorkSummary()
    /// The paused queues that were named last.
    private var toldPaused: [String] = []
    private let bell: Doorbell
    private let signals: Int32
    private var bellAt = Deadline.never
    private var claimed: [ClaimedJob] = []
    private var places: [Int64: Place] = [:]
    private var isOver = false
    private let started: Deadline

    /// Starts a worker: once it returns, the worker is registered and may be told to stop.
    /// - Parameters:
    ///   - executable: Calls ``Worker/becomeConsumerIfAsked()`` first of all.
    ///   - say: Called on this thread with a line for people.
    /// - Throws: What opening the store throws; `system`, `noWorker` when processes or descriptors are short;
    ///   `badInput` for a number of consumers that is none.
    public init(
        _ options: WorkerOptions, executable: String = "/proc/self/exe",
        say: @escaping (String) -> Void
    ) throws(SpoolError) {
        guard (1...Worker.mostConsumers).contains(options.consumers) else {
            throw .badInput(
                "a worker has 1 to \(Worker.mostConsumers) consumers, not \(options.consumers).")
        }
        self.options = options
        self.executable = executable
        self.say = say
        started = .now()
        _ = try Descriptor.null()  // the fork server, the consumers and their commands need it
        signals = try Self.takeOverProcess()
        (slots, slotsFile) = try SlotPage.make()
        selector = try DefaultSelector()
        try selector.register(signals, .read, token: Token.signals)
        let server = try Self.firstServer(executable, slotsFile)
        self.server = server
        let name = options.name ?? JobStore.processName()
        do throws(SpoolError) {
            (store, owner, bell) = try Self.open(options, name)
            try selector.register(bell.descriptor, .read, token: Token.bell)
        } catch {
            server?.end()  // it would tell of a worker that crashed
            throw error
        }
        setup = ConsumerSetup(
            file: store.files.database, logs: store.files.logs, worker: name,
            program: options.program ?? "", logLimit: Int64(options.logLimit),
            killAfter: options.killAfter, limits: options.limits)
        store.files.makeLogs()
        if let notice = store.notice { say(notice) }
        links = Array(repeating: nil, count: options.consumers)
        state = SupervisorState(SupervisorState.Settings(options), now: started)
    }

    private static func open(
        _ options: WorkerOptions, _ name: String
    ) throws(SpoolError) -> (Store, Int64, Doorbell) {
        let store = try Store.open(options.file, .create)
        let owner = try store.register(
            name: name, consumers: options.consumers, queues: options.queues, now: .now())
        return (store, owner, try Doorbell(.arrived, of: store))
    }

    /// What the selector's keys say; a consumer's token is its slot.
    enum Token {
        static let signals = -1
        static let bell = -2
        static let server = -3
    }

    private static func takeOverProcess() throws(SpoolError) -> Int32 {
        spool_open_standard_descriptors()
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
        // Children of one that ignores it vanish, and nobody hears of their end.
        signal(SIGCHLD, SIG_DFL)
        spool_become_subreaper(1)
        var numbers = [SIGTERM, SIGINT, SIGQUIT, SIGCHLD]
        if spool_is_ignored(SIGHUP) == 0 { numbers.append(SIGHUP) }
        let descriptor = spool_signal_descriptor(numbers, Int32(numbers.count))
        guard descriptor >= 0 else { throw .system(call: "signalfd", errno: -descriptor) }
        return descriptor
    }

    /// One that was killed as it began is replaced when a consumer is needed.
    private static func firstServer(
        _ executable: String, _ slots: Int32
    ) throws(SpoolError) -> ForkServer? {
        do throws(SpoolError) {
            return try ForkServer.start(executable: executable, slots: slots)
        } catch .system(ForkServer.sending, _) {
            return nil
        }
    }

    /// Works until it is asked to end or has nothing to do any more, as its options say.
    /// - Throws: What makes going on impossible: a damaged store, an unknown outcome. Its consumers end with it.
    public func run() throws(SpoolError) -> WorkSummary {
        defer { end() }
        // If it is lost another one takes its place when a consumer is needed, and says what is wrong.
        try? adoptServer()
        while true {
            try turn()
            if isOver { break }
            try flush()
            // What comes meanwhile is heard together.
            Pause.until(state.pacedUntil)
            let wake = min(state.wakeTime(.now()), bellAt)
            try selector.select(until: wake) { (key, _) throws(SpoolError) in try hear(key) }
            if bellAt.isPast { answerBell() }
        }
        summary.count(try retire(), of: state.unsettled)
        summary.missedWakeups = state.missedWakeups
        summary.took = Deadline.now() - started
        return summary
    }

    /// How long its end waits for its turn to write: a hundred workers may be told to end at the same time.
    private static let lastPatience = Duration.seconds(20)

    /// Ends its claims, and settles what no exchange has settled. What cannot be settled now runs again. One more
    /// signal ends the waiting.
    private func retire() throws(SpoolError) -> [Move?] {
        let limit = Deadline(after: Self.lastPatience)
        while true {
            do throws(SpoolError) {
                return try store.retire(owner: owner, settling: state.unsettled, now: .now()) {
                    Double.random(in: 0..<1)
                }
            } catch .locked where !limit.isPast && !isToldAgain() {
                continue
            }
        }
    }

    private func isToldAgain() -> Bool {
        var record = signalfd_siginfo()
        while read(signals, &record, MemoryLayout<signalfd_siginfo>.size) > 0 {
            if Int32(record.ssi_signo) != SIGCHLD { return true }
        }
        return false
    }

    /// Decides and performs until nothing is left to be decided.
    private func turn() throws(SpoolError) {
        var isDecided = false
        while !isDecided, !isOver {
            // The signal that ended a job may have come to us during the last exchange.
            if !state.doubted.isEmpty { try hearSignals() }
            let actions = state.handle(.turn, now: .now())
            isDecided = true
            for action in actions {
                if case .exchange = action { isDecided = false }
                try perform(action)
            }
        }
    }

    func tell(_ event: SupervisorState.Event) throws(SpoolError) {
        for action in state.handle(event, now: .now()) { try perform(action) }
    }

    private func perform(_ action: SupervisorState.Action) throws(SpoolError) {
        switch action {
        case .fork(let slot): try fork(slot)
        case .endServer: try endServer()
        case .send(let slot, let indices): try send(indices, to: slot)
        case .stop(let slot, let order): links[slot]?.send(order)
        case .recall(let slot): links[slot]?.recall()
        case .bar(let slot): try bar(slot)
        case .kill(let slot): try endConsumer(slot)
        case .exchange(let outcomes, let take, let recover):
            try exchange(outcomes, take, recover)
        case .finish: isOver = true
        }
    }

    private func hear(_ key: SelectorKey) throws(SpoolError) {
        switch key.token {
        case Token.signals: try hearSignals()
        case Token.bell: answerBell()
        case Token.server: try hearServer()
        default: try hearConsumer(key.token)
        }
    }

    private func answerBell() {
        // Nil: rung, or a foreign commit can be seen. Else somebody writes, perhaps we: ask the bell
        // again, not the store.
        guard let wait = bell.answerRing() else {
            bellAt = .never
            _ = state.handle(.rang, now: .now())
            return
        }
        bellAt = Deadline(after: wait)
    }

    private func hearSignals() throws(SpoolError) {
        var record = signalfd_siginfo()
        while read(signals, &record, MemoryLayout<signalfd_siginfo>.size) > 0 {
            switch Int32(record.ssi_signo) {
            case SIGCHLD: try reap()
            case SIGQUIT: try tell(.stopNow)
            default:
                announceEnd()
                try tell(.stop)
            }
        }
    }

    /// Who pressed Ctrl-C and sees nothing happen wants to know why.
    private func announceEnd() {
        guard state.phase == .working, state.held > 0 else { return }
        say(
            "no new jobs; running ones have \(options.grace.typed). A second signal stops them.")
    }

    private func flush() throws(SpoolError) {
        for case let link? in links where link.isBlocked {
            try link.flush()
            guard !link.isClosed else { continue }  // forgotten already
            try selector.modify(link.socket, link.isBlocked ? [.read, .write] : .read)
        }
    }

    // MARK: - The store

    private func exchange(
        _ outcomes: [Outcome], _ take: Int, _ recover: Bool
    ) throws(SpoolError) {
        var recovered = 0
        let now: UnixTime
        let result: Exchange
        do throws(SpoolError) {
            if recover { recovered = try store.recover(now: .now()) }
            now = .now()
            result = try store.exchange(
                owner: owner, settle: outcomes, take: take, from: options.selection,
                isExpected: state.expectsJobs, counting: options.untilEmpty, now: now
            ) { Double.random(in: 0..<1) }
            bell.saw(result.version)
        } catch {
            return try putOff(error)
        }
        // From here on the claims are ours: each must be sent or given back, whatever fails.
        claimed = result.claimed
        summary.count(result.settled, of: outcomes)
        try tell(.exchanged(Look(result, settled: outcomes.count, recovered: recovered, now)))
        claimed = []
        sayIfPaused(result)
        guard recover, state.held == 0 else { return }
        do throws(SpoolError) { try beQuiet() } catch { try putOff(error) }
    }

    /// Who waits for the end of a worker that has nothing to do wants to know why. Once for each pause.
    private func sayIfPaused(_ seen: Exchange) {
        guard seen.takeable == 0, state.held == 0 else { return }
        let paused = seen.paused.keys.sorted()
        defer { toldPaused = paused }
        guard let queue = paused.first, paused != toldPaused else { return }
        let jobs = seen.paused.values.reduce(0, +)
        let those = jobs == 1 ? "1 job waits" : "\(jobs) jobs wait"
        let place =
            paused.count == 1
            ? "the paused queue '\(queue)'" : "\(paused.count) paused queues, '\(queue)' among them"
        say("nothing to take: \(those) in \(place). Go on with:  spool resume \(queue)")
    }

    /// A put of a million jobs keeps the gate for seconds: so many tries are waited for in silence.
    private static let silentWaits = 10

    private func putOff(_ error: SpoolError) throws(SpoolError) {
        guard Self.mayPass(error) else { throw error }
        let isShort = state.exchangeFailures < Self.silentWaits
        if !isShort || error != .locked(path: store.files.database) {
            sayOnce("\(error.message) Trying again.")
        }
        try tell(.exchangeFailed)
    }

    /// Once a second, while there is nothing to do.
    private func beQuiet() throws(SpoolError) {
        try store.checkInPlace()
        try store.tidyLog()
    }

    /// Errors after which nothing was changed and another try may succeed.
    package static func mayPass(_ error: SpoolError) -> Bool {
        switch error {
        case .diskFull, .inputOutput, .locked, .notPermitted, .readOnly, .system: true
        default: false
        }
    }

    private func send(_ indices: [Int], to slot: Int) throws(SpoolError) {
        guard let link = links[slot] else { return }
        var unsent: [Outcome] = []
        var failure: SpoolError?
        for index in indices {
            do throws(SpoolError) {
                try link.send(claimed[index]) { id throws(SpoolError) in try place(id) }
            } catch {
                let now = UnixTime.now()
                unsent.append(
                    Outcome(claimed[index].claim, .recalled, Run(started: now, ended: now)))
                failure = error
            }
        }
        guard let failure else { return }
        try tell(.outcomes(slot: slot, unsent))
        try putOff(failure)
    }

    private func place(_ id: Int64) throws(SpoolError) -> Place {
        if let known = places[id] { return known }
        if places.count >= 256 { places.removeAll() }
        let found = try store.place(id)
        places[id] = found
        return found
    }
}

private typealias Look = SupervisorState.Look

extension SupervisorState.Look {
    package init(_ exchange: Exchange, settled: Int, recovered: Int, _ now: UnixTime) {
        self.init(settled: settled)
        claims = exchange.claimed.map(\.claim)
        for job in exchange.claimed { limits[job.claim.job] = job.timeout }
        isDry = exchange.takeable == 0
        cancellations = exchange.cancellations.map {
            StopOrder(
                job: $0.job, attempt: $0.attempt, signal: $0.signal, grace: $0.grace,
                verdict: .cancelled)
        }
        dueIn = exchange.nextDue.map { $0 - now }
        let paused = exchange.paused.values.reduce(0, +)
        isEmpty = exchange.counts.map { $0.ready + $0.retrying + $0.running == paused } ?? false
        self.recovered = recovered
    }
}

extension SupervisorState.Settings {
    init(_ options: WorkerOptions) {
        self.init(
            consumers: options.consumers, maxJobs: options.maxJobs, untilEmpty: options.untilEmpty,
            idleExit: options.idleExit, grace: options.grace, killAfter: options.killAfter)
    }
}
