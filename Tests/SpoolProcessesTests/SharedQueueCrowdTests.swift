// SharedQueueCrowdTests.swift - a shared queue with many that wait, and with one that holds much.

import Glibc
import SpoolThreads
import Testing

@testable import SpoolProcesses

@Suite("A shared queue of a crowd", .timeLimit(.minutes(10))) struct SharedQueueCrowdTests {
    /// The same queue as another process has it.
    private func other(_ queue: SharedQueue<Int>) throws -> SharedQueue<Int> {
        try SharedQueue<Int>(mapping: Descriptor(owning: dup(queue.descriptor)))
    }

    @Test("R2: what a dead one held comes back in the time of few verbs each, however much it is")
    func holdsMuch() throws {
        let number = 20_000
        let queue = try SharedQueue<Int>(bytes: 64 * number + 64)
        let holder = try other(queue)
        let start = Deadline.now()
        for item in 0..<number { try queue.put(item) }
        for item in 0..<number { #expect(try holder.get() == item) }
        let verbs = Deadline.now() - start
        try queue.put(number)
        let before = Deadline.now()
        holder.close()
        // As of a holder that died. From the front for each it took sixty times as long as the verbs.
        #expect(Deadline.now() - before < verbs * 3)
        for item in 0...number { #expect(try queue.getDelivery().item == item) }
    }

    @Test("R2: what is given back in another order than it was put comes in the order of the puts")
    func otherOrder() throws {
        let queue = try SharedQueue<Int>()
        let (first, second) = (try other(queue), try other(queue))
        for item in 0..<6 { try queue.put(item) }
        #expect(try first.get() == 0)
        #expect(try second.get() == 1)
        first.close()
        // The second holds 1, 0, 2 in this order.
        #expect(try second.get() == 0)
        #expect(try second.get() == 2)
        second.close()
        #expect(try (0..<6).map { _ in try queue.get() } == Array(0..<6))
    }

    @Test("R2: of all that wait one looks for deaths at a time, and the next a moment later")
    func turns() throws {
        let (one, another) = (try SharedQueue<Int>(), try SharedQueue<Int>())
        let (records, others) = (one.records, try other(one).records)
        let hour = LookingPace(shortest: .seconds(3600), longest: .seconds(3600))
        (records.pace, others.pace) = (hour, hour)
        #expect(records.takeTurn() == 0)
        #expect(records.takeTurn() == nil && others.takeTurn() == nil)
        others.pace = LookingPace(shortest: .zero)
        #expect(others.takeTurn() == 1)
        #expect(records.takeTurn() == nil)
        #expect(another.records.takeTurn() == 0)
    }
}
