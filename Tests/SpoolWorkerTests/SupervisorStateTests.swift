// SupervisorStateTests.swift - what a supervisor decides when things happen.

import Glibc
import SpoolJobs
import SpoolThreads
import Testing

@testable import SpoolWorker

@Suite("A supervisor") struct SupervisorStateTests {
    typealias Action = SupervisorState.Action

    func settings(_ consumers: Int) -> SupervisorState.Settings {
        SupervisorState.Settings(consumers: consumers)
    }

    func taken(_ actions: [Action]) -> Int {
        actions.reduce(0) { if case .exchange(_, let take, _) = $1 { $0 + take } else { $0 } }
    }

    func settled(_ actions: [Action]) -> [Outcome] {
        actions.flatMap {
            if case .exchange(let outcomes, _, _) = $0 { outcomes } else { [Outcome]() }
        }
    }

    let noon = UnixTime(microseconds: 1_800_000_000_000_000)

    @Test("forks as many consumers as it was told, and no job is claimed for one that is not there")
    func beginning() {
        let now = Deadline(nanoseconds: 1)
        var state = SupervisorState(settings(3), now: now)
        let actions = state.handle(.turn, now: now)
        #expect(actions.filter { if case .fork = $0 { true } else { false } }.count == 3)
        #expect(taken(actions) == 0)
    }

    @Test(
        "R1: a dead consumer's job died with it, what it had not begun is called back, and it is replaced at once"
    )
    func death() {
        var rehearsal = Rehearsal(consumers: 1)
        _ = rehearsal.turn()
        rehearsal.finish(0, after: .milliseconds(1))
        _ = rehearsal.turn()
        let held = rehearsal.state.consumers[0].held
        #expect(held.count > 2)
        _ = rehearsal.state.handle(
            .died(slot: 0, running: held[0].job, cause: "killed", at: noon), now: rehearsal.now)
        let actions = rehearsal.turn()
        #expect(actions.contains(.fork(slot: 0)))
        let outcomes = settled(actions)
        #expect(outcomes.map(\.claim) == held)
        #expect(
            outcomes[0].verdict == .consumerDied && outcomes[0].run.error == "consumer died: killed"
        )
        #expect(outcomes.dropFirst().allSatisfy { $0.verdict == .recalled })
    }

    static let failures: [SupervisorState.Event] = [
        .forkFailed(slot: 0),
        .died(
            slot: 0, running: 0, cause: "exit 1",
            at: UnixTime(microseconds: 1_800_000_000_000_000)),
    ]

    @Test("I6: a number of consumers that no worker can have is refused", arguments: [0, -1, 1025])
    func consumers(_ count: Int) {
        let options = WorkerOptions(file: "/nowhere/jobs.db", consumers: count)
        #expect(throws: SpoolError.badInput("a worker has 1 to 1024 consumers, not \(count).")) {
            _ = try Supervisor(options) { _ in }
        }
    }

    @Test(
        "R12: consumers that cannot be started, or keep dying, are replaced more and more slowly",
        arguments: failures)
    func backoff(_ failure: SupervisorState.Event) {
        var rehearsal = Rehearsal(consumers: 1)
        for _ in 0..<12 { _ = rehearsal.state.handle(failure, now: rehearsal.now) }
        #expect(!rehearsal.turn().contains(.fork(slot: 0)))
        rehearsal.pass(.seconds(3))
        #expect(rehearsal.turn().contains(.fork(slot: 0)))
    }

    @Test("R1: a consumer that dies now and then, between jobs that are done, is replaced at once")
    func nowAndThen() {
        var rehearsal = Rehearsal(consumers: 1)
        for _ in 0..<8 {
            _ = rehearsal.turn()
            rehearsal.finish(0, after: .seconds(1))
            _ = rehearsal.turn()
            let job = rehearsal.state.consumers[0].held[0].job
            _ = rehearsal.state.handle(
                .died(slot: 0, running: job, cause: "killed", at: noon), now: rehearsal.now)
            #expect(rehearsal.turn().contains(.fork(slot: 0)))
            _ = rehearsal.state.handle(.born(slot: 0), now: rehearsal.now)
        }
    }

    @Test("a verdict on a claim that its consumer does not hold is not passed on")
    func stranger() {
        var rehearsal = Rehearsal(consumers: 1)
        _ = rehearsal.turn()
        let foreign = Claim(job: 999, attempt: 1, owner: 1)
        rehearsal.report([foreign], .done, 0)
        rehearsal.pass(.milliseconds(10))
        #expect(settled(rehearsal.turn()).isEmpty)
    }

    @Test("R11: a first signal lets jobs end and takes no more; the worker ends with the last one")
    func drain() {
        var rehearsal = Rehearsal(consumers: 2)
        _ = rehearsal.turn()
        _ = rehearsal.state.handle(.stop, now: rehearsal.now)
        rehearsal.finish(0, after: .milliseconds(1))
        #expect(taken(rehearsal.turn()) == 0)
        rehearsal.finish(1, after: .milliseconds(1))
        let last = rehearsal.turn()
        #expect(settled(last).count == 1 && last.last == .finish)
    }

    @Test("R11: when the grace is over what still runs is told to end, and given back")
    func grace() {
        var rehearsal = Rehearsal(consumers: 1)
        _ = rehearsal.turn()
        let claim = rehearsal.state.consumers[0].held[0]
        _ = rehearsal.state.handle(.stop, now: rehearsal.now)
        rehearsal.pass(.seconds(25))
        let order = StopOrder(
            job: claim.job, attempt: 1, signal: SIGTERM, grace: .seconds(10), verdict: .released)
        #expect(rehearsal.turn().contains(.stop(slot: 0, order)))
    }

    @Test("R11: a second signal kills what runs at once")
    func twice() {
        var rehearsal = Rehearsal(consumers: 1)
        _ = rehearsal.turn()
        let claim = rehearsal.state.consumers[0].held[0]
        _ = rehearsal.state.handle(.stop, now: rehearsal.now)
        let actions = rehearsal.state.handle(.stop, now: rehearsal.now)
        let order = StopOrder(
            job: claim.job, attempt: 1, signal: SIGKILL, grace: .zero, verdict: .released)
        #expect(actions.contains(.stop(slot: 0, order)))
    }

    @Test("R11: a consumer that does not obey is killed; its job was attempted, and is given back")
    func stubborn() {
        var rehearsal = Rehearsal(consumers: 1)
        _ = rehearsal.turn()
        let claim = rehearsal.state.consumers[0].held[0]
        _ = rehearsal.state.handle(.stopNow, now: rehearsal.now)
        rehearsal.pass(.seconds(2))
        #expect(rehearsal.turn().contains(.kill(slot: 0)))
        _ = rehearsal.state.handle(
            .died(slot: 0, running: claim.job, cause: "killed", at: noon), now: rehearsal.now)
        let last = rehearsal.turn()
        #expect(settled(last).map(\.claim) == [claim])
        #expect(settled(last).map(\.verdict) == [.released])
        #expect(settled(last).first?.run.ended == noon)
    }

    @Test("R11: a first signal calls back what no consumer has begun")
    func drainPrefetched() {
        var rehearsal = Rehearsal(consumers: 1)
        _ = rehearsal.turn()
        rehearsal.finish(0, after: .milliseconds(1))
        _ = rehearsal.turn()
        #expect(rehearsal.state.consumers[0].held.count > 1)
        #expect(rehearsal.state.handle(.stop, now: rehearsal.now) == [.recall(slot: 0)])
    }

    @Test("D4: what could not be written is written later, after a pause")
    func storeFails() {
        var rehearsal = Rehearsal(consumers: 1)
        _ = rehearsal.turn()
        let claim = rehearsal.state.consumers[0].held[0]
        rehearsal.finish(0, after: .milliseconds(1))
        _ = rehearsal.state.handle(.exchangeFailed, now: rehearsal.now)
        #expect(settled(rehearsal.turn()).isEmpty)
        rehearsal.pass(.seconds(1))
        #expect(settled(rehearsal.turn()).map(\.claim) == [claim])
    }

    @Test(
        "D4: a worker that is told to stop at once does not wait for a store that cannot be written"
    )
    func storeFailsAtTheEnd() {
        var rehearsal = Rehearsal(consumers: 1)
        _ = rehearsal.turn()
        rehearsal.finish(0, after: .milliseconds(1))
        _ = rehearsal.state.handle(.stopNow, now: rehearsal.now)
        _ = rehearsal.state.handle(.exchangeFailed, now: rehearsal.now)
        #expect(rehearsal.turn().last == .finish)
    }

    @Test("R12: asks again for the consumers that a fork server took with it, and for no others")
    func serverDied() {
        var rehearsal = Rehearsal(consumers: 2)
        _ = rehearsal.state.handle(
            .died(slot: 1, running: 0, cause: "exit 1", at: noon), now: rehearsal.now)
        #expect(rehearsal.turn().contains(.fork(slot: 1)))
        _ = rehearsal.state.handle(.serverDied, now: rehearsal.now)
        rehearsal.pass(.milliseconds(100))
        let actions = rehearsal.turn()
        #expect(actions.contains(.fork(slot: 1)) && !actions.contains(.fork(slot: 0)))
    }

    @Test("R12: ends a fork server from which no consumer comes, and asks the next one for it")
    func serverStopped() {
        var rehearsal = Rehearsal(consumers: 2)
        _ = rehearsal.state.handle(
            .died(slot: 1, running: 0, cause: "exit 1", at: noon), now: rehearsal.now)
        #expect(rehearsal.turn().contains(.fork(slot: 1)))
        rehearsal.pass(.seconds(9))
        #expect(!rehearsal.turn().contains(.endServer))
        rehearsal.pass(.seconds(1))
        #expect(rehearsal.state.wakeTime(rehearsal.now) <= rehearsal.now)
        #expect(rehearsal.turn().contains(.endServer))
        _ = rehearsal.state.handle(.serverDied, now: rehearsal.now)
        rehearsal.pass(.milliseconds(100))
        #expect(rehearsal.turn().contains(.fork(slot: 1)))
        #expect(!rehearsal.turn().contains(.endServer))
    }

    @Test("takes exactly as many jobs as it may, never one more")
    func maxJobs() {
        var settings = settings(4)
        settings.maxJobs = 6
        var rehearsal = Rehearsal(settings)
        var actions: [Action] = []
        for _ in 0..<20 where !actions.contains(.finish) {
            actions += rehearsal.turn()
            for slot in 0..<4 where !rehearsal.state.consumers[slot].held.isEmpty {
                rehearsal.finish(slot, after: .milliseconds(1))
            }
        }
        #expect(rehearsal.nextJob == 7)
        #expect(actions.contains(.finish))
    }

    @Test("--until-empty ends when nothing is left, and not before the last job has ended")
    func untilEmpty() {
        var settings = settings(1)
        settings.untilEmpty = true
        var rehearsal = Rehearsal(settings)
        rehearsal.ready = 1
        #expect(!rehearsal.turn().contains(.finish))
        rehearsal.finish(0, after: .milliseconds(1))
        #expect(rehearsal.turn().contains(.finish))
    }

    @Test("--idle-exit counts from the last job")
    func idleExit() {
        var settings = settings(1)
        settings.idleExit = .seconds(5)
        var rehearsal = Rehearsal(settings)
        rehearsal.ready = 1
        _ = rehearsal.turn()
        rehearsal.pass(.seconds(60))
        #expect(!rehearsal.turn().contains(.finish))
        rehearsal.finish(0, after: .milliseconds(1))
        #expect(!rehearsal.turn().contains(.finish))
        rehearsal.pass(.seconds(5))
        #expect(rehearsal.turn().contains(.finish))
    }

    @Test("--idle-exit of no time at all takes what is there before it ends")
    func idleAtOnce() {
        var settings = settings(1)
        settings.idleExit = .zero
        var rehearsal = Rehearsal(settings)
        rehearsal.ready = 1
        #expect(!rehearsal.turn().contains(.finish))
        rehearsal.finish(0, after: .milliseconds(1))
        #expect(rehearsal.turn().contains(.finish))
    }

    @Test("passes a wish to cancel on once")
    func cancel() {
        var rehearsal = Rehearsal(consumers: 1)
        _ = rehearsal.turn()
        let claim = rehearsal.state.consumers[0].held[0]
        var look = SupervisorState.Look(settled: 0)
        let order = StopOrder(
            job: claim.job, attempt: 1, signal: SIGTERM, grace: .seconds(1), verdict: .cancelled)
        look.cancellations = [order]
        #expect(
            rehearsal.state.handle(.exchanged(look), now: rehearsal.now) == [.stop(slot: 0, order)])
        #expect(rehearsal.state.handle(.exchanged(look), now: rehearsal.now) == [])
    }

    @Test("R8: a bell that rings a moment after the safety poll found the work was not missed")
    func ringsLate() {
        var rehearsal = Rehearsal(consumers: 1)
        rehearsal.ready = 0
        _ = rehearsal.turn()
        rehearsal.pass(.seconds(2))
        rehearsal.ready = 1
        _ = rehearsal.turn()
        _ = rehearsal.state.handle(.rang, now: rehearsal.now)
        rehearsal.pass(.seconds(1))
        _ = rehearsal.turn()
        #expect(rehearsal.state.missedWakeups == 0)
    }

    @Test("R8: work that only the safety poll found, with no ring after it, is a missed wake-up")
    func missed() {
        var rehearsal = Rehearsal(consumers: 1)
        rehearsal.ready = 0
        _ = rehearsal.turn()
        rehearsal.pass(.seconds(2))
        rehearsal.ready = 1
        _ = rehearsal.turn()
        #expect(rehearsal.state.consumers[0].held.count == 1)
        rehearsal.pass(.seconds(1))
        _ = rehearsal.turn()
        #expect(rehearsal.state.missedWakeups == 1)
    }
}
