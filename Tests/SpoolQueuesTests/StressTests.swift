// StressTests.swift - many threads and tasks on one queue: nothing is lost, doubled or left asleep.

import SpoolThreads
import Testing

@testable import SpoolQueues

@Suite("A joinable queue under load", .timeLimit(.minutes(10))) struct StressTests {
    @Test("cQ20: one producer and one consumer keep the order", arguments: [Distance.queue, .disk])
    func order(_ distance: Distance) throws {
        let queue = try distance.make(maxsize: 3).queue
        let crew = Crew()
        try crew.start {
            for item in 0..<100 {
                if item % 7 == 0 { Pause.briefly(upTo: .microseconds(300)) }
                try queue.put(item)
            }
        }
        try crew.collect { try (0..<100).map { _ in try queue.get(timeout: patience) } }
        #expect(try crew.end() == Array(0..<100))
    }

    @Test(
        "cQ21: 50 producers and 50 consumers: every item is got exactly once",
        arguments: Distance.allCases)
    func manyThreads(_ distance: Distance) throws {
        try load(distance, items: distance == .disk ? 2000 : 10_000) { queue in
            try queue.get(timeout: patience)
        }
    }

    @Test("cQ22: the same with consumers that do not wait", arguments: Distance.inMemory)
    func polling(_ distance: Distance) throws {
        try load(distance, items: 10_000) { queue in try poll(queue, .zero) }
    }

    @Test("cQ23: the same with consumers that wait 10 µs", arguments: Distance.inMemory)
    func shortWaits(_ distance: Distance) throws {
        try load(distance, items: 1000) { queue in try poll(queue, .microseconds(10)) }
    }

    private func poll(_ queue: any JoinableQueue<Int>, _ limit: Duration) throws -> Int {
        let deadline = Deadline(after: patience)
        while !deadline.isPast {
            if let item = try? queue.get(timeout: limit) { return item }
            if limit == .zero { Pause.briefly(upTo: .microseconds(100)) }
        }
        throw SpoolError.timedOut("no item came")
    }

    /// 50 producers put all the numbers, 50 consumers get them.
    private func load(
        _ distance: Distance, items: Int,
        _ get: @escaping @Sendable (any JoinableQueue<Int>) throws -> Int
    ) throws {
        let queue = try distance.make(maxsize: 16).queue
        let crew = Crew()
        let numbers = Queue<Int>()
        for number in 0..<items { try numbers.put(number) }
        numbers.shutdown()
        try crew.start(50) {
            while let number = try? numbers.get() { try queue.put(number, timeout: patience) }
        }
        try crew.collect(50) {
            try (0..<items / 50).map { _ in
                let item = try get(queue)
                try queue.taskDone()
                return item
            }
        }
        #expect(try crew.end().sorted() == Array(0..<items))
        #expect(crew.failures.isEmpty)
        #expect(queue.isEmpty && queue.unfinished == 0)
        #expect(try queue.join(timeout: .zero))
    }

    @Test("a full queue, many consumers, many rounds: all end", arguments: Distance.inMemory)
    func rounds(_ distance: Distance) throws {
        for round in 0..<60 {
            let queue = try distance.make(maxsize: 1 + round % 3).queue
            let crew = Crew()
            try crew.start(4) {
                for item in 0..<50 { try queue.put(item, timeout: patience) }
            }
            try crew.start(8) {
                for _ in 0..<25 { try queue.work(timeout: patience) { _ in } }
            }
            try crew.end()
            #expect(crew.failures.isEmpty && queue.unfinished == 0, "round \(round)")
        }
    }

    @Test("expiring puts and gets lose and double nothing", arguments: Distance.inMemory)
    func expiry(_ distance: Distance) throws {
        let queue = try distance.make(maxsize: 2).queue
        let crew = Crew()
        try crew.start(8) {
            for item in 0..<200 {
                while (try? queue.put(item, timeout: .microseconds(10))) == nil {}
            }
        }
        try crew.collect(8) {
            try (0..<200).map { _ in try poll(queue, .microseconds(10)) }
        }
        let expected = (0..<200).flatMap { Array(repeating: $0, count: 8) }
        #expect(try crew.end().sorted() == expected)
        #expect(queue.isEmpty && queue.unfinished == 1600)
    }

    @Test("many joiners are all released by the last taskDone", arguments: Distance.inMemory)
    func joiners(_ distance: Distance) throws {
        for _ in 0..<50 {
            let subject = try distance.make()
            for item in 0..<4 { try subject.queue.put(item) }
            let crew = Crew()
            try crew.start(4) { _ = try subject.queue.join(timeout: patience) }
            try crew.start(4) { try subject.queue.work { _ in } }
            try crew.end()
            #expect(crew.failures.isEmpty)
        }
    }

    @Test("a storm of cancellations loses no item", arguments: Distance.inMemory)
    func cancellations(_ distance: Distance) async throws {
        let subject = try distance.make(maxsize: 4)
        let got = Queue<Int>()
        let consumers = (0..<200).map { number in
            Task {
                while true {
                    let limit: Duration? = number % 2 == 0 ? nil : .milliseconds(1)
                    do {
                        try got.putNowait(try await subject.get(limit))
                    } catch SpoolError.empty {}
                }
            }
        }
        let producer = Task {
            for item in 0..<2000 { try await subject.put(item, nil) }
        }
        for consumer in consumers.dropLast(2) {
            consumer.cancel()
            await Task.yield()
        }
        try await producer.value
        #expect(try await eventually { got.count == 2000 })
        for consumer in consumers { consumer.cancel() }
        for consumer in consumers { _ = await consumer.result }
        #expect(try (0..<2000).map { _ in try got.getNowait() }.sorted() == Array(0..<2000))
        #expect(subject.waiting(.getters) == 0)
    }

    @Test("threads and tasks share one queue", arguments: Distance.inMemory)
    func mixed(_ distance: Distance) async throws {
        let subject = try distance.make(maxsize: 8)
        let crew = Crew()
        try crew.start(4) { for item in 0..<500 { try subject.queue.put(item, timeout: patience) } }
        try crew.collect(2) {
            try (0..<500).map { _ in try subject.queue.work(timeout: patience) { $0 } }
        }
        let tasks = (0..<4).map { _ in
            Task {
                for _ in 0..<250 {
                    _ = try await subject.get(patience)
                    try subject.queue.taskDone()
                }
            }
        }
        for task in tasks { try await task.value }
        try await crew.end()
        #expect(crew.failures.isEmpty)
        #expect(try await subject.join(.zero))
    }

    @Test("a burst wakes as many as it has items for", arguments: Distance.inMemory)
    func burst(_ distance: Distance) async throws {
        for _ in 0..<20 {
            let subject = try distance.make()
            let crew = Crew()
            try crew.start(4) { _ = try subject.queue.get(timeout: patience) }
            let tasks = (0..<4).map { _ in Task { try await subject.get(patience) } }
            try await subject.settle(8, in: .getters)
            for item in 0..<8 { try subject.queue.putNowait(item) }
            try await crew.end()
            for task in tasks { _ = try await task.value }
            #expect(crew.failures.isEmpty && subject.queue.isEmpty)
        }
    }
}
