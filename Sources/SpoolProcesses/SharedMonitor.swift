// SharedMonitor.swift - a state in shared memory, the lock that guards it, and the line of those who wait.
//
// As Monitor is for threads; it survives SIGKILL of any party at any instant. Invariants:
//  - who waits says so in the status of its seat before the lock is released. Who serves it writes its status, one
//    atomic store that is also the hand-over, and rings its bell;
//  - the statuses are the truth; what else the state says of them is reckoned from them again (`repair`) when one died
//    with the lock. Both `repair` and `settle` may be done twice, as whoever does them may die;
//  - sleepers look after the dead: at each nap's end, and when one dies whom they watch.

internal import SpoolThreads
internal import Synchronization

/// What the thread of a seat is about, in its status: bits 0 to 7 the stage, 8 to 31 a number, 32 to 63 an amount.
struct SeatStatus: Equatable {
    enum Stage: UInt64 {
        /// Nothing: it is not in line.
        case idle = 0
        /// It sleeps until it is served.
        case waiting
        /// It was given what it waited for, and has not seen it yet.
        case served
        /// What it waited for will not come.
        case refused
        /// It was the last to come to a barrier, and runs the action.
        case meeting
        /// It ran the action: the others are being let go.
        case passing
    }

    var stage: Stage
    var number: Int = 0
    /// Units held, or the phase of a barrier.
    var amount: UInt32 = 0

    init(_ stage: Stage, number: Int = 0, amount: UInt32 = 0) {
        (self.stage, self.number, self.amount) = (stage, number, amount)
    }

    init(raw: UInt64) {
        stage = Stage(rawValue: raw & 255) ?? .idle
        number = Int(raw >> 8 & 0xFF_FFFF)
        amount = UInt32(raw >> 32)
    }

    var raw: UInt64 { stage.rawValue | UInt64(number) << 8 | UInt64(amount) << 32 }
}

/// What each kind of monitor does when somebody died. Called with the lock held; both may be done twice.
struct SharedRules: Sendable {
    let kind: UInt64
    /// One died with the lock: puts the state right from the statuses, and finishes or undoes what it had begun.
    let repair: @Sendable (SharedMonitor) -> Void
    /// The thread of this seat died: takes it out, and gives back what it had. The status is cleared afterwards.
    let settle: @Sendable (SharedMonitor, Int) -> Void
    /// Whose death concerns those who wait.
    let concerns: @Sendable (SeatStatus) -> Bool
    /// Whether the amount in a status outlives the wait.
    var holdsAmount = false
    /// A thread leaves while its process lives. Called without the lock.
    var retire: @Sendable (SharedMonitor, SeatName) -> Void = { _, _ in }
}

/// A place where threads of several processes wait for each other.
struct SharedMonitor: Sendable {
    let seats: Seats
    let rules: SharedRules
    private var lock: SeatLock { SeatLock(seats) }

    /// New memory.
    init(_ rules: SharedRules, parameters: [UInt64] = []) throws(SpoolError) {
        self.rules = rules
        seats = try Seats(
            kind: rules.kind, parameters: parameters, hooks: Self.hooks(rules))
    }

    /// Memory that was made elsewhere.
    init(_ rules: SharedRules, _ memory: SharedMemory) throws(SpoolError) {
        self.rules = rules
        seats = try Seats(memory: memory, kind: rules.kind, hooks: Self.hooks(rules))
    }

    private init(_ rules: SharedRules, _ seats: Seats) { (self.rules, self.seats) = (rules, seats) }

    // MARK: - The lock

    /// Runs `body` with the lock held. It must not wait or run user code.
    func withLock<Value>(_ me: SeatName, _ body: () -> Value) -> Value {
        enter(me)
        defer { lock.release(me) }
        return body()
    }

    private func enter(_ me: SeatName) {
        _ = lock.acquire(me)
        if lock.isInherited {
            rules.repair(self)
            lookAfterDead()
        }
    }

    /// Settles all that died. With the lock held.
    func lookAfterDead() {
        for seat in 0..<seats.count where seats.isDead(seat: seat) {
            seats.bury(seat) { settle(seat) }
        }
    }

    private func settle(_ seat: Int) {
        rules.settle(self, seat)
        set(seat, SeatStatus(.idle))
    }

    private static func hooks(_ rules: SharedRules) -> SeatHooks {
        SeatHooks(
            inherit: { seats, name in
                let monitor = SharedMonitor(rules, seats)
                monitor.withLock(name) { monitor.settle(Seats.seat(name)) }
            },
            retire: { seats, name in rules.retire(SharedMonitor(rules, seats), name) })
    }

    // MARK: - Statuses

    func status(_ seat: Int) -> SeatStatus {
        SeatStatus(raw: seats.status(seat).pointee.load(ordering: .acquiring))
    }

    func set(_ seat: Int, _ status: SeatStatus) {
        seats.status(seat).pointee.store(status.raw, ordering: .releasing)
    }

    /// Gives a waiter its new status, and ends its sleep.
    func serve(_ seat: Int, _ status: SeatStatus) {
        set(seat, status)
        ring(seat)
    }

    func ring(_ seat: Int) {
        seats.bell(seat).pointee.wrappingAdd(1, ordering: .acquiringAndReleasing)
        WordWatch.wake(seats.bell(seat))
    }

    /// The living ones that wait, in the order in which they came.
    func waiters() -> [Int] {
        (0..<seats.count).filter { status($0).stage == .waiting && !seats.isDead(seat: $0) }
            .sorted { isEarlier($0, $1) }
    }

    func firstWaiter() -> Int? {
        var first: Int?
        for seat in 0..<seats.count
        where status(seat).stage == .waiting && !seats.isDead(seat: seat) {
            if first.map({ isEarlier(seat, $0) }) ?? true { first = seat }
        }
        return first
    }

    /// Rings those that were served by one who died before it rang.
    func ringServed() {
        for seat in 0..<seats.count {
            switch status(seat).stage {
            case .served, .refused: ring(seat)
            case .idle, .waiting, .meeting, .passing: break
            }
        }
    }

    /// How many wait: a hint.
    var waiting: Int {
        (0..<seats.count).count { status($0).stage == .waiting && !seats.isDead(seat: $0) }
    }

    /// Who came first; tickets begin again at 0 after 2^32.
    private func isEarlier(_ seat: Int, _ other: Int) -> Bool {
        let (mine, theirs) = (seats.ticket(seat), seats.ticket(other))
        let lead = mine.pointee.load(ordering: .relaxed) &- theirs.pointee.load(ordering: .relaxed)
        return Int32(bitPattern: lead) < 0
    }

    // MARK: - Waiting

    /// Puts the caller at the end of the line. With the lock held.
    func join(_ me: SeatName, _ status: SeatStatus) {
        let seat = Seats.seat(me)
        let ticket = seats.state(7).pointee.add(1, ordering: .relaxed).newValue
        seats.ticket(seat).pointee.store(UInt32(truncatingIfNeeded: ticket), ordering: .relaxed)
        set(seat, status)
    }

    /// Sleeps until the caller, who stands in line, is served or refused. Called without the lock.
    /// - Parameter mayLeave: Asked with the lock held when the time is up or `isEnded`.
    /// - Returns: The new status, which stays until the caller clears it; nil when it left the line.
    func sleep(
        _ me: SeatName, until deadline: Deadline, orEnd isEnded: () -> Bool,
        mayLeave: () -> Bool = { true }
    ) -> SeatStatus? {
        let seat = Seats.seat(me)
        let bell = seats.bell(seat)
        var isLate = false
        while true {
            let rung = bell.pointee.load(ordering: .acquiring)
            let now = status(seat)
            guard now.stage == .waiting else { return now }
            if !isLate, deadline.isPast || isEnded() {
                if leave(me, mayLeave) { return nil }
                // It may not leave any more: what it waits for comes.
                isLate = true
                continue
            }
            nap(me, bell, rung, until: isLate ? .never : deadline)
        }
    }

    private func leave(_ me: SeatName, _ mayLeave: () -> Bool) -> Bool {
        withLock(me) {
            let seat = Seats.seat(me)
            let now = status(seat)
            guard now.stage == .waiting, mayLeave() else { return false }
            set(seat, SeatStatus(.idle, amount: rules.holdsAmount ? now.amount : 0))
            return true
        }
    }

    /// Looks after the dead, then sleeps until the bell, a death that concerns it, or a nap's end.
    private func nap(_ me: SeatName, _ bell: SharedWord, _ rung: UInt32, until deadline: Deadline) {
        var watch = WordWatch()
        watch.add(bell, was: rung)
        let isQuiet = withLock(me) {
            lookAfterDead()
            var isQuiet = true
            for seat in 0..<seats.count
            where seat != Seats.seat(me) && rules.concerns(status(seat)) && !watch.isFull {
                isQuiet = seats.watchLife(seat, &watch) && isQuiet
            }
            return isQuiet
        }
        guard isQuiet else { return }
        watch.sleep(until: min(deadline, Deadline(after: SeatLock.longestNap)))
    }
}
