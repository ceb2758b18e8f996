// LogWriteTests.swift - what the real program asks of the system for a put.

import Foundation
import Testing

@Suite("A put", .timeLimit(.minutes(10)), .enabled(if: SystemCalls.canFail, "needs strace"))
struct LogWriteTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    /// The calls of `spool put` that write to the log, as strace(1) tells them.
    private func writes() throws -> [Substring] {
        let record = scratch.directory + "/calls"
        let trace = ["-f", "-qq", "-y", "-e", "trace=write,pwrite64,pwritev", "-o", record]
        let spool = Program.folder.path + "/spool"
        let put = [spool, "put", "--file", scratch.path, "--", "true"]
        let program = try Program("/usr/bin/strace", trace + put, in: scratch.directory)
        #expect(try program.wait() == 0, "\(program.printed)")
        let calls = try String(contentsOfFile: record, encoding: .utf8)
        return calls.split(separator: "\n").filter { $0.contains("jobs.db-wal>") }
    }

    private func length() throws -> Int {
        let found = try FileManager.default.attributesOfItem(atPath: scratch.path + "-wal")
        return try #require(found[.size] as? Int)
    }

    @Test("D3: writes all of its pages to the log with one call")
    func onePiece() throws {
        _ = try writes()  // makes the file
        _ = try writes()  // comes to the end of its log
        let calls = try writes()
        #expect(calls.count == 1, "\(calls.joined(separator: "\n"))")
    }

    @Test("D3: that comes to the end of the log makes it longer for those that follow")
    func growth() throws {
        _ = try writes()
        _ = try writes()
        let length = try length()
        for _ in 0..<5 { _ = try writes() }
        #expect(try self.length() == length)
    }
}
