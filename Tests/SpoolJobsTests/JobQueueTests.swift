// JobQueueTests.swift - the durable queue speaks Python's queue contract, from threads and from tasks.

import Glibc
import Patience
import SpoolThreads
import Testing

@testable import SpoolJobs

@Suite("A durable queue", .timeLimit(.minutes(10))) struct JobQueueTests {
    let scratch = Scratch()

    func queue() throws -> JobQueue { try JobQueue("mail", in: JobStore(scratch.path)) }

    @Test("cQ5: gives items back in the order in which they were put")
    func order() throws {
        let queue = try queue()
        for text in ["111", "333", "222"] { try queue.put(text) }
        let got = try (0..<3).map { _ in try queue.getNowait().body.bytes }
        #expect(got == ["111", "333", "222"].map { Array($0.utf8) })
    }

    @Test("cQ9: getNowait on an empty queue, and get with a time limit, end with empty")
    func empty() throws {
        let queue = try queue()
        #expect(throws: SpoolError.empty) { try queue.getNowait() }
        #expect(throws: SpoolError.empty) { try queue.get(timeout: .milliseconds(10)) }
    }

    @Test("cQ19: a negative time limit is refused even when an item is there")
    func negative() throws {
        let queue = try queue()
        try queue.put("x")
        let error = SpoolError.badInput("a timeout cannot be negative.")
        #expect(throws: error) { try queue.get(timeout: .seconds(-1)) }
        #expect(throws: error) { try queue.join(timeout: .seconds(-1)) }
        #expect(try queue.count() == 1)
    }

    @Test("cQ10: get waits until another thread puts")
    func blockingGet() throws {
        let queue = try queue()
        try Thread.detach("producer") { _ = try? queue.put("late") }
        #expect(try queue.get(timeout: .seconds(30)).body.bytes == Array("late".utf8))
    }

    @Test("cQ1, J3: a second taskDone for one job is an error and changes nothing")
    func taskDoneTwice() throws {
        let queue = try queue()
        try queue.put("x")
        let job = try queue.get()
        try queue.taskDone(job)
        #expect(throws: SpoolError.claimLost(job: 1, attempt: 1)) { try queue.taskDone(job) }
        #expect(throws: SpoolError.claimLost(job: 1, attempt: 1)) {
            try queue.fail(job, because: "")
        }
        #expect(try queue.counts().done == 1)
    }

    @Test("cQ2, cQ3: join returns when all is done, again and again on one queue")
    func join() throws {
        let queue = try queue()
        let consumer = ConsumerCount()
        for _ in 0..<3 {
            try Thread.detach("consumer") {
                while (try? queue.work { _ in consumer.add() }) != nil {}
            }
        }
        for round in 1...3 {
            for item in 0..<50 { try queue.put("\(item)") }
            #expect(try queue.join(timeout: .seconds(60)))
            #expect(consumer.count == round * 50)
        }
    }

    @Test("J4: join on an empty queue returns at once; with a time limit it says that work is left")
    func joinNow() throws {
        let queue = try queue()
        #expect(try queue.join(timeout: .zero))
        try queue.put("x")
        #expect(try !queue.join(timeout: .milliseconds(5)))
        #expect(try queue.unfinished() == 1)
    }

    @Test("cQ21: many producers and consumers: every item is got exactly once")
    func manyThreads() throws {
        let queue = try queue()
        let consumer = ConsumerCount()
        for producer in 0..<8 {
            try Thread.detach("producer") {
                for item in 0..<100 { _ = try? queue.put("\(producer).\(item)") }
            }
        }
        for _ in 0..<8 {
            try Thread.detach("consumer") {
                while (try? queue.work { consumer.add($0.body.bytes) }) != nil {}
            }
        }
        let all = try WaitFor.condition { consumer.count >= 800 }
        #expect(all)
        #expect(try queue.join(timeout: .seconds(60)))
        #expect(consumer.count == 800 && consumer.distinct == 800)
        #expect(try scratch.store(.existing).check() == [])
    }

    @Test("work records what its closure throws as a failure")
    func failure() throws {
        let queue = try queue()
        try queue.put(contentsOf: [NewJob(.kind("mail"), retries: 0)])
        try queue.work { _ in throw SpoolError.usage("no such mailbox") }
        let row = try scratch.store(.existing).job(1)
        #expect(row.state == .dead && row.error == "no such mailbox")
    }

    @Test("tasks put, get and join without a thread of their own")
    func tasks() async throws {
        let queue = try queue()
        let consumer = ConsumerCount()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for item in 0..<40 { group.addTask { try await queue.put("\(item)") } }
            for _ in 0..<40 {
                group.addTask { try await queue.work { job async in consumer.add(job.body.bytes) } }
            }
            try await group.waitForAll()
        }
        #expect(try await queue.join(timeout: .seconds(60)))
        #expect(consumer.distinct == 40)
    }

    @Test("cQA: a task that is cancelled while it waits takes no job")
    func cancellation() async throws {
        let queue = try queue()
        let waiting = Task { try await queue.get() }
        waiting.cancel()
        let outcome = await waiting.result
        #expect(throws: CancellationError.self) { try outcome.get() }
        try await queue.put("x")
        #expect(try await queue.get(timeout: .seconds(30)).claim.job == 1)
    }

    @Test("R4: a job that a dead process held is there for the next one at once")
    func recovery() throws {
        do {
            let queue = try queue()
            try queue.put("x")
            _ = try queue.get()
        }  // the lock on its byte goes with the store, as it would with the process
        let job = try queue().get(timeout: .seconds(30))
        #expect(job.claim.attempt == 2)
    }

    @Test("work records a cancellation of something else as a failure; a cancelled task gives back")
    func foreignCancellation() async throws {
        let queue = try queue()
        try await queue.put(contentsOf: [NewJob(.kind("mail"), retries: 0)])
        let cancelled = Task {
            try await queue.work { _ async throws in
                withUnsafeCurrentTask { $0?.cancel() }
                throw CancellationError()
            }
        }
        try await cancelled.value
        #expect(try queue.counts().ready == 1)
        try await queue.work { _ async throws in throw CancellationError() }
        let row = try scratch.store(.existing).job(1)
        #expect(row.state == .dead && row.error == "CancellationError()")
    }

    @Test(
        "work in a task waits as a task, though its body has no await, and runs it where its caller is"
    )
    @MainActor
    func bodyOfTask() async throws {
        let queue = try queue()
        try await queue.put("x")
        var seen: [Int64] = []
        try await queue.work { job in seen.append(job.claim.job) }
        #expect(seen == [1])
        let waiting = Task { try await queue.work(timeout: .seconds(30)) { _ in } }
        waiting.cancel()
        let outcome = await waiting.result
        #expect(throws: CancellationError.self) { try outcome.get() }
    }

    @Test(
        "a backoff is within its bounds after any number of failures",
        arguments: [.min, 0, 1, 99, .max])
    func backoff(_ failures: Int) {
        let delay = Backoff(min: .seconds(1), max: .seconds(60)).delay(after: failures, random: 0)
        #expect(delay == (failures > 1 ? .seconds(60) : .seconds(1)))
    }

    @Test("R6: a job that kills the program which took it three times in a row is dead")
    func poison() throws {
        let poison = Array("poison".utf8)
        try queue().put(contentsOf: [newJob(poison), newJob(Array("good".utf8))])
        for _ in 0..<4 {
            let queue = try queue()
            while let job = try? queue.get(timeout: .seconds(5)), job.body.bytes != poison {
                try queue.taskDone(job)
            }
        }  // the lock on its byte goes with the store, as it would with the process
        let store = try scratch.store(.existing)
        #expect(try [store.job(1).state, store.job(2).state] == [.dead, .done])
        #expect(
            try store.attempts(of: 1).map(\.verdict) == [
                .consumerDied, .consumerDied, .consumerDied,
            ])
        #expect(try store.check() == [])
    }

    @Test("R3: of several jobs that a program held as it died none is taken for the reason")
    func severalHeld() throws {
        for _ in 0..<4 {
            let queue = try queue()
            if try queue.unfinished() == 0 {
                try queue.put(contentsOf: [newJob([1]), newJob([2])])
            }
            for _ in 0..<2 { _ = try queue.get(timeout: .seconds(30)) }
        }
        let store = try scratch.store(.existing)
        #expect(try store.recover(now: .now()) == 2)
        #expect(try store.counts(queue: nil).ready == 2)
        #expect(try store.attempts(of: 2).allSatisfy { $0.verdict == .workerLost })
    }

    private func newJob(_ body: [UInt8]) -> NewJob { NewJob(.kind("mail"), body: .bytes(body)) }

    @Test("J2: a join ends when the worker of a job that was to be cancelled has died")
    func joinAfterDeath() async throws {
        let queue = try queue()
        for id in Int64(1)...2 {
            try await queue.put("x")
            do {
                let other = try scratch.store(.existing)
                let typed = Selection(kinds: .some(["mail"]), commands: false)
                let owner = try other.owner()
                #expect(try other.take(1, owner, from: typed, now: .now()).count == 1)
            }
            _ = try scratch.store(.existing).cancel(
                [id], signal: 15, grace: .seconds(10), now: .now())
            let isOver = id == 1 ? try joined(queue) : try await queue.join(timeout: .seconds(30))
            #expect(isOver)
        }
    }

    private func joined(_ queue: JobQueue) throws -> Bool { try queue.join(timeout: .seconds(30)) }

    @Test("J2: who waits for a file that was moved is told so")
    func moved() async throws {
        let queue = try queue()
        try await queue.put("x")
        let other = try JobQueue("other", in: queue.store)
        // Who begins to wait now finds no file at all.
        #expect(try await !queue.join(timeout: .zero))
        await #expect(throws: SpoolError.empty) { _ = try await other.get(timeout: .zero) }
        #expect(rename(scratch.path, scratch.path + ".moved") == 0)
        let error = Store.removed(try Path.canonical(scratch.path))
        #expect(throws: error) { try joined(queue) }
        await #expect(throws: error) { _ = try await queue.join(timeout: .seconds(30)) }
        await #expect(throws: error) { _ = try await other.get(timeout: .seconds(30)) }
    }
}

/// Counts what consumers got.
final class ConsumerCount: @unchecked Sendable {  // touched with the lock held only
    private let lock = Lock()
    private var total = 0
    private var seen: Set<[UInt8]> = []

    func add(_ item: [UInt8] = []) {
        lock.withLock {
            total += 1
            seen.insert(item)
        }
    }

    var count: Int { lock.withLock { total } }
    var distinct: Int { lock.withLock { seen.count } }
}

enum WaitFor {
    /// Looks until it holds.
    static func condition(_ holds: () throws -> Bool) throws -> Bool {
        try Patience.eventually(holds)
    }
}
