// BellTests.swift - the bells by which threads of several processes are woken, after a long time.

import SpoolThreads
import Synchronization
import Testing

@testable import SpoolProcesses

@Suite("A bell in shared memory", .timeLimit(.minutes(10))) struct BellTests {
    @Test("R2: rings on after 2^32 rings, with the lock held as with none")
    func wrapped() throws {
        let semaphore = try SharedSemaphore(0)
        let seats = semaphore.place.seats
        for round in 1...3 {
            let thread = Thread { try semaphore.acquire() }
            try thread.start()
            while semaphore.place.waiters().count < 1 { Pause.briefly(upTo: .milliseconds(1)) }
            for seat in 0..<seats.count {
                seats.bell(seat).pointee.store(.max, ordering: .sequentiallyConsistent)
            }
            try semaphore.release()
            try thread.join()
            #expect(semaphore.place.waiters() == [], "\(round)")
        }
    }
}
