// FlowTests.swift - how often a supervisor looks at its store while jobs flow.

import SpoolJobs
import SpoolThreads
import Testing

@testable import SpoolWorker

@Suite("A supervisor whose jobs flow") struct FlowTests {
    let flowing = SupervisorState.Settings(consumers: 2).flowing

    /// One that knows that its jobs are short, has nothing to do, and found nothing the last time.
    func quiet() -> Rehearsal {
        var rehearsal = Rehearsal(consumers: 2)
        rehearsal.ready = 2
        for _ in 0..<2 {
            _ = rehearsal.turn()
            for slot in 0..<2 where !rehearsal.state.consumers[slot].held.isEmpty {
                rehearsal.finish(slot, after: .microseconds(50))
            }
        }
        _ = rehearsal.turn()
        rehearsal.pass(.milliseconds(500))
        return rehearsal
    }

    /// Every job so far is done, and another one is put.
    func put(_ rehearsal: inout Rehearsal) {
        for slot in 0..<2 where !rehearsal.state.consumers[slot].held.isEmpty {
            rehearsal.report(rehearsal.state.consumers[slot].held, .done, slot)
        }
        rehearsal.ready += 1
        ring(&rehearsal)
    }

    func ring(_ rehearsal: inout Rehearsal) {
        _ = rehearsal.state.handle(.rang, now: rehearsal.now)
    }

    /// One job after the other, until exchanges are paced.
    func inFlow() -> Rehearsal {
        var rehearsal = quiet()
        for _ in 0..<flowing {
            rehearsal.pass(.microseconds(100))
            put(&rehearsal)
            _ = rehearsal.turn()
        }
        return rehearsal
    }

    func exchanges(_ actions: [SupervisorState.Action]) -> Int {
        actions.filter { if case .exchange = $0 { true } else { false } }.count
    }

    @Test("after a ring it takes without looking first, until a ring was for another worker")
    func expecting() {
        var rehearsal = quiet()
        /// Whether the exchange that follows a ring expects jobs; it finds so many.
        func asks(finding count: Int64) -> Bool {
            ring(&rehearsal)
            rehearsal.ready = count
            let actions = rehearsal.state.handle(.turn, now: rehearsal.now)
            #expect(exchanges(actions) == 1)
            defer {
                var look = SupervisorState.Look(settled: 0)
                look.claims = (0..<count).map { Claim(job: 1000 + $0, attempt: 1, owner: 1) }
                look.isDry = true
                _ = rehearsal.state.handle(.exchanged(look), now: rehearsal.now)
                for slot in 0..<2 where !rehearsal.state.consumers[slot].held.isEmpty {
                    rehearsal.report(rehearsal.state.consumers[slot].held, .done, slot)
                    _ = rehearsal.turn()
                }
                rehearsal.pass(.milliseconds(500))
            }
            return rehearsal.state.expectsJobs
        }
        #expect(asks(finding: 1))
        #expect(asks(finding: 0))
        #expect(!asks(finding: 0), "nobody is kept from writing by one who finds nothing")
        #expect(!asks(finding: 1))
        #expect(asks(finding: 1))
    }

    @Test("takes the first jobs after quiet at once")
    func first() {
        var rehearsal = quiet()
        for _ in 0..<flowing {
            rehearsal.pass(.microseconds(100))
            put(&rehearsal)
            #expect(exchanges(rehearsal.turn()) == 1)
        }
    }

    @Test("lets a millisecond pass between two exchanges, and carries in one what came meanwhile")
    func paced() {
        var rehearsal = inFlow()
        let begin = rehearsal.now
        var together: [SupervisorState.Action] = []
        while together.isEmpty {
            #expect(rehearsal.now < begin + .seconds(1))
            rehearsal.pass(.microseconds(100))
            put(&rehearsal)
            together = rehearsal.turn()
        }
        #expect(rehearsal.now >= begin + .milliseconds(1))
        guard case .exchange(let outcomes, _, _) = together[0] else {
            Issue.record("no exchange but \(together[0])")
            return
        }
        #expect(outcomes.count == 1 && exchanges(together) == 1)
        #expect(rehearsal.state.held > 1 && rehearsal.ready == 0)
    }

    @Test(
        "settles in the pause nothing that can wait, and forgets nothing when nothing rings any more"
    )
    func lastOutcome() {
        var rehearsal = inFlow()
        let held = rehearsal.state.consumers.firstIndex { !$0.held.isEmpty } ?? 0
        rehearsal.finish(held, after: .microseconds(10))
        #expect(exchanges(rehearsal.turn()) == 0)
        let wake = rehearsal.state.wakeTime(rehearsal.now)
        #expect(wake <= rehearsal.state.pacedUntil)
        rehearsal.now = wake
        #expect(exchanges(rehearsal.turn()) == 1)
        #expect(rehearsal.state.unsettled.isEmpty)
    }

    @Test("looks when the pause is over if it rang in the pause")
    func rangInPause() {
        var rehearsal = inFlow()
        rehearsal.pass(.microseconds(10))
        rehearsal.ready = 1
        ring(&rehearsal)
        #expect(exchanges(rehearsal.turn()) == 0)
        rehearsal.now = rehearsal.state.wakeTime(rehearsal.now)
        _ = rehearsal.turn()
        #expect(rehearsal.ready == 0)
    }

    @Test("takes what was put after a quiet moment at once again")
    func quietAgain() {
        var rehearsal = inFlow()
        rehearsal.pass(.milliseconds(10))
        for _ in 0..<flowing - 1 {
            rehearsal.pass(.microseconds(100))
            put(&rehearsal)
            #expect(exchanges(rehearsal.turn()) == 1)
        }
    }

    @Test("does not pause again soon after a pause in which hardly a job came")
    func notWorthIt() {
        var rehearsal = inFlow()
        rehearsal.now = rehearsal.state.pacedUntil
        put(&rehearsal)
        #expect(exchanges(rehearsal.turn()) == 1)
        for _ in 0..<3 * flowing {
            rehearsal.pass(.microseconds(100))
            put(&rehearsal)
            #expect(exchanges(rehearsal.turn()) == 1)
        }
    }

    @Test("feeds a hungry consumer at once while jobs are known to be there")
    func drain() {
        var rehearsal = quiet()
        rehearsal.ready = .max
        ring(&rehearsal)
        for _ in 0..<3 * flowing {
            rehearsal.pass(.microseconds(100))
            #expect(exchanges(rehearsal.turn()) > 0)
            rehearsal.report(rehearsal.state.consumers[0].held, .done, 0)
        }
    }

    @Test("takes again at once what was given back in a pause")
    func givenBack() {
        var rehearsal = inFlow()
        let slot = rehearsal.state.consumers.firstIndex { !$0.held.isEmpty } ?? 0
        rehearsal.report(rehearsal.state.consumers[slot].held, .recalled, slot)
        #expect(exchanges(rehearsal.turn()) == 1)
    }

    @Test("does not pace one that puts a job, waits for its end, and puts the next")
    func oneByOne() {
        var rehearsal = quiet()
        for _ in 0..<3 * flowing {
            rehearsal.pass(.microseconds(100))
            put(&rehearsal)
            #expect(exchanges(rehearsal.turn()) == 1)
            let slot = rehearsal.state.consumers.firstIndex { !$0.held.isEmpty } ?? 0
            rehearsal.finish(slot, after: .microseconds(100))
            #expect(exchanges(rehearsal.turn()) == 1)
        }
    }

    @Test(
        "R8: a job that an exchange found after the pause, before its bell was heard, was not missed"
    )
    func notMissed() {
        var rehearsal = inFlow()
        let slot = rehearsal.state.consumers.firstIndex { !$0.held.isEmpty } ?? 0
        rehearsal.finish(slot, after: .microseconds(10))
        rehearsal.ready = 1
        rehearsal.now = rehearsal.state.pacedUntil
        _ = rehearsal.turn()
        #expect(rehearsal.ready == 0)
        ring(&rehearsal)
        rehearsal.pass(.seconds(1))
        _ = rehearsal.turn()
        #expect(rehearsal.state.missedWakeups == 0)
    }
}
