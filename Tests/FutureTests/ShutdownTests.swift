// ShutdownTests.swift - how a pool ends, and a process with one.

import Foundation
import Patience
import SpoolThreads
import Testing

@testable import SpoolQueues

@Suite("The end of a pool", .timeLimit(.minutes(10))) struct ShutdownTests {
    @Test("cFS1: a task after the shutdown is refused")
    func afterwards() throws {
        for hasWorked in [false, true] {
            let pool = ThreadPool(maxWorkers: 1)
            if hasWorked { _ = try pool.submit { 1 } }
            pool.shutdown()
            #expect(throws: SpoolError.shutDown) { try pool.submit {} }
            #expect(throws: SpoolError.shutDown) { try pool.map([1]) { $0 } }
            #expect(pool.threads == 0)
            pool.shutdown()
        }
    }

    @Test("cFS4, cFX8: all that was submitted is done though the shutdown came at once")
    func all() throws {
        for workers in [1, 5] {
            let pool = ThreadPool(maxWorkers: workers)
            let futures = try (0..<50).map { number in try pool.submit { number } }
            pool.shutdown(wait: false)
            #expect(try futures.map { try $0.result(timeout: patience) } == Array(0..<50))
        }
    }

    @Test("cFS7, cFS8: after the shutdown, and after the scope, the threads have ended")
    func threadsEnd() throws {
        let notes = Notes<Int>()
        let outcome = Result {
            try withThreadPool(maxWorkers: 3, threadNamePrefix: "ending") { pool in
                for number in 0..<10 { try pool.submit { notes.add(number) } }
                throw Mishap()
            }
        }
        #expect(throws: Mishap()) { try outcome.get() }
        #expect(notes.all.sorted() == Array(0..<10))
        #expect(try eventually { !threadNames().contains { $0.hasPrefix("ending") } })
    }

    @Test("cFS9: a pool that is dropped does what was submitted, and its threads end")
    func dropped() throws {
        let gate = Gate()
        var futures: [Future<Int>] = []
        do {
            let pool = ThreadPool(maxWorkers: 3, threadNamePrefix: "dropped")
            futures = try (0..<20).map { number in
                try pool.submit {
                    try gate.pass()
                    return number
                }
            }
        }
        gate.open()
        #expect(try futures.map { try $0.result(timeout: patience) } == Array(0..<20))
        #expect(try eventually { !threadNames().contains { $0.hasPrefix("dropped") } })
    }

    @Test(
        "cFS10, cFS12: without waiting the shutdown returns; what runs goes on, the rest is cancelled"
    )
    func cancelFutures() throws {
        for cancels in [false, true] {
            let (gate, begun) = (Gate(), Gate())
            let pool = ThreadPool(maxWorkers: 1)
            let running = try pool.submit {
                begun.open()
                try gate.pass()
                return 1
            }
            try begun.pass()
            let rest = try (0..<5).map { number in try pool.submit { number } }
            pool.shutdown(wait: false, cancelFutures: cancels)
            #expect(running.running)
            #expect(rest.allSatisfy { $0.cancelled == cancels })
            gate.open()
            #expect(try running.result(timeout: patience) == 1)
            #expect(try Future.wait(rest, timeout: patience).notDone.isEmpty)
            pool.shutdown()
            #expect(rest.allSatisfy { $0.cancelled == cancels })
        }
    }

    @Test("a shutdown and submits at the same instant: what was taken is done")
    func race() throws {
        for _ in 0..<100 {
            let pool = ThreadPool(maxWorkers: 2)
            let taken = Queue<[Future<Int>]>()
            try Thread.detach("submitter") {
                var futures: [Future<Int>] = []
                while let future = try? pool.submit({ 1 }) { futures.append(future) }
                try? taken.put(futures)
            }
            pool.shutdown()
            let futures = try taken.get(timeout: patience)
            #expect(futures.allSatisfy { $0.done && !$0.cancelled })
        }
    }

    @Test("a task cannot wait for the end of its own pool")
    func ownEnd() async throws {
        await #expect(processExitsWith: .failure) {
            let pool = ThreadPool(maxWorkers: 1)
            try pool.submit { pool.shutdown() }.result(timeout: patience)
        }
        await #expect(processExitsWith: .failure) { _ = ThreadPool(maxWorkers: 0) }
    }
}

@Suite("The example Futures", .timeLimit(.minutes(10))) struct FuturesExampleTests {
    @Test("pools, callbacks and futures as they are done, as the tutorial has them")
    func tour() throws {
        let (status, printed, errors) = try run([])
        #expect(status == 0)
        let work = (0..<10).map { "work-\($0) is done" }
        let lines = [
            "2", "4", "6", "90", "result 123", "exception 'one' is not a number", "result 3",
            "quick", "slow",
        ]
        #expect(printed == work + lines)
        // cF2, cF4: reported, not swallowed.
        #expect(errors == ["spool: a callback of a future threw: 'callback' is not a number"])
    }

    @Test(
        "cFS2, cFS3, cFS6: what was submitted is done at the end of the program, no more is taken")
    func ending() throws {
        let (status, printed, errors) = try run(["ending"])
        #expect(status == 0 && errors.isEmpty)
        #expect(
            printed == [
                "main returns", "submit: the queue or pool is shut down.", "the last task is done",
            ])
    }

    private func run(_ words: [String]) throws -> (Int32, [String], [String]) {
        let process = Process()
        let (output, errors) = (Pipe(), Pipe())
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
            .deletingLastPathComponent().appendingPathComponent("Futures")
        process.arguments = words
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        let texts = try [output, errors].map { pipe in
            try process.end(reading: pipe).split(separator: "\n").map(String.init)
        }
        return (process.terminationStatus, texts[0], texts[1])
    }
}

/// The names of the threads of this process.
private func threadNames() -> [String] {
    let folder = "/proc/self/task"
    let threads = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return threads.compactMap {
        try? String(contentsOfFile: "\(folder)/\($0)/comm", encoding: .utf8)
    }
}
