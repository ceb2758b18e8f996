// AsyncFutureTests.swift - the same waits for tasks.

import SpoolThreads
import Testing

@testable import SpoolQueues

@Suite("Futures and tasks", .timeLimit(.minutes(10))) struct AsyncFutureTests {
    @Test("cF8, cF9: a task gets the value, or what hinders it")
    func value() async throws {
        #expect(try await Made.finished(42).value == 42)
        await #expect(throws: Mishap(number: 3)) { try await Made.failed(3).value }
        await #expect(throws: CancellationError.self) { try await Made.cancelled().value }
        await #expect(throws: SpoolError.timedOut("the task of the future was not done in time.")) {
            try await Made.pending().result(timeout: .milliseconds(5))
        }
        await #expect(throws: SpoolError.badInput("a timeout cannot be negative.")) {
            try await Made.finished().result(timeout: .seconds(-1))
        }
        #expect(try await Made.failed(3).exception() as? Mishap == Mishap(number: 3))
        #expect(try await Made.finished().exception() == nil)
    }

    @Test("cF9, cF10: tasks that wait are woken by the result, and by the cancellation")
    func wakes() async throws {
        let (successful, cancelled) = (try Made.running(), Made.pending())
        let tasks = (0..<10).map { _ in Task { try await successful.value } }
        let others = (0..<10).map { _ in Task { try await cancelled.value } }
        #expect(try await eventually { successful.waiting == 10 && cancelled.waiting == 10 })
        try successful.setResult(5)
        cancelled.cancel()
        for task in tasks { #expect(try await task.value == 5) }
        for task in others {
            await #expect(throws: CancellationError.self) { try await task.value }
        }
    }

    @Test("a task that is cancelled stops waiting; the future goes on, for others too")
    func cancellation() async throws {
        let future = try Made.running()
        let (leaving, staying) = (Task { try await future.value }, Task { try await future.value })
        #expect(try await eventually { future.waiting == 2 })
        leaving.cancel()
        await #expect(throws: CancellationError.self) { try await leaving.value }
        #expect(future.waiting == 1 && future.running)
        try future.setResult(1)
        #expect(try await staying.value == 1)
    }

    @Test("a cancellation and a result at the same instant leave no task asleep")
    func race() async throws {
        for _ in 0..<200 {
            let future = try Made.running()
            let task = Task { try await future.value }
            let canceller = Task { task.cancel() }
            try future.setResult(1)
            await canceller.value
            switch await task.result {
            case .success(let value): #expect(value == 1)
            case .failure(let error): #expect(error is CancellationError)
            }
        }
    }

    @Test("cFW4, cFW7, cFW8: a task waits for many")
    func wait() async throws {
        let futures = try [Made.running(), Made.running()]
        let waiter = Task { try await Future.wait(futures, for: .firstException) }
        let patient = Task { try await Future.wait(futures) }
        #expect(try await eventually { futures[0].watching == 1 && futures[1].waiting == 1 })
        try futures[0].setException(Mishap())
        let found = try await waiter.value
        #expect(found.done == [futures[0]] && found.notDone == [futures[1]])
        #expect(try await Future.wait(futures, timeout: .milliseconds(5)).notDone == [futures[1]])
        try futures[1].setResult(1)
        #expect(try await patient.value.done == futures)
    }

    @Test("cFW10, cFW11: asCompleted for tasks, with a limit and with cancellation")
    func asCompleted() async throws {
        let futures = [Made.pending(), try Made.finished(), try Made.failed()]
        var seen: [Future<Int>] = []
        for try await future in Future.asCompleted(futures) {
            seen.append(future)
            if seen.count == 2 { futures[0].cancel() }
        }
        #expect(Set(seen) == Set(futures) && seen.last == futures[0])
        let open = Made.pending()
        let late = try Future.asCompleted([open], timeout: .milliseconds(5))
        await #expect(throws: SpoolError.timedOut("1 (of 1) futures unfinished.")) {
            for try await _ in late {}
        }
        let task = Task { for try await _ in Future.asCompleted([open]) {} }
        #expect(try await eventually { open.watching == 2 })
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test("cFX5, cFX6, cFS10: map and shutdown for tasks")
    func map() async throws {
        let pool = ThreadPool(maxWorkers: 2)
        #expect(try await pool.map(0..<100, chunk: 7) { 2 * $0 }.all() == (0..<100).map { 2 * $0 })
        var seen: [Int] = []
        await #expect(throws: Mishap(number: 3)) {
            let results = try pool.map(0..<10) { item in
                if item == 3 { throw Mishap(number: 3) }
                return item
            }
            for try await item in results { seen.append(item) }
        }
        #expect(seen == [0, 1, 2])
        let gate = Gate()
        let future = try pool.submit { try gate.pass() }
        let leaving = Task { try await pool.shutdown() }
        #expect(try await eventually { pool.crew.endsAwaited == 1 })
        leaving.cancel()
        await #expect(throws: CancellationError.self) { try await leaving.value }
        gate.open()
        try await pool.shutdown()
        #expect(future.done && pool.threads == 0)
    }

    @Test("cFS8: the scope of a task waits for what was submitted, also when it is cancelled")
    func scope() async throws {
        let (gate, begun, notes) = (Gate(), Gate(), Notes<Int>())
        let task = Task {
            try await withThreadPool(maxWorkers: 1) { pool in
                let future = try pool.submit {
                    begun.open()
                    try gate.pass()
                    notes.add(1)
                }
                try await future.value
            }
        }
        try await begun.pass()
        task.cancel()
        gate.open()
        switch await task.result {
        case .success: break
        case .failure(let error): #expect(error is CancellationError)
        }
        #expect(notes.all == [1])
    }
}
