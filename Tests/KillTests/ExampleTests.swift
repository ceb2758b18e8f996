// ExampleTests.swift - the examples run, and what they claim is true.

import Dice
import Foundation
import SpoolJobs
import SpoolThreads
import Testing

@Suite("The example ProducersAndConsumers", .timeLimit(.minutes(10))) struct ExampleTests {
    @Test("puts, consumes and joins")
    func runs() throws {
        let scratch = try Scratch()
        let kitchen = try Program(
            "ProducersAndConsumers", [scratch.path, "50"], in: scratch.directory)
        #expect(try kitchen.wait() == 0)
        #expect(kitchen.printed == "50 buns were put on the counter, and all were eaten\n")
    }

    @Test("R4: killed anywhere and started again, it goes on where it was and joins")
    func resumes() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var dice = Dice(seed: seed)
        for round in 0..<Rounds.count(5) {
            let scratch = try Scratch()
            var strikes = 0
            while true {
                let kitchen = try Program(
                    "ProducersAndConsumers", [scratch.path, "200"], in: scratch.directory)
                elapse(dice.time(below: .milliseconds(150)))
                guard kitchen.isRunning else { break }
                kitchen.kill()
                strikes += 1
                if strikes >= 10 {
                    let last = try Program(
                        "ProducersAndConsumers", [scratch.path, "200"], in: scratch.directory)
                    #expect(try last.wait() == 0)
                    break
                }
            }
            let store = try Store.open(scratch.path, .existing)
            let counts = try store.counts(queue: "counter")
            #expect(counts.done == 200 && counts.total == 200, "seed \(seed), round \(round)")
            #expect(try store.check() == [], "seed \(seed), round \(round)")
        }
    }

    @Test("R1: an eater that is killed is replaced, and its bun is eaten")
    func replaced() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var dice = Dice(seed: seed)
        let scratch = try Scratch()
        let kitchen = try Program(
            "ProducersAndConsumers", [scratch.path, "400"], in: scratch.directory)
        var strikes = 0
        while kitchen.isRunning, strikes < 20 {
            elapse(dice.time(below: .milliseconds(20)))
            guard let child = Children.of(kitchen.pid).randomElement(using: &dice) else { continue }
            Glibc.kill(child, SIGKILL)
            strikes += 1
        }
        #expect(try kitchen.wait() == 0, "seed \(seed): \(kitchen.printed)")
        let counts = try Store.open(scratch.path, .existing).counts(queue: "counter")
        #expect(counts.unfinished == 0 && counts.total >= 400, "seed \(seed)")
    }
}

enum Children {
    /// The children of a process, from /proc.
    static func of(_ pid: Int32) -> [Int32] {
        let path = "/proc/\(pid)/task/\(pid)/children"
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return [] }
        return text.split(separator: " ").compactMap { Int32($0) }
    }

    /// The name of a process as ps shows it, from /proc.
    static func name(_ pid: Int32) -> String {
        let text = try? String(contentsOfFile: "/proc/\(pid)/comm", encoding: .utf8)
        return text?.trimmingCharacters(in: .whitespacesAndNewlines) ?? ""
    }

    /// The words that a process shows, from /proc; none when it has ended.
    static func commandLine(_ pid: Int32) -> String {
        guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") else {
            return ""
        }
        return String(decoding: data.map { $0 == 0 ? 32 : $0 }, as: UTF8.self)
    }
}
