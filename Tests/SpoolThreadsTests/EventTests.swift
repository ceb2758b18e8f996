// EventTests.swift - a flag that is waited for (cE), and conditions (cC).

import SpoolThreads
import Testing

@Suite("An event", .timeLimit(.minutes(10))) struct EventTests {
    @Test("cE1: is clear at first; set and clear may be repeated", arguments: Distance.allCases)
    func flag(_ distance: Distance) throws {
        let event = try distance.event()
        #expect(!event.isSet)
        for _ in 0..<2 {
            try event.set()
            #expect(event.isSet)
        }
        for _ in 0..<2 {
            try event.clear()
            #expect(!event.isSet)
        }
        #expect(try !event.wait(timeout: .milliseconds(1)))
        #expect(throws: SpoolError.self) { _ = try event.wait(timeout: .seconds(-1)) }
    }

    @Test(
        "cE2: one set wakes all five; later waits pass at once; the same after a clear",
        arguments: Distance.allCases)
    func wake(_ distance: Distance) throws {
        let event = try distance.event()
        for _ in 0..<3 {
            let crew = try Crew(5) { _ in
                try event.wait()
                let isSet = try event.wait(timeout: .zero)
                #expect(isSet)
            }
            #expect(eventually { event.waiting == 5 })
            try event.set()
            try crew.join()
            try event.clear()
        }
    }

    @Test(
        "cE4: those that wait when it is set return true although it is cleared at once",
        arguments: Distance.allCases)
    func setAndClear(_ distance: Distance) throws {
        let event = try distance.event()
        for _ in 0..<50 {
            let passed = Tally()
            let crew = try Crew(5) { _ in
                if try event.wait(timeout: patience) { passed.add() }
            }
            #expect(eventually { event.waiting == 5 })
            try event.set()
            try event.clear()
            try crew.join()
            #expect(passed.value == 5)
        }
    }

    @Test("wakes tasks beside threads; a cancelled one leaves no trace")
    func tasks() async throws {
        let event = Event()
        let cancelled = Task { try await event.wait() }
        let waiting = (0..<4).map { _ in Task { try await event.wait(timeout: patience) } }
        let crew = try Crew(2) { _ in event.wait() }
        #expect(await eventually { event.waiting == 7 })
        cancelled.cancel()
        await #expect(throws: CancellationError.self) { try await cancelled.value }
        #expect(event.waiting == 6)
        #expect(try await !event.wait(timeout: .milliseconds(1)))
        event.set()
        for task in waiting { #expect(try await task.value) }
        for thread in crew.threads { #expect(try await thread.join(timeout: patience)) }
        try await event.wait()
    }
}

@Suite("A condition", .timeLimit(.minutes(10))) struct ConditionTests {
    @Test("cC1: has a recursive lock of its own, or the very lock that it was given")
    func locks() throws {
        let own = Condition()
        own.withLock { own.withLock { own.notify() } }
        let lock = Lock()
        let given = Condition(lock)
        given.acquire()
        #expect(!lock.acquire(blocking: false))
        given.release()
        #expect(!lock.locked)
    }

    @Test("cC2: a wait without the lock is stopped with a sentence")
    func unlockedWait() async {
        let end = await #expect(
            processExitsWith: .failure, observing: [\.standardErrorContent]
        ) { _ = try Condition().wait(timeout: .zero) as Bool }
        #expect(said(end?.standardErrorContent, "lock the caller does not hold"))
    }

    @Test("so is a notify without the lock")
    func unlockedNotify() async {
        await #expect(processExitsWith: .failure) { Condition(Lock()).notify() }
    }

    @Test(
        "cC4: notify(3) wakes three of five, notify(5) those that wait, notifyAll the rest",
        arguments: Distance.allCases)
    func notify(_ distance: Distance) throws {
        let condition = try distance.condition()
        let woken = Tally()
        let crew = try Crew(7) { _ in
            try condition.holding { if try condition.wait() { woken.add() } }
        }
        #expect(eventually { condition.waiting == 7 })
        for (step, total) in [(3, 3), (1, 4), (0, 4)] {
            try condition.holding { try condition.notify(step) }
            #expect(eventually { woken.value >= total })
            #expect(woken.value == total && condition.waiting == 7 - total)
        }
        try condition.holding { try condition.notify(5) }
        try crew.join()
        #expect(woken.value == 7)
        let last = try Crew(3) { _ in
            try condition.holding { if try condition.wait() { woken.add() } }
        }
        #expect(eventually { condition.waiting == 3 })
        try condition.holding { try condition.notifyAll() }
        try last.join()
        #expect(woken.value == 10)
    }

    @Test("cC5: a limited wait that nobody notifies returns false at its limit, with the lock")
    func limited() throws {
        let lock = RLock()
        let condition = Condition(lock)
        try lock.withLock {
            try lock.withLock {
                let deadline = Deadline(after: .milliseconds(5))
                let isNotified = try condition.wait(timeout: .milliseconds(5))
                #expect(!isNotified && deadline.isPast && lock.recursionCount == 2)
            }
        }
    }

    @Test(
        "cC6: waitFor returns when its predicate holds, whatever woke it before",
        arguments: Distance.allCases)
    func predicate(_ distance: Distance) throws {
        let condition = try distance.condition(plain: true)
        let (asked, state) = (Tally(), Unguarded())
        let crew = try Crew { _ in
            try condition.holding {
                let holds = try condition.waitFor {
                    asked.add()
                    return state.value == 4
                }
                #expect(holds)
            }
        }
        for value in 1...4 {
            #expect(eventually { condition.waiting == 1 })
            try condition.holding {
                state.value = value
                try condition.notify()
            }
        }
        try crew.join()
        #expect(asked.value == 5)
    }

    @Test(
        "cC7: waitFor with a limit returns false after the limit in all, not per wake-up",
        arguments: Distance.allCases)
    func limitedPredicate(_ distance: Distance) throws {
        let condition = try distance.condition()
        let isOver = Event()
        let crew = try Crew { _ in
            while !isOver.isSet { try condition.holding { try condition.notifyAll() } }
        }
        let deadline = Deadline(after: .milliseconds(20))
        let holds = try condition.holding {
            try condition.waitFor(timeout: .milliseconds(20)) { false }
        }
        #expect(!holds)
        #expect(deadline.isPast)
        isOver.set()
        try crew.join()
    }

    @Test(
        "limits that run out while it is notified end each wait once, and wake nobody else",
        arguments: Distance.allCases)
    func timeoutRace(_ distance: Distance) throws {
        let condition = try distance.condition(plain: true)
        let (woken, late) = (Tally(), Tally())
        let crew = try Crew(8) { number in
            try condition.holding {
                for round in 0..<200 {
                    let limit = Duration.microseconds((round * 13 + number * 5) % 90)
                    if try condition.wait(timeout: limit) { woken.add() } else { late.add() }
                }
            }
        }
        var notified = 0
        while woken.value + late.value < 1600 {
            try condition.holding {
                notified += min(1, condition.waiting)
                try condition.notify()
            }
        }
        try crew.join()
        // Who was counted may have been late before it was notified.
        #expect(woken.value <= notified && condition.waiting == 0)
    }

    @Test("a task waits without its thread, has the lock afterwards, and may be cancelled or late")
    func tasks() async throws {
        let lock = Lock()
        let condition = Condition(lock)
        let state = Unguarded()
        let waiter = Task {
            try await lock.withLockAsync { try await condition.waitFor { state.value == 1 } }
        }
        let cancelled = Task {
            try await lock.withLockAsync {
                await #expect(throws: CancellationError.self) { try await condition.wait() }
                #expect(lock.locked)
            }
        }
        #expect(await eventually { condition.waiting == 2 })
        cancelled.cancel()
        try await cancelled.value
        try await lock.withLockAsync {
            let isNotified = try await condition.wait(timeout: .milliseconds(1))
            #expect(!isNotified)
            state.value = 1
            condition.notifyAll()
        }
        #expect(try await waiter.value)
    }
}
