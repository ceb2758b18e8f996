// UnseenCommitTests.swift - a process is killed between the last page of its commit and the word that makes it seen.

import Foundation
import SpoolThreads
import Testing

@testable import SpoolJobs

@Suite("A commit that nobody has seen", .timeLimit(.minutes(10))) struct UnseenCommitTests {
    let pair: Pair
    let elsewhere = Scratch()

    init() throws { pair = try Pair() }

    /// The store as it is after a power cut: without the memory of its log.
    private func copy() throws {
        for suffix in ["", "-wal"] {
            try? FileManager.default.removeItem(atPath: elsewhere.path + suffix)
            try FileManager.default.copyItem(
                atPath: pair.scratch.path + suffix, toPath: elsewhere.path + suffix)
        }
    }

    private func ghosts() throws -> String {
        try copy()
        return try elsewhere.shell("SELECT count(*) FROM job WHERE command = 'ghost'")
    }

    /// Where the frames end that belong to the log.
    private func end(of log: Data) -> Int {
        let salts = log[16..<24]
        var end = 32
        while end + 24 + 4096 <= log.count, log[end + 8..<end + 16].elementsEqual(salts) {
            end += 24 + 4096
        }
        return end
    }

    /// Writes the pages of a commit behind the log, as one that dies before it tells the others where the log ends.
    private func commitUnseen() throws {
        try copy()
        let (ours, theirs) = (pair.scratch.path + "-wal", elsewhere.path + "-wal")
        let begin = end(of: try Data(contentsOf: URL(fileURLWithPath: ours)))
        let other = try elsewhere.store(.existing)
        try other.put([.command("ghost")], now: noon)
        let log = try Data(contentsOf: URL(fileURLWithPath: theirs))
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: ours))
        try file.seek(toOffset: UInt64(begin))
        try file.write(contentsOf: log[begin..<end(of: log)])
        try file.close()
        withExtendedLifetime(other) {}
    }

    @Test(
        "D4: a job whose taker died in its commit, and which was then refused, does not come back with a power cut"
    )
    func refused() throws {
        let board = try pair.poster.shared().board
        try pair.leader.inGate { _ in
            #expect(board.post([.command("ghost")], now: noon))
            try pair.leader.takeAlong("ROLLBACK")
            try commitUnseen()
        }
        #expect(try ghosts() == "1", "else nothing is tried here")
        // The next one in the gate fails before it commits, and so does the process itself.
        let next = try pair.scratch.store()
        #expect(throws: SpoolError.badInput("no.")) {
            try next.write("putting jobs") { () throws(SpoolError) in throw .badInput("no.") }
        }
        #expect(board.takeBack())
        #expect(try ghosts() == "0")
    }
}
