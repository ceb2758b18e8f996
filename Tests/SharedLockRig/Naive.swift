// Naive.swift - an event, a condition and a barrier made wrong on purpose: each forgets that its users may die.

import CSpool
import Dice
import SpoolProcesses
import SpoolThreads

protocol RigEvent {
    func raise() throws
    func lower() throws
    func look(_ limit: Duration?) throws -> Bool
    var isSet: Bool { get }
    var waiting: Int { get }
}

protocol RigTurns {
    func inside(_ body: (_ ownerDied: Bool) throws -> Void) throws
    func tellOne() throws
    func tellAll() throws
    func look(_ limit: Duration?, _ holds: () -> Bool) throws
    func lookOnce() throws
    var waiting: Int { get }
}

protocol RigBarrier {
    func meet() throws -> Int
    func reset() throws(SpoolError)
    func letGo() throws
    var broken: Bool { get }
    var nWaiting: Int { get }
}

extension SharedEvent: RigEvent {
    func raise() throws { try set() }
    func lower() throws { try clear() }
    func look(_ limit: Duration?) throws -> Bool { try wait(timeout: limit) }
}

extension SharedCondition: RigTurns {
    func inside(_ body: (_ ownerDied: Bool) throws -> Void) throws { try withLock(body) }
    func tellOne() throws { try notify() }
    func tellAll() throws { try notifyAll() }
    func look(_ limit: Duration?, _ holds: () -> Bool) throws {
        try waitFor(timeout: limit) { holds() }
    }
    func lookOnce() throws { _ = try wait() }
}

extension SharedBarrier: RigBarrier {
    func meet() throws -> Int { try wait() }
    func letGo() throws { try abort() }
}

/// The lock of the naive ones: nobody looks whether its holder lives.
private struct Door {
    private let lock = NaiveLock()

    func withLock<Value>(_ body: () throws -> Value) throws -> Value {
        var dice = Dice(seed: 1)
        try check(lock.enter(&dice).isMine, "the lock is gone: they hang")
        defer { lock.leave() }
        // Long enough to die in.
        for _ in 0..<100 { spool_relax() }
        return try body()
    }
}

private func lookFor(_ limit: Duration?, _ holds: () throws -> Bool) throws -> Bool {
    // Longer than others may keep the processor from who is awaited.
    let deadline = Deadline(after: limit ?? .seconds(8))
    while try !holds() {
        guard !deadline.isPast else {
            try check(limit != nil, "it never comes: they hang")
            return false
        }
        Pause.briefly(upTo: .microseconds(50))
    }
    return true
}

/// Its flag stands behind a lock that the dead keep.
struct NaiveEvent: RigEvent {
    /// 0 the flag, 1 how often it was set, 2 those that wait.
    private let seen = Numbers(3)
    private let door = Door()

    func raise() throws {
        try door.withLock {
            seen[0] = 1
            seen.add(1)
        }
    }
    func lower() throws { try door.withLock { seen[0] = 0 } }
    func look(_ limit: Duration?) throws -> Bool {
        let before = seen[1]
        seen.add(2)
        defer { seen.add(2, -1) }
        return try lookFor(limit) { seen[0] == 1 || seen[1] != before }
    }
    var isSet: Bool { seen[0] == 1 }
    var waiting: Int { seen[2] }
}

/// Its lock stays with the dead, and so does a notification.
struct NaiveTurns: RigTurns {
    /// 0 notifications given, 1 taken, 2 those that ever waited and did not give up.
    private let seen = Numbers(3)
    private let lock = NaiveLock()

    private func enter() throws {
        var dice = Dice(seed: 1)
        try check(lock.enter(&dice).isMine, "the lock is gone: they hang")
    }
    func inside(_ body: (_ ownerDied: Bool) throws -> Void) throws {
        try enter()
        defer { lock.leave() }
        for _ in 0..<100 { spool_relax() }
        try body(false)
    }
    func tellOne() { if seen[0] < seen[2] { seen.add(0) } }
    func tellAll() { seen.add(0, max(0, seen[2] - seen[0])) }
    func lookOnce() throws { _ = try once(nil) }
    func look(_ limit: Duration?, _ holds: () -> Bool) throws {
        while !holds() { guard try once(limit) else { return } }
    }
    private func once(_ limit: Duration?) throws -> Bool {
        seen.add(2)
        lock.leave()
        let isTold = try lookFor(limit) {
            let taken = seen[1]
            return taken < seen[0] && seen.replace(1, taken, by: taken + 1)
        }
        try enter()
        if !isTold { seen.add(2, -1) }
        return isTold
    }
    var waiting: Int { seen[2] - seen[1] }
}

/// The next meeting begins when all of the last one have left: the dead never do.
struct NaiveBarrier: RigBarrier {
    private let parties: Int
    /// 0 those that came, 1 those that left.
    private let seen = Numbers(2)
    private let door = Door()

    init(_ parties: Int) { self.parties = parties }

    func meet() throws -> Int {
        var place = -1
        _ = try lookFor(nil) {
            try door.withLock {
                guard seen[0] < parties else { return }
                place = seen[0]
                seen[0] += 1
            }
            return place >= 0
        }
        _ = try lookFor(nil) { seen[0] >= parties }
        try door.withLock {
            seen[1] += 1
            if seen[1] == parties { (seen[0], seen[1]) = (0, 0) }
        }
        return place
    }
    func reset() {}
    func letGo() throws {
        try door.withLock {
            // For whoever has not come.
            let missing = parties - seen[0]
            if seen[0] > 0, missing > 0 {
                seen.add(0, missing)
                seen.add(1, missing)
            }
        }
        try check(try lookFor(.seconds(1)) { seen[0] == 0 }, "they hang")
    }
    var broken: Bool { false }
    var nWaiting: Int { seen[0] }
}
