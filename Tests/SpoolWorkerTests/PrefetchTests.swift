// PrefetchTests.swift - how many jobs a supervisor puts into one consumer's hands.

import SpoolJobs
import SpoolThreads
import Testing

@testable import SpoolWorker

@Suite("A supervisor that prefetches") struct PrefetchTests {
    @Test("gives one job while it does not know how long jobs take")
    func unknownPace() {
        var rehearsal = Rehearsal(consumers: 2)
        _ = rehearsal.turn()
        #expect(rehearsal.state.consumers.map(\.held.count) == [1, 1])
    }

    @Test("gives many short jobs at once")
    func shortJobs() {
        var rehearsal = Rehearsal(consumers: 1)
        _ = rehearsal.turn()
        rehearsal.finish(0, after: .microseconds(1))
        _ = rehearsal.turn()
        #expect(rehearsal.state.consumers[0].held.count == SupervisorState.maximumHeld)
    }

    @Test("gives one long job at a time")
    func longJobs() {
        var rehearsal = Rehearsal(consumers: 1)
        for _ in 0..<3 {
            _ = rehearsal.turn()
            rehearsal.finish(0, after: .seconds(2))
        }
        _ = rehearsal.turn()
        #expect(rehearsal.state.consumers[0].held.count == 1)
    }

    @Test("calls back what waits behind a long job, once, and sends nothing more behind it")
    func recall() {
        var rehearsal = Rehearsal(consumers: 1)
        _ = rehearsal.turn()
        rehearsal.finish(0, after: .milliseconds(1))
        _ = rehearsal.turn()
        let held = rehearsal.state.consumers[0].held
        #expect(held.count > 1)

        rehearsal.pass(SupervisorState.recallAfter)
        #expect(rehearsal.turn().contains(.recall(slot: 0)))
        rehearsal.report(Array(held.dropFirst()), .recalled, 0)

        // The long job is as long as before: what came back says nothing about it.
        for _ in 0..<5 {
            #expect(!rehearsal.turn().contains(.recall(slot: 0)))
            #expect(rehearsal.state.consumers[0].held == [held[0]])
            rehearsal.pass(SupervisorState.recallAfter)
        }
        // It has answered: nothing is to be taken from it.
        rehearsal.pass(SupervisorState.patience)
        #expect(!rehearsal.turn().contains(.bar(slot: 0)))
    }

    @Test("counts against its limit none that a consumer which died had not begun")
    func limitAndDeath() throws {
        var settings = SupervisorState.Settings(consumers: 1)
        settings.maxJobs = 20
        var rehearsal = Rehearsal(settings)
        _ = rehearsal.turn()
        rehearsal.finish(0, after: .milliseconds(1))
        _ = rehearsal.turn()
        let held = rehearsal.state.consumers[0].held
        #expect(held.count > 1)
        let noon = UnixTime(microseconds: 1_800_000_000_000_000)
        _ = rehearsal.state.handle(
            .died(slot: 0, running: held[0].job, cause: "killed", at: noon), now: rehearsal.now)
        _ = rehearsal.turn()
        _ = rehearsal.state.handle(.born(slot: 0), now: rehearsal.now)

        var begun = 2
        var actions = rehearsal.turn()
        for _ in 0..<50 where !actions.contains(.finish) {
            begun += 1
            try #require(!rehearsal.state.consumers[0].held.isEmpty)
            rehearsal.finish(0, after: .milliseconds(1))
            actions += rehearsal.turn()
        }
        #expect(actions.contains(.finish))
        #expect(begun == 20)
    }

    @Test("takes many at once with a limit too, and counts none that it gave back before it began")
    func limit() {
        var settings = SupervisorState.Settings(consumers: 1)
        settings.maxJobs = 20
        var rehearsal = Rehearsal(settings)
        _ = rehearsal.turn()
        rehearsal.finish(0, after: .milliseconds(1))
        _ = rehearsal.turn()
        let held = rehearsal.state.consumers[0].held
        #expect(held.count > 1)
        rehearsal.pass(SupervisorState.recallAfter)
        _ = rehearsal.turn()
        rehearsal.report(Array(held.dropFirst()), .recalled, 0)

        var finished = 1
        var actions: [SupervisorState.Action] = []
        for _ in 0..<50 where !actions.contains(.finish) {
            finished += 1
            rehearsal.finish(0, after: .milliseconds(1))
            actions += rehearsal.turn()
        }
        #expect(actions.contains(.finish))
        #expect(finished == 20)
    }

    @Test("R9: sleeps while a job is due and its consumers have enough to do")
    func dueAndBusy() {
        var rehearsal = Rehearsal(consumers: 1)
        _ = rehearsal.turn()
        rehearsal.finish(0, after: .milliseconds(5))
        rehearsal.ready = 4
        _ = rehearsal.turn()
        #expect(rehearsal.state.consumers[0].held.count == 4)
        var look = SupervisorState.Look(settled: 0)
        look.isDry = true
        look.dueIn = .milliseconds(1)
        _ = rehearsal.state.handle(.exchanged(look), now: rehearsal.now)
        rehearsal.pass(.milliseconds(2))
        _ = rehearsal.turn()
        #expect(rehearsal.state.wakeTime(rehearsal.now) > rehearsal.now)
    }
}
