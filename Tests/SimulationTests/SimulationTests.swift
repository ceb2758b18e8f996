// SimulationTests.swift - rig V: the whole of Spool's decisions over a real store, in one thread, from one seed.

import Foundation
import Patience
import Simulation
import Testing

@Suite("The simulator", .timeLimit(.minutes(60)), .serialized) struct SimulationTests {
    /// How many seeds are run: few in CI, as many as SPOOL_ROUNDS says otherwise.
    static let seeds =
        ProcessInfo.processInfo.environment["SPOOL_ROUNDS"].flatMap(UInt64.init) ?? 60
    /// The same each time, unless SPOOL_SEED says otherwise: what is green today is green tomorrow.
    static let first =
        ProcessInfo.processInfo.environment["SPOOL_SEED"].flatMap(UInt64.init) ?? 1

    /// What the simulator says, and its exit status. A process of its own: a child that another test forks would hold
    /// copies of its locks.
    func simulate(_ words: String...) throws -> (status: Int32, said: String) {
        let folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
            .deletingLastPathComponent()
        let process = Process()
        process.executableURL = folder.appendingPathComponent("Simulator")
        process.arguments = words
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let said = try process.end(
            reading: pipe, atMost: max(Patience.longest, .seconds(3 * Self.seeds)))
        return (process.terminationStatus, said)
    }

    @Test(
        "V, D1, D3, D4, X1, X2, X3, R4, R6, R7, R8, R9, R11, J1, J2, J5: whatever fails and whenever, these hold"
    )
    func seeds() throws {
        let (status, said) = try simulate("--seeds", "\(Self.seeds)", "--from", "\(Self.first)")
        #expect(status == 0, "\(said)")
        #expect(said.contains("\(Self.seeds) seeds from \(Self.first): 0 violations; "), "\(said)")
        let acts = said.split(separator: "\n").last ?? ""
        #expect(acts.contains("powerLoss ") && !acts.contains(" 0,"), "void: acts never came")
    }

    @Test(
        "V, D4, D5: a commit that a disk took whole before it was full is not said to be refused",
        arguments: [("8151", "25,28"), ("5727", "9,34")])
    func fullInTheEnd(_ seed: String, _ acts: String) throws {
        let (status, said) = try simulate("--seed", seed, "--acts", acts)
        #expect(status == 0, "\(said)")
    }

    @Test("V: a seed runs the same way each time, to the last step")
    func sameAgain() throws {
        // Paths of its files differ from run to run.
        func tale() throws -> [Substring] {
            try simulate("--seed", "7", "--log").said.split(separator: "\n").filter {
                !$0.contains("/")
            }
        }
        let first = try tale()
        #expect(first.count > 20)
        #expect(try first == tale())
    }

    @Test("V: a failing run is made shorter, and fails again in the same way from its one line")
    func shrinks() throws {
        let (status, said) = try simulate("--seeds", "1", "--from", "1", "--break", "counter")
        #expect(status == 1)
        let line = try #require(said.split(separator: "\n").first { $0.contains("--acts") })
        let words = line.split(separator: " ").dropFirst().map(String.init)
        #expect(words[3].split(separator: ",").count < 10, "\(said)")
        let again = try simulate(words[0], words[1], words[2], words[3], words[4], words[5])
        #expect(again.status == 1 && again.said.contains("J5: "), "\(again)")
    }

    /// What is broken, and how the violation begins that it must lead to.
    static let breaks: [(Break, [String])] = [
        (.noFence, ["X2"]), (.counter, ["J5"]), (.twice, ["J5", "D3", "X"]), (.earlyReply, ["H: "]),
        (.deafBell, ["R8", "J2"]), (.noLifeline, ["X1"]), (.leftovers, ["X1"]),
        (.noPoison, ["R6"]), (.hastyJoin, ["H: join"]), (.wallClock, ["R8", "liveness", "R7"]),
        (.lostRecall, ["liveness"]), (.deafWorker, ["R11"]),
        (.noBar, ["X1", "X3", "H: "]),
    ]

    func notices(_ broken: Break) throws {
        let expected = try #require(Self.breaks.first { $0.0 == broken }?.1)
        let (status, said) = try simulate(
            "--seeds", "300", "--break", broken.rawValue, "--first")
        #expect(status == 1)
        #expect(expected.contains { said.contains(": \($0)") }, "\(broken): \(said)")
    }

    @Test("V, X2: the simulator notices when an outcome is applied without the attempt's fence")
    func noFence() throws { try notices(.noFence) }

    @Test("V, J5: the simulator notices when a counter is not moved with its row")
    func counter() throws { try notices(.counter) }

    @Test("V, R4: the simulator notices when a dead worker's jobs are given back twice")
    func twice() throws { try notices(.twice) }

    @Test("V, D1: the simulator notices when a put is acknowledged before its commit")
    func earlyReply() throws { try notices(.earlyReply) }

    @Test("V, R8, J2: the simulator notices when a wake-up is dropped")
    func deafBell() throws { try notices(.deafBell) }

    @Test(
        "V, X1: the simulator notices when a worker's lock is free before its consumers have ended")
    func noLifeline() throws { try notices(.noLifeline) }

    @Test(
        "V, X1: the simulator notices when what a dead worker left is not ended before its jobs run again"
    )
    func leftovers() throws { try notices(.leftovers) }

    @Test("V, R6: the simulator notices when the death of a consumer counts as nothing")
    func noPoison() throws { try notices(.noPoison) }

    @Test("V, J1: the simulator notices when a join does not wait for what runs")
    func hastyJoin() throws { try notices(.hastyJoin) }

    @Test("V, R7: the simulator notices when a supervisor takes its time from the wall clock")
    func wallClock() throws { try notices(.wallClock) }

    @Test("V: the simulator notices when a job that was called back is forgotten")
    func lostRecall() throws { try notices(.lostRecall) }

    @Test("V, R11: the simulator notices when a worker is not told what its commands are told")
    func deafWorker() throws { try notices(.deafWorker) }

    @Test("V, X1, X3, R5: the simulator notices when a consumer begins what was taken from it")
    func noBar() throws { try notices(.noBar) }

    @Test("V: no break is without its test")
    func everyBreak() { #expect(Set(Self.breaks.map(\.0)) == Set(Break.allCases)) }
}
