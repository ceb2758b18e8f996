// Pair.swift - two processes that put, as far as they know, in one test: see Board.

import SpoolProcesses
import SpoolThreads
import Synchronization
import Testing

@testable import SpoolJobs

/// One store whose puts are posted, and another one that is in the gate; two processes, as far as they know.
// The store that posts belongs to one thread at a time.
final class Pair: @unchecked Sendable {
    let scratch = Scratch()
    private(set) var poster: Store
    let others: [Store]
    let leader: Store
    let outcome = Mutex<Result<ClosedRange<Int64>, SpoolError>?>(nil)

    init() throws {
        poster = try scratch.store()
        others = [try scratch.store(), try scratch.store()]
        leader = try scratch.store()
        // Who meets somebody in the gate asks for a seat, and has it the next time.
        try leader.inGate { _ in }
        try leader.shared().board.enter(toPut: false)
        try poster.put([.command("seat")], now: noon)
        try leader.shared().board.leave()
    }

    /// Two more processes have seats, too.
    func seatOthers() throws {
        for store in others {
            _ = try store.shared().board.post([.command("seat")], now: noon)
            try store.inGate { _ in }
        }
    }

    /// The process that posts ends, and its locks with it.
    func end() { poster = leader }

    var board: Board { get throws { try leader.shared().board } }

    /// Begins a put that will be posted, and returns when it has been.
    func post(_ words: String...) throws -> Thread {
        let job = NewJob(.command(words.map { Array($0.utf8) }))
        let thread = Thread { [self] in
            let result = Result { () throws(SpoolError) in try poster.put([job], now: noon) }
            outcome.withLock { $0 = result }
        }
        try thread.start()
        try until { try board.hasPosts }
        return thread
    }

    func until(_ isSo: () throws -> Bool) throws {
        let limit = Deadline(after: .seconds(20))
        while try !isSo() {
            guard !limit.isPast else { throw SpoolError.timedOut("it did not come to be") }
            Pause.briefly(upTo: .microseconds(200))
        }
    }

    /// How often the owner of a seat was called.
    func calls(_ seat: Int) throws -> UInt32 {
        let memory = try StoreMemory(leader.files)
        return withExtendedLifetime(memory) {
            $0.bytes(at: StoreMemory.Place.seats + seat * Board.seatSize + 8).load(as: UInt32.self)
        }
    }

    var ids: ClosedRange<Int64>? { outcome.withLock { try? $0?.get() } }
    var isUnknown: Bool {
        if case .failure(.outcomeUnknown) = outcome.withLock({ $0 }) { true } else { false }
    }
    var commands: String {
        get throws { try scratch.shell("SELECT group_concat(command, ' ') FROM job") }
    }
    var batches: String { get throws { try scratch.shell("SELECT batch FROM spool") } }
}

extension Store {
    /// As a process that is in the gate, and dies there.
    func inGate(_ body: (Board) throws -> Void) throws {
        let board = try shared().board
        try gate?.enter()
        board.enter(toPut: false)
        try body(board)
        isWriting = false
        gate?.leave()
    }

    /// The transaction of one that takes along what was posted, up to its end or not.
    func takeAlong(_ end: StaticString) throws {
        isWriting = true
        try statement("BEGIN IMMEDIATE").run()
        try putPosts()
        try statement(end).run()
    }
}

extension StoreMemory {
    func set(_ word: Board.Word, _ value: UInt64) {
        self.word(word).pointee.store(value, ordering: .sequentiallyConsistent)
    }
}

extension Pair {
    static func copied(_ job: NewJob) throws -> NewJob {
        var writer = FrameWriter()
        writer.put(job)
        let result = writer.withBytes { bytes in
            Result { () throws(SpoolError) in
                var payload = FramePayload(bytes)
                return try payload.newJob()
            }
        }
        return try result.get()
    }
}
