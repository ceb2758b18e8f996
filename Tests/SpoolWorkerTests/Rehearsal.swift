// Rehearsal.swift - a supervisor's decisions without processes, store or clock.

import SpoolJobs
import SpoolThreads

@testable import SpoolWorker

/// A supervisor's decisions over a clock that the test moves.
struct Rehearsal {
    var state: SupervisorState
    var now = Deadline(nanoseconds: 1_000_000_000)
    /// Jobs that the store still has.
    var ready = Int64.max
    private(set) var nextJob: Int64 = 1

    init(_ settings: SupervisorState.Settings) {
        let consumers = settings.consumers
        state = SupervisorState(settings, now: now)
        _ = state.handle(.turn, now: now)
        for slot in 0..<consumers { _ = state.handle(.born(slot: slot), now: now) }
    }

    /// One turn; an exchange gives as many jobs as it asks for, as long as there are any.
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
                let count = min(Int64(take), ready)
                look.claims = (0..<count).map { Claim(job: nextJob + $0, attempt: 1, owner: 1) }
                nextJob += count
                ready -= count
                look.isDry = ready == 0
                look.isEmpty = ready == 0 && count == 0 && state.held == 0
                all += state.handle(.exchanged(look), now: now)
            }
        }
        return all
    }

    init(consumers: Int) { self.init(SupervisorState.Settings(consumers: consumers)) }

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
