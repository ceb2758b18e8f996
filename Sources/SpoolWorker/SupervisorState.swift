// SupervisorState.swift - everything that a supervisor decides, as a value: events go in, actions come out.
//
// No process, store or clock in here. Invariants: a claim is in exactly one consumer's hands or among
// the outcomes to be settled, until an exchange has settled it; a consumer that is stuck in a long job
// keeps no other; nothing is claimed unless a consumer has room for it.

package import SpoolJobs
package import SpoolThreads

/// The pure part of ``Supervisor``.
package struct SupervisorState {
    /// What a worker was asked for.
    package struct Settings: Hashable, Sendable {
        package var consumers: Int
        /// Claims in all; nil is no limit. With one nothing is prefetched, so that every claim is a run.
        package var maxJobs: Int?
        package var untilEmpty: Bool
        package var idleExit: Duration?
        package var grace: Duration
        package var killAfter: Duration
        /// After so many exchanges in a row that came soon, and took all there was, jobs flow: the next ones are paced.
        package var flowing: Int

        package init(
            consumers: Int, maxJobs: Int? = nil, untilEmpty: Bool = false,
            idleExit: Duration? = nil, grace: Duration = .seconds(25),
            killAfter: Duration = .seconds(10), flowing: Int = 4
        ) {
            self.consumers = consumers
            self.maxJobs = maxJobs
            self.untilEmpty = untilEmpty
            self.idleExit = idleExit
            self.grace = grace
            self.killAfter = killAfter
            self.flowing = flowing
        }
    }

    /// What happened.
    package enum Event {
        case born(slot: Int)
        /// `running` is the job that it was at; 0 is none. What it held and had not begun is given back.
        case died(slot: Int, running: Int64, cause: String, at: UnixTime)
        case forkFailed(slot: Int)
        case serverDied
        case outcomes(slot: Int, [Outcome])
        /// It begins nothing any more, has begun `running` (0 is none), and all that it had said was heard.
        case barred(slot: Int, running: Int64, at: UnixTime)
        /// It knows, and has told all that it ever will of what was sent before.
        case unbarred(slot: Int)
        /// Somebody changed the store.
        case rang
        case exchanged(Look)
        case exchangeFailed
        /// Ends in order; the second time at once.
        case stop
        case stopNow
        /// The loop has nothing more to tell: decide.
        case turn
    }

    /// What an exchange with the store gave.
    package struct Look {
        var settled: Int
        var claims: [Claim] = []
        /// The time-outs of those that have one, by job.
        var limits: [Int64: Duration] = [:]
        /// Nothing more could be taken.
        var isDry = false
        var cancellations: [StopOrder] = []
        var dueIn: Duration?
        /// Nothing in the worker's queues is ready, running or retrying, but for what waits in paused ones.
        var isEmpty = false
        /// Jobs of dead workers were found: death does not ring.
        var recovered = 0
    }

    /// What the shell has to do.
    package enum Action: Equatable {
        case fork(slot: Int)
        /// The fork server does not answer; the shell says `serverDied` before it goes on.
        case endServer
        /// The claims at these places of the last look.
        case send(slot: Int, [Int])
        case stop(slot: Int, StopOrder)
        case recall(slot: Int)
        /// The shell says `barred` before it goes on, unless the consumer has died.
        case bar(slot: Int)
        /// Unless it has said by now that it did what it should have done: see ``isToBeKilled(_:)``.
        case kill(slot: Int)
        case exchange(settle: [Outcome], take: Int, recover: Bool)
        case finish
    }

    package enum Phase: Equatable {
        case working
        /// No new claims; what runs may end until then.
        case draining(until: Deadline)
        /// What runs was told to end; consumers that have not obeyed by then are killed.
        case stopping(until: Deadline)
        case over
    }

    /// Work in a consumer's hands beyond the job that it runs, microseconds as measured.
    static let prefetched = 20_000.0
    static let maximumHeld = 256
    static let maximumTake = 256
    /// A job that runs longer than this keeps no others waiting behind it.
    static let recallAfter = Duration.milliseconds(50)
    /// Outcomes wait this long for others, while every consumer has enough to do.
    static let gathering = Duration.milliseconds(5)
    /// How long after a look that found something unexpected the bell may still ring.
    static let bellDelay = Duration.milliseconds(200)
    /// From asking for a consumer to its hello. A fork server that takes longer was stopped, or hangs.
    static let birth = Duration.seconds(10)
    static let safetyPoll = Duration.seconds(1)
    /// At the start the consumers of a worker that has just died may still be ending: look often for a moment.
    static let earlyTick = Duration.milliseconds(10)
    static let early = Duration.milliseconds(300)

    let settings: Settings
    package var consumers: [ConsumerState]
    package var phase = Phase.working
    /// Outcomes that no exchange has settled yet.
    package var unsettled: [Outcome] = []
    /// Those that may have ended by a signal that the worker is about to hear, in order.
    package var doubted: [(outcome: Outcome, until: Deadline)] = []
    var settleBy = Deadline.never
    var taken = 0
    /// The last look left nothing to take, and nothing was given back since.
    var isDry = false
    /// Somebody has changed the store since the last look.
    var hasRung = false
    /// The last time that it rang there was something for us, and not for another worker.
    var ringsForUs = true
    /// The exchange that is asked for will likely find jobs.
    package var expectsJobs = false
    /// Exchanges in a row that came soon, and took all there was. See Settings.flowing.
    var flow = 0
    /// While jobs flow: until then the store is left alone, and no news is worth a wake-up.
    package var pacedUntil: Deadline
    /// When the last exchange was asked for.
    var askedAt: Deadline
    /// No exchange is paced until then.
    var hurryUntil: Deadline
    var isEmpty = false
    var lookAt: Deadline
    var tickAt: Deadline
    let earlyUntil: Deadline
    var dueAt = Deadline.never
    var idleSince: Deadline
    package var exchangeFailures = 0
    var notBefore: Deadline
    /// Set when only the safety poll found work: unless the bell rings by then, a wake-up was lost.
    var suspect = Deadline.never
    package private(set) var missedWakeups = 0
    /// Running jobs whose consumer was told to cancel them, how, and by when it must have done so.
    var told: [Int64: (order: StopOrder, until: Deadline)] = [:]
    /// The time-outs of claims in consumers' hands, by job.
    var limits: [Int64: Duration] = [:]

    package init(_ settings: Settings, now: Deadline) {
        self.settings = settings
        consumers = (0..<settings.consumers).map { _ in ConsumerState(now) }
        lookAt = now
        tickAt = now
        earlyUntil = now + Self.early
        idleSince = now
        notBefore = now
        pacedUntil = now
        askedAt = now
        hurryUntil = now
    }

    /// Claims in consumers' hands.
    package var held: Int { consumers.reduce(0) { $0 + $1.held.count } }

    /// Takes in what happened.
    /// - Returns: What is to be done about it, in order.
    package mutating func handle(_ event: Event, now: Deadline) -> [Action] {
        switch event {
        case .born(let slot): consumers[slot].phase = .ready
        case .died(let slot, let running, let cause, let at): bury(slot, running, cause, at, now)
        case .forkFailed(let slot): consumers[slot].failToStart(now)
        case .serverDied:
            for slot in consumers.indices where consumers[slot].isStarting {
                consumers[slot].failToStart(now)
            }
        case .outcomes(let slot, let outcomes): receive(outcomes, from: slot, now)
        case .barred(let slot, let running, let at): takeBack(slot, running, at, now)
        case .unbarred(let slot): consumers[slot].unbar()
        case .rang:
            hasRung = true
            suspect = .never
            lookAt = min(lookAt, now + Self.gathering)
        case .exchanged(let look): return accept(look, now)
        case .exchangeFailed: postpone(now)
        case .stop:
            if case .working = phase { return drain(now) }
            return stopNow(now)
        case .stopNow: return stopNow(now)
        case .turn: return turn(now)
        }
        return []
    }

    private mutating func receive(_ outcomes: [Outcome], from slot: Int, _ now: Deadline) {
        let head = consumers[slot].held.first
        for outcome in outcomes {
            // Only what it holds: a claim that was taken from it is not its to settle.
            guard consumers[slot].settle(outcome) else { continue }
            forget(outcome.claim.job)
            receive(outcome, now)
            if outcome.verdict == .recalled { taken -= 1 }
            // It is ready again, and no bell says so.
            if outcome.verdict == .released || outcome.verdict == .recalled { isDry = false }
        }
        // What was called back from behind a long job says nothing about the long job.
        if consumers[slot].held.first != head { consumers[slot].headSince = now }
        forgive(slot, now)
        consumers[slot].failures = 0
        gather(now)
    }

    mutating func gather(_ now: Deadline) {
        guard !unsettled.isEmpty else { return }
        settleBy = min(settleBy, now + Self.gathering)
    }

    private mutating func bury(
        _ slot: Int, _ running: Int64, _ cause: String, _ at: UnixTime, _ now: Deadline
    ) {
        let since = consumers[slot].headSince
        for claim in consumers[slot].held {
            defer { forget(claim.job) }
            guard claim.job == running else {
                let never = Run(started: at, ended: at)
                unsettled.append(Outcome(claim, .recalled, never))
                taken -= 1
                continue
            }
            let ran = Int64(now.nanoseconds - min(now.nanoseconds, since.nanoseconds)) / 1000
            var run = Run(started: UnixTime(microseconds: at.microseconds - ran), ended: at)
            let (verdict, error) = fate(of: claim.job, in: slot, cause)
            run.error = error
            unsettled.append(Outcome(claim, verdict, run))
        }
        consumers[slot].die(now)
        guard !unsettled.isEmpty else { return }
        settleBy = now
        isDry = false
    }

    mutating func forget(_ job: Int64) {
        told[job] = nil
        limits[job] = nil
    }

    var isStopping: Bool {
        switch phase {
        case .working, .draining: false
        case .stopping, .over: true
        }
    }

    private mutating func accept(_ look: Look, _ now: Deadline) -> [Action] {
        unsettled.removeFirst(look.settled)
        settleBy = .never
        gather(now)
        exchangeFailures = 0
        lookAt = .never
        isEmpty = look.isEmpty
        limits.merge(look.limits) { $1 }
        taken += look.claims.count
        if hasRung, look.settled == 0 { ringsForUs = !look.claims.isEmpty }
        let isUnexpected = isDry && !hasRung
        isDry = look.isDry
        hasRung = false
        follow(look, now)
        if isUnexpected, !look.claims.isEmpty, look.recovered == 0, dueAt > now, suspect == .never {
            suspect = now + Self.bellDelay
        }
        dueAt = look.dueIn.map { now + max($0, .milliseconds(1)) } ?? .never
        return deal(look.claims, now) + orders(look.cancellations, now)
    }

    private mutating func orders(_ cancellations: [StopOrder], _ now: Deadline) -> [Action] {
        var actions: [Action] = []
        // A second wish may be sharper; it never gives more time.
        for order in cancellations where told[order.job]?.order != order {
            let slot = consumers.firstIndex {
                $0.held.contains { $0.job == order.job && $0.attempt == order.attempt }
            }
            guard let slot else { continue }
            let until = now + order.grace + Self.patience
            told[order.job] = (order, min(until, told[order.job]?.until ?? .never))
            actions.append(.stop(slot: slot, order))
        }
        return actions
    }

    private mutating func postpone(_ now: Deadline) {
        exchangeFailures += 1
        endFlow(now)
        notBefore = now + .milliseconds(min(1000, 20 << min(exchangeFailures, 6)))
    }

    mutating func countMissedWakeup() {
        missedWakeups += 1
        suspect = .never
    }
}

extension Deadline {
    package static func + (deadline: Deadline, duration: Duration) -> Deadline {
        guard deadline != .never else { return .never }
        let (sum, overflow) = deadline.nanoseconds.addingReportingOverflow(
            UInt64(max(0, duration.nanoseconds)))
        return overflow ? .never : Deadline(nanoseconds: sum)
    }
}
