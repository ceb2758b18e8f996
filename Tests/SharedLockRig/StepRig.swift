// StepRig.swift - kills a process after each instruction of one operation, and looks whether the thing still works.

import CSingleStep
import CSpool
import Dice
import Glibc
import SpoolProcesses
import SpoolThreads

/// One operation that is stepped through, and what must hold when it was cut off anywhere.
struct Cut {
    /// Before it: children that wait, and so on.
    var prepare: () throws -> [Child] = { [] }
    let operation: () throws -> Void
    /// Afterwards, by the parent: it must still work, and the children must come to their end.
    let verify: () throws -> Void
}

struct StepRig {
    let kind: String

    /// Cuts at every instruction if there are not more than `limit`, else at so many, evenly.
    func strike(_ limit: Int, seed: UInt64) throws -> String {
        guard let make = Self.cuts[kind] else { throw Wrong("no operation \(kind)") }
        let cut = try make()
        // Once in the parent: functions that are found at their first call are then found in the children.
        let others = try cut.prepare()
        try cut.operation()
        try cut.verify()
        try join(others)
        let total = try run(cut, steps: .max)
        var dice = Dice(seed: seed)
        var count = 0
        let stride = max(1, total / max(1, limit))
        for place in Swift.stride(from: 0, to: total, by: stride) {
            let steps = place + Int.random(in: 0..<stride, using: &dice)
            do {
                _ = try run(cut, steps: steps)
            } catch {
                let text = (error as? Wrong)?.text ?? "\(error)"
                throw Wrong("\(kind), cut after \(steps) of \(total) instructions: \(text)")
            }
            count += 1
        }
        return "\(kind): cut at \(count) of \(total) instructions, seed \(seed): 0 hangs."
    }

    private func run(_ cut: Cut, steps: Int) throws -> Int {
        let others = try cut.prepare()
        defer { for other in others { other.kill() } }
        let memory = try SharedMemory.make(bytes: 4096)
        let thread = memory.base.assumingMemoryBound(to: Int.self)
        let child = try Child.doing {
            single_step_begin(thread)
            try cut.operation()
            single_step_end()
        }
        try check(eventually { thread.pointee != 0 }, "the child begins")
        let done = single_step_run(Int32(thread.pointee), steps)
        try check(done >= 0, "stepping: \(SpoolError.reason(Int32(-done)))")
        child.kill()
        single_step_forget(Int32(thread.pointee))
        try check(try child.end() == -SIGKILL, "the child ended by itself")
        try cut.verify()
        try join(others)
        return done
    }

    // MARK: - Operations

    private static let soon = Duration.seconds(5)

    static let cuts: [String: @Sendable () throws -> Cut] = [
        "lock": lock, "semaphore": { semaphore(try SharedSemaphore(2)) },
        "event": { event(try SharedEvent()) },
        "condition": {
            let lock = try SharedRLock()
            return condition(try SharedCondition(lock)) {
                guard try lock.acquire(timeout: soon) else { return false }
                lock.release()
                return true
            }
        },
        "barrier": { barrier(try SharedBarrier(2)) }, "naive-lock": naiveLock,
        "naive-semaphore": { semaphore(NaiveSemaphore(2)) }, "naive-event": { event(NaiveEvent()) },
        "naive-condition": { condition(NaiveTurns()) { true } },
        "naive-barrier": { barrier(NaiveBarrier(2)) },
    ]

    static func naiveLock() -> Cut {
        let lock = NaiveLock()
        return Cut {
            var dice = Dice(seed: 1)
            _ = lock.enter(&dice)
            for _ in 0..<100 { spool_relax() }
            lock.leave()
        } verify: {
            var dice = Dice(seed: 1)
            try check(lock.enter(&dice).isMine, "the lock is gone")
            lock.leave()
        }
    }

    static func lock() throws -> Cut {
        let (lock, inside) = (try SharedLock(), Numbers(1))
        return Cut {
            try lock.withLock { _ in
                inside[0] = 1
                inside[0] = 0
            }
        } verify: {
            try check(lock.acquire(timeout: soon), "the lock is gone")
            try check(inside[0] == 0 || lock.previousOwnerDied, "a death inside was not told")
            inside[0] = 0
            lock.release()
            try lock.withLock { died in try check(!died, "a death was told twice") }
        }
    }

    static func semaphore(_ units: any RigUnits) -> Cut {
        return Cut {
            // One waits for what comes back.
            [
                try Child.doing {
                    for _ in 0..<3 {
                        try check(try units.take(soon), "no unit for one that waits")
                        try units.give()
                    }
                }
            ]
        } operation: {
            for _ in 0..<2 { try check(try units.take(nil), "no unit") }
            for _ in 0..<2 { try units.give() }
        } verify: {
            for _ in 0..<2 { try check(try units.take(soon), "a unit is gone") }
            try check(try !units.take(.zero), "there is one unit too many")
            for _ in 0..<2 { try units.give() }
        }
    }

    static func event(_ event: any RigEvent) -> Cut {
        Cut {
            try event.lower()
            return try waiting(2, on: { event.waiting }) { _ = try event.look(nil) }
        } operation: {
            try event.raise()
            try event.lower()
        } verify: {
            try event.raise()
        }
    }

    static func condition(
        _ turns: any RigTurns, isFree: @escaping () throws -> Bool
    ) -> Cut {
        Cut {
            try waiting(2, on: { turns.waiting }) { try turns.inside { _ in try turns.lookOnce() } }
        } operation: {
            try turns.inside { _ in try turns.tellOne() }
        } verify: {
            try check(try isFree(), "the lock is gone")
            try turns.inside { _ in try turns.tellAll() }
        }
    }

    /// The last party is cut off: the other one passes, or it is broken for it; or the last one never came.
    static func barrier(_ barrier: any RigBarrier) -> Cut {
        Cut {
            try barrier.reset()
            return try waiting(1, on: { barrier.nWaiting }) {
                do { _ = try barrier.meet() } catch SpoolError.brokenBarrier {}
            }
        } operation: {
            _ = try barrier.meet()
        } verify: {
            // It may have been cut off before it came: then the other one is let go by this.
            try barrier.letGo()
        }
    }

    private static func waiting(
        _ count: Int, on waiting: () -> Int, _ body: @escaping () throws -> Void
    ) throws -> [Child] {
        let children = try (0..<count).map { _ in try Child.doing(body) }
        try check(eventually { waiting() == count }, "\(count) wait, not \(waiting())")
        return children
    }
}
