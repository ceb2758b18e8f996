// FaultTests.swift - rigs S, E, M and K: Tests/FaultRig strikes at every call of SQLite's, at every allocation, at
// producers that put together.

import CSQLite
import Foundation
import SpoolThreads
import Testing

/// One run of the rig, in memory.
struct FaultRun {
    let status: Int32
    let said: String

    /// - Parameters:
    ///   - points: As many in CI; 0 are all.
    ///   - mutant: What is broken on purpose. Its points are the same each time: it is there to be found.
    init(_ rig: String, points: Int, _ mutant: String...) throws {
        let seed = mutant.isEmpty ? Rounds.seed : 1
        let scratch = try Scratch(inMemory: true)
        let program = try Program(
            "FaultRig",
            [rig, scratch.directory, String(points), String(seed)] + mutant,
            in: scratch.directory)
        status = try program.wait(minutes: 60)
        said = program.printed
    }

    var isRed: Bool { status == 1 && !said.contains(" 0 failures") }
    var isGreen: Bool { status == 0 && said.contains(", 0 failures") }
}

@Suite("A store whose steps are interleaved with others'", .timeLimit(.minutes(60)))
struct ScheduleTests {
    /// The bug that the schedules must find is gone from SQLite since then.
    static let hasBug = sqlite3_libversion_number() < 3_051_003

    @Test(
        "S, D1, D7, X1, J1: keeps every job, gives none twice and stays sound, whoever acts at whichever call"
    )
    func isSound() throws {
        let run = try FaultRun("schedules", points: Rounds.count(150))
        #expect(run.isGreen, "\(run.said)")
    }

    @Test(
        "S, D7: the rig finds SQLite's WAL-reset bug in a queue with automatic checkpoints",
        .enabled(if: hasBug, "this SQLite has it no more"))
    func naiveQueue() throws {
        let run = try FaultRun("schedules", points: 0, "automatic-checkpoints")
        #expect(run.isRed, "\(run.said)")
    }

    @Test(
        "S, D7: the rig notices a guest that puts with automatic checkpoints, which no promise covers",
        .enabled(if: hasBug, "this SQLite has it no more"))
    func carelessGuest() throws {
        let run = try FaultRun("schedules", points: 0, "careless-guest")
        #expect(run.isRed && run.said.contains("D"), "\(run.said)")
    }
}

@Suite("A store whose calls of the system fail", .timeLimit(.minutes(60))) struct ErrorTests {
    @Test(
        "E, D3, D4, D5: loses nothing, does nothing by halves, says what it does not know, and goes on afterwards"
    )
    func isSound() throws {
        let run = try FaultRun("errors", points: Rounds.count(200))
        #expect(run.isGreen, "\(run.said)")
    }

    @Test(
        "E, D1, D3: the rig notices a broken store",
        arguments: [
            "early-reply": "D1: it was acknowledged and not done",
            "late-counters": "D3: it was done in part",
        ])
    func rigBites(_ mutant: String, _ finding: String) throws {
        let run = try FaultRun("errors", points: 120, mutant)
        #expect(run.isRed && run.said.contains(finding), "\(run.said)")
    }

    @Test("E, X2: the rig notices rows that do not tell one attempt from another")
    func noFence() throws {
        let run = try FaultRun("errors", points: 0, "no-fence")
        #expect(run.isRed && run.said.contains("X2"), "\(run.said)")
    }
}

@Suite("A store without memory", .timeLimit(.minutes(60))) struct MemoryTests {
    @Test("M, D1, D3, D4: says so, has changed nothing, and goes on when there is some")
    func isSound() throws {
        let run = try FaultRun("memory", points: Rounds.count(200))
        #expect(run.isGreen, "\(run.said)")
    }

    @Test("M, J5: the rig notices a put that counts its job in a transaction of its own")
    func rigBites() throws {
        let run = try FaultRun("memory", points: 500, "late-counters")
        #expect(run.isRed, "\(run.said)")
    }

    @Test(
        "M, D4, P9: a put whose body does not fit into its address space says so, and puts nothing")
    func addressSpace() throws {
        let scratch = try Scratch()
        let first = try Program(
            "spool", ["put", "--file", scratch.path, "--", "true"], in: scratch.directory)
        #expect(try first.wait() == 0, "\(first.printed)")
        let body = scratch.directory + "/body"
        try Data(repeating: 120, count: 60 << 20).write(to: URL(fileURLWithPath: body))
        for megabytes in [70, 140, 250] {
            let spool = Program.folder.path + "/spool"
            let put = "'\(spool)' put --file '\(scratch.path)' -k big --body '@\(body)'"
            let program = try Program(
                "/bin/sh", ["-c", "ulimit -v \(megabytes << 10); exec \(put)"],
                in: scratch.directory)
            let status = try program.wait()
            let isSaid = program.printed.hasPrefix("error: ") && status >= 64
            #expect(
                status == 0 || isSaid || status == 127,
                "\(megabytes) MB: \(status) \(program.printed)")
        }
        let check = try Program("spool", ["check", scratch.path], in: scratch.directory)
        #expect(try check.wait() == 0, "\(check.printed)")
    }

    @Test("M, D4, P9: so does a line of NDJSON, and what reads such a job")
    func addressSpaceOfReaders() throws {
        let scratch = try Scratch()
        let line = scratch.directory + "/line"
        let body = String(repeating: "x", count: 12 << 20)
        try Data(#"{"kind":"big","body":"\#(body)"}"#.utf8).write(to: URL(fileURLWithPath: line))
        let spool = "'\(Program.folder.path)/spool'"
        let file = "--file '\(scratch.path)'"
        let put = try shell("\(spool) put \(file) --ndjson '\(line)'", in: scratch)
        #expect(put.status == 0, "\(put.said)")
        var refusals = 0
        for words in [
            "put \(file) --ndjson '\(line)'", "list \(file) --json", "show \(file) --json 1",
        ] {
            for megabytes in [80, 110, 140, 170] {
                let limited = "ulimit -v \(megabytes << 10); exec \(spool) \(words) >/dev/null"
                let (status, said) = try shell(limited, in: scratch)
                // 127: there is not even memory to begin.
                let isSaid = status >= 64 && said.contains("Cannot allocate memory")
                #expect(status == 0 || isSaid || status == 127, "\(limited): \(status) \(said)")
                refusals += isSaid ? 1 : 0
            }
        }
        #expect(refusals > 0)
        let check = try shell("\(spool) check '\(scratch.path)'", in: scratch)
        #expect(check.status == 0, "\(check.said)")
    }

    private func shell(_ text: String, in scratch: Scratch) throws -> (status: Int32, said: String)
    {
        let program = try Program("/bin/sh", ["-c", text], in: scratch.directory)
        return (try program.wait(), program.printed)
    }
}

@Suite("Producers in processes of their own", .timeLimit(.minutes(60))) struct ProducerKillTests {
    @Test(
        "K, D1, R10: killed at random instants: all that was acknowledged is there, once and in order"
    )
    func isSound() throws {
        let run = try FaultRun("producers", points: Rounds.count(300))
        #expect(run.isGreen, "\(run.said)")
        #expect(!run.said.contains(" 0 transactions for several"), "none put for another")
    }

    @Test(
        "D5, R10: beside one that is stopped in its turn a put waits as long as its program allows")
    func stopped() throws {
        let scratch = try Scratch()
        let program = try Program(
            "FaultRig", ["stopped", scratch.directory, "0", "0"], in: scratch.directory)
        #expect(try program.wait() == 0)
        let said = """
            seat: put
            late: locked
            many: 100 locked
            taken: outcome_unknown
            late: locked
            after: put
            seat taken after

            """
        #expect(program.printed == said)
    }

    @Test("K, D1: the rig notices when a death makes others put again what was put")
    func rigBites() throws {
        let run = try FaultRun("producers", points: 1000, "forgotten-batch")
        #expect(run.isRed && run.said.contains("D1: a job was put twice"), "\(run.said)")
    }
}

@Suite("Processes that close the file", .timeLimit(.minutes(60))) struct CloseTests {
    @Test(
        "K, D1, D3: at the same moments, or killed: all that was acknowledged is in the file alone")
    func isSound() throws {
        let run = try FaultRun("closes", points: Rounds.count(150))
        #expect(run.isGreen, "\(run.said)")
    }

    @Test("K, D3: the rig notices when somebody stands still who closes the file")
    func rigBites() throws {
        let run = try FaultRun("closes", points: 100, "held-closing")
        #expect(run.isRed && run.said.contains("D3: what was acknowledged is not"), "\(run.said)")
    }
}
