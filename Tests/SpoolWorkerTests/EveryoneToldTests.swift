// EveryoneToldTests.swift - TERM to every process of a service, the commands among them, in whatever order it is heard.

import Glibc
import SpoolJobs
import SpoolThreads
import Testing

@testable import SpoolWorker

@Suite("A job that was told to end with its worker") struct EveryoneToldTests {
    let noon = UnixTime(microseconds: 1_800_000_000_000_000)

    /// A worker whose only job has failed so.
    func failed(
        signal: Int32? = nil, exit: Int32? = nil, before: SupervisorState.Event? = nil
    ) -> Rehearsal {
        var rehearsal = Rehearsal(consumers: 1)
        rehearsal.ready = 1
        _ = rehearsal.turn()
        let claim = rehearsal.state.consumers[0].held[0]
        if let before { _ = rehearsal.state.handle(before, now: rehearsal.now) }
        let run = Run(started: noon, ended: noon, pid: 7, exit: exit, signal: signal)
        _ = rehearsal.state.handle(
            .outcomes(slot: 0, [Outcome(claim, .failed, run)]), now: rehearsal.now)
        return rehearsal
    }

    func settled(_ actions: [SupervisorState.Action]) -> [Verdict] {
        actions.flatMap {
            if case .exchange(let outcomes, _, _) = $0 { outcomes } else { [Outcome]() }
        }.map(\.verdict)
    }

    @Test("R11: is given back when the worker knew", arguments: [SIGTERM, SIGINT, SIGHUP])
    func knew(_ signal: Int32) {
        var rehearsal = failed(signal: signal, before: .stop)
        #expect(settled(rehearsal.turn()) == [.released])
    }

    @Test("R11: is given back when it told so by its exit status, as shells and Java do")
    func status() {
        var rehearsal = failed(exit: 128 + SIGTERM, before: .stop)
        #expect(settled(rehearsal.turn()) == [.released])
    }

    @Test("R11: is given back when the worker hears of it a moment later")
    func later() {
        for order in [SupervisorState.Event.stop, .stopNow] {
            var rehearsal = failed(signal: SIGTERM)
            #expect(settled(rehearsal.turn()) == [])
            rehearsal.pass(.milliseconds(50))
            #expect(settled(rehearsal.turn()) == [])
            _ = rehearsal.state.handle(order, now: rehearsal.now)
            let last = rehearsal.turn()
            #expect(settled(last) == [.released])
            #expect(last.last == .finish)
        }
    }

    @Test("has failed when the worker hears nothing, and the worker wakes for that")
    func alone() {
        var rehearsal = failed(signal: SIGTERM)
        let end = rehearsal.now + .seconds(1)
        var verdicts = settled(rehearsal.turn())
        while verdicts.isEmpty, rehearsal.now < end {
            rehearsal.now = rehearsal.state.wakeTime(rehearsal.now)
            verdicts = settled(rehearsal.turn())
        }
        #expect(verdicts == [.failed])
    }

    @Test("has failed when what ended it is told to nobody else", arguments: [SIGSEGV, SIGKILL])
    func other(_ signal: Int32) {
        var rehearsal = failed(signal: signal, before: .stop)
        #expect(settled(rehearsal.turn()) == [.failed])
        rehearsal = failed(signal: signal)
        #expect(settled(rehearsal.turn()) == [.failed])
    }

    @Test("does not let a worker end that ends when nothing is left, before it is settled")
    func untilEmpty() {
        var settings = SupervisorState.Settings(consumers: 1)
        settings.maxJobs = 1
        var rehearsal = Rehearsal(settings)
        _ = rehearsal.turn()
        let claim = rehearsal.state.consumers[0].held[0]
        let run = Run(started: noon, ended: noon, pid: 7, signal: SIGTERM)
        _ = rehearsal.state.handle(
            .outcomes(slot: 0, [Outcome(claim, .failed, run)]), now: rehearsal.now)
        #expect(!rehearsal.turn().contains(.finish))
        rehearsal.pass(.seconds(1))
        let last = rehearsal.turn()
        #expect(settled(last) == [.failed] && last.last == .finish)
    }
}
