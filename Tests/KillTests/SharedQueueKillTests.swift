// SharedQueueKillTests.swift - the users of a shared queue are killed at any instant (Tests/SharedKillRig does it and
// counts).
//
// Small here; SPOOL_ROUNDS=10000 for the storm in full. Every instruction of every verb takes a minute each, optimized:
//
//     swift build -c release -Xswiftc -enable-testing --product SharedKillRig
//     LD_BIND_NOW=1 .build/release/SharedKillRig steps every 1

import Foundation
import SpoolThreads
import Testing

@Suite("A shared queue whose users are killed", .timeLimit(.minutes(30)))
struct SharedQueueKillTests {
    let seed = UInt64.random(in: 1...UInt64.max)

    /// They take long in debug builds: only when many rounds are wanted.
    static let long =
        Rounds.count(0) < 1000
        ? [] : [("firstGet", 1), ("giveBack", 1), ("repair", 1), ("wakingPut", 1)]

    func rig(_ words: String...) throws -> (status: Int32, said: String) {
        let scratch = try Scratch(inMemory: true)
        let seeded = words.prefix(2) + [String(seed)] + words.dropFirst(2)
        let rig = try Program("SharedKillRig", Array(seeded), in: scratch.directory)
        return (try rig.wait(minutes: 20), rig.printed)
    }

    @Test(
        "K, R2, J1, J2: at random instants: 0 lost, 0 hangs, 0 held twice, no join too early"
    )
    func storm() throws {
        let kills = Rounds.count(300)
        let (status, said) = try rig("storm", String(kills))
        #expect(status == 0, "\(said)")
        #expect(said.contains(": \(kills) kills ("))
        #expect(said.contains(": 0 lost, 0 hangs, 0 with two living holders, 0 joins too early"))
        #expect(!said.contains(" 0 given back"), "no holder was struck: \(said)")
    }

    @Test(
        "K, R2: at single instructions of a verb: the queue is whole, and who slept is woken",
        arguments: [("put", 5), ("get", 10), ("taskDone", 40), ("wakingTaskDone", 5)] + Self.long)
    func steps(_ operation: String, _ samples: Int) throws {
        let kills = max(samples, Rounds.count(0) / 100)
        let (status, said) = try rig("steps", String(kills), operation)
        #expect(status == 0, "\(said)")
        #expect(said.contains(" instructions: \(kills) kills,"), "\(said)")
    }

    @Test("K, R2: the rig notices when what a death in the lock left is not put in order")
    func noticesRepair() throws {
        let (status, said) = try rig("steps", "40", "neglect-repair", "taskDone")
        #expect(status == 1 && said.contains("FAILED: "), "\(said)")
    }

    @Test("K, R2, J2: the rig notices when what the dead held is not given back")
    func noticesHolders() throws {
        let (status, said) = try rig("storm", "50", "neglect-holders")
        #expect(status == 1 && said.contains(" hangs"), "\(said)")
    }
}
