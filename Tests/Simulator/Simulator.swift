// Simulator.swift - the command that runs the simulation.
//
//     Simulator [--seeds N] [--from SEED]                  N runs, from a seed on; a failing one is made shorter
//     Simulator --seed SEED [--acts A,B,...] [--log]       one run again, told step by step
//     Simulator ... --break NAME [--first]                 with a fault in its own wiring, which it must notice;
//                                                          ends at the first violation, as it is
//
// Prints counts and the line that runs a failure again; exit status 1 if there was one.

private import Glibc
internal import Simulation
internal import SpoolThreads

@main
struct Simulator {
    static func main() throws {
        var words = CommandLine.arguments.dropFirst()
        var scenario = Scenario(seed: 1)
        var (seeds, isOne, isTold, isFirst) = (1000, false, false, false)
        while let word = words.popFirst() {
            switch word {
            case "--log": isTold = true
            case "--first": isFirst = true
            case "--seeds": seeds = try number(words.popFirst())
            case "--from": scenario.seed = UInt64(try number(words.popFirst()))
            case "--seed":
                scenario.seed = UInt64(try number(words.popFirst()))
                isOne = true
            case "--acts":
                scenario.keep = Set(
                    words.popFirst()?.split(separator: ",").compactMap { Int($0) } ?? [])
            case "--break": scenario.broken = words.popFirst().flatMap { Break(rawValue: $0) }
            default: throw SpoolError.usage("Simulator knows no \(word); see Tests/Simulator.")
            }
        }
        let simulation = try Simulation()
        let isSound =
            isOne
            ? one(simulation, scenario, isTold) : many(simulation, scenario, seeds, isFirst)
        exit(isSound ? 0 : 1)
    }

    static func number(_ word: String?) throws -> Int {
        guard let number = word.flatMap({ Int($0) }), number >= 0 else {
            throw SpoolError.usage("Simulator needs a number there; see Tests/Simulator.")
        }
        return number
    }

    static func one(_ simulation: Simulation, _ scenario: Scenario, _ isTold: Bool) -> Bool {
        let report = simulation.run(scenario, log: isTold ? { print($0) } : nil)
        print("\(scenario): \(report.operations) operations, \(report.transactions) transactions")
        print(report.violation ?? "nothing is wrong")
        return report.violation == nil
    }

    static func many(
        _ simulation: Simulation, _ first: Scenario, _ seeds: Int, _ isFirst: Bool
    ) -> Bool {
        let start = Deadline.now()
        var (operations, transactions, failures) = (0, 0, 0)
        var acts: [Act.Kind: Int] = [:]
        for seed in first.seed..<(first.seed + UInt64(seeds)) {
            let scenario = Scenario(seed: seed, broken: first.broken)
            let report = simulation.run(scenario)
            operations += report.operations
            transactions += report.transactions
            acts.merge(report.acts, uniquingKeysWith: +)
            guard let violation = report.violation else { continue }
            failures += 1
            if isFirst {
                print("\(scenario): \(violation)")
                return false
            }
            let shorter = simulation.shrunk(scenario)
            print("seed \(seed): \(violation)\n  \(shorter)")
            print("  \(simulation.run(shorter).violation ?? "and that does not fail")")
            fflush(nil)
            if failures >= 10 { break }
        }
        let seconds = Double(Deadline.now().nanoseconds - start.nanoseconds) / 1e9
        print(
            "\(seeds) seeds from \(first.seed): \(failures) violations; \(operations) operations,"
                + " \(transactions) transactions, \(Int(Double(operations) / seconds)) operations/s"
        )
        print(
            Act.Kind.allCases.map { "\($0.rawValue) \(acts[$0] ?? 0)" }.joined(separator: ", "))
        return failures == 0
    }
}
