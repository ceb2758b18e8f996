// BarrierTests.swift - nobody passes until all have come (cB).

import SpoolThreads
import Testing

private struct Oops: Error {}

@Suite("A barrier of five", .timeLimit(.minutes(10))) struct BarrierTests {
    @Test("cB1, cB2: keeps its parties in step, ten phases in a row", arguments: Distance.allCases)
    func step(_ distance: Distance) throws {
        let barrier = try distance.barrier(5)
        let arrived = Tally()
        try Crew(5) { _ in
            for phase in 1...10 {
                arrived.add()
                try barrier.wait()
                let seen = arrived.value
                #expect(seen >= 5 * phase && seen < 5 * (phase + 1))
                try barrier.wait()
            }
        }.join()
        #expect(arrived.value == 50 && barrier.nWaiting == 0 && !barrier.broken)
    }

    @Test("cB3: gives each party a number of its own, 0 to 4", arguments: Distance.allCases)
    func numbers(_ distance: Distance) throws {
        let barrier = try distance.barrier(5)
        let numbers = Notes<Int>()
        try Crew(5) { _ in numbers.add(try barrier.wait()) }.join()
        #expect(numbers.all.sorted() == Array(0..<5))
    }

    @Test(
        "cB4: its action runs once for each phase, before anybody is released",
        arguments: Distance.allCases)
    func action(_ distance: Distance) throws {
        let (runs, released) = (Tally(), Tally())
        let barrier = try distance.barrier(5) {
            #expect(released.value == 5 * runs.value)
            runs.add()
        }
        let between = try distance.barrier(5)
        try Crew(5) { _ in
            for phase in 1...3 {
                try barrier.wait()
                #expect(runs.value == phase)
                released.add()
                try between.wait()
            }
        }.join()
        #expect(runs.value == 3)
    }

    @Test(
        "an action that fails breaks it for all; its error goes to who ran it",
        arguments: Distance.allCases)
    func failingAction(_ distance: Distance) throws {
        let barrier = try distance.barrier(5) { throw Oops() }
        let (failed, broken) = (Tally(), Tally())
        try Crew(5) { _ in
            do { try barrier.wait() } catch is Oops { failed.add() } catch { broken.add() }
        }.join()
        #expect(failed.value == 1 && broken.value == 4 && barrier.broken)
    }

    @Test(
        "cB5, cB7: an abort breaks it for all; after a reset it works again",
        arguments: Distance.allCases)
    func abort(_ distance: Distance) throws {
        let barrier = try distance.barrier(5)
        let broken = Tally()
        let crew = try Crew(4) { _ in
            do { try barrier.wait() } catch SpoolError.brokenBarrier { broken.add() }
        }
        #expect(eventually { barrier.nWaiting == 4 })
        try barrier.abort()
        try crew.join()
        #expect(broken.value == 4 && barrier.broken)
        #expect(throws: SpoolError.brokenBarrier) { try barrier.wait() }
        try barrier.reset()
        try Crew(5) { _ in try barrier.wait() }.join()
        #expect(!barrier.broken)
    }

    @Test(
        "a reset breaks it for those that wait, and is as new for those that come",
        arguments: Distance.allCases)
    func reset(_ distance: Distance) throws {
        let barrier = try distance.barrier(5)
        let broken = Tally()
        let crew = try Crew(4) { _ in
            do { try barrier.wait() } catch SpoolError.brokenBarrier { broken.add() }
        }
        #expect(eventually { barrier.nWaiting == 4 })
        try barrier.reset()
        try crew.join()
        #expect(broken.value == 4 && !barrier.broken)
        try Crew(5) { _ in try barrier.wait() }.join()
    }

    @Test(
        "cB8: breaks for all when one is late, whoever had the limit", arguments: Distance.allCases)
    func late(_ distance: Distance) throws {
        let barrier = try distance.barrier(5)
        let broken = Tally()
        try Crew(4) { number in
            do {
                try barrier.wait(timeout: number == 0 ? .milliseconds(20) : nil)
            } catch SpoolError.brokenBarrier { broken.add() }
        }.join()
        #expect(broken.value == 4 && barrier.broken)
        #expect(throws: SpoolError.self) { try distance.barrier(2).wait(timeout: .seconds(-1)) }
    }

    @Test(
        "cB9: a limit given at its creation applies to waits without their own",
        arguments: Distance.allCases)
    func ownLimit(_ distance: Distance) throws {
        let barrier = try distance.barrier(2, timeout: .milliseconds(1))
        #expect(throws: SpoolError.brokenBarrier) { try barrier.wait() }
    }

    @Test("cB10: one of a single party never waits", arguments: Distance.allCases)
    func single(_ distance: Distance) throws {
        let barrier = try distance.barrier(1)
        for _ in 0..<3 { #expect(try barrier.wait() == 0) }
    }

    @Test("tasks meet threads; one that is cancelled leaves its place to another")
    func tasks() async throws {
        let barrier = Barrier(3)
        let cancelled = Task { try await barrier.wait() }
        #expect(await eventually { barrier.nWaiting == 1 })
        cancelled.cancel()
        await #expect(throws: CancellationError.self) { try await cancelled.value }
        #expect(barrier.nWaiting == 0 && !barrier.broken)
        let crew = try Crew(1) { _ in try barrier.wait() }
        let numbers = [Task { try await barrier.wait() }, Task { try await barrier.wait() }]
        for number in numbers { #expect(try await (0..<3).contains(number.value)) }
        for thread in crew.threads { try await thread.join() }
        await #expect(throws: SpoolError.brokenBarrier) {
            try await barrier.wait(timeout: .milliseconds(1))
        }
    }

    @Test("32 threads meet a hundred times", arguments: Distance.allCases)
    func crowd(_ distance: Distance) throws {
        let barrier = try distance.barrier(32)
        let sum = Tally()
        try Crew(32) { _ in for _ in 0..<100 { sum.add(try barrier.wait()) } }.join()
        #expect(sum.value == 100 * 31 * 16)
    }
}
