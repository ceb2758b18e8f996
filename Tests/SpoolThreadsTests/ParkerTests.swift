// ParkerTests.swift - one thread waits, another one tells.

import SpoolThreads
import Testing

@Suite("A parker", .timeLimit(.minutes(10))) struct ParkerTests {
    @Test("keeps what was told before anybody waited")
    func before() {
        let parker = Parker()
        parker.tell(7)
        #expect(parker.wait() == 7)
        #expect(parker.wait(until: Deadline(after: .zero)) == nil)
    }

    @Test("wakes the thread that waits, ten thousand times without losing one")
    func handOver() throws {
        let (there, back) = (Parker(), Parker())
        try Thread.detach("echo") {
            while let message = there.wait(), message < 10_001 { back.tell(message) }
        }
        for message in UInt32(1)...10_000 {
            there.tell(message)
            #expect(back.wait() == message)
        }
        there.tell(10_001)
    }

    @Test("gives up at its deadline, not before")
    func deadline() {
        let parker = Parker()
        let deadline = Deadline(after: .milliseconds(5))
        #expect(parker.wait(until: deadline) == nil)
        #expect(deadline.isPast)
    }
}
