// SharedUnits.swift - the moves of a shared semaphore's units. See SharedSemaphore for what holds.

private import CSpool
internal import SpoolThreads
private import Synchronization

/// What a semaphore does when somebody died.
enum Units {
    static let rules = SharedRules(
        kind: 0x5350_4F4F_4C53_3101,
        repair: { place in
            place.reckon()
            place.handOut()
            place.ringServed()
        },
        settle: { place, seat in
            place.set(seat, SeatStatus(.idle))
            place.reckon()
            place.handOut()
        },
        concerns: { $0.amount > 0 }, holdsAmount: true,
        retire: { place, name in place.bequeath(name) })
}

extension SharedMonitor {
    /// Units there are, held or free.
    var total: Int {
        get { number(0) }
        nonmutating set { setNumber(0, newValue) }
    }

    /// Units that nobody holds. Below 0 for the moment in which a dead one's units are given out.
    var free: Int {
        get { number(1) }
        nonmutating set { setNumber(1, newValue) }
    }

    func takeUnit(
        _ me: SeatName, until deadline: Deadline, orEnd isEnded: () -> Bool = { false }
    ) -> Bool {
        let seat = Seats.seat(me)
        let isTaken = withLock(me) {
            let held = status(seat).amount
            guard free <= 0 else {
                set(seat, SeatStatus(.idle, amount: held + 1))
                free -= 1
                return true
            }
            join(me, SeatStatus(.waiting, amount: held))
            return false
        }
        if isTaken { return true }
        guard sleep(me, until: deadline, orEnd: isEnded) != nil else { return false }
        withLock(me) { set(seat, SeatStatus(.idle, amount: status(seat).amount)) }
        return true
    }

    /// Returns whether a bound refused it; then nothing has changed.
    func giveUnits(_ count: Int, _ me: SeatName) -> Bool {
        withLock(me) {
            guard count <= Int(seats.parameter(0)) - free else { return true }
            var new = count
            while new > 0, let holder = holder(nearest: Seats.seat(me)) {
                let before = status(holder)
                set(holder, SeatStatus(before.stage, amount: before.amount - 1))
                free += 1
                new -= 1
            }
            guard new <= Int(seats.parameter(0)) - total else { return true }
            total += new
            free += new
            handOut()
            return false
        }
    }

    /// A thread ends: its units stay with its process. When the handle is gone nobody can give them back: so they come
    /// back by themselves.
    func bequeath(_ me: SeatName) {
        let bench = seats.bench
        let isDone = withLock(me) {
            // From here on nobody hands units on to this seat.
            seats.token(Seats.seat(me)).pointee.store(0, ordering: .releasing)
            return status(Seats.seat(me)).amount == 0 || handOn(me, isLast: bench.isClosed)
        }
        if isDone { return }
        // A thread that sits for tasks keeps them.
        // Without memory for a thread they come back too early: better than never.
        guard let keeper = try? bench.take(seats) else {
            return withLock(me) { _ = handOn(me, isLast: true) }
        }
        withLock(me) { _ = handOn(me, isLast: bench.isClosed) }
        bench.giveBack(keeper)
    }

    /// To another seat of the process, or to nobody; false when there is no other seat. Who dies between the two stores
    /// takes its process along: then both seats are settled.
    private func handOn(_ me: SeatName, isLast: Bool) -> Bool {
        let (seat, token) = (Seats.seat(me), spool_process_token())
        let others = (0..<seats.count).filter {
            $0 != seat && !seats.isDead(seat: $0)
                && seats.token($0).pointee.load(ordering: .acquiring) == token
        }
        guard isLast || !others.isEmpty else { return false }
        if !isLast, let heir = others.first {
            var status = status(heir)
            status.amount += self.status(seat).amount
            set(heir, status)
        }
        set(seat, SeatStatus(.idle))
        reckon()
        handOut()
        return true
    }

    /// Whose unit a thread gives back: its own, or that of another thread of its process.
    private func holder(nearest seat: Int) -> Int? {
        if status(seat).amount > 0 { return seat }
        let token = spool_process_token()
        return (0..<seats.count).first {
            status($0).amount > 0
                && seats.token($0).pointee.load(ordering: .acquiring) == token
        }
    }

    func reckon() {
        free = total - (0..<seats.count).reduce(0) { $0 + Int(status($1).amount) }
    }

    /// Gives free units to those who wait first.
    func handOut() {
        while free > 0, let seat = firstWaiter() {
            serve(seat, SeatStatus(.served, amount: status(seat).amount + 1))
            free -= 1
        }
    }

    private func number(_ index: Int) -> Int {
        Int(bitPattern: UInt(seats.state(index).pointee.load(ordering: .relaxed)))
    }

    private func setNumber(_ index: Int, _ value: Int) {
        seats.state(index).pointee.store(UInt64(UInt(bitPattern: value)), ordering: .relaxed)
    }
}
