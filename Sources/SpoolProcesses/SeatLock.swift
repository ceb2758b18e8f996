// SeatLock.swift - a lock of one word of shared memory that survives the death of its holder.
//
// Invariants: the word says who holds the lock (SeatName, 0 nobody), whether it came from one that died (`died`, until
// the next release), and whether somebody may sleep on it (`waiters`). It is taken and given back by one atomic step
// each, so at every instant it has one holder or none. Who sleeps also watches the holder's life, so the kernel
// ends the sleep when the holder dies; and looks again after `longestNap`, because one that was woken may be killed
// before it does anything, and then nobody else was.

internal import SpoolThreads
internal import Synchronization

/// Views of one word; several over one word are the same lock.
struct SeatLock: @unchecked Sendable {  // a pointer to an atomic word
    static let died: UInt32 = 1 << 30
    static let waiters: UInt32 = 1 << 31
    /// The longest that a kill at the worst instant can hold others up.
    static let longestNap = Duration.milliseconds(100)

    let seats: Seats
    let word: SharedWord

    init(_ seats: Seats) {
        self.seats = seats
        word = seats.lockWord
    }

    /// Who holds it, 0 if nobody does: a hint, unless it is the caller.
    var holder: SeatName { word.pointee.load(ordering: .acquiring) & Seats.nameMask }

    /// For its holder: whether the one before died holding it.
    var isInherited: Bool { word.pointee.load(ordering: .relaxed) & Self.died != 0 }

    /// Takes it if it is free or its holder is dead.
    func tryAcquire(_ me: SeatName) -> Bool {
        let (isFree, _) = word.pointee.compareExchange(
            expected: 0, desired: me, ordering: .acquiring)
        return isFree || take(me, afterSleep: false)
    }

    /// Takes it, sleeping until the deadline at most, or until `isEnded` holds when the bell of `me` was rung.
    func acquire(
        _ me: SeatName, until deadline: Deadline = .never, orEnd isEnded: () -> Bool = { false }
    ) -> Bool {
        if tryAcquire(me) { return true }
        let bell = seats.bell(Seats.seat(me))
        var hasSlept = false
        while true {
            let rung = bell.pointee.load(ordering: .acquiring)
            if take(me, afterSleep: hasSlept) { return true }
            if deadline.isPast || isEnded() { break }
            sleep(bell, rung, until: deadline)
            hasSlept = true
        }
        // The wake-up that it does not use may have been the only one.
        if hasSlept { passOn() }
        return false
    }

    /// Gives it back. Only for its holder.
    func release(_ me: SeatName) {
        let before = word.pointee.exchange(0, ordering: .releasing)
        if before & Self.waiters != 0 { WordWatch.wake(word, sleepers: 1) }
    }

    /// Gives it back as one that died with it.
    func abandon(_ me: SeatName) {
        guard holder == me else { return }
        // Nobody sleeps on it that would not look again: the word changes, and all are woken.
        word.pointee.store(Self.died | Self.waiters, ordering: .releasing)
        WordWatch.wake(word)
    }

    private func take(_ me: SeatName, afterSleep: Bool) -> Bool {
        var seen = word.pointee.load(ordering: .acquiring)
        while true {
            let holder = seen & Seats.nameMask
            guard holder == 0 || seats.isDead(holder) else { return false }
            var wanted = seen & ~Seats.nameMask | me
            if holder != 0 { wanted |= Self.died }
            if afterSleep { wanted |= Self.waiters }
            let (isMine, now) = word.pointee.compareExchange(
                expected: seen, desired: wanted, ordering: .acquiring)
            if isMine { return true }
            seen = now
        }
    }

    private func sleep(_ bell: SharedWord, _ rung: UInt32, until deadline: Deadline) {
        let seen = word.pointee.load(ordering: .acquiring)
        let (holder, marked) = (seen & Seats.nameMask, seen | Self.waiters)
        guard holder != 0 else { return }
        if seen != marked {
            let (isMarked, _) = word.pointee.compareExchange(
                expected: seen, desired: marked, ordering: .acquiring)
            guard isMarked else { return }
        }
        var watch = WordWatch()
        watch.add(word, was: marked)
        watch.add(bell, was: rung)
        guard seats.watchLife(Seats.seat(holder), &watch) else { return }
        watch.sleep(until: min(deadline, Deadline(after: Self.longestNap)))
    }

    private func passOn() {
        let before = word.pointee.bitwiseOr(Self.waiters, ordering: .acquiringAndReleasing).oldValue
        if before & Seats.nameMask == 0 { WordWatch.wake(word, sleepers: 1) }
    }
}
