// QueueContractTests.swift - what Python's test_queue.py pins down, over every queue.

import SpoolThreads
import Testing

@testable import SpoolQueues

@Suite("A joinable queue", .timeLimit(.minutes(10))) struct QueueContractTests {
    @Test(
        "cQ1, cQ4: taskDone once too often is refused and changes nothing",
        arguments: Distance.allCases)
    func taskDoneTooOften(_ distance: Distance) throws {
        let queue = try distance.make().queue
        #expect(throws: SpoolError.taskDoneTooOften) { try queue.taskDone() }
        #expect(queue.unfinished == 0)
        try queue.put(1)
        _ = try queue.get()
        try queue.taskDone()
        #expect(throws: SpoolError.taskDoneTooOften) { try queue.taskDone() }
        #expect(try queue.join(timeout: .zero))
    }

    @Test(
        "cQ2, cQ3: join returns when all is done, again and again on one queue",
        arguments: Distance.allCases)
    func join(_ distance: Distance) throws {
        let queue = try distance.make(maxsize: 10).queue
        for _ in 0..<2 {
            let sum = Queue<Int>()
            let crew = Crew()
            try crew.start(2) {
                while true {
                    let item = try queue.get()
                    try sum.put(item)
                    try queue.taskDone()
                    if item < 0 { return }
                }
            }
            for item in 0..<100 { try queue.put(item) }
            #expect(try queue.join(timeout: patience))
            #expect(sum.count == 100, "join returned before all items were processed")
            for _ in 0..<2 { try queue.put(-1) }
            #expect(try queue.join(timeout: patience))
            try crew.end()
        }
        #expect(throws: SpoolError.taskDoneTooOften) { try queue.taskDone() }
    }

    @Test("cQ5, cQ13, cQA4: gives items back in its order", arguments: Distance.allCases)
    func order(_ distance: Distance) throws {
        let queue = try distance.make(maxsize: 3).queue
        for _ in 0..<2 {
            for item in [111, 333, 222] { try queue.putNowait(item) }
            let got = try (0..<3).map { _ in try queue.getNowait() }
            #expect(got == distance.order)
            #expect(queue.isEmpty)
        }
    }

    @Test(
        "cQ7, cQ13, cQA3, cQA14: a put on a full queue ends with full and adds nothing",
        arguments: Distance.inMemory)
    func full(_ distance: Distance) throws {
        let queue = try distance.make(maxsize: 2).queue
        for _ in 0..<2 {
            #expect(queue.isEmpty && !queue.isFull)
            for item in 0..<2 { try queue.putNowait(item) }
            #expect(queue.isFull && queue.count == 2)
            #expect(throws: SpoolError.full) { try queue.putNowait(9) }
            #expect(throws: SpoolError.full) { try queue.put(9, timeout: .milliseconds(10)) }
            #expect(queue.count == 2 && queue.unfinished == 2)
            for _ in 0..<2 { _ = try queue.getNowait() }
            for _ in 0..<2 { try queue.taskDone() }
        }
    }

    @Test(
        "cQ8, cQ11: a put on a full queue waits until another thread gets",
        arguments: Distance.inMemory, [nil, Duration.seconds(60)])
    func blockingPut(_ distance: Distance, _ limit: Duration?) throws {
        let subject = try distance.make(maxsize: 1)
        for _ in 0..<2 {
            try subject.queue.put(1)
            let crew = Crew()
            try crew.start { try subject.queue.put(2, timeout: limit) }
            try subject.settle(1, in: .putters)
            _ = try subject.queue.get()
            try crew.end()
            #expect(crew.failures.isEmpty)
            #expect(try subject.queue.getNowait() == 2)
        }
    }

    @Test(
        "cQ9, cQ13, cQA9: a get on an empty queue ends with empty", arguments: Distance.allCases)
    func empty(_ distance: Distance) throws {
        let queue = try distance.make().queue
        #expect(throws: SpoolError.empty) { try queue.getNowait() }
        let start = Deadline.now()
        #expect(throws: SpoolError.empty) { try queue.get(timeout: .milliseconds(10)) }
        #expect(Deadline.now().nanoseconds - start.nanoseconds >= 10_000_000)
    }

    @Test(
        "cQ10, cQ11: get waits until another thread puts", arguments: Distance.allCases,
        [nil, Duration.seconds(60)])
    func blockingGet(_ distance: Distance, _ limit: Duration?) throws {
        let subject = try distance.make()
        for item in 1...2 {
            let crew = Crew()
            try crew.collect { [try subject.queue.get(timeout: limit)] }
            try subject.settle(1, in: .getters)
            try subject.queue.put(item)
            #expect(try crew.end() == [item])
        }
    }

    @Test("cQ14: a bound below what it holds drops nothing; a higher one lets waiting puts in")
    func shrinking() throws {
        let queue = Queue<Int>(maxsize: 3)
        for item in 0..<3 { try queue.put(item) }
        queue.maxsize = 1
        #expect(queue.isFull && queue.count == 3)
        #expect(throws: SpoolError.full) { try queue.putNowait(9) }
        _ = try queue.get()
        #expect(throws: SpoolError.full) { try queue.putNowait(9) }
        let crew = Crew()
        try crew.start(2) { try queue.put(7) }
        #expect(try eventually { queue.waiting(in: .putters) == 2 })
        queue.maxsize = 0
        try crew.end()
        #expect(queue.count == 4 && queue.maxsize == 0)
    }

    @Test(
        "cQ19: a negative time limit is refused even when an item is there",
        arguments: Distance.allCases)
    func negative(_ distance: Distance) throws {
        let queue = try distance.make().queue
        try queue.put(1)
        let error = SpoolError.badInput("a timeout cannot be negative.")
        #expect(throws: error) { try queue.get(timeout: .seconds(-1)) }
        #expect(throws: error) { try queue.join(timeout: .nanoseconds(-1)) }
        if distance != .disk {
            #expect(throws: error) { try queue.put(2, timeout: .seconds(-1)) }
        }
        #expect(queue.count == 1)
    }

    @Test("an absurdly long time limit is no trap", arguments: Distance.inMemory)
    func absurd(_ distance: Distance) throws {
        let subject = try distance.make()
        let crew = Crew()
        let ages = Duration.seconds(Int64.max)
        try crew.collect { [try subject.queue.get(timeout: ages)] }
        try subject.settle(1, in: .getters)
        try subject.queue.put(5, timeout: ages)
        #expect(try crew.end() == [5])
    }

    @Test(
        "work reports an item as done, also when its closure throws", arguments: Distance.allCases)
    func work(_ distance: Distance) throws {
        struct Broken: Error {}
        let queue = try distance.make().queue
        for item in 1...2 { try queue.put(item) }
        #expect(throws: Broken.self) { try queue.work { _ in throw Broken() } }
        try queue.work { _ in }
        #expect(queue.unfinished == 0)
        #expect(throws: SpoolError.empty) { try queue.work(timeout: .zero) { _ in } }
    }

    @Test("J4: join with a time limit says that work is left", arguments: Distance.allCases)
    func joinInTime(_ distance: Distance) throws {
        let queue = try distance.make().queue
        #expect(try queue.join(timeout: .zero))
        try queue.put(1)
        #expect(try !queue.join(timeout: .milliseconds(5)))
        #expect(try !queue.join(timeout: .zero))
        #expect(queue.unfinished == 1)
    }

    @Test("a bound below zero is a mistake that stops the program")
    func negativeBound() async {
        await #expect(processExitsWith: .failure) { _ = Queue<Int>(maxsize: -1) }
        await #expect(processExitsWith: .failure) { Queue<Int>().maxsize = -1 }
    }
}
