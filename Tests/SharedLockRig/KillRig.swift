// KillRig.swift - kills users of one shared thing at random instants, and looks whether the others go on.
//
// A round: four children use the thing over and over; some are killed; each of the others must take some more steps;
// then all are killed, and the thing must still work for the parent. The seed makes the instants random in the same
// way again; what the children do meanwhile is up to the machine.

import Dice
import Glibc
import SpoolProcesses
import SpoolThreads

/// What the children of a rig do, and what must hold.
protocol Subject {
    /// One step of a child; it returns when the child has done what shows that it goes on.
    func step(_ child: Int, _ dice: inout Dice) throws
    /// By the parent, when all children are dead.
    func verify(within limit: Duration) throws
    /// How many may be killed so that the others must still go on.
    var victims: ClosedRange<Int> { get }
    /// What it has to tell in the end.
    var summary: String { get }
}

/// Those whom the rig kills in this round, from before it does.
enum Doomed {
    private static let pids = Numbers(KillRig.children + 1)

    /// Before the first fork, so that all share it.
    static func clear() { for index in 0...KillRig.children { pids[index] = 0 } }

    static func add(_ pid: Int32) { pids[pids.add(KillRig.children) - 1] = Int(pid) }

    static func contains(_ pid: Int) -> Bool { (0..<KillRig.children).contains { pids[$0] == pid } }
}

struct KillRig {
    static let children = 4
    /// Who takes no step in this time hangs.
    let tooLong: Duration

    let kind: String
    let seed: UInt64
    private let subject: any Subject
    /// Steps of each child; then what a child found wrong.
    private let steps = Numbers(children + 1)

    init(kind: String, seed: UInt64, tooLong: Duration = .seconds(10)) throws {
        (self.kind, self.seed, self.tooLong) = (kind, seed, tooLong)
        guard let make = Subjects.all[kind] else { throw Wrong("no kind \(kind)") }
        subject = try make()
    }

    func strike(_ rounds: Int) throws -> String {
        var dice = Dice(seed: seed)
        var killed = 0
        for round in 0..<rounds {
            do {
                killed += try strike(&dice)
            } catch {
                let text = (error as? Wrong)?.text ?? "\(error)"
                throw Wrong("\(kind), seed \(seed), round \(round): \(text)")
            }
        }
        return
            "\(kind): \(rounds) rounds, \(killed) killed, seed \(seed): 0 hangs. \(subject.summary)"
    }

    private func strike(_ dice: inout Dice) throws -> Int {
        for index in 0...Self.children { steps[index] = 0 }
        Doomed.clear()
        var living = try (0..<Self.children).map { (number: $0, child: try start($0, &dice)) }
        defer { for (_, child) in living { child.kill() } }
        elapse(dice.time(below: .milliseconds(6)))
        let victims = Int.random(in: subject.victims, using: &dice)
        for _ in 0..<victims {
            let index = Int.random(in: 1..<living.count, using: &dice)
            let victim = living.remove(at: index).child
            Doomed.add(victim.pid)
            try victim.killed()
            elapse(dice.time(below: .microseconds(300)))
        }
        try goOn(living.map(\.number))
        for (_, child) in living {
            Doomed.add(child.pid)
            child.kill()
        }
        for (_, child) in living { _ = try child.end() }
        let count = living.count
        living = []
        try check(steps[Self.children] == 0, "a child found it wrong")
        try subject.verify(within: tooLong)
        return victims + count
    }

    private func start(_ number: Int, _ dice: inout Dice) throws -> Child {
        let seed = dice.next()
        return try Child {
            var dice = Dice(seed: seed)
            do {
                while true {
                    try subject.step(number, &dice)
                    steps.add(number)
                }
            } catch {
                complain("child \(number): \(error)")
                steps.add(Self.children)
                return 1
            }
        }
    }

    private func goOn(_ numbers: [Int]) throws {
        let deadline = Deadline(after: tooLong)
        let before = numbers.map { steps[$0] }
        while !zip(numbers, before).allSatisfy({ steps[$0] >= $1 + 3 }) {
            try check(steps[Self.children] == 0, "a child found it wrong")
            guard !deadline.isPast else {
                let moved = zip(numbers, before).map { steps[$0] - $1 }
                throw Wrong("those that were not killed hang: they took \(moved) steps")
            }
            Pause.briefly(upTo: .microseconds(200))
        }
    }

    private func elapse(_ time: Duration) {
        let deadline = Deadline(after: time)
        while !deadline.isPast { Pause.briefly(upTo: min(.milliseconds(1), time)) }
    }
}
