// Scenario+Waiting.swift - SharedEvent, SharedCondition and SharedBarrier among processes.

import Glibc
import SpoolProcesses
import SpoolThreads

extension Scenario {
    static let others: [String: @Sendable () throws -> Void] = [
        "event": event, "event-dead": eventDead, "notify-all": notifyAll, "notify-n": notifyN,
        "condition-limit": conditionLimit, "wait-for": waitFor, "notify-dead": notifyDead,
        "condition-owner": conditionOwner, "barrier": barrier, "barrier-index": barrierIndex,
        "barrier-action": barrierAction, "barrier-reset": barrierReset,
        "barrier-abort": barrierAbort, "barrier-late": barrierLate,
        "barrier-limit": barrierLimit, "barrier-single": barrierSingle,
        "barrier-dead": barrierDead, "barrier-dead-action": barrierDeadAction,
    ]

    static func event() throws {
        let event = try SharedEvent()
        try check(!event.isSet && !event.wait(timeout: .zero), "clear at first")
        try check(!event.wait(timeout: .milliseconds(5)), "false after the limit")
        let waiters = try (0..<3).map { _ in try Child.doing { try event.wait() } }
        try check(eventually { event.waiting == 3 }, "three wait")
        try join([
            try Child.doing {
                try event.set()
                try event.clear()
            }
        ])
        try join(waiters)
        try check(!event.isSet && !event.wait(timeout: .zero), "clear again")
        try event.set()
        try join([try Child.doing { try check(event.wait(timeout: .zero), "set: at once") }])
    }

    static func eventDead() throws {
        let event = try SharedEvent()
        let dead = try (0..<2).map { _ in try Child.doing { try event.wait() } }
        let living = try (0..<2).map { _ in try Child.doing { try event.wait() } }
        try check(eventually { event.waiting == 4 }, "four wait")
        for child in dead { try child.killed() }
        try check(eventually { event.waiting == 2 }, "two live")
        try event.set()
        try join(living)
    }

    // MARK: - Conditions

    /// Children that wait on a condition, and count in `seen[0]` when they were notified.
    static func sleepers(
        _ count: Int, _ condition: SharedCondition, _ seen: Numbers, limit: Duration? = nil
    ) throws -> [Child] {
        let before = condition.waiting
        let children = try (0..<count).map { _ in
            try Child.doing {
                try condition.withLock { _ in
                    if try condition.wait(timeout: limit) { seen.add(0) } else { seen.add(1) }
                }
            }
        }
        if limit == nil {
            try check(eventually { condition.waiting == before + count }, "\(count) wait")
        }
        return children
    }

    static func notifyAll() throws {
        let (condition, seen) = (try SharedCondition(), Numbers(2))
        try join(sleepers(6, condition, seen, limit: .milliseconds(5)))
        try check(seen[0] == 0 && seen[1] == 6 && condition.waiting == 0, "six were late")
        let six = try sleepers(6, condition, seen)
        try condition.withLock { _ in try condition.notifyAll() }
        try join(six)
        try check(seen[0] == 6, "all were woken")
    }

    static func notifyN() throws {
        let (condition, seen) = (try SharedCondition(try SharedLock()), Numbers(2))
        let six = try sleepers(6, condition, seen)
        for (count, total) in [(2, 2), (0, 2), (4, 6), (3, 6)] {
            try condition.withLock { _ in try condition.notify(count) }
            try check(eventually { seen[0] >= total }, "\(total) woken")
            try check(seen[0] == total && condition.waiting == 6 - total, "not more")
        }
        try join(six)
        let late = try sleepers(1, condition, seen)
        try check(condition.waiting == 1 && seen[0] == 6, "a notification for nobody is gone")
        try condition.withLock { _ in try condition.notify() }
        try join(late)
    }

    static func conditionLimit() throws {
        let lock = try SharedRLock()
        let condition = try SharedCondition(lock)
        try lock.withLock { _ in
            try lock.withLock { _ in
                let deadline = Deadline(after: .milliseconds(10))
                let isNotified = try condition.wait(timeout: .milliseconds(10))
                try check(!isNotified && deadline.isPast, "false after the limit")
                try check(lock.recursionCount == 2, "it holds the lock as before")
            }
        }
        try check(!lock.locked, "free")
        let holds = try condition.withLock { _ in
            try condition.waitFor(timeout: .milliseconds(10)) { false }
        }
        try check(!holds, "a predicate that never holds")
    }

    static func waitFor() throws {
        let (condition, seen) = (try SharedCondition(), Numbers(1))
        let waiter = try Child.doing {
            _ = try condition.withLock { _ in try condition.waitFor { seen[0] == 4 } }
        }
        for value in 1...4 {
            try check(eventually { condition.waiting == 1 }, "it waits")
            try condition.withLock { _ in
                seen[0] = value
                try condition.notify()
            }
        }
        try join([waiter])
    }

    /// One that was killed in line gets no notification; one that dies with it passes it on.
    static func notifyDead() throws {
        let (condition, seen) = (try SharedCondition(), Numbers(2))
        let dead = try sleepers(2, condition, seen)
        let living = try sleepers(1, condition, seen)
        try dead[0].killed()
        dead[1].stop()
        try condition.withLock { _ in try condition.notify() }
        try dead[1].killed()
        try join(living)
        try check(seen[0] == 1 && condition.waiting == 0, "the living one was notified")
    }

    static func conditionOwner() throws {
        let (condition, seen) = (try SharedCondition(try SharedLock()), Numbers(2))
        let waiter = try Child.doing {
            try condition.withLock { _ in
                try condition.wait()
                try check(condition.previousOwnerDied, "the notifier died with the lock")
            }
        }
        try check(eventually { condition.waiting == 1 }, "it waits")
        try holding(seen) {
            try condition.acquire()
            try condition.notify()
        }.killed()
        try join([waiter])
    }

    // MARK: - Barriers

    static func barrier() throws {
        let (barrier, seen) = (try SharedBarrier(4), Numbers(1))
        let parties = try (0..<4).map { _ in
            try Child.doing {
                for phase in 1...10 {
                    seen.add(0)
                    try barrier.wait()
                    let now = seen[0]
                    try check(now >= 4 * phase && now < 4 * (phase + 1), "in step")
                    try barrier.wait()
                }
            }
        }
        try join(parties)
        try check(seen[0] == 40 && barrier.nWaiting == 0 && !barrier.broken, "all passed")
    }

    static func barrierIndex() throws {
        let (barrier, seen) = (try SharedBarrier(5), Numbers(5))
        try join((0..<5).map { _ in try Child.doing { seen.add(try barrier.wait()) } })
        try check((0..<5).allSatisfy { seen[$0] == 1 }, "each number once")
    }

    static func barrierAction() throws {
        let seen = Numbers(2)
        let barrier = try SharedBarrier(4) { seen.add(0) }
        try join(
            (0..<4).map { _ in
                try Child.doing {
                    for phase in 1...3 {
                        try barrier.wait()
                        try check(seen[0] >= phase, "the action ran before")
                        seen.add(1)
                        try check(eventually { seen[1] >= 4 * phase }, "all passed")
                    }
                }
            })
        try check(seen[0] == 3, "the action ran once for each phase")
    }

    /// Children that wait at a barrier, and end with 0 when it breaks.
    static func broken(_ count: Int, _ barrier: SharedBarrier) throws -> [Child] {
        let children = try (0..<count).map { _ in
            try Child.doing {
                do {
                    try barrier.wait()
                    throw Wrong("it passed")
                } catch SpoolError.brokenBarrier {}
            }
        }
        try check(eventually { barrier.nWaiting == count }, "\(count) wait")
        return children
    }

    static func passes(_ barrier: SharedBarrier) throws {
        try join((0..<barrier.parties).map { _ in try Child.doing { try barrier.wait() } })
    }

    static func barrierReset() throws {
        let barrier = try SharedBarrier(4)
        let waiting = try broken(3, barrier)
        try barrier.reset()
        try join(waiting)
        try check(!barrier.broken, "as new")
        try passes(barrier)
    }

    static func barrierAbort() throws {
        let barrier = try SharedBarrier(4)
        let waiting = try broken(3, barrier)
        try join([try Child.doing { try barrier.abort() }])
        try join(waiting)
        try check(barrier.broken, "it stays broken")
        do {
            try barrier.wait()
            throw Wrong("it passed")
        } catch SpoolError.brokenBarrier {}
        try barrier.reset()
        try passes(barrier)
    }

    static func barrierLate() throws {
        let barrier = try SharedBarrier(4)
        let waiting = try broken(2, barrier)
        do {
            try barrier.wait(timeout: .milliseconds(5))
            throw Wrong("it passed")
        } catch SpoolError.brokenBarrier {}
        try join(waiting)
        try check(barrier.broken, "for all")
    }

    static func barrierLimit() throws {
        let barrier = try SharedBarrier(2, timeout: .milliseconds(2))
        do {
            try barrier.wait()
            throw Wrong("it passed")
        } catch SpoolError.brokenBarrier {}
    }

    static func barrierSingle() throws {
        let barrier = try SharedBarrier(1)
        for _ in 0..<3 { try check(try barrier.wait() == 0, "it never waits") }
    }

    static func barrierDead() throws {
        for victim in 0..<3 {
            let barrier = try SharedBarrier(4)
            var waiting = try broken(3, barrier)
            try waiting.remove(at: victim).killed()
            try join(waiting)
            try check(barrier.broken, "broken for who comes now")
            try barrier.reset()
            try passes(barrier)
        }
    }

    static func barrierDeadAction() throws {
        let seen = Numbers(1)
        let barrier = try SharedBarrier(3) {
            seen.add(0)
            while seen[0] < 2 { pause() }
        }
        let waiting = try broken(2, barrier)
        let last = try Child.doing { try barrier.wait() }
        try check(eventually { seen[0] == 1 }, "the action runs")
        try last.killed()
        try join(waiting)
        seen[0] = 2
        try barrier.reset()
        try passes(barrier)
    }
}
