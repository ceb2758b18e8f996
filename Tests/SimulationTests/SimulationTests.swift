// SimulationTests.swift - rig V: the whole of Spool's decisions over a real store, in one thread, from one seed.

import Foundation
import Simulation
import Testing

@Suite("The simulator", .timeLimit(.minutes(60)), .serialized) struct SimulationTests {
    /// How many seeds are run: few in CI, as many as SPOOL_ROUNDS says otherwise.
    static let seeds =
        ProcessInfo.processInfo.environment["SPOOL_ROUNDS"].flatMap(UInt64.init) ?? 60
    /// Others each day, the same all day: what fails in the morning fails in the evening.
    static let first = UInt64(Date().timeIntervalSince1970 / 86400) * 1_000_000

    @Test(
        "V: whatever fails and whenever, jobs are neither lost, doubled nor stranded, and the counters are true"
    )
    func seeds() throws {
        let simulation = try Simulation()
        var transactions = 0
        var kinds: Set<Act.Kind> = []
        for seed in Self.first..<(Self.first + Self.seeds) {
            let scenario = Scenario(seed: seed)
            let report = simulation.run(scenario)
            transactions += report.transactions
            kinds.formUnion(report.acts.keys)
            guard report.violation != nil else { continue }
            let shorter = simulation.shrunk(scenario)
            let violation = simulation.run(shorter).violation ?? ""
            Issue.record("\(violation)\nrun it again with:  .build/debug/\(shorter) --log")
        }
        #expect(transactions > Int(Self.seeds) * 10, "the rig is void: hardly anything happened")
        #expect(kinds.count == Act.Kind.allCases.count, "the rig is void: some acts never came")
    }

    @Test("V: a seed runs the same way each time, to the last step")
    func sameAgain() throws {
        let simulation = try Simulation()
        func tale() -> [String] {
            var lines: [String] = []
            let report = simulation.run(Scenario(seed: 7)) { lines.append($0) }
            return lines.filter { !$0.contains("/") }
                + ["\(report.operations) \(report.transactions)"]
        }
        let first = tale()
        #expect(first.count > 20 && first == tale())
    }

    @Test("V: a failing run is made shorter, and fails again in the same way from its one line")
    func shrinks() throws {
        let simulation = try Simulation()
        let scenario = Scenario(seed: 1, broken: .counter)
        let shorter = simulation.shrunk(scenario)
        #expect(shorter.count < scenario.count / 4)
        #expect(simulation.run(shorter).violation?.hasPrefix("J5: ") ?? false)
        #expect(shorter.description.hasPrefix("Simulator --seed 1 --acts "))
    }

    /// What is broken, and how the violation begins that it must lead to.
    static let breaks: [(Break, [String])] = [
        (.noFence, ["X2"]), (.counter, ["J5"]), (.twice, ["J5", "D3", "X"]), (.earlyReply, ["H: "]),
        (.deafBell, ["R8", "J2"]), (.noLifeline, ["X1"]), (.leftovers, ["X1"]),
        (.noPoison, ["R6"]), (.hastyJoin, ["H: join"]), (.wallClock, ["R8", "liveness", "R7"]),
        (.lostRecall, ["liveness"]),
    ]

    /// Runs seeds until one fails.
    func firstViolation(_ broken: Break) throws -> String? {
        let simulation = try Simulation()
        for seed in 1...UInt64(200) {
            let violation = simulation.run(Scenario(seed: seed, broken: broken)).violation
            if let violation { return violation }
        }
        return nil
    }

    func notices(_ broken: Break) throws {
        let expected = try #require(Self.breaks.first { $0.0 == broken }?.1)
        let violation = try firstViolation(broken) ?? "nothing"
        #expect(expected.contains { violation.hasPrefix($0) }, "\(broken): \(violation)")
    }

    @Test("V: the simulator notices when an outcome is applied without the attempt's fence")
    func noFence() throws { try notices(.noFence) }

    @Test("V: the simulator notices when a counter is not moved with its row")
    func counter() throws { try notices(.counter) }

    @Test("V: the simulator notices when a dead worker's jobs are given back twice")
    func twice() throws { try notices(.twice) }

    @Test("V: the simulator notices when a put is acknowledged before its commit")
    func earlyReply() throws { try notices(.earlyReply) }

    @Test("V: the simulator notices when a wake-up is dropped")
    func deafBell() throws { try notices(.deafBell) }

    @Test("V: the simulator notices when a worker's lock is free before its consumers have ended")
    func noLifeline() throws { try notices(.noLifeline) }

    @Test(
        "V: the simulator notices when what a dead worker left is not ended before its jobs run again"
    )
    func leftovers() throws { try notices(.leftovers) }

    @Test("V: the simulator notices when the death of a consumer counts as nothing")
    func noPoison() throws { try notices(.noPoison) }

    @Test("V: the simulator notices when a join does not wait for what runs")
    func hastyJoin() throws { try notices(.hastyJoin) }

    @Test("V: the simulator notices when a supervisor takes its time from the wall clock")
    func wallClock() throws { try notices(.wallClock) }

    @Test("V: the simulator notices when a job that was called back is forgotten")
    func lostRecall() throws { try notices(.lostRecall) }

    @Test("V: no break is without its test")
    func everyBreak() { #expect(Set(Self.breaks.map(\.0)) == Set(Break.allCases)) }
}
