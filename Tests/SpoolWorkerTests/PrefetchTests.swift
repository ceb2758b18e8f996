// PrefetchTests.swift - how many jobs a supervisor puts into one consumer's hands.

import SpoolJobs
import SpoolThreads
import Testing

@testable import SpoolWorker

/// A supervisor's decisions over a clock that the test moves.
private struct Rehearsal {
    var state: SupervisorState
    var now = Deadline(nanoseconds: 1_000_000_000)
    private var nextJob: Int64 = 1

    init(consumers: Int) {
        state = SupervisorState(SupervisorState.Settings(consumers: consumers), now: now)
        _ = state.handle(.turn, now: now)
        for slot in 0..<consumers { _ = state.handle(.born(slot: slot), now: now) }
    }

    /// One turn; an exchange gives as many jobs as it asks for, of an endless queue.
    mutating func turn() -> [SupervisorState.Action] {
        var all: [SupervisorState.Action] = []
        var isDecided = false
        while !isDecided {
            isDecided = true
            for action in state.handle(.turn, now: now) {
                all.append(action)
                guard case .exchange(let outcomes, let take, _) = action else { continue }
                isDecided = false
                var look = SupervisorState.Look(settled: outcomes.count)
                look.claims = (0..<take).map {
                    Claim(job: nextJob + Int64($0), attempt: 1, owner: 1)
                }
                nextJob += Int64(take)
                all += state.handle(.exchanged(look), now: now)
            }
        }
        return all
    }

    mutating func pass(_ time: Duration) { now = now + time }

    /// The consumer reports the first job that it holds as done, after `time`.
    mutating func finish(_ slot: Int, after time: Duration) {
        pass(time)
        report([state.consumers[slot].held[0]], .done, slot, time)
    }

    mutating func report(
        _ claims: [Claim], _ verdict: Verdict, _ slot: Int, _ time: Duration = .zero
    ) {
        let end = UnixTime(microseconds: 1_800_000_000_000_000)
        let start = UnixTime(microseconds: end.microseconds - time.microseconds)
        let outcomes = claims.map { Outcome($0, verdict, Run(started: start, ended: end)) }
        _ = state.handle(.outcomes(slot: slot, outcomes), now: now)
    }
}

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
        rehearsal.report(Array(held.dropFirst()), .released, 0)

        // The long job is as long as before: what came back says nothing about it.
        for _ in 0..<5 {
            #expect(!rehearsal.turn().contains(.recall(slot: 0)))
            #expect(rehearsal.state.consumers[0].held == [held[0]])
            rehearsal.pass(SupervisorState.recallAfter)
        }
    }
}
