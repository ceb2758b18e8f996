// Scenario+Locks.swift - SharedLock, SharedRLock and SharedSemaphore among processes.

import Glibc
import SpoolProcesses
import SpoolThreads

enum Scenario {
    static let all: [String: @Sendable () throws -> Void] = locks.merging(others) { $1 }

    static let locks: [String: @Sendable () throws -> Void] = [
        "rlock": rlock, "scoped": scoped, "dead-owner": deadOwner,
        "dead-rowner": deadRecursiveOwner,
        "ended-thread": endedThread, "many-dead": manyDead, "fork-holding": forkHolding,
        "stopped-owner": stoppedOwner, "semaphore": semaphore, "bounded": bounded,
        "semaphore-limits": semaphoreLimits, "dead-units": deadUnits, "dead-waiters": deadWaiters,
        "foreign-units": foreignUnits, "lock-crowd": lockCrowd,
    ]

    static func rlock() throws {
        let lock = try SharedRLock()
        try join([
            try Child.doing {
                for _ in 0..<3 { try lock.acquire() }
                try check(lock.recursionCount == 3, "three acquires")
                for _ in 0..<3 { lock.release() }
                try check(!lock.isOwned && !lock.locked, "as many releases free it")
            }
        ])
        try join([try Child.doing { lock.release() }], status: -SIGILL)
    }

    static func scoped() throws {
        let lock = try SharedLock()
        try lock.withLock { died in
            try check(!died && lock.locked && lock.isOwned, "held inside")
            try join([
                try Child.doing {
                    try check(!lock.isOwned, "a child does not hold what its parent holds")
                    try check(!lock.acquire(blocking: false), "a try of a held lock")
                    try check(!lock.acquire(timeout: .milliseconds(5)), "a limited acquire")
                }
            ])
        }
        do {
            try lock.withLock { _ in throw Wrong("the body's") }
        } catch let wrong as Wrong { try check(wrong.text == "the body's", wrong.text) }
        try check(!lock.locked, "free afterwards")
        try join([try Child.doing { try lock.withLock { _ in } }])
    }

    static func deadOwner() throws {
        let (lock, seen) = (try SharedLock(), Numbers(2))
        let owner = try holding(seen) { try lock.acquire() }
        let waiters = try (0..<4).map { _ in
            try Child.doing {
                seen.add(1)
                try lock.withLock { died in if died { seen.add(0, 100) } }
            }
        }
        try check(eventually { seen[1] == 4 }, "the waiters begin")
        try check(lock.locked, "held while its holder lives")
        try owner.killed()
        try join(waiters)
        try check(seen[0] == 101, "reported once, not \(seen[0] / 100) times")
        try lock.withLock { died in try check(!died, "reported to the next one only") }
    }

    static func deadRecursiveOwner() throws {
        let (lock, seen) = (try SharedRLock(), Numbers(1))
        try holding(seen) { for _ in 0..<3 { try lock.acquire() } }.killed()
        try check(!lock.locked, "nobody living holds it")
        try lock.acquire()
        try check(lock.previousOwnerDied && lock.recursionCount == 1, "the next one is told")
        try lock.acquire()
        try check(lock.previousOwnerDied && lock.recursionCount == 2, "as long as it holds it")
        lock.release()
        lock.release()
        try lock.withLock { died in try check(!died, "and nobody after it") }
    }

    /// A thread of the same process counts as dead when it ends with the lock.
    static func endedThread() throws {
        try join([
            try Child.doing {
                let lock = try SharedLock()
                let thread = Thread { try lock.acquire() }
                try thread.start()
                try thread.join()
                try lock.withLock { died in try check(died, "a thread that ended with the lock") }
            }
        ])
    }

    /// More die than there are seats: each heir settles what its seat's last holder left.
    static func manyDead() throws {
        let (lock, units) = (try SharedLock(), try SharedSemaphore(1))
        for round in 0..<40 {
            let seen = Numbers(1)
            let child = try holding(seen) {
                try lock.acquire()
                try check(lock.previousOwnerDied == (round > 0), "round \(round) is told")
                try check(units.acquire(timeout: patience), "the unit of the dead comes back")
            }
            try child.killed()
        }
        try lock.withLock { died in try check(died, "the last one died too") }
        try check(units.acquire(timeout: patience) && units.value == 0, "one unit, as at first")
    }

    static func forkHolding() throws {
        let (lock, seen) = (try SharedLock(), Numbers(1))
        try lock.acquire()
        let child = try Child.doing {
            try check(!lock.acquire(timeout: .milliseconds(1)), "the parent holds it")
            seen.add(0)
            try lock.withLock { died in try check(!died, "the parent gave it back") }
        }
        try check(eventually { seen[0] == 1 }, "the child waits")
        lock.release()
        try join([child])
        try lock.withLock { died in try check(!died, "a child that ended held nothing") }
    }

    static func stoppedOwner() throws {
        let (lock, seen) = (try SharedLock(), Numbers(1))
        let owner = try holding(seen) { try lock.acquire() }
        owner.stop()
        try check(!lock.acquire(timeout: .milliseconds(300)), "a stopped holder keeps the lock")
        owner.goOn()
        try owner.killed()
        try lock.withLock { died in try check(died, "until it dies") }
    }

    static func lockCrowd() throws {
        let (lock, seen) = (try SharedLock(), Numbers(1))
        let crowd = try (0..<6).map { _ in
            try Child.doing {
                for _ in 0..<2000 { try lock.withLock { _ in seen[0] = seen[0] + 1 } }
            }
        }
        try join(crowd)
        try check(seen[0] == 12_000, "6 times 2000 is not \(seen[0])")
    }

    // MARK: - Semaphores

    static func semaphore() throws {
        let units = try SharedSemaphore(2)
        try units.acquire()
        try check(units.value == 1, "1 left")
        try units.acquire()
        try check(try units.value == 0 && !units.acquire(blocking: false), "none left")
        try join([try Child.doing { try check(!units.acquire(blocking: false), "nor there") }])
        try units.release()
        try units.release()
        try units.release(2)
        try check(units.value == 4, "also above the start")
        try join([try Child.doing { try check(units.value == 4, "seen by others") }])
    }

    static func bounded() throws {
        let units = try SharedBoundedSemaphore(2)
        try units.acquire()
        try units.acquire()
        try units.release(2)
        try join([try Child.doing { try units.release() }], status: -SIGILL)
        try check(units.value == 2, "as at first")
    }

    static func semaphoreLimits() throws {
        let units = try SharedSemaphore(0)
        try check(!units.acquire(timeout: .zero), "0 only looks")
        let deadline = Deadline(after: .milliseconds(20))
        try check(!units.acquire(timeout: .milliseconds(20)) && deadline.isPast, "after the limit")
        let waiter = try Child.doing {
            try check(units.acquire(timeout: Deadline.longestTimeout), "the longest limit")
        }
        try check(eventually { units.waiting == 1 }, "it waits")
        try units.release()
        try join([waiter])
    }

    static func deadUnits() throws {
        let (units, seen) = (try SharedSemaphore(3), Numbers(1))
        let holder = try holding(seen) { for _ in 0..<3 { try units.acquire() } }
        let waiters = try (0..<3).map { _ in
            try Child.doing {
                try units.acquire()
                seen.add(0)
                try check(eventually { seen[0] == 4 }, "all three at once")
                try units.release()
            }
        }
        try check(eventually { units.waiting == 3 } && units.value == 0, "three wait")
        try holder.killed()
        try join(waiters)
        try check(units.value == 3, "all units are back, not \(units.value)")
    }

    /// Those that were killed in line get no unit.
    static func deadWaiters() throws {
        let units = try SharedSemaphore(0)
        let dead = try (0..<3).map { _ in try Child.doing { try units.acquire() } }
        try check(eventually { units.waiting == 3 }, "three wait")
        for child in dead { try child.killed() }
        let waiter = try Child.doing { try units.acquire() }
        try check(eventually { units.waiting == 1 }, "one waits")
        try units.release()
        try join([waiter])
    }

    /// What another process gives back is a new unit; the taker's comes back when it dies.
    static func foreignUnits() throws {
        let (units, seen) = (try SharedSemaphore(1), Numbers(1))
        let holder = try holding(seen) { try units.acquire() }
        try units.release()
        try check(units.value == 1, "one unit more")
        try holder.killed()
        try check(units.acquire(timeout: patience), "the new one")
        try check(units.acquire(timeout: patience), "the dead one's")
    }

    /// A child that did something, said so by `seen[0]`, and now sleeps until it is killed.
    static func holding(_ seen: Numbers, _ body: @escaping () throws -> Void) throws -> Child {
        let child = try Child.doing {
            try body()
            seen.add(0)
            while true { pause() }
        }
        try check(eventually { seen[0] == 1 }, "the child does its part")
        return child
    }
}
