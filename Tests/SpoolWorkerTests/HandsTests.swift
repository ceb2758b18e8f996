// HandsTests.swift - whose hands a claim is in, while consumers come and go and the store is slow.

import Glibc
import SpoolJobs
import SpoolThreads
import Testing

@testable import SpoolWorker

@Suite("A claim") struct HandsTests {
    typealias Action = SupervisorState.Action

    let noon = UnixTime(microseconds: 1_800_000_000_000_000)

    func settled(_ actions: [Action]) -> [Outcome] {
        actions.flatMap {
            if case .exchange(let outcomes, _, _) = $0 { outcomes } else { [Outcome]() }
        }
    }

    func receivers(_ actions: [Action]) -> [Int] {
        actions.compactMap { if case .send(let slot, _) = $0 { slot } else { nil } }
    }

    /// One consumer that is used to jobs of a millisecond and holds some of them; another that cannot be started.
    func half() -> Rehearsal {
        var rehearsal = Rehearsal(consumers: 2)
        for _ in 0..<4 { _ = rehearsal.state.handle(.forkFailed(slot: 1), now: rehearsal.now) }
        for _ in 0..<16 {
            _ = rehearsal.turn()
            rehearsal.finish(0, after: .milliseconds(1))
        }
        return rehearsal
    }

    @Test("is never given to a consumer that is not there, also when the store took long")
    func absent() throws {
        var rehearsal = half()
        while rehearsal.state.consumers[0].held.count > 6 {
            rehearsal.finish(0, after: .microseconds(10))
        }
        rehearsal.pass(SupervisorState.prefetchedTime - .milliseconds(1))
        let asked = rehearsal.state.handle(.turn, now: rehearsal.now)
        let exchange = try #require(
            asked.compactMap {
                if case .exchange(let outcomes, let take, _) = $0 { (outcomes, take) } else { nil }
            }.first)
        #expect(exchange.1 > 0)
        // Meanwhile the job at the head has become a long one: nobody has room any more.
        rehearsal.pass(.milliseconds(5))
        var look = SupervisorState.Look(settled: exchange.0.count)
        look.claims = (0..<Int64(exchange.1)).map { Claim(job: 9000 + $0, attempt: 1, owner: 1) }
        let actions = rehearsal.state.handle(.exchanged(look), now: rehearsal.now)
        #expect(receivers(actions) == [0])
        #expect(rehearsal.state.consumers[1].held.isEmpty)
    }

    @Test("is shared out evenly, so that the first jobs start first")
    func evenly() {
        var rehearsal = Rehearsal(consumers: 3)
        rehearsal.ready = 3
        #expect(receivers(rehearsal.turn()).sorted() == [0, 1, 2])
    }

    @Test(
        "R11: on a job that had begun, of a consumer that was killed because it did not obey, is released"
    )
    func disobedient() {
        var rehearsal = Rehearsal(consumers: 1)
        _ = rehearsal.turn()
        let claim = rehearsal.state.consumers[0].held[0]
        _ = rehearsal.state.handle(.stop, now: rehearsal.now)
        _ = rehearsal.state.handle(.stop, now: rehearsal.now)
        rehearsal.pass(.seconds(2))
        #expect(rehearsal.turn().contains(.kill(slot: 0)))
        _ = rehearsal.state.handle(
            .died(slot: 0, running: claim.job, cause: "killed", at: noon), now: rehearsal.now)
        let last = rehearsal.turn()
        // Not recalled: its number was used, and its log stands under it. Not its fault either.
        #expect(settled(last).map(\.verdict) == [.released])
        #expect(last.last == .finish)
    }

    @Test("R11: that waits behind a running job is called back when the worker is asked to end")
    func drain() {
        var rehearsal = Rehearsal(consumers: 1)
        _ = rehearsal.turn()
        rehearsal.finish(0, after: .milliseconds(1))
        _ = rehearsal.turn()
        let held = rehearsal.state.consumers[0].held
        #expect(held.count > 1)
        #expect(rehearsal.state.handle(.stop, now: rehearsal.now) == [.recall(slot: 0)])
        rehearsal.report(Array(held.dropFirst()), .recalled, 0)
        #expect(settled(rehearsal.turn()).count == held.count - 1)
        #expect(rehearsal.state.held == 1)
    }

    @Test("that waits in a consumer is not stopped by a wish that an earlier attempt had")
    func otherAttempt() {
        func order(_ attempt: Int) -> StopOrder {
            StopOrder(job: 7, attempt: attempt, signal: SIGTERM, grace: .zero, verdict: .cancelled)
        }
        var waiting = WaitingJobs<Claim> { $0 }
        let claim = Claim(job: 7, attempt: 2, owner: 1)
        waiting.append(claim)
        #expect(waiting.stop(order(1)) == nil)
        let stopped = waiting.stop(order(2))
        #expect(stopped?.0 == claim && stopped?.1 == .cancelled)
        #expect(waiting.next() == nil)
    }

    @Test("R12: is kept when its consumer only lost its fork server")
    func serverDied() {
        var rehearsal = Rehearsal(consumers: 1)
        _ = rehearsal.turn()
        _ = rehearsal.state.handle(.serverDied, now: rehearsal.now)
        #expect(rehearsal.state.held == 1)
        #expect(!rehearsal.turn().contains(.fork(slot: 0)))
    }

    @Test(
        "D8: that could not be settled is settled later, in the same order, and asked for less often"
    )
    func busyStore() {
        var rehearsal = Rehearsal(consumers: 1)
        _ = rehearsal.turn()
        let claim = rehearsal.state.consumers[0].held[0]
        rehearsal.report([claim], .done, 0)
        #expect(settled(rehearsal.state.handle(.turn, now: rehearsal.now)).map(\.claim) == [claim])
        for _ in 0..<3 {
            _ = rehearsal.state.handle(.exchangeFailed, now: rehearsal.now)
            #expect(settled(rehearsal.state.handle(.turn, now: rehearsal.now)).isEmpty)
            rehearsal.now = rehearsal.state.wakeTime(rehearsal.now)
            let again = rehearsal.state.handle(.turn, now: rehearsal.now)
            #expect(settled(again).map(\.claim) == [claim])
        }
    }

    @Test("that cannot be settled does not keep a worker that is told to end at once")
    func brokenStore() {
        var rehearsal = Rehearsal(consumers: 1)
        _ = rehearsal.turn()
        rehearsal.report(rehearsal.state.consumers[0].held, .done, 0)
        _ = rehearsal.state.handle(.stopNow, now: rehearsal.now)
        _ = rehearsal.state.handle(.exchangeFailed, now: rehearsal.now)
        #expect(rehearsal.state.handle(.turn, now: rehearsal.now) == [.finish])
    }

    @Test("D2, R11: that was done and could not be settled in time is settled as the worker ends")
    func settledLast() {
        var rehearsal = Rehearsal(consumers: 1)
        _ = rehearsal.turn()
        let claim = rehearsal.state.consumers[0].held[0]
        rehearsal.report([claim], .done, 0)
        _ = rehearsal.state.handle(.stopNow, now: rehearsal.now)
        _ = rehearsal.state.handle(.exchangeFailed, now: rehearsal.now)
        #expect(rehearsal.turn() == [.finish])
        #expect(rehearsal.state.unsettled.map(\.claim) == [claim])
    }
}

@Suite("A look that finds work without a bell") struct MissedWakeupTests {
    /// A worker that slept, and at its safety poll finds one job.
    func surprised() -> Rehearsal {
        var rehearsal = Rehearsal(consumers: 1)
        rehearsal.ready = 0
        _ = rehearsal.turn()
        rehearsal.pass(.seconds(2))
        rehearsal.ready = 1
        _ = rehearsal.turn()
        return rehearsal
    }

    @Test("R8: counts as missed only when the bell does not ring after it")
    func late() {
        var rehearsal = surprised()
        _ = rehearsal.state.handle(.rang, now: rehearsal.now)
        rehearsal.pass(.seconds(1))
        _ = rehearsal.turn()
        #expect(rehearsal.state.missedWakeups == 0)
    }

    @Test("R8: is counted once")
    func once() {
        var rehearsal = surprised()
        for _ in 0..<3 {
            rehearsal.pass(.seconds(1))
            _ = rehearsal.turn()
        }
        #expect(rehearsal.state.missedWakeups == 1)
    }

    @Test("R3, R8: is no miss when it gave back what a dead worker held: death does not ring")
    func recovered() {
        var rehearsal = Rehearsal(consumers: 1)
        rehearsal.ready = 0
        _ = rehearsal.turn()
        rehearsal.pass(.seconds(2))
        _ = rehearsal.state.handle(.turn, now: rehearsal.now)
        var look = SupervisorState.Look(settled: 0)
        look.claims = [Claim(job: 1, attempt: 2, owner: 1)]
        look.recovered = 1
        _ = rehearsal.state.handle(.exchanged(look), now: rehearsal.now)
        rehearsal.pass(.seconds(1))
        _ = rehearsal.turn()
        #expect(rehearsal.state.missedWakeups == 0)
    }
}

extension SupervisorState {
    fileprivate static var prefetchedTime: Duration { .microseconds(Int64(prefetched)) }
}
