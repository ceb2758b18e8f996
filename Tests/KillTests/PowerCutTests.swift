// PowerCutTests.swift - rig P: the power is cut at every instant (Tests/PowerCutRig and
// Tests/NewFileRig do it and count).

import Foundation
import SpoolThreads
import Testing

@Suite("A power cut", .timeLimit(.minutes(30))) struct PowerCutTests {
    let seed = Rounds.seed

    /// A mutant need not fall at once.
    func cut(
        _ more: String..., rounds: Int = 30, seed: UInt64? = nil
    ) throws -> (status: Int32, said: String) {
        let seed = seed ?? self.seed
        let scratch = try Scratch(inMemory: true)
        let rig = try Program(
            "PowerCutRig",
            [scratch.directory, String(Rounds.count(rounds)), "1", String(seed)] + more,
            in: scratch.directory)
        return (try rig.wait(minutes: 20), rig.printed)
    }

    @Test(
        "P, D1, D2, D3: loses nothing that was acknowledged, at any instant, whatever the disk had not synced"
    )
    func losesNothing() throws {
        let (status, said) = try cut()
        #expect(status == 0, "\(said)")
        #expect(
            said.contains(
                " power cuts, 0 lost acknowledged puts, 0 lost acknowledged ends, 0 unsound files"))
    }

    @Test(
        "P, D1, D2, D3: loses nothing either after a sync that failed, whose pages the system forgets"
    )
    func failedSyncs() throws {
        let (status, said) = try cut("failing")
        #expect(status == 0, "\(said)")
        #expect(said.contains(" 0 lost acknowledged puts, 0 lost acknowledged ends, 0 unsound"))
    }

    @Test(
        "P, D1, D2, D3: loses nothing either when those whose sync failed were killed before they could tell"
    )
    func killedInSync() throws {
        let (status, said) = try cut("killed")
        #expect(status == 0, "\(said)")
        #expect(said.contains(" 0 lost acknowledged puts, 0 lost acknowledged ends, 0 unsound"))
    }

    @Test("P, D1: the rig notices when it is not written down that a sync was running")
    func rigBitesSilence() throws {
        let (status, said) = try cut("silent", rounds: 100, seed: 1)
        #expect(status == 1, "\(said)")
    }

    @Test("P, D1: the rig notices when it is forgotten that a sync has failed")
    func rigBitesForgetting() throws {
        let (status, said) = try cut("careless", rounds: 100, seed: 1)
        #expect(status == 1, "\(said)")
    }

    @Test("P, D1: the rig notices a put in somebody else's transaction that is not synced")
    func rigBitesEarly() throws {
        let (status, said) = try cut("early", seed: 1)
        #expect(status == 1 && !said.contains(" 0 lost acknowledged puts"), "\(said)")
    }

    @Test("P, D1: the rig notices when the log is not synced before a put is acknowledged")
    func rigBites() throws {
        let (status, said) = try cut("forget")
        #expect(status == 1 && !said.contains(" 0 lost acknowledged puts"), "\(said)")
    }
}

@Suite("A power cut while a file is made", .timeLimit(.minutes(30))) struct NewFileTests {
    func cut(_ neglect: String..., seed: UInt64 = Rounds.seed) throws -> (
        status: Int32, said: String
    ) {
        let scratch = try Scratch(inMemory: true)
        let rig = try Program(
            "NewFileRig",
            [scratch.directory, String(Rounds.count(1)), String(seed)] + neglect,
            in: scratch.directory)
        return (try rig.wait(minutes: 20), rig.printed)
    }

    @Test(
        "P, D1, D3, P7: leaves no file or a sound one, with all that was acknowledged; if it was migrated a copy"
    )
    func losesNothing() throws {
        let (status, said) = try cut()
        #expect(status == 0, "\(said)")
        #expect(
            said.contains(" 0 lost files, 0 lost acknowledged puts, 0 unsound files"), "\(said)")
    }

    @Test("P, D1: the rig notices when the directory of a new file is not synced")
    func rigBitesNames() throws {
        let (status, said) = try cut("directories", seed: 1)
        #expect(status == 1 && !said.contains(" 0 lost files"), "\(said)")
    }

    @Test("P, D1, D3: the rig notices when a new file has its name before it is synced")
    func rigBitesContents() throws {
        let (status, said) = try cut("files", seed: 1)
        #expect(status == 1 && !said.contains(" 0 unsound files"), "\(said)")
    }
}
