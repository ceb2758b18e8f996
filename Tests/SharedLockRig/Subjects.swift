// Subjects.swift - what the rig kills: each kind of shared thing, and two that are made wrong on purpose.

import CSpool
import Dice
import Glibc
import SpoolProcesses
import SpoolThreads
import Synchronization

enum Subjects {
    static let all: [String: @Sendable () throws -> any Subject] = [
        "lock": { LockSubject(lock: try SharedLock()) },
        "rlock": { LockSubject(lock: try SharedRLock()) },
        "naive-lock": { LockSubject(lock: NaiveLock()) },
        "robbing-lock": { LockSubject(lock: RobbingLock()) },
        "semaphore": { UnitsSubject(units: try SharedSemaphore(2)) },
        "naive-semaphore": { UnitsSubject(units: NaiveSemaphore(2)) },
        "naive-event": { EventSubject(event: NaiveEvent()) },
        "naive-condition": { TurnSubject(turns: NaiveTurns()) },
        "naive-barrier": { BarrierSubject(barrier: NaiveBarrier(3)) },
        "event": { EventSubject(event: try SharedEvent()) },
        "condition": { TurnSubject(turns: try SharedCondition()) },
        "barrier": { BarrierSubject(barrier: try SharedBarrier(3)) },
    ]
}

// MARK: - Locks

protocol RigLock {
    func enter(_ dice: inout Dice) throws -> (isMine: Bool, ownerDied: Bool)
    func leave()
}

extension SharedLock: RigLock {
    func enter(_ dice: inout Dice) throws -> (isMine: Bool, ownerDied: Bool) {
        let limits: [Duration?] = [nil, nil, .zero, dice.time(below: .microseconds(200))]
        let isMine = try acquire(timeout: limits.randomElement(using: &dice) ?? nil)
        return (isMine, previousOwnerDied)
    }
    func leave() { release() }
}

extension SharedRLock: RigLock {
    func enter(_ dice: inout Dice) throws -> (isMine: Bool, ownerDied: Bool) {
        let isMine = try acquire(timeout: dice.next() % 4 == 0 ? .microseconds(50) : nil)
        if isMine {
            try acquire()
            release()
        }
        return (isMine, previousOwnerDied)
    }
    func leave() { release() }
}

/// A lock that does not look whether its holder lives.
struct NaiveLock: RigLock {
    let word = Numbers(1)
    func enter(_ dice: inout Dice) -> (isMine: Bool, ownerDied: Bool) {
        let deadline = Deadline(after: .milliseconds(400))
        while word.swap(0, 1) != 0 {
            if deadline.isPast { return (false, false) }
            Pause.briefly(upTo: .microseconds(50))
        }
        return (true, false)
    }
    func leave() { word[0] = 0 }
}

/// A lock that takes a holder that takes its time for dead.
struct RobbingLock: RigLock {
    let word = Numbers(1)
    func enter(_ dice: inout Dice) -> (isMine: Bool, ownerDied: Bool) {
        for _ in 0..<50 {
            if word.swap(0, 1) == 0 { return (true, false) }
            Pause.briefly(upTo: .microseconds(2))
        }
        return (true, true)
    }
    func leave() { word[0] = 0 }
}

/// One holder at a time; a death inside is told to the next one.
struct LockSubject: Subject {
    let lock: any RigLock
    /// 0 who is inside (its pid); 1 and 2 are equal outside; 3 told deaths, 4 steps.
    private let seen = Numbers(5)
    let victims = 1...3

    init(lock: any RigLock) { self.lock = lock }

    func step(_ child: Int, _ dice: inout Dice) throws {
        let (isMine, ownerDied) = try lock.enter(&dice)
        guard isMine else { return }
        try inspect(ownerDied)
        seen[0] = Int(getpid())
        seen[1] += 1
        for _ in 0..<dice.next() % 200 { spool_relax() }
        try check(seen[0] == Int(getpid()), "two were inside")
        seen[2] = seen[1]
        seen[0] = 0
        seen.add(4)
        lock.leave()
    }

    /// What the one before left.
    private func inspect(_ ownerDied: Bool) throws {
        let before = seen[0]
        try check(before == 0 || ownerDied, "\(before) was inside and did not die, or nobody told")
        try check(before == 0 || Doomed.contains(before), "\(before) was inside, and lives")
        try check(seen[1] == seen[2] || ownerDied, "half done, and nobody told")
        if ownerDied {
            seen[2] = seen[1]
            seen.add(3)
        }
    }

    func verify(within limit: Duration) throws {
        var dice = Dice(seed: 1)
        let deadline = Deadline(after: limit)
        while true {
            let (isMine, ownerDied) = try lock.enter(&dice)
            if isMine {
                try inspect(ownerDied)
                seen[0] = 0
                return lock.leave()
            }
            try check(!deadline.isPast, "it cannot be taken any more")
        }
    }

    var summary: String { "\(seen[4]) times inside, \(seen[3]) deaths inside were told." }
}

// MARK: - Semaphores

protocol RigUnits {
    func take(_ limit: Duration?) throws -> Bool
    func give() throws
    var free: Int { get }
}

extension SharedSemaphore: RigUnits {
    func take(_ limit: Duration?) throws -> Bool { try acquire(timeout: limit) }
    func give() throws { try release() }
    var free: Int { value }
}

/// A number that forgets who took what, as POSIX semaphores do.
struct NaiveSemaphore: RigUnits {
    private let number = Numbers(1)
    init(_ value: Int) { number[0] = value }

    func take(_ limit: Duration?) -> Bool {
        let deadline = Deadline(after: limit)
        while number.add(0, -1) < 0 {
            number.add(0)
            if deadline.isPast { return false }
            Pause.briefly(upTo: .microseconds(50))
        }
        return true
    }
    func give() { number.add(0) }
    var free: Int { number[0] }
}

/// Two units: never more inside, and both there when all are dead.
struct UnitsSubject: Subject {
    let units: any RigUnits
    /// 0 and 1: who is inside (its pid); 2 units used.
    private let inside = Numbers(3)
    let victims = 1...3

    init(units: any RigUnits) { self.units = units }

    func step(_ child: Int, _ dice: inout Dice) throws {
        let limit: Duration? = dice.next() % 3 == 0 ? .microseconds(100) : nil
        guard try units.take(limit) else { return }
        guard let place = (0...1).first(where: enter) else {
            throw Wrong("\(inside[0]) and \(inside[1]) are inside, and a third one")
        }
        for _ in 0..<dice.next() % 200 { spool_relax() }
        inside[place] = 0
        inside.add(2)
        try units.give()
    }

    /// Takes a place that is free, or whose holder is dead.
    private func enter(_ place: Int) -> Bool {
        let before = inside[place]
        let isFree = before == 0 || Doomed.contains(before)
        return isFree && inside.replace(place, before, by: Int(getpid()))
    }

    func verify(within limit: Duration) throws {
        for number in 1...2 {
            try check(try units.take(limit), "unit \(number) did not come back")
        }
        try check(try !units.take(.zero), "there are more units than at first")
        try units.give()
        try units.give()
        (inside[0], inside[1]) = (0, 0)
        try check(units.free == 2, "there are \(units.free) units, not 2")
    }

    var summary: String { "\(inside[2]) units used." }
}

// MARK: - Events, conditions, barriers

/// Even children set and clear, odd ones wait.
struct EventSubject: Subject {
    let event: any RigEvent
    private let seen = Numbers(1)
    let victims = 1...3

    init(event: any RigEvent) { self.event = event }

    func step(_ child: Int, _ dice: inout Dice) throws {
        if child % 2 == 0 {
            try event.raise()
            try event.lower()
        } else if try event.look(dice.next() % 4 == 0 ? .microseconds(100) : nil) {
            seen.add(0)
        }
    }

    func verify(within limit: Duration) throws {
        try event.raise()
        try check(try event.isSet && event.look(.zero), "it is not set")
        try event.lower()
        try check(try event.waiting == 0 && !event.look(.zero), "a dead one waits")
    }

    var summary: String { "\(seen[0]) waits ended." }
}

/// Each waits until another one had its turn.
struct TurnSubject: Subject {
    let turns: any RigTurns
    /// 0 the turn, 1 told deaths.
    private let seen = Numbers(2)
    let victims = 1...2

    init(turns: any RigTurns) { self.turns = turns }

    func step(_ child: Int, _ dice: inout Dice) throws {
        let limit: Duration? = dice.next() % 8 == 0 ? .microseconds(100) : nil
        try turns.inside { died in
            if died { seen.add(1) }
            let mine = seen.add(0)
            try turns.tellAll()
            try turns.look(limit) { seen[0] != mine }
        }
    }

    func verify(within limit: Duration) throws {
        var waiting = 0
        try turns.inside { _ in waiting = turns.waiting }
        try check(waiting == 0, "a dead one waits")
    }

    var summary: String { "\(seen[0]) turns, \(seen[1]) deaths with the lock were told." }
}

/// Three of four meet, again and again; whoever breaks it by dying, somebody makes it as new.
struct BarrierSubject: Subject {
    let barrier: any RigBarrier
    /// 0 meetings, 1 breaks.
    private let seen = Numbers(2)
    let victims = 1...1

    init(barrier: any RigBarrier) { self.barrier = barrier }

    func step(_ child: Int, _ dice: inout Dice) throws {
        do {
            if try barrier.meet() == 0 { seen.add(0) }
        } catch SpoolError.brokenBarrier {
            seen.add(1)
            try barrier.reset()
        }
    }

    func verify(within limit: Duration) throws {
        try barrier.reset()
        try check(!barrier.broken && barrier.nWaiting == 0, "a dead one waits")
    }

    var summary: String { "\(seen[0]) meetings, \(seen[1]) times broken by a death." }
}
