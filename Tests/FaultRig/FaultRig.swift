// FaultRig.swift - rigs S, E, M and K: the steps of a store interleaved, refused, without memory, cut off.
//
//     FaultRig RIG DIRECTORY ROUNDS SEED [MUTANT]
//
// RIG is `schedules`, `errors`, `memory`, `producers` or `closes`. In the last two ROUNDS things happen at random
// instants: see there. The others strike at every call that SQLite makes of the system (of its allocator) while one
// operation of a store runs, and then look at everything: ROUNDS of these points, drawn by SEED, or all of them when
// ROUNDS is 0. Prints one line of counts and an example of each kind of failure; exit status 1 if there was any. With
// the name of a MUTANT something is broken on purpose, and the rig must be red: see Mutant. As `forked` and `stopped`
// it is one program of a test: see there.

private import CFaultDisk
internal import Dice
private import Glibc
internal import SpoolThreads

@main
struct FaultRig {
    static func main() throws {
        let words = CommandLine.arguments
        guard words.count >= 5, let rounds = Int(words[3]), let seed = UInt64(words[4]) else {
            print("usage: FaultRig RIG DIRECTORY ROUNDS SEED [MUTANT]")
            exit(64)
        }
        let plan = Plan(directory: words[2], rounds: rounds, seed: seed)
        if words.count > 5 {
            guard let mutant = Mutant(rawValue: words[5]) else {
                print("no mutant \(words[5]); there are \(Mutant.allCases.map(\.rawValue))")
                exit(64)
            }
            Mutant.chosen = mutant
        }
        switch words[1] {
        case "forked": try Forked.live(in: words[2])
        case "forked-meanwhile": try Forked.meanwhile(in: words[2])
        case "forked-in-transaction": try Forked.inTransaction(in: words[2])
        case "stopped": try Stopped.live(in: words[2])
        default: break
        }
        if words[1] == "memory", fault_memory_begin() != 0 {
            throw SpoolError.usage("SQLite was used before its memory could be made scarce")
        }
        if !["producers", "closes"].contains(words[1]) { try Gatekeeper.standInBetween() }
        let report =
            switch words[1] {
            case "schedules": try Schedules(plan).run()
            case "errors": try Errors(plan).run()
            case "producers": try producers(plan)
            case "closes": try closes(plan)
            default: try Memory(plan).run()
            }
        print(report.text(plan))
        fflush(nil)
        exit(report.failures == 0 ? 0 : 1)
    }
}

private func producers(_ plan: Plan) throws -> Report {
    var rig = try Producers(plan)
    return try rig.run()
}

private func closes(_ plan: Plan) throws -> Report {
    var rig = try Closes(plan)
    return try rig.run()
}

/// How much a rig shall do.
struct Plan {
    let directory: String
    let rounds: Int
    let seed: UInt64

    /// So many of the points as were asked for, drawn by the seed, in their order.
    func thinned<Point>(_ points: [Point]) -> [Point] {
        guard rounds > 0, rounds < points.count else { return points }
        var dice = Dice(seed: seed)
        return points.indices.shuffled(using: &dice).prefix(rounds).sorted().map { points[$0] }
    }
}

/// What a rig found.
struct Report {
    let title: String
    private(set) var rounds = 0
    private(set) var failures = 0
    private var examples: [String: String] = [:]
    private var counts: [(String, Int)] = []

    init(_ title: String) { self.title = title }

    mutating func count() { rounds += 1 }

    mutating func fail(_ kind: String, _ where_: String) {
        failures += 1
        if examples[kind] == nil { examples[kind] = where_ }
    }

    /// A figure that stands in the summary.
    mutating func tell(_ name: String, _ number: Int) { counts.append((name, number)) }

    func text(_ plan: Plan) -> String {
        var text = "seed \(plan.seed): \(rounds) \(title), \(failures) failures"
        for (name, number) in counts { text += ", \(number) \(name)" }
        for (kind, example) in examples.sorted(by: { $0.key < $1.key }) {
            text += "\n\(kind): \(example)"
        }
        return text
    }
}
