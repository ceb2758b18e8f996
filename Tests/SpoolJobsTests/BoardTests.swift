// BoardTests.swift - puts that another process takes along: each is put once, whoever dies when.

import Glibc
import SpoolThreads
import Synchronization
import Testing

@testable import SpoolJobs

@Suite("Puts of several processes", .timeLimit(.minutes(10))) struct BoardTests {
    private let pair: Pair

    init() throws { pair = try Pair() }

    @Test("D1: go into the transaction of the one that is in the gate")
    func takenAlong() throws {
        var posting: Thread?
        try pair.leader.write("putting jobs", .afterwards) { () throws(SpoolError) in
            _ = try pair.leader.put([.command("first")], now: noon)
            posting = try? pair.post("second")
        }
        try posting?.join()
        #expect(pair.ids == 3...3)
        #expect(try pair.commands == "seat first second")
        #expect(try pair.batches == "1")
        #expect(try pair.poster.check() == [])
    }

    @Test("those who are waited for come into the same transaction, one after the other")
    func waitedFor() throws {
        try pair.seatOthers()
        let second = try pair.others[0].shared().board
        var posting: Thread?
        try pair.leader.write("putting jobs", .afterwards) { () throws(SpoolError) in
            posting = try? pair.post("second")
            // Once the first one was taken.
            let later = Thread { [pair] in
                try pair.until { try !pair.board.hasPosts }
                _ = try pair.others[0].shared().board.post([.command("third")], now: noon)
            }
            let gathering = Board.Gathering(wanted: 2, limit: Deadline(after: .seconds(20)))
            do {
                try later.start()
                try pair.leader.putPosts(gathering)
                try later.join()
            } catch {
                Issue.record(error)
            }
        }
        try posting?.join()
        #expect(try pair.commands == "seat second third")
        #expect(try pair.batches == "1")
        guard case .committed(3, _) = second.fate() else {
            Issue.record("the third one has another fate")
            return
        }
        #expect(try pair.poster.check() == [])
    }

    @Test("one is called when they were put, and calls the others")
    func relay() throws {
        try pair.seatOthers()
        let boards = try ([pair.poster] + pair.others).map { store in try store.shared().board }
        let before = try boards.indices.map(pair.calls)
        try pair.leader.inGate { leading in
            for board in boards { #expect(board.post([.command("job")], now: noon)) }
            try pair.leader.takeAlong("COMMIT")
            leading.end(.committed(first: 0, number: 1)).call()
        }
        #expect(try boards.indices.map { try pair.calls($0) - before[$0] } == [1, 0, 0])
        _ = boards[0].fate()
        #expect(try boards.indices.map { try pair.calls($0) - before[$0] } == [1, 1, 1])
    }

    @Test("the others are called though the first one has looked before, and gone on")
    func relayPastTheFirst() throws {
        try pair.seatOthers()
        let boards = try ([pair.poster] + pair.others).map { store in try store.shared().board }
        let before = try boards.indices.map(pair.calls)
        try pair.leader.inGate { leading in
            for board in boards { #expect(board.post([.command("job")], now: noon)) }
            try pair.leader.takeAlong("COMMIT")
            let calls = leading.end(.committed(first: 0, number: 1))
            _ = boards[0].fate()
            calls.call()
        }
        #expect(try pair.calls(1) - before[1] == 1)
        _ = boards[1].fate()
        #expect(try pair.calls(2) - before[2] == 1)
    }

    @Test("one that posts in the moment in which the gate is left is called")
    func postedLast() throws {
        let board = try pair.poster.shared().board
        let before = try pair.calls(0)
        try pair.leader.inGate { leading in
            leading.leave()
            #expect(board.post([.command("late")], now: noon))
        }
        try pair.board.next.call()
        #expect(try pair.calls(0) - before == 1)
    }

    @Test("one that found the gate closed is called by who has tidied the log there")
    func postedBesideTidying() throws {
        let board = try pair.poster.shared().board
        let before = try pair.calls(0)
        try pair.leader.inGate { _ in
            #expect(board.post([.command("waits")], now: noon))
        }
        for _ in 0..<2 { try pair.leader.tidyLog() }
        #expect(try pair.calls(0) - before == 1)
    }

    @Test("one that is called after it found the gate closed does not sleep")
    func calledEarly() throws {
        let board = try pair.poster.shared().board
        var seen: UInt32 = 0
        try pair.leader.inGate { leading in
            #expect(board.post([.command("waits")], now: noon))
            seen = board.timesCalled
            #expect(pair.poster.gate?.tryEnter() == false)
            leading.leave()
        }
        try pair.board.next.call()
        #expect(board.awaitCall(after: seen))
    }

    @Test("D1: whose taker died before it committed are put by the process itself, once")
    func deathBefore() throws {
        var posting: Thread?
        try pair.leader.inGate { _ in
            posting = try pair.post("again")
            try pair.leader.takeAlong("ROLLBACK")
        }
        try posting?.join()
        #expect(pair.ids == 2...2)
        #expect(try pair.commands == "seat again")
        #expect(try pair.batches == "0")
    }

    @Test("D1: whose taker died after it committed are not put again")
    func deathAfter() throws {
        var posting: Thread?
        try pair.leader.inGate { _ in
            posting = try pair.post("once")
            try pair.leader.takeAlong("COMMIT")
        }
        try posting?.join()
        #expect(pair.ids == 2...2)
        #expect(try pair.commands == "seat once")
        #expect(try pair.batches == "1")
    }

    @Test(
        "D1: whose taker died are settled by the next one that takes some",
        arguments: [false, true])
    func deathAndSuccessor(isCommitted: Bool) throws {
        var posting: Thread?
        try pair.leader.inGate { _ in
            posting = try pair.post("once")
            try pair.leader.takeAlong(isCommitted ? "COMMIT" : "ROLLBACK")
            // While the gate seems to be held it is not the poster that finds out.
            let next = try pair.scratch.store()
            try next.takeAlong("COMMIT")
            next.isWriting = false
            let (ledger, board) = try next.shared()
            board.end(.committed(first: 0, number: ledger.commit())).call()
        }
        try posting?.join()
        #expect(pair.ids == 2...2)
        #expect(try pair.commands == "seat once")
    }

    @Test(
        "D1: whose taker died after it committed are not put again when the next one fails")
    func deathAndFailure() throws {
        var posting: Thread?
        try pair.leader.inGate { _ in
            posting = try pair.post("once")
            try pair.leader.takeAlong("COMMIT")
            let next = try pair.scratch.store()
            _ = try next.shared().board.end(.refused)
        }
        try posting?.join()
        #expect(try pair.commands == "seat once")
    }

    @Test("D4: that could not be put by the other are put by the process itself, or say why not")
    func refused() throws {
        var posting: Thread?
        #expect(throws: SpoolError.badInput("not this one.")) {
            try pair.leader.write("putting jobs", .afterwards) { () throws(SpoolError) in
                posting = try? pair.post("mine")
                try pair.leader.putPosts()
                throw SpoolError.badInput("not this one.")
            }
        }
        try posting?.join()
        #expect(pair.ids == 2...2)
        #expect(try pair.commands == "seat mine")
    }

    @Test("D5: say that nobody can tell when the other one cannot")
    func unknown() throws {
        var posting: Thread?
        try pair.leader.inGate { board in
            posting = try pair.post("perhaps")
            try pair.leader.takeAlong("ROLLBACK")
            board.end(.unknown).call()
        }
        try posting?.join()
        #expect(pair.isUnknown)
    }

    @Test("D1: whose process has just died are not put after its end")
    func died() throws {
        let pair = try Pair()
        try pair.leader.inGate { leading in
            #expect(try pair.poster.shared().board.post([.command("ghost")], now: noon))
            pair.end()
            #expect(leading.hasPosts)
            try pair.leader.takeAlong("COMMIT")
        }
        #expect(try pair.commands == "seat")
    }

    @Test("whose process does not look any more are not put later")
    func ghosts() throws {
        let board = try pair.poster.shared().board
        let memory = try StoreMemory(pair.leader.files)
        try pair.leader.inGate { leading in
            #expect(board.post([.command("ghost")], now: noon))
            #expect(leading.hasPosts)
            // It looked last when the system started.
            memory.bytes(at: StoreMemory.Place.seats + 16).storeBytes(of: 0, as: UInt64.self)
            try pair.leader.takeAlong("COMMIT")
        }
        try pair.leader.put([.command("later")], now: noon)
        #expect(try pair.commands == "seat later")
    }

    @Test("D4: that were taken back are not put, and others can be posted in their place")
    func takenBack() throws {
        let board = try pair.poster.shared().board
        try pair.leader.inGate { leading in
            #expect(board.post([.command("late")], now: noon))
            #expect(!board.abandon())
            #expect(board.takeBack())
            #expect(!leading.hasPosts)
            #expect(board.post([.command("next")], now: noon))
            try pair.leader.takeAlong("COMMIT")
            #expect(!board.takeBack())
        }
        #expect(try pair.commands == "seat next")
    }

    @Test(
        "D5: whose fate nobody awaits are not put again, and their place stays empty while it is read",
        arguments: [false, true])
    func abandoned(hasDied: Bool) throws {
        let board = try pair.poster.shared().board
        try pair.leader.inGate { leading in
            #expect(board.post([.command("perhaps")], now: noon))
            try pair.leader.takeAlong(hasDied ? "ROLLBACK" : "COMMIT")
            #expect(board.abandon())
            #expect(!board.post([.command("next")], now: noon))
            if !hasDied { leading.end(.committed(first: 0, number: 1)).call() }
        }
        try pair.poster.put([.command("next")], now: noon)
        #expect(try pair.commands == (hasDied ? "seat next" : "seat perhaps next"))
        #expect(try !pair.board.isUnfinished)
        #expect(board.post([.command("posted")], now: noon))
    }

    @Test("that somebody has overwritten in memory are refused, and put by the process itself")
    func overwritten() throws {
        let memory = try StoreMemory(pair.leader.files)
        var posting: Thread?
        try pair.leader.inGate { _ in
            posting = try pair.post("mine")
            memory.bytes(at: StoreMemory.Place.seats + 64).storeBytes(of: -1, as: Int64.self)
            memory.bytes(at: StoreMemory.Place.seats + 72).storeBytes(of: -1, as: Int64.self)
            try pair.leader.takeAlong("COMMIT")
        }
        try posting?.join()
        #expect(try pair.commands == "seat mine")
    }

    @Test(
        "that nobody waits for are not counted any more once somebody would have taken them",
        arguments: [false, true])
    func staleBit(hasDied: Bool) throws {
        let pair = try Pair()
        try pair.leader.inGate { leading in
            #expect(try pair.poster.shared().board.post([.command("ghost")], now: noon))
            if hasDied {
                pair.end()
            } else {
                #expect(try pair.poster.shared().board.takeBack())
                try StoreMemory(pair.leader.files).set(.posted, 1)
            }
            try pair.leader.takeAlong("COMMIT")
            #expect(!leading.hasPosts)
        }
    }

    @Test("D5: that were committed are not said to be unknown by who cannot find out about others")
    func knownFate() throws {
        let board = try pair.poster.shared().board
        try pair.leader.inGate { leading in
            #expect(board.post([.command("known")], now: noon))
            try pair.leader.takeAlong("COMMIT")
            _ = leading.end(.committed(first: 0, number: 1))
        }
        // One that took others' jobs has died since, and what became of them nobody can look up.
        try StoreMemory(pair.leader.files).set(.taken, 1 << 5)
        #expect(rename(pair.scratch.path, pair.scratch.path + ".old") == 0)
        #expect(pair.poster.gate?.tryEnter() == true)
        #expect(try !pair.poster.leads())
        guard case .committed(2, _) = board.fate() else {
            Issue.record("it has another fate")
            return
        }
    }

    @Test("go in whatever stands in the memory", arguments: [UInt64.max, UInt64(Int64.max)])
    func anyWord(value: UInt64) throws {
        let memory = try StoreMemory(pair.leader.files)
        for index in StoreMemory.Place.ledger..<StoreMemory.Place.size / 8 {
            memory.word(index).pointee.store(value, ordering: .sequentiallyConsistent)
        }
        try pair.leader.put([.command("first")], now: noon)
        memory.set(.last, value)
        try pair.leader.put([.command("second")], now: noon)
        try pair.poster.put([.command("third")], now: noon)
        #expect(try pair.commands == "seat first second third")
    }

    @Test("are not taken when it is overwritten when their process looked last")
    func overwrittenLook() throws {
        let memory = try StoreMemory(pair.leader.files)
        try pair.leader.inGate { _ in
            #expect(try pair.poster.shared().board.post([.command("ghost")], now: noon))
            memory.word(.looked, 0).pointee.store(.max, ordering: .sequentiallyConsistent)
            try pair.leader.takeAlong("COMMIT")
        }
        #expect(try pair.commands == "seat")
    }

    @Test("D5: whose ids were overwritten are said to be unknown", arguments: [Int64.max, -1, 0])
    func overwrittenID(first: Int64) throws {
        let memory = try StoreMemory(pair.leader.files)
        var posting: Thread?
        try pair.leader.inGate { board in
            posting = try pair.post("perhaps")
            try pair.leader.takeAlong("COMMIT")
            memory.word(.first, 0).pointee.store(
                UInt64(bitPattern: first), ordering: .sequentiallyConsistent)
            board.end(.committed(first: 0, number: 1)).call()
        }
        try posting?.join()
        #expect(pair.isUnknown)
    }

    @Test("that are too large for a seat wait for the gate")
    func large() throws {
        let body = Body.bytes([UInt8](repeating: 7, count: 5000))
        let board = try pair.poster.shared().board
        #expect(!board.post([NewJob(.kind("k"), body: body)], now: noon))
        #expect(!board.post([NewJob](repeating: .command("many"), count: 200), now: noon))
        #expect(board.post([.command("small")], now: noon))
    }

    @Test("survive the way through memory with all that they have")
    func allOfIt() throws {
        var job = NewJob(
            .command([Array("a b".utf8), [255, 1]]), body: .bytes([0, 200]), queue: "mail",
            name: "name", priority: 4_294_967_295, due: noon, retries: 3,
            backoff: Backoff(min: .seconds(1), max: .seconds(2)), timeout: .milliseconds(7),
            place: Place(directory: [47], environment: [65, 61, 0]))
        for body in [Body.none, .json(#"{"a": "ü"}"#), job.body] {
            for work in [job.work, .kind("k")] {
                (job.body, job.work) = (body, work)
                #expect(try Pair.copied(job) == job)
            }
        }
        #expect(try Pair.copied(.command("true")) == .command("true"))
    }
}
