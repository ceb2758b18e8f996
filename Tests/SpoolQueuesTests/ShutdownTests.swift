// ShutdownTests.swift - how a queue ends: what Python 3.13's test_queue.py pins down about shutdown.
//
// The durable queue is not among them: closing a handle is not the end of its file, and it has no shutdown yet.

import SpoolThreads
import Testing

@testable import SpoolQueues

@Suite("A queue that is shut down", .timeLimit(.minutes(10))) struct ShutdownTests {
    @Test(
        "cQS1: refuses every put and get when it is empty", arguments: Distance.inMemory,
        [false, true])
    func empty(_ distance: Distance, _ immediate: Bool) throws {
        let queue = try distance.make(maxsize: 2).queue
        for _ in 0..<2 { queue.shutdown(immediate: immediate) }
        expectShut(queue)
        #expect(try queue.join(timeout: .zero))
    }

    private func expectShut(
        _ queue: any JoinableQueue<Int>, _ location: SourceLocation = #_sourceLocation
    ) {
        #expect(throws: SpoolError.shutDown, sourceLocation: location) { try queue.put(1) }
        #expect(throws: SpoolError.shutDown, sourceLocation: location) { try queue.putNowait(1) }
        #expect(throws: SpoolError.shutDown, sourceLocation: location) {
            try queue.put(1, timeout: patience)
        }
        #expect(throws: SpoolError.shutDown, sourceLocation: location) { try queue.get() }
        #expect(throws: SpoolError.shutDown, sourceLocation: location) { try queue.getNowait() }
        #expect(throws: SpoolError.shutDown, sourceLocation: location) {
            try queue.get(timeout: patience)
        }
    }

    @Test(
        "cQS2, cQS5: gives out what is left, joins, and then refuses",
        arguments: Distance.inMemory)
    func gentle(_ distance: Distance) throws {
        let queue = try distance.make(maxsize: 2).queue
        for item in 0..<2 { try queue.put(item) }
        queue.shutdown()
        #expect(throws: SpoolError.shutDown) { try queue.putNowait(9) }
        #expect(throws: SpoolError.shutDown) { try queue.put(9) }
        for _ in 0..<2 {
            _ = try queue.get()
            try queue.taskDone()
        }
        #expect(try queue.join(timeout: .zero))
        expectShut(queue)
    }

    @Test(
        "cQS3, cQS6: at once drops what is left: taskDone is an error, join returns",
        arguments: Distance.inMemory)
    func immediate(_ distance: Distance) throws {
        let queue = try distance.make(maxsize: 2).queue
        for item in 0..<2 { try queue.put(item) }
        queue.shutdown(immediate: true)
        expectShut(queue)
        #expect(throws: SpoolError.taskDoneTooOften) { try queue.taskDone() }
        #expect(try queue.join(timeout: .zero))
        #expect(queue.isEmpty && queue.unfinished == 0)
    }

    @Test("at once leaves what was got unfinished until its taskDone", arguments: Distance.inMemory)
    func held(_ distance: Distance) throws {
        let queue = try distance.make().queue
        for item in 0..<3 { try queue.put(item) }
        _ = try queue.get()
        queue.shutdown(immediate: true)
        #expect(queue.unfinished == 1)
        #expect(try !queue.join(timeout: .zero))
        try queue.taskDone()
        #expect(try queue.join(timeout: .zero))
    }

    @Test(
        "cQS7, cQS8: ends all writers, readers and joiners", arguments: Distance.inMemory,
        [false, true])
    func manyThreads(_ distance: Distance, _ immediate: Bool) throws {
        for _ in 0..<20 {
            let queue = try distance.make(maxsize: 4).queue
            let (writers, readers, joiners) = (Crew(), Crew(), Crew())
            try writers.start(6) { for item in 0..<10_000 { try queue.put(item) } }
            try readers.start(6) { while true { try queue.work { _ in } } }
            try joiners.start(2) { _ = try queue.join(timeout: patience) }
            #expect(try eventually { queue.unfinished > 0 || !writers.isRunning })
            queue.shutdown(immediate: immediate)
            for crew in [writers, readers, joiners] { try crew.end() }
            #expect(writers.failures.allSatisfy { $0 == .shutDown })
            #expect(readers.failures == Array(repeating: .shutDown, count: 6))
            #expect(joiners.failures.isEmpty)
            #expect(queue.isEmpty && queue.unfinished == 0)
        }
    }

    @Test(
        "cQS9, cQS15: wakes those that wait in get and in put", arguments: Distance.inMemory,
        [false, true])
    func waiting(_ distance: Distance, _ immediate: Bool) throws {
        let getters = try distance.make()
        let putters = try distance.make(maxsize: 1)
        try putters.queue.put(1)
        let crew = Crew()
        try crew.start(3) { _ = try getters.queue.get() }
        try crew.start(3) { try putters.queue.put(2, timeout: patience) }
        try getters.settle(3, in: .getters)
        try putters.settle(3, in: .putters)
        for subject in [getters, putters] { subject.queue.shutdown(immediate: immediate) }
        try crew.end()
        #expect(crew.failures == Array(repeating: .shutDown, count: 6))
    }

    @Test(
        "cQS11, cQS14: gently leaves joiners waiting until the rest is done",
        arguments: Distance.inMemory)
    func gentleJoin(_ distance: Distance) throws {
        let subject = try distance.make()
        for item in 0..<2 { try subject.queue.put(item) }
        let joiners = Crew()
        try joiners.start(2) { try subject.queue.join() }
        try subject.settle(2, in: .joiners)
        subject.queue.shutdown()
        try subject.settle(2, in: .joiners)
        let consumers = Crew()
        try consumers.start(2) { try subject.queue.work { _ in } }
        try consumers.end()
        try joiners.end()
        #expect(consumers.failures.isEmpty && joiners.failures.isEmpty)
    }

    @Test("cQS12: at once releases joiners", arguments: Distance.inMemory)
    func immediateJoin(_ distance: Distance) throws {
        let subject = try distance.make()
        try subject.queue.put(1)
        let joiners = Crew()
        try joiners.start(2) { try subject.queue.join() }
        try subject.settle(2, in: .joiners)
        subject.queue.shutdown(immediate: true)
        try joiners.end()
    }

    @Test(
        "cQS13: a refused put does not count as unfinished", arguments: Distance.inMemory,
        [false, true])
    func refusedPut(_ distance: Distance, _ immediate: Bool) throws {
        let queue = try distance.make().queue
        try queue.put(1)
        queue.shutdown(immediate: immediate)
        #expect(throws: SpoolError.shutDown) { try queue.put(2) }
        #expect(queue.unfinished == (immediate ? 0 : 1))
        if !immediate { try queue.work { _ in } }
        #expect(try queue.join(timeout: .zero))
    }
}
