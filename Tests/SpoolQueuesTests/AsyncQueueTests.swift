// AsyncQueueTests.swift - the verbs for tasks: what Python's test_asyncio/test_queues.py pins down.

import SpoolThreads
import Testing

@testable import SpoolQueues

@Suite("A queue of tasks", .timeLimit(.minutes(10))) struct AsyncQueueTests {
    @Test("cQA5: with a bound of 2 the third put suspends until an item is taken")
    func bound() async throws {
        let subject = try Distance.queue.make(maxsize: 2)
        let producer = Task { for item in 0..<3 { try await subject.put(item, nil) } }
        try await subject.settle(1, in: .putters)
        #expect(subject.queue.count == 2)
        var got: [Int] = []
        for _ in 0..<3 { got.append(try await subject.get(patience)) }
        try await producer.value
        #expect(got == [0, 1, 2])
    }

    @Test(
        "cQA6, cQA8, cQA21: get takes what is there, or suspends until a put",
        arguments: Distance.allCases)
    func get(_ distance: Distance) async throws {
        let subject = try distance.make()
        try await subject.put(1, nil)
        #expect(try await subject.get(nil) == 1)
        let getter = Task { try await subject.get(nil) }
        try await subject.settle(1, in: .getters)
        try await subject.put(2, nil)
        #expect(try await getter.value == 2)
    }

    @Test("work in a task runs its body where its caller is, though the body has no await")
    @MainActor
    func bodyOfTask() async throws {
        let queue = Queue<Int>()
        try await queue.put(7)
        var seen: [Int] = []
        try await queue.work { seen.append($0) }
        #expect(seen == [7] && queue.unfinished == 0)
    }

    @Test("cQ7, cQ9, cQ19: time limits hold for tasks", arguments: Distance.allCases)
    func limits(_ distance: Distance) async throws {
        let subject = try distance.make(maxsize: 1)
        let start = Deadline.now()
        await #expect(throws: SpoolError.empty) { try await subject.get(.milliseconds(10)) }
        #expect(Deadline.now().nanoseconds - start.nanoseconds >= 10_000_000)
        await #expect(throws: SpoolError.empty) { try await subject.get(.zero) }
        try await subject.put(1, nil)
        #expect(try await !subject.join(.milliseconds(5)))
        await #expect(throws: SpoolError.badInput("a timeout cannot be negative.")) {
            try await subject.get(.seconds(-1))
        }
        guard distance != .disk else { return }
        await #expect(throws: SpoolError.full) { try await subject.put(2, .milliseconds(5)) }
        #expect(subject.queue.count == 1 && subject.queue.unfinished == 1)
        #expect(subject.waiting(.getters) == 0 && subject.waiting(.putters) == 0)
    }

    @Test(
        "cQA10: the next item goes to the second task, not to the cancelled first",
        arguments: Distance.allCases)
    func cancelledFirst(_ distance: Distance) async throws {
        let subject = try distance.make()
        let first = Task { try await subject.get(nil) }
        try await subject.settle(1, in: .getters)
        let second = Task { try await subject.get(nil) }
        try await subject.settle(2, in: .getters)
        first.cancel()
        try await subject.put(7, nil)
        #expect(try await second.value == 7)
        await #expect(throws: CancellationError.self) { try await first.value }
    }

    @Test("cQA11, cQA22: with a bound of 1 no wake-up is lost", arguments: Distance.inMemory)
    func boundOfOne(_ distance: Distance) async throws {
        for _ in 0..<50 {
            let subject = try distance.make(maxsize: 1)
            let putters = (0..<5).map { item in Task { try await subject.put(item, patience) } }
            let getter = Task {
                for _ in 0..<5 {
                    _ = try await subject.get(patience)
                    try subject.queue.taskDone()
                }
            }
            for putter in putters { try await putter.value }
            try await getter.value
            #expect(try await subject.join(patience))
        }
    }

    @Test(
        "cQA12, cQA23: who was cancelled or timed out leaves no trace among those that wait",
        arguments: Distance.inMemory)
    func noTrace(_ distance: Distance) async throws {
        let subject = try distance.make(maxsize: 1)
        let getters = (0..<10).map { _ in Task { try await subject.get(nil) } }
        try await subject.settle(10, in: .getters)
        for getter in getters { getter.cancel() }
        for getter in getters { _ = await getter.result }
        #expect(subject.waiting(.getters) == 0)
        try await subject.put(1, nil)
        let putters = (0..<10).map { _ in Task { try await subject.put(2, nil) } }
        try await subject.settle(10, in: .putters)
        for putter in putters { putter.cancel() }
        for putter in putters {
            await #expect(throws: CancellationError.self) { try await putter.value }
        }
        #expect(subject.waiting(.putters) == 0 && subject.queue.count == 1)
    }

    @Test(
        "cQA15, cQA24: cancelling a reader that was just woken swallows no item",
        arguments: Distance.inMemory)
    func cancelledWhileWoken(_ distance: Distance) async throws {
        for _ in 0..<200 {
            let subject = try distance.make()
            let reader = Task { try await subject.get(nil) }
            try await subject.settle(1, in: .getters)
            try await subject.put(1, nil)
            reader.cancel()
            try await subject.put(2, nil)
            let first = try? await reader.value
            var rest: [Int] = []
            while let item = try? subject.queue.getNowait() { rest.append(item) }
            #expect((rest + [first].compactMap { $0 }).sorted() == [1, 2])
        }
    }

    @Test(
        "cQA16: three readers, two items, one cancelled: the items reach the other two",
        arguments: Distance.inMemory)
    func threeReaders(_ distance: Distance) async throws {
        for _ in 0..<100 {
            let subject = try distance.make()
            let readers = (0..<3).map { _ in Task { try await subject.get(nil) } }
            try await subject.settle(3, in: .getters)
            readers[1].cancel()
            try await subject.put(1, nil)
            try await subject.put(2, nil)
            await #expect(throws: CancellationError.self) { try await readers[1].value }
            #expect(try await [readers[0].value, readers[2].value].sorted() == [1, 2])
        }
    }

    @Test("cQA17: a writer cancelled while it waits and tried again delivers once")
    func cancelledWriter() async throws {
        let subject = try Distance.queue.make(maxsize: 1)
        try await subject.put(1, nil)
        let writer = Task { try await subject.put(2, nil) }
        try await subject.settle(1, in: .putters)
        writer.cancel()
        await #expect(throws: CancellationError.self) { try await writer.value }
        let again = Task { try await subject.put(2, nil) }
        #expect(try await subject.get(nil) == 1)
        #expect(try await subject.get(patience) == 2)
        try await again.value
        #expect(subject.queue.count == 0)
    }

    @Test("cQA20: cancelling the last of those that wait leaves the order of the others")
    func cancelledThird() async throws {
        let subject = try Distance.queue.make(maxsize: 1)
        try await subject.put(0, nil)
        var putters: [Task<Void, any Error>] = []
        for item in 1...3 {
            putters.append(Task { try await subject.put(item, nil) })
            try await subject.settle(item, in: .putters)
        }
        putters[2].cancel()
        var got: [Int] = []
        for _ in 0..<3 { got.append(try await subject.get(patience)) }
        #expect(got == [0, 1, 2])
        await #expect(throws: CancellationError.self) { try await putters[2].value }
    }

    @Test(
        "cQA26: 100 items and two workers: join returns with everything processed",
        arguments: Distance.allCases)
    func workers(_ distance: Distance) async throws {
        let subject = try distance.make(maxsize: 10)
        let processed = Queue<Int>()
        let workers = (0..<2).map { _ in
            Task {
                while true {
                    try processed.putNowait(try await subject.get(nil))
                    try subject.queue.taskDone()
                }
            }
        }
        for item in 0..<100 { try await subject.put(item, nil) }
        #expect(try await subject.join(patience))
        #expect(processed.count == 100)
        for worker in workers { worker.cancel() }
        for worker in workers { _ = await worker.result }
    }

    @Test("cQA27: join on an empty queue returns at once, twice", arguments: Distance.allCases)
    func joinEmpty(_ distance: Distance) async throws {
        let subject = try distance.make()
        for _ in 0..<2 { #expect(try await subject.join(nil)) }
    }

    @Test(
        "a join that is cancelled throws and leaves the queue as it was",
        arguments: Distance.inMemory)
    func cancelledJoin(_ distance: Distance) async throws {
        let subject = try distance.make()
        try await subject.put(1, nil)
        let joiner = Task { try await subject.join(nil) }
        try await subject.settle(1, in: .joiners)
        joiner.cancel()
        await #expect(throws: CancellationError.self) { try await joiner.value }
        #expect(subject.waiting(.joiners) == 0 && subject.queue.unfinished == 1)
    }

    @Test("work for tasks reports an item as done, also when its closure throws")
    func work() async throws {
        struct Broken: Error {}
        let queue = Queue<Int>()
        for item in 1...2 { try await queue.put(item) }
        await #expect(throws: Broken.self) {
            try await queue.work { _ async throws in throw Broken() }
        }
        #expect(try await queue.work { item async in item * 10 } == 20)
        #expect(queue.unfinished == 0)
    }

    @Test("loops over the items share them, and end with the queue")
    func items() async throws {
        let queue = Queue<Int>(maxsize: 4)
        let loops = (0..<3).map { _ in
            Task {
                var got: [Int] = []
                for await item in queue.items {
                    got.append(item)
                    try queue.taskDone()
                }
                return got
            }
        }
        for item in 0..<300 { try await queue.put(item) }
        queue.shutdown()
        var got: [Int] = []
        for loop in loops { got += try await loop.value }
        #expect(got.sorted() == Array(0..<300))
        #expect(try await queue.join())
    }

    @Test("a loop over the items ends when its task is cancelled")
    func cancelledLoop() async throws {
        let queue = Queue<Int>()
        let loop = Task { for await _ in queue.items {} }
        #expect(try await eventually { queue.waiting == 1 })
        loop.cancel()
        await loop.value
        try queue.putNowait(1)
        #expect(queue.count == 1)
    }

    @Test("10,000 tasks wait; one put wakes one")
    func manyTasks() async throws {
        let queue = Queue<Int>()
        let tasks = (0..<10_000).map { _ in Task { try await queue.get() } }
        #expect(try await eventually { queue.waiting == 10_000 })
        try queue.putNowait(0)
        #expect(try await eventually { queue.waiting == 9_999 })
        queue.shutdown()
        var got = 0
        for task in tasks where (try? await task.value) != nil { got += 1 }
        #expect(got == 1)
    }
}
