// TimerTests.swift - a closure that runs after a time, unless it is called off.

import SpoolThreads
import Testing

@Suite("A timer", .timeLimit(.minutes(10))) struct TimerTests {
    @Test("runs its closure once, not before its time")
    func runs() throws {
        let (runs, begin) = (Tally(), Deadline.now())
        let timer = try Timer(after: .milliseconds(20)) { runs.add() }
        try timer.start()
        try timer.join()
        #expect(runs.value == 1)
        #expect(Deadline.now().nanoseconds - begin.nanoseconds >= 20_000_000)
        #expect(!timer.cancel(), "it has begun")
    }

    @Test("that is cancelled in time ends at once and runs nothing")
    func cancel() throws {
        let runs = Tally()
        let timer = try Timer(after: .seconds(3600)) { runs.add() }
        try timer.start()
        #expect(timer.cancel())
        #expect(timer.cancel(), "again is harmless")
        #expect(try timer.join(timeout: patience))
        #expect(runs.value == 0)
    }

    @Test("that is cancelled before its start runs nothing")
    func cancelFirst() throws {
        let runs = Tally()
        let timer = try Timer(after: .zero) { runs.add() }
        #expect(timer.cancel())
        try timer.start()
        try timer.join()
        #expect(runs.value == 0)
    }

    @Test(
        "cT27: timers share nothing: a hundred at once run each its own closure, or are called off")
    func many() throws {
        let (runs, calledOff) = (Tally(), Tally())
        let timers = try (0..<100).map { _ in try Timer(after: .milliseconds(1)) { runs.add() } }
        for timer in timers { try timer.start() }
        for timer in timers where timer.cancel() { calledOff.add() }
        for timer in timers { try timer.join() }
        #expect(runs.value + calledOff.value == 100)
    }

    @Test("cannot wait for a negative time, and can be started once")
    func mistakes() throws {
        #expect(throws: SpoolError.self) { _ = try Timer(after: .seconds(-1)) {} }
        let timer = try Timer(after: .zero) {}
        try timer.start()
        #expect(throws: SpoolError.self) { try timer.start() }
        try timer.join()
    }
}
