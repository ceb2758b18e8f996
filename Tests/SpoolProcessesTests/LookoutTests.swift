// LookoutTests.swift - a getter of a shared queue that looks out for the next item before it sleeps.

import Patience
import SpoolQueues
import SpoolThreads
import Synchronization
import Testing

@testable import SpoolProcesses

private let patience = Patience.longest

@Suite("A getter that looks out", .timeLimit(.minutes(10))) struct LookoutTests {
    @Test("an item that one looks out for wakes nobody else, unless the time of that one is over")
    func lookout() throws {
        for isOver in [true, false] {
            let queue = try SharedQueue<Int>()
            if isOver {
                // Found by a look it would be found after an hour.
                queue.records.pace = LookingPace(shortest: .seconds(3600), longest: .seconds(3600))
            }
            let thread = Thread {
                let item = try queue.get(timeout: patience)
                #expect(item == 1)
            }
            try thread.start()
            while queue.records.look({ $0.sleepers.getters }) == 0 {
                Pause.briefly(upTo: .milliseconds(1))
            }
            // As of a process that was killed while it looked out.
            let until = Deadline(after: isOver ? .zero : .seconds(3600))
            queue.records.lookout.pointee.store(until.nanoseconds, ordering: .relaxed)
            try queue.put(1)
            #expect(try thread.join(timeout: patience))
            #expect(queue.records.look { $0.foundByLooking } == (isOver ? 0 : 1))
        }
    }

    @Test("gets what is put meanwhile, and what others could not take")
    func gets() throws {
        let queue = try SharedQueue<Int>()
        var spin = Spin()
        for item in 0..<1000 {
            let thread = Thread { try queue.put(item) }
            try thread.start()
            let delivery = try queue.getDelivery(timeout: patience, &spin)
            #expect(delivery.item == item)
            try queue.taskDone(delivery)
            try thread.join()
        }
        #expect(try queue.join(timeout: .zero))
        do throws(SpoolError) {
            _ = try queue.getDelivery(timeout: .zero, &spin)
            Issue.record("there was something to get")
        } catch { #expect(error == .empty) }
    }
}
