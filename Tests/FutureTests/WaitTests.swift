// WaitTests.swift - wait and asCompleted: what Python's test_concurrent_futures.py pins down about many futures.

import SpoolThreads
import Testing

@testable import SpoolQueues

@Suite("Waiting for many futures", .timeLimit(.minutes(10))) struct WaitTests {
    @Test("cFW1: a future that is given twice counts once")
    func twice() throws {
        let future = try Made.finished()
        let found = try Future.wait([future, future], for: .allCompleted, timeout: patience)
        #expect(found.done == [future] && found.notDone.isEmpty)
        #expect(Array(Future.asCompleted([future, future])) == [future])
    }

    @Test("cFW2: returns with the first that completes; a cancelled one is done, too")
    func first() throws {
        try withThreadPool(maxWorkers: 2) { pool in
            let gate = Gate()
            let slow = try pool.submit { try gate.pass() }
            let quick = try pool.submit {}
            let found = try Future.wait([slow, quick], for: .firstCompleted, timeout: patience)
            #expect(found.done == [quick] && found.notDone == [slow])
            gate.open()
        }
        let (pending, cancelled) = (Made.pending(), Made.cancelled())
        let found = try Future.wait([pending, cancelled], for: .firstCompleted)
        #expect(found.done == [cancelled] && found.notDone == [pending])
    }

    @Test("cFW3: returns at once when some are done already")
    func someDone() throws {
        let futures = [try Made.finished(), Made.pending()]
        let found = try Future.wait(futures, for: .firstCompleted)
        #expect(found.done == [futures[0]] && found.notDone == [futures[1]])
        #expect(futures[1].watching == 0)
    }

    @Test("cFW4: returns with the first failure; what succeeded before is among the done")
    func firstException() throws {
        let futures = try [Made.running(), Made.running(), Made.running()]
        let ended = Queue<Bool>()
        try Thread.detach("waiter") {
            let found = try? Future.wait(futures, for: .firstException, timeout: patience)
            try? ended.put(
                found?.done == [futures[0], futures[1]] && found?.notDone == [futures[2]])
        }
        #expect(try eventually { futures[2].watching == 1 })
        try futures[0].setResult(1)
        #expect(ended.isEmpty)
        try futures[1].setException(Mishap())
        #expect(try ended.get(timeout: patience))
        #expect(futures[2].watching == 0)
    }

    @Test("cFW5: a failure that has happened already ends the wait; a cancellation is none")
    func firstExceptionAlready() throws {
        let futures = [
            try Made.finished(), Made.cancelled(), Made.pending(), try Made.failed(),
        ]
        let found = try Future.wait(futures, for: .firstException)
        #expect(found.done == [futures[0], futures[1], futures[3]])
        let none = [try Made.finished(), Made.cancelled()]
        #expect(try Future.wait(none, for: .firstException).notDone.isEmpty)
        let rest = try Future.wait(
            [none[0], none[1], futures[2]], for: .firstException, timeout: .milliseconds(5))
        #expect(rest.notDone == [futures[2]])
    }

    @Test("cFW7: waits for all, those that fail included")
    func all() throws {
        try withThreadPool(maxWorkers: 2) { pool in
            let futures = try (0..<20).map { number in
                try pool.submit { if number % 3 == 0 { throw Mishap(number: number) } }
            }
            let found = try Future.wait(futures)
            #expect(found.done == futures && found.notDone.isEmpty)
        }
        #expect(try Future.wait([Future<Int>]()).done.isEmpty)
        #expect(try Future.wait([Future<Int>](), for: .firstCompleted).done.isEmpty)
    }

    @Test(
        "cFW8: after the limit tells what is done and what is not",
        arguments: [ReturnWhen.firstCompleted, .firstException, .allCompleted])
    func timeout(_ condition: ReturnWhen) throws {
        let futures =
            condition == .firstCompleted
            ? [Made.pending()] : [try Made.finished(), Made.pending()]
        let found = try Future.wait(futures, for: condition, timeout: .milliseconds(10))
        #expect(found.done == futures.dropLast() && found.notDone == [futures[futures.count - 1]])
        #expect(futures.allSatisfy { $0.watching == 0 && $0.waiting == 0 })
        #expect(throws: SpoolError.badInput("a timeout cannot be negative.")) {
            try Future.wait(futures, for: condition, timeout: .seconds(-1))
        }
    }

    @Test(
        "cFW9: many futures that are completed by one event lose no notification",
        arguments: [ReturnWhen.firstException, .allCompleted])
    func race(_ condition: ReturnWhen) throws {
        for _ in 0..<20 {
            try withThreadPool(maxWorkers: 8) { pool in
                let gate = Gate()
                let futures = try (0..<100).map { _ in try pool.submit { try gate.pass() } }
                try Thread.detach("opener") { gate.open() }
                #expect(try Future.wait(futures, for: condition, timeout: patience).notDone == [])
            }
        }
    }

    @Test("cFW10: asCompleted yields each future once, those that are done first")
    func asCompleted() throws {
        let (pending, done) = (try Made.running(), [Made.cancelled(), try Made.failed()])
        var seen: [Future<Int>] = []
        for future in Future.asCompleted([pending] + done) {
            seen.append(future)
            if seen.count == 2 { try pending.setResult(1) }
        }
        #expect(Set(seen.prefix(2)) == Set(done) && seen.last == pending && seen.count == 3)
        try withThreadPool(maxWorkers: 4) { pool in
            let futures = try (0..<500).map { number in try pool.submit { number } }
            let results = try Future.asCompleted(futures).map { try $0.result(timeout: .zero) }
            #expect(results.sorted() == Array(0..<500))
        }
    }

    @Test("cFW11, cFW14: after the limit the error says how many of how many are unfinished")
    func asCompletedTimeout() throws {
        let futures = [Made.pending(), try Made.finished(), try Made.running()]
        let completed = try Future.asCompleted(futures, timeout: .zero)
        #expect(try completed.next() == futures[1])
        #expect(throws: SpoolError.timedOut("2 (of 3) futures unfinished.")) {
            try completed.next()
        }
        #expect(throws: SpoolError.badInput("a timeout cannot be negative.")) {
            try Future.asCompleted(futures, timeout: .seconds(-1))
        }
    }

    @Test("cFW13: what was yielded is not kept; who stops reading leaves no trace")
    func references() throws {
        let last = Made.pending()
        weak var first: Future<Int>?
        do {
            var futures = [try Made.finished(), last]
            first = futures[0]
            let completed = try Future.asCompleted(futures, timeout: patience)
            futures = []
            #expect(try completed.next() != nil)
            #expect(first == nil && last.watching == 1)
        }
        #expect(last.watching == 0)
    }
}
