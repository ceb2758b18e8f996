// ThreadPoolTests.swift - what Python's test_concurrent_futures.py pins down about a pool of threads.

import Foundation
import SpoolThreads
import Testing

@testable import SpoolQueues

@Suite("A pool of threads", .timeLimit(.minutes(10))) struct ThreadPoolTests {
    @Test("cFX1: the initializer runs in every worker before its first task")
    func initializer() throws {
        let notes = Notes<UInt>()
        let pool = ThreadPool(maxWorkers: 3, initializer: { notes.add(threadID()) })
        let gate = Gate()
        let futures = try (0..<3).map { _ in
            try pool.submit {
                let wasInitialized = notes.all.contains(threadID())
                try gate.pass()
                return wasInitialized
            }
        }
        #expect(try eventually { notes.all.count == 3 })
        gate.open()
        for future in futures { #expect(try future.result(timeout: patience)) }
        pool.shutdown()
        #expect(Set(notes.all).count == 3)
    }

    @Test("cFX2: an initializer that throws breaks the pool: its tasks fail, no more are taken")
    func failingInitializer() throws {
        let gate = Gate()
        let pool = ThreadPool(
            maxWorkers: 2,
            initializer: {
                try gate.pass()
                throw Mishap(number: 7)
            })
        let futures = try (0..<5).map { number in try pool.submit { number } }
        gate.open()
        let broken = SpoolError.noWorker(
            "the pool is broken: its initializer threw: Mishap(number: 7).")
        for future in futures {
            #expect(throws: broken) { try future.result(timeout: patience) }
        }
        #expect(throws: broken) { try pool.submit {} }
        pool.shutdown()
    }

    @Test("cFX3: submit gives the value; a task that fails fails its future alone")
    func submit() throws {
        try withThreadPool(maxWorkers: 1) { pool in
            let failing = try pool.submit { throw Mishap(number: 1) }
            let future = try pool.submit { 1 << 8 }
            #expect(try future.result(timeout: patience) == 256)
            #expect(throws: Mishap(number: 1)) { try failing.result(timeout: patience) }
            #expect(pool.threads == 1)
        }
    }

    @Test("cFX5: map equals the sequential map, in chunks too", arguments: [1, 3, 100, 1000])
    func map(_ chunk: Int) throws {
        try withThreadPool(maxWorkers: 3) { pool in
            let results = try pool.map(0..<100, chunk: chunk) { $0 * $0 }
            #expect(try results.all() == (0..<100).map { $0 * $0 })
            #expect(try results.next() == nil)
            #expect(try pool.map([Int](), chunk: chunk) { $0 }.all() == [])
        }
    }

    @Test("cFX6: map gives the results before the element that fails, then its error, then nothing")
    func mapFailure() throws {
        try withThreadPool(maxWorkers: 2) { pool in
            for chunk in [1, 2, 100] {
                let results = try pool.map([1, 2, 3, 0, 5], chunk: chunk) { item in
                    guard item != 0 else { throw Mishap() }
                    return 6 / item
                }
                #expect(try [results.next(), results.next(), results.next()] == [6, 3, 2])
                #expect(throws: Mishap()) { try results.next() }
                #expect(try results.next() == nil)
            }
        }
    }

    @Test("cFX7, cFT6: after the limit map throws timedOut, and cancels what has not begun")
    func mapTimeout() throws {
        let gate = Gate()
        let notes = Notes<Int>()
        try withThreadPool(maxWorkers: 1) { pool in
            let results = try pool.map([0, 1, 2], timeout: .milliseconds(50)) { item in
                notes.add(item)
                if item == 1 { try gate.pass() }
                return item
            }
            var seen: [Int] = []
            #expect(throws: SpoolError.timedOut("the task of the future was not done in time.")) {
                while let item = try results.next() { seen.append(item) }
            }
            #expect(seen == Array([0].prefix(seen.count)))
            gate.open()
        }
        #expect(!notes.all.contains(2))
    }

    @Test("map refuses chunks of nothing and negative limits, and runs nothing then")
    func mapMistakes() throws {
        let notes = Notes<Int>()
        withThreadPool(maxWorkers: 1) { pool in
            #expect(throws: SpoolError.badInput("a chunk must have at least 1 item.")) {
                try pool.map([1], chunk: 0) { notes.add($0) }
            }
            #expect(throws: SpoolError.badInput("a timeout cannot be negative.")) {
                try pool.map([1], timeout: .seconds(-1)) { notes.add($0) }
            }
        }
        #expect(notes.all.isEmpty)
    }

    @Test("cFX9, cFX11: a task that is done and results that were given are kept by nobody")
    func references() throws {
        final class Thing: Sendable {}
        try withThreadPool(maxWorkers: 1) { pool in
            weak var weakThing: Thing?
            do {
                let thing = Thing()
                weakThing = thing
                try pool.submit { withExtendedLifetime(thing) {} }
            }
            #expect(try eventually { weakThing == nil })
            let results = try pool.map(0..<2) { _ in Thing() }
            weak let given = try results.next()
            #expect(try eventually { given == nil })
        }
    }

    @Test("cFT1: map runs everything even if the results are never read")
    func unread() throws {
        let notes = Notes<Int>()
        try withThreadPool(maxWorkers: 2) { pool in _ = try pool.map(0..<10) { notes.add($0) } }
        #expect(notes.all.sorted() == Array(0..<10))
    }

    @Test("cFT2: by default a pool has 4 threads more than processors, at most 32")
    func defaultSize() {
        let processors = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        #expect(ThreadPool().crew.maxWorkers == min(32, processors + 4))
        #expect(ThreadPool().threads == 0)
    }

    @Test("cFT4: an idle thread is reused: tasks one after the other need one")
    func idleReuse() throws {
        let pool = ThreadPool(maxWorkers: 4)
        for number in 0..<1000 { #expect(try pool.submit { number }.result() == number) }
        #expect(pool.threads == 1)
        pool.shutdown()
    }

    @Test("cFP6: many more tasks than workers make exactly as many threads as are allowed")
    func saturation() throws {
        let gate = Gate()
        let pool = ThreadPool(maxWorkers: 4, threadNamePrefix: "cook")
        let names = Notes<String>()
        let futures = try (0..<60).map { _ in
            try pool.submit {
                names.add(threadName())
                try gate.pass()
            }
        }
        #expect(try eventually { names.all.count == 4 })
        #expect(
            pool.threads == 4 && names.all.sorted() == ["cook_0", "cook_1", "cook_2", "cook_3"])
        gate.open()
        #expect(try Future.wait(futures, timeout: patience).notDone.isEmpty)
        #expect(pool.threads == 4)
        pool.shutdown()
    }

    @Test("a callback may wait for another task of its pool")
    func callbackWaits() throws {
        let pool = ThreadPool(maxWorkers: 2)
        let gate = Gate()
        let notes = Notes<Int>()
        let first = try pool.submit { try gate.pass() }
        first.addDoneCallback { _ in notes.add(try pool.submit { 5 }.result(timeout: patience)) }
        gate.open()
        #expect(try eventually { notes.all == [5] })
        pool.shutdown()
    }

    @Test("many threads submit and wait at once, and every task runs once")
    func stress() throws {
        let pool = ThreadPool(maxWorkers: 4)
        let (sums, ended) = (Notes<Int>(), Queue<Void>())
        for thread in 0..<8 {
            try Thread.detach("submitter") {
                for round in 0..<200 {
                    let numbers = (0..<10).map { thread * 10_000 + round * 10 + $0 }
                    let futures = numbers.compactMap { n in try? pool.submit { n } }
                    for future in futures {
                        if let value = try? future.result(timeout: patience) { sums.add(value) }
                    }
                }
                try? ended.put(())
            }
        }
        for _ in 0..<8 { try ended.get(timeout: patience) }
        #expect(Set(sums.all).count == 16_000 && sums.all.count == 16_000)
        pool.shutdown()
    }
}

func threadID() -> UInt { UInt(pthread_self()) }

/// As ps shows it.
func threadName() -> String {
    let comm = try? String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8)
    return comm?.trimmingCharacters(in: .newlines) ?? ""
}
