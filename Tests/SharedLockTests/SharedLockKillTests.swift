// SharedLockKillTests.swift - SIGKILL at random instants: nobody hangs, and what was promised holds. Small in CI;
// SPOOL_ROUNDS strikes more often.

import Testing

@Suite("K: a shared lock under kills", .serialized, .timeLimit(.minutes(10)))
struct SharedLockKillTests {
    static let kinds = ["lock", "rlock", "semaphore", "event", "condition", "barrier"]

    @Test(
        "K, R2: those that were not killed go on, whatever instant the SIGKILL of the others came at",
        arguments: kinds)
    func kill(_ kind: String) throws {
        let seed = UInt64.random(in: 1...1_000_000)
        let (text, isGood) = try Rig.run(["kill", kind, "\(Rig.rounds(12))", "\(seed)"])
        print(text, terminator: "")
        #expect(isGood && text.contains("0 hangs"), "seed \(seed): \(text)")
    }

    @Test(
        "K, R2: cut off by SIGKILL after any of its instructions an operation leaves the thing working",
        arguments: ["lock", "semaphore", "event", "condition", "barrier"])
    func step(_ kind: String) throws {
        let seed = UInt64.random(in: 1...1_000_000)
        let (text, isGood) = try Rig.run(["step", kind, "\(Rig.rounds(2))", "\(seed)"])
        print(text, terminator: "")
        #expect(isGood && text.contains("0 hangs"), "seed \(seed): \(text)")
    }

    @Test("K, R2: the rig notices a lock that does not look whether its holder lives")
    func naiveLock() throws {
        let (text, isGood) = try Rig.run(["kill", "naive-lock", "50", "7", "1000"])
        #expect(!isGood && (text.contains("hang") || text.contains("cannot be taken")), "\(text)")
    }

    @Test("K, R2: the rig notices a lock that takes a slow holder for dead")
    func robbingLock() throws {
        let (text, isGood) = try Rig.run(["kill", "robbing-lock", "50", "7", "1000"])
        #expect(!isGood && text.contains("inside, and lives"), "\(text)")
    }

    @Test("K, R2: the rig notices a semaphore that forgets the units of the dead")
    func naiveSemaphore() throws {
        let (text, isGood) = try Rig.run(["kill", "naive-semaphore", "50", "7", "1000"])
        #expect(!isGood && (text.contains("hang") || text.contains("did not come back")), "\(text)")
    }

    @Test(
        "K, R2: the rig notices an event, a condition and a barrier that forget the dead",
        arguments: ["naive-event", "naive-condition", "naive-barrier"])
    func naive(_ kind: String) throws {
        let (text, isGood) = try Rig.run(["kill", kind, "50", "7", "3000"])
        #expect(!isGood && text.contains("wrong: \(kind), seed 7, round"), "\(text)")
    }

    @Test(
        "K, R2: the rig that cuts off at instructions notices each kind that forgets the dead",
        arguments: [
            "naive-lock", "naive-semaphore", "naive-event", "naive-condition", "naive-barrier",
        ])
    func naiveSteps(_ kind: String) throws {
        let (text, isGood) = try Rig.run(["step", kind, "12", "7"])
        #expect(!isGood && text.contains("wrong: \(kind), cut after"), "\(text)")
    }
}
