// LogWriteTests.swift - what the real program asks of the system for a put.

import Foundation
import SpoolJobs
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
        let other = try Store.open(scratch.path, .existing)
        let calls = try writes()
        #expect(calls.count == 2, "\(calls.joined(separator: "\n"))")
        #expect(calls.first?.hasSuffix(", 32, 0) = 32") ?? false, "the header of a new log")
        #expect(try writes().count == 1)
        #expect(try other.check() == [])
    }

    @Test("D3: that nobody else has open leaves a database that is complete without its log")
    func complete() throws {
        for _ in 0..<3 { _ = try writes() }
        #expect(try length() == 0)
        let copy = scratch.directory + "/copy.db"
        try FileManager.default.copyItem(atPath: scratch.path, toPath: copy)
        #expect(try Store.open(copy, .existing).counts(queue: nil).ready == 3)
    }

    @Test("D3: beside another one that closes the file at the same time, too")
    func completeTogether() throws {
        let spool = Program.folder.path + "/spool"
        // While they let go of the shared memory both still have the file open.
        let slow = ["-f", "-qq", "-o", "/dev/null", "-e", "inject=munmap:delay_enter=50000"]
        let put = slow + [spool, "put", "--file", scratch.path, "--", "true"]
        for _ in 0..<6 {
            let both = try (0..<2).map { _ in
                try Program("/usr/bin/strace", put, in: scratch.directory)
            }
            for program in both { #expect(try program.wait() == 0, "\(program.printed)") }
            #expect(try length() == 0)
        }
    }

    @Test(
        "D1: is refused when descriptors are short as it asks which start of the system this is",
        arguments: zip([EMFILE, ENFILE, ENOMEM, ENOENT, EACCES], [71, 71, 71, 0, 0] as [Int32]))
    func unknownStart(_ number: Int32, _ expected: Int32) throws {
        let boot = "/proc/sys/kernel/random/boot_id"
        let fault = ["-f", "-qq", "-o", "/dev/null", "-P", boot, "-e", "trace=openat"]
        let answer = ["-e", "inject=openat:error=\(number)"]
        let put = [Program.folder.path + "/spool", "put", "--file", scratch.path, "--", "true"]
        let program = try Program(
            "/usr/bin/strace", fault + answer + put, in: scratch.directory)
        let status = try program.wait()
        #expect(status == expected, "\(number): \(program.printed)")
        let isSaid = program.printed.contains(boot)
        #expect(isSaid == (expected != 0), "\(number): \(program.printed)")
    }
}
