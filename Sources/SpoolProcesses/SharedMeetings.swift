// SharedMeetings.swift - the moves of a shared barrier's parties. See SharedBarrier for what holds.

internal import SpoolThreads
private import Synchronization

/// What a barrier does when somebody died.
enum Meetings {
    static let rules = SharedRules(
        kind: 0x5350_4F4F_4C42_3101,
        repair: { place in
            for seat in 0..<place.seats.count where place.isStranded(seat) { place.refuse(seat) }
            place.ringServed()
        },
        settle: { place, seat in
            let status = place.status(seat)
            switch status.stage {
            case .waiting where status.amount == place.phase: place.breakUp()
            case .meeting:
                place.breakUp()
                place.refuse(phase: status.amount)
            case .passing: place.pass(phase: status.amount)
            case .idle, .waiting, .served, .refused: break
            }
        },
        concerns: { status in
            switch status.stage {
            case .waiting, .meeting, .passing: true
            case .idle, .served, .refused: false
            }
        })
}

/// How somebody came to a barrier.
enum Arrival {
    case refused, early
    case last(Int)
}

extension SharedMonitor {
    /// The phase that gathers now.
    var phase: UInt32 {
        get { UInt32(truncatingIfNeeded: seats.state(0).pointee.load(ordering: .acquiring)) }
        nonmutating set { seats.state(0).pointee.store(UInt64(newValue), ordering: .releasing) }
    }

    var isBroken: Bool {
        get { seats.state(1).pointee.load(ordering: .acquiring) != 0 }
        nonmutating set { seats.state(1).pointee.store(newValue ? 1 : 0, ordering: .releasing) }
    }

    // MARK: - Coming

    func arrive(_ me: SeatName, _ parties: Int) -> Arrival {
        withLock(me) {
            lookAfterDead()
            guard !isBroken else { return .refused }
            let others = waiters().filter { status($0).amount == phase }
            let taken = Set(others.map { status($0).number })
            let number = (0..<parties).first { !taken.contains($0) } ?? 0
            guard others.count + 1 == parties else {
                join(me, SeatStatus(.waiting, number: number, amount: phase))
                // Each watches those that came before it, and the one after it.
                if let last = others.last { ring(last) }
                return .early
            }
            set(Seats.seat(me), SeatStatus(.meeting, number: number, amount: phase))
            phase &+= 1
            return .last(number)
        }
    }

    /// Returns the status of one that passed or was refused; nil: it left before all had come, cancelled or late. One
    /// that was late breaks the barrier.
    func awaitOthers(
        _ me: SeatName, until deadline: Deadline, orEnd isEnded: () -> Bool = { false }
    ) -> SeatStatus? {
        let seat = Seats.seat(me)
        let mine = status(seat).amount
        let found = sleep(me, until: deadline, orEnd: isEnded) {
            guard mine == phase else { return false }
            if !isEnded() { breakUp(but: seat) }
            return true
        }
        set(seat, SeatStatus(.idle))
        return found
    }

    // MARK: - Going

    /// The last one's action is done: all pass.
    func letGo(_ me: SeatName) {
        withLock(me) {
            let seat = Seats.seat(me)
            let mine = status(seat).amount
            set(seat, SeatStatus(.passing, amount: mine))
            pass(phase: mine)
            set(seat, SeatStatus(.idle))
        }
    }

    /// The last one's action failed: nobody passes.
    func disperse(_ me: SeatName) {
        withLock(me) {
            let seat = Seats.seat(me)
            breakUp()
            refuse(phase: status(seat).amount)
            set(seat, SeatStatus(.idle))
        }
    }

    func pass(phase: UInt32) {
        for seat in 0..<seats.count {
            let now = status(seat)
            guard now.stage == .waiting, now.amount == phase else { continue }
            serve(seat, SeatStatus(.served, number: now.number))
        }
    }

    // MARK: - Breaking

    /// Nobody passes any more until it is reset.
    func breakUp(but seat: Int? = nil) {
        isBroken = true
        refuse(phase: phase, but: seat)
    }

    /// The next phase is the first one again. Those of this one are stranded from the one store on.
    func beginAnew() {
        let old = phase
        phase &+= 1
        isBroken = false
        refuse(phase: old)
    }

    func refuse(phase: UInt32, but spared: Int? = nil) {
        for seat in 0..<seats.count where seat != spared {
            let now = status(seat)
            if now.stage == .waiting, now.amount == phase { refuse(seat) }
        }
    }

    func refuse(_ seat: Int) { serve(seat, SeatStatus(.refused)) }

    /// Whether it waits for what does not come: its barrier is broken, or its phase is over and nobody meets in it.
    func isStranded(_ seat: Int) -> Bool {
        let now = status(seat)
        guard now.stage == .waiting else { return false }
        if now.amount == phase { return isBroken }
        return !(0..<seats.count).contains { other in
            let leader = status(other)
            switch leader.stage {
            case .meeting, .passing: return leader.amount == now.amount
            case .idle, .waiting, .served, .refused: return false
            }
        }
    }
}
