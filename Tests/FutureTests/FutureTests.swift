// FutureTests.swift - what Python's test_concurrent_futures.py pins down about one future.

import SpoolThreads
import Testing

@testable import SpoolQueues

@Suite("A future", .timeLimit(.minutes(10))) struct FutureTests {
    @Test("cF2: a callback that throws keeps no other from running, in the order of adding")
    func throwingCallback() throws {
        let future = Future<Int>()
        let notes = Notes<Int>()
        future.addDoneCallback { _ in notes.add(1) }
        future.addDoneCallback { _ in
            notes.add(2)
            throw Mishap()
        }
        future.addDoneCallback { notes.add(try $0.result(timeout: .zero)) }
        try future.setResult(3)
        #expect(notes.all == [1, 2, 3])
    }

    @Test("cF3: a callback that is added to a future that is done runs at once")
    func lateCallback() throws {
        for future in [try Made.finished(), try Made.failed(), Made.cancelled()] {
            let notes = Notes<Future<Int>>()
            future.addDoneCallback { notes.add($0) }
            #expect(notes.all == [future])
        }
    }

    @Test("cF3: a callback runs when the future fails or is cancelled")
    func callbackOfFailure() throws {
        let notes = Notes<Bool>()
        let failing = try Made.running()
        failing.addDoneCallback { notes.add(try $0.exception() as? Mishap == Mishap(number: 5)) }
        try failing.setException(Mishap(number: 5))
        let cancelled = Made.pending()
        cancelled.addDoneCallback { notes.add($0.cancelled) }
        cancelled.cancel()
        #expect(notes.all == [true, true])
    }

    @Test("cF4: a callback that throws and is added late throws to nobody")
    func lateThrowingCallback() throws {
        let notes = Notes<Int>()
        try Made.finished().addDoneCallback { _ in
            notes.add(1)
            throw Mishap()
        }
        #expect(notes.all == [1])
    }

    @Test("cF6: pending can be cancelled and stays so; running and finished cannot")
    func cancel() throws {
        let pending = Made.pending()
        #expect(pending.cancel() && pending.cancel())
        #expect(pending.cancelled && pending.done && !pending.running)
        #expect(try !pending.setRunningOrNotifyCancel())
        for future in [try Made.running(), try Made.failed(), try Made.finished()] {
            #expect(!future.cancel() && !future.cancelled)
        }
        #expect(try Made.running().running && !Made.running().done)
        #expect(try Made.finished().done && !Made.finished().running)
    }

    @Test("cF8: with a limit of zero the result is there, or what hinders it is thrown")
    func result() throws {
        for future in [Made.pending(), try Made.running()] {
            #expect(throws: SpoolError.timedOut("the task of the future was not done in time.")) {
                try future.result(timeout: .zero)
            }
        }
        #expect(throws: CancellationError.self) { try Made.cancelled().result(timeout: .zero) }
        #expect(throws: Mishap(number: 3)) { try Made.failed(3).result(timeout: .zero) }
        #expect(try Made.finished(42).result(timeout: .zero) == 42)
        #expect(throws: SpoolError.badInput("a timeout cannot be negative.")) {
            try Made.finished(42).result(timeout: .seconds(-1))
        }
    }

    @Test("cF8: a limit ends a wait, and not before")
    func limit() throws {
        let start = Deadline.now()
        #expect(throws: SpoolError.self) {
            try Made.pending().result(timeout: .milliseconds(10))
        }
        #expect(Deadline.now().nanoseconds - start.nanoseconds >= 10_000_000)
    }

    @Test("cF9, cF10: those who wait are woken by the result, and by the cancellation")
    func wakes() throws {
        let (successful, cancelled) = (try Made.running(), Made.pending())
        let ended = Queue<Bool>()
        for _ in 0..<3 {
            try Thread.detach("waiter") {
                try? ended.put((try? successful.result(timeout: patience)) == 5)
            }
            try Thread.detach("waiter") {
                do {
                    _ = try cancelled.result(timeout: patience)
                } catch {
                    try? ended.put(error is CancellationError)
                }
            }
        }
        #expect(try eventually { successful.waiting == 3 && cancelled.waiting == 3 })
        try successful.setResult(5)
        cancelled.cancel()
        for _ in 0..<6 { #expect(try ended.get(timeout: patience)) }
    }

    @Test("cF11: the error is nil for success; a waiter is woken by it")
    func exception() throws {
        for future in [Made.pending(), try Made.running()] {
            #expect(throws: SpoolError.self) { try future.exception(timeout: .zero) }
        }
        #expect(throws: CancellationError.self) { try Made.cancelled().exception(timeout: .zero) }
        #expect(try Made.failed(4).exception(timeout: .zero) as? Mishap == Mishap(number: 4))
        #expect(try Made.finished().exception(timeout: .zero) == nil)
        let future = try Made.running()
        let ended = Queue<Mishap>()
        try Thread.detach("waiter") {
            if let error = try? future.exception(timeout: patience) as? Mishap {
                try? ended.put(error)
            }
        }
        #expect(try eventually { future.waiting == 1 })
        try future.setException(Mishap(number: 6))
        #expect(try ended.get(timeout: patience) == Mishap(number: 6))
    }

    @Test("cF12: a second result is an error, and the first stays")
    func twice() throws {
        let again = SpoolError.badInput("the future is done already; it keeps its first result.")
        let future = try Made.finished(1)
        #expect(throws: again) { try future.setResult(2) }
        #expect(throws: again) { try future.setException(Mishap()) }
        #expect(try future.result() == 1)
        #expect(throws: again) { try Made.cancelled().setResult(2) }
        #expect(throws: SpoolError.self) { try future.setRunningOrNotifyCancel() }
    }

    @Test("cF6: of a cancellation and a begin at the same instant one wins")
    func race() throws {
        for _ in 0..<300 {
            let (future, ended) = (Future<Int>(), Queue<Bool>())
            try Thread.detach("canceller") { try? ended.put(future.cancel()) }
            let hasBegun = try future.setRunningOrNotifyCancel()
            #expect(try ended.get(timeout: patience) == !hasBegun)
        }
    }
}

extension Future {
    /// How many threads and tasks sleep until it is done.
    var waiting: Int {
        cell.lock.acquire()
        defer { cell.lock.release() }
        return cell.line.pointee.count
    }

    /// How many want to be told when it is done.
    var watching: Int {
        cell.lock.acquire()
        defer { cell.lock.release() }
        return watchers.count
    }
}
