// Simulation.swift - a scenario: what a run is, in a line that runs it again; and how a failing one is made shorter.

private import CFaultDisk
internal import Foundation

/// One run, and how to have it again.
public struct Scenario: Hashable, Sendable, CustomStringConvertible {
    /// What all chance comes from.
    public var seed: UInt64
    /// The numbers of the acts that happen; nil is all.
    public var keep: Set<Int>?
    /// What is broken on purpose.
    public var broken: Break?

    /// Made from its parts.
    public init(seed: UInt64, keep: Set<Int>? = nil, broken: Break? = nil) {
        self.seed = seed
        self.keep = keep
        self.broken = broken
    }

    /// The command line that runs it.
    public var description: String {
        var line = "Simulator --seed \(seed)"
        if let keep { line += " --acts " + keep.sorted().map(String.init).joined(separator: ",") }
        if let broken { line += " --break \(broken.rawValue)" }
        return line
    }

    /// How many acts happen.
    public var count: Int { keep?.count ?? Plan(Dice(seed: seed)).acts.count }
}

/// What came of a run.
public struct RunReport: Sendable {
    /// Entries of the agenda: messages, decisions, calls, and things that went wrong.
    public var operations = 0
    /// Transactions of the store, each compared with the model.
    public var transactions = 0
    /// Acts by their kind.
    public var acts: [Act.Kind: Int] = [:]
    /// What must not be; nil: nothing was wrong.
    public var violation: String?

    /// Made of nothing.
    public init() {}
}

/// Runs scenarios, one after the other, in files of its own.
public final class Simulation {
    private let directory: String
    private var runs = 0

    /// - Parameter directory: Where its files are; on a file system in memory a run takes milliseconds.
    public init() throws {
        guard fault_disk_install() == 0 else { throw Violation("no disk to break") }
        let memory = "/dev/shm"
        let isThere = FileManager.default.isWritableFile(atPath: memory)
        directory =
            (isThere ? memory + "/" : NSTemporaryDirectory()) + "spool-simulation-"
            + UUID().uuidString
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    /// Runs a scenario to its end or its first violation.
    public func run(_ scenario: Scenario, log: ((String) -> Void)? = nil) -> RunReport {
        runs += 1
        let folder = directory + "/\(runs)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var report = RunReport()
        for (number, act) in Plan(Dice(seed: scenario.seed)).acts.enumerated()
        where scenario.keep?.contains(number) ?? true {
            report.acts[act.kind, default: 0] += 1
        }
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
            let world = try World(scenario, folder + "/jobs.db", log: log)
            defer {
                report.operations = world.operations
                report.transactions = world.judge.transactions
                world.close()
            }
            try world.run()
        } catch let violation as Violation {
            report.violation = violation.text
        } catch {
            report.violation = "an error that nobody expected: \(error)"
        }
        return report
    }

    /// What is violated, as its text begins: a shorter run must fail in the same way.
    private static func kind(of violation: String?) -> Substring? {
        violation?.prefix { $0 != ":" }
    }

    /// Leaves out acts of a failing scenario as long as it fails all the same (Zeller and Hildebrandt, "Simplifying and
    /// Isolating Failure-Inducing Input", 2002).
    public func shrunk(_ scenario: Scenario) -> Scenario {
        let kind = Self.kind(of: run(scenario).violation)
        var kept = Array(scenario.keep?.sorted() ?? Array(0..<scenario.count))
        func fails(_ acts: [Int]) -> Bool {
            let shorter = Scenario(seed: scenario.seed, keep: Set(acts), broken: scenario.broken)
            return Self.kind(of: run(shorter).violation) == kind
        }
        var size = max(1, kept.count / 2)
        while !kept.isEmpty {
            var isShorter = false
            var start = 0
            while start < kept.count {
                var fewer = kept
                fewer.removeSubrange(start..<min(start + size, kept.count))
                if fails(fewer) {
                    kept = fewer
                    isShorter = true
                } else {
                    start += size
                }
            }
            if size == 1, !isShorter { break }
            size = max(1, size / 2)
        }
        return Scenario(seed: scenario.seed, keep: Set(kept), broken: scenario.broken)
    }
}
