// OwnPoolTests.swift - waiting in a worker for tasks of its own pool: an error where it would never end.

import SpoolThreads
import Testing

@testable import SpoolQueues

@Suite("A task that waits for its own pool", .timeLimit(.minutes(10))) struct OwnPoolTests {
    private let allWait = SpoolError.badInput(
        "all 1 workers of the pool would wait for tasks of their own pool.",
        hint: "Give the pool more workers, or the inner tasks a pool of their own.")
    private let waitsForItself = SpoolError.badInput(
        "the task waits for its own future, directly or through others.",
        hint: "Return, and let others wait for it.")

    @Test("gets an error in the only worker, and the pool goes on")
    func onlyWorker() throws {
        let pool = ThreadPool(maxWorkers: 1)
        let inner = Notes<Future<Int>>()
        let outer = try pool.submit {
            let future = try pool.submit { 5 }
            inner.add(future)
            return try future.result()
        }
        #expect(throws: allWait) { try outer.result(timeout: patience) }
        #expect(try inner.all[0].result(timeout: patience) == 5)
        #expect(throws: allWait) {
            try pool.submit { try Future.wait([pool.submit { 5 }]) }.result(timeout: patience)
        }
        #expect(throws: allWait) {
            try pool.submit { try pool.map([1]) { $0 }.all() }.result(timeout: patience)
        }
        pool.shutdown()
    }

    @Test("gets an error for its own future, however many workers there are")
    func itself() throws {
        let pool = ThreadPool(maxWorkers: 8)
        let (own, handed) = (Queue<Future<Int>>(), Gate())
        let future: Future<Int> = try pool.submit {
            try handed.pass()
            return try own.get(timeout: patience).result()
        }
        try own.put(future)
        handed.open()
        #expect(throws: waitsForItself) { try future.result(timeout: patience) }
        pool.shutdown()
    }

    @Test("gets an error when it closes a circle of tasks that wait for each other")
    func circle() throws {
        let pool = ThreadPool(maxWorkers: 8)
        let (there, back) = (Queue<Future<Int>>(), Queue<Future<Int>>())
        let a: Future<Int> = try pool.submit { try there.get(timeout: patience).result() }
        let b: Future<Int> = try pool.submit { try back.get(timeout: patience).result() }
        try there.put(b)
        try back.put(a)
        // One of them closes the circle and fails; the other gets its error.
        #expect(throws: waitsForItself) { try a.result(timeout: patience) }
        #expect(throws: waitsForItself) { try b.result(timeout: patience) }
        pool.shutdown()
    }

    @Test("may wait when another worker is free, and with a time limit")
    func allowed() throws {
        let pool = ThreadPool(maxWorkers: 2)
        for _ in 0..<200 {
            let outer = try pool.submit { try pool.submit { 5 }.result() }
            #expect(try outer.result(timeout: patience) == 5)
        }
        let late = try pool.submit { try pool.submit { 5 }.result(timeout: patience) }
        #expect(try late.result(timeout: patience) == 5)
        pool.shutdown()
        let single = ThreadPool(maxWorkers: 1)
        let timed = try single.submit { try single.submit { 5 }.result(timeout: .milliseconds(5)) }
        #expect(throws: SpoolError.timedOut("the task of the future was not done in time.")) {
            try timed.result(timeout: patience)
        }
        single.shutdown()
    }
}
