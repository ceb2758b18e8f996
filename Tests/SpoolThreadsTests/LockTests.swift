// LockTests.swift - what every lock does (cL), what a plain one does (cLN), and the same for tasks.

import SpoolThreads
import Testing

private struct Oops: Error {}

@Suite("A lock of any kind", .timeLimit(.minutes(10))) struct AnyLockTests {
    @Test("cL1, cL15: is made and dropped", arguments: LockKind.allCases)
    func make(_ kind: LockKind) throws {
        weak var dropped: AnyObject?
        do {
            let lock = try kind.make()
            dropped = lock as AnyObject
            #expect(!lock.locked)
        }
        #expect(dropped == nil)
    }

    @Test("cL5, cL6: acquire, then release; a try takes a free lock", arguments: LockKind.allCases)
    func take(_ kind: LockKind) throws {
        let lock = try kind.make()
        try lock.acquire()
        #expect(lock.locked)
        lock.release()
        #expect(try lock.acquire(blocking: false))
        lock.release()
        #expect(!lock.locked)
    }

    @Test(
        "cL7: a try of a lock that another thread holds fails at once", arguments: LockKind.allCases
    )
    func contendedTry(_ kind: LockKind) throws {
        let lock = try kind.make()
        let got = Tally()
        try lock.acquire()
        try Crew { _ in if try lock.acquire(blocking: false) { got.add() } }.join()
        #expect(got.value == 0)
        lock.release()
    }

    @Test(
        "cL8: five wait for a held lock; none passes before the release, then all, one by one",
        arguments: LockKind.allCases)
    func contended(_ kind: LockKind) throws {
        let lock = try kind.make()
        let (arrived, inside, passed) = (Tally(), Tally(), Tally())
        try lock.acquire()
        let crew = try Crew(5) { _ in
            arrived.add()
            try lock.acquire()
            inside.add()
            passed.add()
            inside.add(-1)
            lock.release()
        }
        #expect(eventually { arrived.value == 5 })
        #expect(passed.value == 0)
        lock.release()
        try crew.join()
        #expect(passed.value == 5 && inside.peak == 1)
    }

    @Test("cL9: withLock releases when its body returns or throws", arguments: LockKind.allCases)
    func scoped(_ kind: LockKind) throws {
        let lock = try kind.make()
        #expect(try lock.holding { lock.locked })
        #expect(throws: Oops.self) { try lock.holding { throw Oops() } }
        #expect(!lock.locked)
    }

    @Test(
        "cL12: a negative limit and one beyond the maximum are refused, the maximum is taken",
        arguments: LockKind.allCases)
    func limits(_ kind: LockKind) throws {
        let lock = try kind.make()
        for absurd in [Duration.nanoseconds(-1), .seconds(-1), .seconds(Int64.max)] {
            #expect {
                _ = try lock.acquire(timeout: absurd)
            } throws: {
                guard case .badInput? = $0 as? SpoolError else { return false }
                return true
            }
            #expect(!lock.locked)
        }
        #expect(try lock.acquire(timeout: Deadline.longestTimeout))
        lock.release()
    }

    @Test(
        "cL13: a limited acquire takes a free lock, and gives up on a held one at its limit",
        arguments: LockKind.allCases)
    func limited(_ kind: LockKind) throws {
        let lock = try kind.make()
        #expect(try lock.acquire(timeout: .seconds(5)))
        try Crew { _ in
            let deadline = Deadline(after: .milliseconds(5))
            let isMine = try lock.acquire(timeout: .milliseconds(5))
            #expect(!isMine && deadline.isPast)
            let isFree = try lock.acquire(timeout: .zero)
            #expect(!isFree)
        }.join()
        lock.release()
    }

    @Test(
        "cLN3: is free after a limited acquire that failed and a release",
        arguments: LockKind.allCases)
    func afterTimeout(_ kind: LockKind) throws {
        let lock = try kind.make()
        try lock.acquire()
        try Crew { _ in
            let isMine = try lock.acquire(timeout: .milliseconds(1))
            #expect(!isMine)
        }.join()
        lock.release()
        try Crew { _ in
            let isMine = try lock.acquire(blocking: false)
            #expect(isMine)
            lock.release()
        }.join()
    }

    @Test("64 threads take it in turn", arguments: LockKind.allCases)
    func crowd(_ kind: LockKind) throws {
        let lock = try kind.make()
        let sum = Unguarded()
        try Crew(64) { _ in for _ in 0..<300 { try lock.holding { sum.value += 1 } } }.join()
        #expect(sum.value == 64 * 300)
    }

    @Test("limits that run out while it is released lose no wake-up", arguments: LockKind.allCases)
    func timeoutRace(_ kind: LockKind) throws {
        let lock = try kind.make()
        let sum = Unguarded()
        let taken = Tally()
        try Crew(8) { number in
            for round in 0..<400 {
                let isMine =
                    number < 2
                    ? try lock.acquire(blocking: true)
                    : try lock.acquire(timeout: .microseconds((round * 7 + number) % 60))
                guard isMine else { continue }
                taken.add()
                sum.value += 1
                lock.release()
            }
        }.join()
        #expect(sum.value == taken.value && !lock.locked)
    }
}

@Suite("A plain lock", .timeLimit(.minutes(10))) struct LockTests {
    @Test("cLN2: another thread may release it, as a task that holds it may go on elsewhere")
    func otherThread() throws {
        let lock = Lock()
        lock.acquire()
        try Crew { _ in lock.release() }.join()
        #expect(lock.acquire(blocking: false))
    }

    @Test("cT23: the release of one that nobody holds is stopped with a sentence")
    func releaseUnheld() async {
        let end = await #expect(
            processExitsWith: .failure, observing: [\.standardErrorContent]
        ) {
            let lock = Lock()
            lock.acquire()
            lock.release()
            lock.release()
        }
        #expect(said(end?.standardErrorContent, "release() of a Lock that nobody holds"))
    }

    @Test("tasks take it in turn, also across their suspensions, beside threads")
    func tasks() async throws {
        let lock = Lock()
        let sum = Unguarded()
        let crew = try Crew(4) { _ in for _ in 0..<500 { lock.withLock { sum.value += 1 } } }
        try await withThrowingTaskGroup { group in
            for _ in 0..<16 {
                group.addTask {
                    for _ in 0..<100 {
                        try await lock.withLockAsync {
                            let seen = sum.value
                            await Task.yield()
                            sum.value = seen + 1
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        for thread in crew.threads { try await thread.join() }
        #expect(sum.value == 4 * 500 + 16 * 100)
    }

    @Test("a task that is cancelled or late does not hold it, and the next one gets it")
    func cancelled() async throws {
        let lock = Lock()
        try await lock.acquire()
        #expect(try await !lock.acquire(timeout: .milliseconds(1)))
        let first = Task { try await lock.acquire() }
        let second = Task { try await lock.acquire() }
        first.cancel()
        await #expect(throws: CancellationError.self) { try await first.value }
        lock.release()
        try await second.value
        #expect(lock.locked)
    }

    @Test("cancellations that race with releases lose no wake-up")
    func cancelRace() async throws {
        let lock = Lock()
        for _ in 0..<300 {
            try await lock.acquire()
            let waiters = (0..<3).map { _ in
                Task { try await lock.withLockAsync {} }
            }
            async let released: Void = { lock.release() }()
            waiters[0].cancel()
            waiters[1].cancel()
            await released
            try await waiters[2].value
            for waiter in waiters { _ = await waiter.result }
            #expect(!lock.locked)
        }
    }
}

@Suite("A recursive lock", .timeLimit(.minutes(10))) struct RLockTests {
    @Test("cLR1, cLR4, cLR6: its holder takes it again; as many releases free it")
    func again() throws {
        let lock = RLock()
        #expect(lock.recursionCount == 0 && !lock.isOwned)
        lock.acquire()
        #expect(lock.recursionCount == 1)
        #expect(lock.acquire(blocking: false))
        #expect(try lock.acquire(timeout: .zero))
        #expect(lock.recursionCount == 3 && lock.isOwned)
        try Crew { _ in #expect(lock.recursionCount == 0 && !lock.isOwned && lock.locked) }.join()
        lock.release()
        #expect(lock.recursionCount == 2 && lock.isOwned)
        lock.withLock { #expect(lock.recursionCount == 3) }
        lock.release()
        lock.release()
        #expect(lock.recursionCount == 0 && !lock.isOwned && !lock.locked)
    }

    @Test("cLR2: a release of one that is not held is stopped with a sentence")
    func releaseUnheld() async {
        let end = await #expect(
            processExitsWith: .failure, observing: [\.standardErrorContent]
        ) {
            let lock = RLock()
            lock.acquire()
            lock.release()
            lock.release()
        }
        #expect(said(end?.standardErrorContent, "RLock that the caller does not hold"))
    }

    @Test("cLR5: only its holder may release it")
    func releaseOther() async {
        let end = await #expect(
            processExitsWith: .failure, observing: [\.standardErrorContent]
        ) {
            let lock = RLock()
            let thread = Thread { lock.acquire() }
            try thread.start()
            try await thread.join()
            lock.release()
        }
        #expect(said(end?.standardErrorContent, "RLock that the caller does not hold"))
    }

    @Test("a task is its own holder, whichever thread runs it")
    func tasks() async throws {
        let lock = RLock()
        let (inside, rounds) = (Tally(), Tally())
        try await withThrowingTaskGroup { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<50 {
                        try await lock.withLockAsync {
                            await Task.yield()
                            _ = try await lock.withLockAsync { inside.add() }
                            await Task.yield()
                            inside.add(-1)
                            rounds.add()
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(inside.peak == 1 && rounds.value == 400 && !lock.locked)
    }
}

/// What a process wrote, as text.
func text(_ bytes: [UInt8]?) -> String { String(decoding: bytes ?? [], as: UTF8.self) }

/// Whether a process wrote it.
func said(_ bytes: [UInt8]?, _ sentence: String) -> Bool { text(bytes).contains(sentence) }
