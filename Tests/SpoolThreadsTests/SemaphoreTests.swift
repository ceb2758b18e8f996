// SemaphoreTests.swift - units that are taken and given back (cS, cSU).

import SpoolProcesses
import SpoolThreads
import Testing

private struct Oops: Error {}

@Suite("A semaphore", .timeLimit(.minutes(10))) struct SemaphoreTests {
    @Test("cS1: a negative first value is stopped with a sentence")
    func negative() async {
        let end = await #expect(
            processExitsWith: .failure, observing: [\.standardErrorContent]
        ) { _ = Semaphore(-1) }
        #expect(said(end?.standardErrorContent, "fewer than 0 units"))
    }

    @Test("cS3, cS9: begins with 1, and may be dropped while it is partly taken")
    func drop() throws {
        #expect(Semaphore().value == 1 && BoundedSemaphore().value == 1)
        #expect(try SharedSemaphore().value == 1 && SharedBoundedSemaphore().value == 1)
        for kind in SemaphoreKind.allCases { try kind.make(3).acquire() }
    }

    @Test(
        "cS4, cS5: never more pass than there are units", arguments: SemaphoreKind.allCases, [1, 3])
    func contended(_ kind: SemaphoreKind, _ batch: Int) throws {
        let units = try kind.make(7)
        try units.acquire()
        let passed = Tally()
        let crew = try Crew(10) { _ in
            for _ in 0..<2 {
                try units.acquire()
                passed.add()
            }
        }
        var total = 6
        #expect(eventually { passed.value >= total })
        #expect(passed.value == total && units.value == 0)
        for released in [7, 6] {
            for amount in stride(from: 0, to: released, by: batch).map({ min(batch, released - $0) }
            ) {
                try units.release(amount)
            }
            total += released
            #expect(eventually { passed.value >= total })
            #expect(passed.value == total)
        }
        try units.release()
        try crew.join()
        #expect(passed.value == 20 && units.value == 0)
    }

    @Test("cS6: a try succeeds as often as there are units", arguments: SemaphoreKind.allCases)
    func tries(_ kind: SemaphoreKind) throws {
        let units = try kind.make(2)
        #expect(try units.acquire(blocking: false) && units.acquire(blocking: false))
        #expect(try !units.acquire(blocking: false))
        #expect(try !units.acquire(timeout: .milliseconds(1)))
        #expect(throws: SpoolError.self) { _ = try units.acquire(timeout: .seconds(-1)) }
        try units.release()
        #expect(try units.acquire(timeout: .zero))
    }

    @Test("cS7: five threads try twice each on three units", arguments: SemaphoreKind.allCases)
    func contendedTries(_ kind: SemaphoreKind) throws {
        let units = try kind.make(4)
        try units.acquire()
        let (taken, refused) = (Tally(), Tally())
        try Crew(5) { _ in
            for _ in 0..<2 {
                if try units.acquire(blocking: false) { taken.add() } else { refused.add() }
            }
        }.join()
        #expect(taken.value == 3 && refused.value == 7)
    }

    @Test(
        "cS10: withAcquired gives its unit back, nested and on throw",
        arguments: SemaphoreKind.ofBound)
    func scoped(_ kind: SemaphoreKind) throws {
        let units = try kind.make(2)
        try units.using {
            #expect(units.value == 1)
            try units.using { #expect(units.value == 0) }
            #expect(throws: Oops.self) { try units.using { throw Oops() } }
        }
        #expect(units.value == 2)
    }

    @Test(
        "cSU1: a plain one may be released beyond its first value",
        arguments: SemaphoreKind.ofEither)
    func unbounded(_ kind: SemaphoreKind) throws {
        let units = try kind.make(1)
        try units.release()
        try units.release(2)
        #expect(units.value == 4)
    }

    @Test("cSU3: a bounded one stops a release beyond its first value with a sentence")
    func bounded() async {
        let end = await #expect(
            processExitsWith: .failure, observing: [\.standardErrorContent]
        ) {
            let units = BoundedSemaphore(1)
            units.acquire(blocking: false) ? units.release() : ()
            units.release()
        }
        #expect(said(end?.standardErrorContent, "beyond its first value"))
    }

    @Test(
        "cT13: a bounded one never holds more than its bound under threads",
        arguments: SemaphoreKind.ofBound)
    func bound(_ kind: SemaphoreKind) throws {
        let units = try kind.make(3)
        let inside = Tally()
        try Crew(16) { _ in
            for _ in 0..<100 {
                try units.using {
                    inside.add()
                    inside.add(-1)
                }
            }
        }.join()
        #expect(inside.peak <= 3 && units.value == 3)
    }

    @Test(
        "serves those that wait in the order in which they came", arguments: SemaphoreKind.ofEither)
    func order(_ kind: SemaphoreKind) throws {
        let units = try kind.make(0)
        let served = Notes<Int>()
        var threads: [Thread] = []
        for number in 0..<8 {
            threads += try Crew { _ in
                try units.acquire()
                served.add(number)
            }.threads
            #expect(eventually { units.waiting == number + 1 })
        }
        for number in 0..<8 {
            try units.release()
            #expect(eventually { served.all.count == number + 1 })
        }
        #expect(served.all == Array(0..<8))
        try threads.forEach { try $0.join() }
    }

    @Test("a task that is cancelled takes no unit, and the next one gets it")
    func cancelled() async throws {
        let units = Semaphore(0)
        let first = Task { try await units.acquire() }
        #expect(await eventually { units.waiting == 1 })
        let second = Task { try await units.withAcquiredAsync { 7 } }
        #expect(await eventually { units.waiting == 2 })
        first.cancel()
        await #expect(throws: CancellationError.self) { try await first.value }
        units.release()
        #expect(try await second.value == 7)
        #expect(units.value == 1)
        #expect(try await units.acquire(timeout: .milliseconds(1)))
        #expect(try await !units.acquire(timeout: .milliseconds(1)))
    }

    @Test("a task with a time limit of zero takes what is free, however late the look comes")
    func zero() async throws {
        let units = Semaphore(1)
        for _ in 0..<2000 {
            #expect(try await units.acquire(timeout: .zero))
            #expect(try await !units.acquire(timeout: .zero))
            units.release()
        }
    }

    @Test("units are neither lost nor made when limits and cancellations race with releases")
    func race() async throws {
        let units = Semaphore(0)
        let taken = Tally()
        let crew = try Crew(4) { number in
            for round in 0..<200 {
                if try units.acquire(timeout: .microseconds((round * 3 + number) % 50)) {
                    taken.add()
                }
            }
        }
        for _ in 0..<300 {
            let task = Task { if (try? await units.acquire()) != nil { taken.add() } }
            let late = Task {
                if try await units.acquire(timeout: .microseconds(50)) { taken.add() }
            }
            units.release(2)
            task.cancel()
            await task.value
            try await late.value
        }
        for thread in crew.threads { #expect(try await thread.join(timeout: patience)) }
        #expect(taken.value + units.value == 600 && units.waiting == 0)
    }
}
