// RecordQueue+Waiting.swift - the verbs that wait, for threads: look, count oneself among the sleepers, sleep.
//
// A sleep in shared memory is never longer than until the next look for deaths (RecordQueue+Members.swift): a process
// that was woken may die before it looks, and nobody else knows that it was woken.

private import CSpool
internal import SpoolThreads
internal import Synchronization

extension RecordQueue {
    /// Puts a record, waiting while there is no room.
    func put(_ bytes: UnsafeRawBufferPointer, timeout: Duration?) throws(SpoolError) {
        try check(timeout)
        var sleep = Sleep()
        if try tryPut(bytes, &sleep, enlists: false) { return }
        let isPut = try wait(.freed, timeout) { (sleep, enlists) throws(SpoolError) in
            try tryPut(bytes, &sleep, enlists: enlists) ? true : nil
        }
        guard isPut != nil else { throw .full }
    }

    /// Takes the next record, waiting while there is none.
    func get(timeout: Duration?) throws(SpoolError) -> HeldRecord {
        try check(timeout)
        var sleep = Sleep()
        var taken = try tryGet(&sleep, enlists: false)
        if taken == nil, timeout != .zero {
            spin { hint.pointee.load(ordering: .relaxed) > 0 }
        }
        if taken == nil {
            taken = try wait(.arrived, timeout) { (sleep, enlists) throws(SpoolError) in
                try tryGet(&sleep, enlists: enlists)
            }
        }
        guard let taken else { throw .empty }
        if taken.isTimeToLook { lookNowAndThen() }
        return taken
    }

    /// Waits until everything is finished. False: the time was up before.
    func join(timeout: Duration?) throws(SpoolError) -> Bool {
        try check(timeout)
        var sleep = Sleep()
        if try trySettled(&sleep, enlists: false) { return true }
        return try wait(.settled, timeout) { (sleep, enlists) throws(SpoolError) in
            try trySettled(&sleep, enlists: enlists) ? true : nil
        } ?? false
    }

    func check(_ timeout: Duration?) throws(SpoolError) {
        if let timeout, timeout < .zero { throw .badInput("a timeout cannot be negative.") }
    }

    /// Looks and sleeps in turn until `look` finds something; looks a last time when the time is up.
    private func wait<Value>(
        _ event: QueueEvent, _ timeout: Duration?,
        _ look: (inout Sleep, Bool) throws(SpoolError) -> Value?
    ) throws(SpoolError) -> Value? {
        var sleep = Sleep()
        guard timeout != .zero else {
            return lookNowAndThen() ? try look(&sleep, false) : nil
        }
        waiting.add(1, event)
        defer { waiting.add(-1, event) }
        let deadline = Deadline(after: timeout)
        var pace = self.pace
        while !deadline.isPast {
            if let value = try look(&sleep, true) { return value }
            doze(event, sleep, until: deadline, &pace)
        }
        return try look(&sleep, false)
    }

    /// Sleeps until an event, the deadline, or the next look for deaths, and looks then.
    func doze(
        _ event: QueueEvent, _ sleep: Sleep, until deadline: Deadline, _ pace: inout LookingPace
    ) {
        let next = min(deadline, Deadline(after: pace.interval))
        if count(event).wait(after: sleep.seen, until: next) { return }
        pace.hasLooked(othersHold: lookInTurn())
    }

    /// Items are there for moments only: a short look saves many a sleep and the wake-up of it.
    private func spin(until holds: () -> Bool) {
        for _ in 0..<Self.spins where !holds() { spool_relax() }
    }

    private static let spins = spool_usable_cores() > 1 ? 50 : 0

    /// Read without the lock.
    var hint: UnsafeMutablePointer<Atomic<UInt32>> {
        (memory.base + QueueLayout.hint).assumingMemoryBound(to: Atomic<UInt32>.self)
    }
}

/// How often a sleeper looks for deaths: often while others hold items, less and less often while nobody does.
struct LookingPace {
    /// At most so long while others hold items.
    let shortest: Duration
    /// At most so long while nobody does.
    let longest: Duration
    private(set) var interval: Duration

    init(shortest: Duration = .milliseconds(20), longest: Duration = .seconds(1)) {
        (self.shortest, self.longest) = (shortest, longest)
        interval = shortest
    }

    mutating func hasLooked(othersHold: Bool) {
        interval = othersHold ? shortest : min(interval * 2, longest)
    }
}
