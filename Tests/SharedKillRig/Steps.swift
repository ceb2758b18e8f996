// Steps.swift - one verb, killed at each of its instructions; then the queue must be whole, and nothing lost.

import CSpool
import CSingleStep
import Dice
import Glibc
import SpoolQueues
import SpoolThreads

@testable import SpoolProcesses

/// What the victim does while it is stepped.
enum Operation: String, CaseIterable {
    case put, get, taskDone
    /// The get by which a process becomes a member.
    case firstGet
    /// Giving back what a dead process held.
    case giveBack
    /// A get that finds the lock of a dead owner.
    case repair
    /// A put for which another process sleeps, and the last taskDone, for which a joiner does.
    case wakingPut, wakingTaskDone

    /// How many of the three items, and of the one that is put, are unfinished before and after its commit.
    var unfinished: (before: Int, after: Int) {
        switch self {
        case .put: (3, 4)
        case .taskDone: (3, 2)
        case .get, .firstGet, .giveBack, .repair: (3, 3)
        case .wakingPut: (0, 1)
        case .wakingTaskDone: (1, 0)
        }
    }

    var hasSleeper: Bool { self == .wakingPut || self == .wakingTaskDone }
}

struct Steps {
    /// How many instructions are struck at; nil: every one.
    private let samples: Int?
    private let seed: UInt64
    private let neglect: Neglect?
    private let queue: SharedQueue<[UInt8]>
    private let patience: Duration
    private var dice: Dice
    private var number: UInt64 = 1

    init(samples: Int?, seed: UInt64, neglect: Neglect?) throws(SpoolError) {
        self.samples = samples
        self.seed = seed
        self.neglect = neglect
        dice = Dice(seed: seed)
        patience = .seconds(neglect == nil ? 30 : 2)
        queue = SharedQueue(try RecordQueue(limit: 60, bytes: 8 << 10))
        queue.records.neglect = neglect
    }

    mutating func run(_ operations: [Operation]) throws(SpoolError) {
        for operation in operations {
            // Once to the end, to count.
            let length = try strike(operation, at: .max).ran
            var (kills, committed) = (0, 0)
            let before = queue.records.look { $0.repairs }
            if let samples {
                for _ in 0..<samples {
                    let instruction = Int.random(in: 1...length, using: &dice)
                    committed += try strike(operation, at: instruction).hasCommitted ? 1 : 0
                    kills += 1
                }
            } else {
                var instruction = 1
                while true {
                    let outcome = try strike(operation, at: instruction)
                    if outcome.ran > 0 { break }
                    committed += outcome.hasCommitted ? 1 : 0
                    (kills, instruction) = (kills + 1, instruction + 1)
                }
            }
            let repairs = queue.records.look { $0.repairs } - before
            let isSeen = operation.unfinished.before != operation.unfinished.after
            print(
                "seed \(seed): \(operation) of \(length) instructions: \(kills) kills,"
                    + (isSeen ? " \(committed) after its commit," : "")
                    + " \(repairs) deaths with the lock: always whole, 0 lost, 0 hangs")
            fflush(nil)
        }
    }

    /// Kills a process after so many instructions of the operation, and looks at what it has left.
    /// - Returns: How many instructions it ran, if it came to its end before.
    private mutating func strike(
        _ operation: Operation, at instruction: Int
    ) throws(SpoolError) -> (ran: Int, hasCommitted: Bool) {
        let first = number
        let count = operation.hasSleeper ? operation == .wakingPut ? 0 : 1 : 3
        for _ in 0..<count { try queue.put(next()) }
        try leaveDead(operation)
        let sleeping = operation.hasSleeper ? try sleeper(operation) : nil
        let victim = forked { act(operation, Stamped.item(number, size: 200)) }
        let ran = stepper_kill(victim, instruction)
        number += 1
        let place = "seed \(seed): \(operation) killed at \(instruction)"
        if let sleeping { return (ran, try wake(sleeping, operation, place)) }
        queue.lookForDeaths()
        if let why = queue.records.inconsistency() { fail("\(place): inconsistent: \(why)") }
        let left = queue.unfinished
        guard left == operation.unfinished.before || left == operation.unfinished.after else {
            fail("\(place): \(left) are unfinished")
        }
        try drain(left, from: first, place)
        return (ran, left == operation.unfinished.after)
    }

    private mutating func next() -> [UInt8] {
        defer { number += 1 }
        return Stamped.item(number, size: Int.random(in: 8...300, using: &dice))
    }

    /// What must have happened in another process before.
    private func leaveDead(_ operation: Operation) throws(SpoolError) {
        switch operation {
        case .giveBack:
            let dead = forked {
                for _ in 0..<2 { _ = try? queue.getNowait() }
            }
            _ = ended(dead, within: patience)
        case .repair:
            let dead = forked { queue.records.acquire() }
            _ = ended(dead, within: patience)
        default: break
        }
    }

    /// In the victim. An error is found by what it leaves.
    private func act(_ operation: Operation, _ item: [UInt8]) {
        switch operation {
        case .put, .wakingPut:
            stepper_stop()
            try? queue.put(item)
        case .get:
            // It is a member already: what it gets first goes back to the front.
            if let held = try? queue.records.get(timeout: .zero) { queue.records.putBack(held) }
            stepper_stop()
            _ = try? queue.get()
        case .firstGet, .repair:
            stepper_stop()
            _ = try? queue.get()
        case .taskDone, .wakingTaskDone:
            _ = try? queue.get()
            stepper_stop()
            try? queue.taskDone()
        case .giveBack:
            stepper_stop()
            queue.lookForDeaths()
        }
    }

    /// Everything that is left comes, in order, undamaged, and no oftener than it should.
    private func drain(_ count: Int, from first: UInt64, _ place: String) throws(SpoolError) {
        var newest = first - 1
        for _ in 0..<count {
            let delivery = try queue.getDelivery(timeout: patience)
            guard let number = Stamped.number(delivery.item) else { fail("\(place): damaged item") }
            guard number > newest else { fail("\(place): \(number) came after \(newest)") }
            guard delivery.number <= 4 else { fail("\(place): delivery \(delivery.number)") }
            newest = number
            try queue.taskDone(delivery)
        }
        guard try queue.join(timeout: patience) else { fail("\(place): join hangs") }
    }

    private func finishNext() throws(SpoolError) {
        try queue.taskDone(queue.getDelivery(timeout: patience))
    }

    // MARK: - With a sleeper

    private func sleeper(_ operation: Operation) throws(SpoolError) -> Int32 {
        let sleepers = {
            [queue] in queue.records.look { $0.sleepers.getters + $0.sleepers.joiners }
        }
        let before = sleepers()
        let sleeper = forked {
            if operation == .wakingPut {
                guard (try? queue.get()) != nil else { _exit(3) }
            } else {
                guard (try? queue.join()) == true else { _exit(3) }
            }
        }
        let deadline = Deadline(after: patience)
        while sleepers() == before {
            guard !deadline.isPast else { fail("seed \(seed): the sleeper does not sleep") }
            Pause.briefly(upTo: .microseconds(50))
        }
        return sleeper
    }

    /// The sleeper must end, whatever became of the one that should have woken it; if nothing did, by what we do.
    private mutating func wake(
        _ sleeper: Int32, _ operation: Operation, _ place: String
    ) throws(SpoolError) -> Bool {
        queue.lookForDeaths()
        let hasCommitted = queue.unfinished == operation.unfinished.after
        if !hasCommitted {
            if operation == .wakingPut {
                try queue.put(next())
            } else {
                try finishNext()
            }
        }
        guard ended(sleeper, within: patience) == 0 else { fail("\(place): the sleeper hangs") }
        if operation == .wakingPut { try finishNext() }
        if let why = queue.records.inconsistency() { fail("\(place): inconsistent: \(why)") }
        return hasCommitted
    }
}
