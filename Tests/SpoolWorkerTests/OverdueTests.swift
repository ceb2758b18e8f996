// OverdueTests.swift - consumers that do not answer, because somebody stopped them.

import Glibc
import SpoolJobs
import SpoolThreads
import Testing

@testable import SpoolWorker

@Suite("R5: a consumer that does not answer") struct OverdueTests {
    let noon = UnixTime(microseconds: 1_800_000_000_000_000)
    let claim = Claim(job: 7, attempt: 1, owner: 1)

    /// A supervisor whose only consumer has one job.
    func rehearsal(limit: Duration?) -> Rehearsal {
        var rehearsal = Rehearsal(consumers: 1)
        rehearsal.ready = 0
        _ = rehearsal.turn()
        var look = SupervisorState.Look(settled: 0)
        look.claims = [claim]
        look.isDry = true
        if let limit { look.limits = [7: limit] }
        _ = rehearsal.state.handle(.exchanged(look), now: rehearsal.now)
        return rehearsal
    }

    /// How its job ends when the consumer has died.
    func verdict(_ rehearsal: inout Rehearsal) -> Verdict? {
        _ = rehearsal.state.handle(
            .died(slot: 0, running: 7, cause: "killed", at: noon), now: rehearsal.now)
        return rehearsal.state.unsettled.first?.verdict
    }

    /// A supervisor whose consumer holds several jobs, and was asked for all but the first in vain.
    func deaf() -> Rehearsal {
        var rehearsal = Rehearsal(consumers: 1)
        _ = rehearsal.turn()
        rehearsal.finish(0, after: .milliseconds(1))
        _ = rehearsal.turn()
        rehearsal.ready = 0
        rehearsal.pass(.milliseconds(50))
        #expect(rehearsal.turn().contains(.recall(slot: 0)))
        rehearsal.pass(.seconds(1))
        #expect(!rehearsal.turn().contains(.bar(slot: 0)))
        rehearsal.pass(.seconds(1))
        #expect(rehearsal.state.wakeTime(rehearsal.now) <= rehearsal.now)
        #expect(rehearsal.turn().contains(.bar(slot: 0)))
        return rehearsal
    }

    @Test("loses what it has not begun, which is given back uncounted, and keeps what it is at")
    func unbegun() {
        var rehearsal = deaf()
        let held = rehearsal.state.consumers[0].held
        #expect(held.count > 2)
        _ = rehearsal.state.handle(
            .barred(slot: 0, running: held[0].job, at: noon), now: rehearsal.now)
        #expect(rehearsal.state.consumers[0].held == [held[0]])
        let lost = rehearsal.state.unsettled
        #expect(lost.map(\.claim) == Array(held.dropFirst()))
        #expect(lost.allSatisfy { $0.verdict == .recalled })
    }

    @Test("gets nothing more, and is not believed on what it lost, until it has answered")
    func silent() {
        var rehearsal = deaf()
        let held = rehearsal.state.consumers[0].held
        _ = rehearsal.state.handle(.barred(slot: 0, running: 0, at: noon), now: rehearsal.now)
        rehearsal.ready = 100
        rehearsal.pass(.milliseconds(10))
        _ = rehearsal.turn()
        #expect(rehearsal.state.held == 0)
        rehearsal.report(held, .done, 0)
        #expect(rehearsal.state.unsettled.isEmpty)
        _ = rehearsal.state.handle(.unbarred(slot: 0), now: rehearsal.now)
        _ = rehearsal.turn()
        #expect(rehearsal.state.held > 0)
    }

    @Test("keeps its job for as long as it likes, without a time-out")
    func free() {
        var rehearsal = rehearsal(limit: nil)
        rehearsal.pass(.seconds(1_000_000))
        #expect(!rehearsal.turn().contains(.kill(slot: 0)))
    }

    @Test("is killed when its job's time-out and the time to kill are over; the job timed out")
    func timeOut() {
        var rehearsal = rehearsal(limit: .seconds(3))
        rehearsal.pass(.seconds(3) + rehearsal.state.settings.killAfter)
        #expect(!rehearsal.turn().contains(.kill(slot: 0)))
        #expect(rehearsal.state.wakeTime(rehearsal.now) <= rehearsal.now + .seconds(2))
        rehearsal.pass(SupervisorState.patience)
        #expect(rehearsal.turn().contains(.kill(slot: 0)))
        #expect(!rehearsal.turn().contains(.kill(slot: 0)))
        #expect(verdict(&rehearsal) == .timedOut)
    }

    @Test("is left alone if it had told of its job's end, and the supervisor had not listened")
    func unheard() {
        var rehearsal = rehearsal(limit: .seconds(3))
        rehearsal.pass(.seconds(1_000))
        #expect(rehearsal.turn().contains(.kill(slot: 0)))
        #expect(rehearsal.state.isToBeKilled(0))
        // All that it has said is heard before it is killed.
        rehearsal.report([claim], .done, 0)
        #expect(!rehearsal.state.isToBeKilled(0))
        let next = Claim(job: 8, attempt: 1, owner: 1)
        var look = SupervisorState.Look(settled: 1)
        look.claims = [next]
        _ = rehearsal.state.handle(.exchanged(look), now: rehearsal.now)
        _ = rehearsal.state.handle(
            .died(slot: 0, running: 8, cause: "killed", at: noon), now: rehearsal.now)
        #expect(rehearsal.state.unsettled.map(\.verdict) == [.consumerDied])
    }

    @Test("is killed when it does not cancel its job; the job ends cancelled")
    func cancel() {
        var rehearsal = rehearsal(limit: nil)
        var look = SupervisorState.Look(settled: 0)
        look.cancellations = [
            StopOrder(
                job: 7, attempt: 1, signal: SIGTERM, grace: .seconds(1), verdict: .cancelled)
        ]
        _ = rehearsal.state.handle(.exchanged(look), now: rehearsal.now)
        rehearsal.pass(.seconds(1) + SupervisorState.patience)
        #expect(rehearsal.turn().contains(.kill(slot: 0)))
        #expect(verdict(&rehearsal) == .cancelled)
    }

    /// Gives the consumer its job once more.
    func again(_ rehearsal: inout Rehearsal, limit: Duration?) {
        var look = SupervisorState.Look(settled: 0)
        look.claims = [Claim(job: 7, attempt: 2, owner: 1)]
        look.isDry = true
        if let limit { look.limits = [7: limit] }
        _ = rehearsal.state.handle(.exchanged(look), now: rehearsal.now)
    }

    @Test("that has taken the place of one that was killed so is killed as well, and not sooner")
    func successor() {
        var rehearsal = rehearsal(limit: .seconds(3))
        let late = .seconds(3) + rehearsal.state.settings.killAfter + SupervisorState.patience
        for _ in 0..<2 {
            rehearsal.pass(late - .milliseconds(1))
            #expect(!rehearsal.turn().contains(.kill(slot: 0)))
            rehearsal.pass(.milliseconds(1))
            #expect(rehearsal.turn().contains(.kill(slot: 0)))
            #expect(verdict(&rehearsal) == .timedOut)
            #expect(rehearsal.turn().contains(.fork(slot: 0)))
            _ = rehearsal.state.handle(.born(slot: 0), now: rehearsal.now)
            again(&rehearsal, limit: .seconds(3))
        }
        #expect(verdict(&rehearsal) == .consumerDied)
    }

    @Test("is not killed for a wish that its job had before somebody retried it")
    func oldWish() {
        var rehearsal = rehearsal(limit: nil)
        var look = SupervisorState.Look(settled: 0)
        look.cancellations = [
            StopOrder(
                job: 7, attempt: 1, signal: SIGTERM, grace: .seconds(1), verdict: .cancelled)
        ]
        _ = rehearsal.state.handle(.exchanged(look), now: rehearsal.now)
        rehearsal.report([claim], .cancelled, 0)
        _ = rehearsal.turn()
        again(&rehearsal, limit: nil)
        rehearsal.pass(.seconds(1_000))
        #expect(!rehearsal.turn().contains(.kill(slot: 0)))
    }

    @Test("that reported in time is left alone")
    func inTime() {
        var rehearsal = rehearsal(limit: .seconds(3))
        rehearsal.report([claim], .timedOut, 0)
        rehearsal.pass(.seconds(1_000))
        #expect(!rehearsal.turn().contains(.kill(slot: 0)))
        #expect(rehearsal.state.limits.isEmpty && rehearsal.state.told.isEmpty)
    }
}
