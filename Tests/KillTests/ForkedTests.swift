// ForkedTests.swift - a child that a process with a store has forked holds none of its locks when it has died.

import Foundation
import SpoolJobs
import SpoolThreads
import Testing

@Suite("A child that was forked", .timeLimit(.minutes(5))) struct ForkedTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    @Test("R3: does not keep the claims of a process that has died")
    func claims() throws {
        let words = ["forked", scratch.directory, "0", "0"]
        let program = try Program("FaultRig", words, in: scratch.directory)
        #expect(try program.wait() == 0)
        try expectClaimBack(child: #require(child(of: program)))
    }

    @Test(
        "R3: nor when another thread forked it while the file of their lock was being opened",
        .enabled(if: SystemCalls.canFail, "needs strace"))
    func claimsMeanwhile() throws {
        let path = scratch.directory + "/jobs.db-spool/live"
        let slow = ["-f", "-qq", "-o", "/dev/null", "-P", path, "-e", "trace=openat"]
        let words = ["forked-meanwhile", scratch.directory, "0", "0"]
        let strace = try Program(
            "/usr/bin/strace",
            slow + ["-e", "inject=openat:delay_exit=1000000", Program.folder.path + "/FaultRig"]
                + words, in: scratch.directory)
        // It ends with the child only.
        #expect(WaitFor.condition { child(of: strace) != nil || !strace.isRunning })
        try expectClaimBack(child: #require(child(of: strace)))
        _ = try strace.wait()
    }

    /// Whose process id it has printed.
    private func child(of program: Program) -> Int32? {
        Int32(program.printed.trimmingCharacters(in: .whitespacesAndNewlines))
    }

    private func expectClaimBack(child: Int32) throws {
        defer { kill(child, SIGKILL) }
        #expect(kill(child, 0) == 0)
        let store = try Store.open(scratch.path, .existing)
        // The child gets other descriptors as it begins to run.
        let deadline = Deadline(after: .seconds(60))
        while try store.recover(now: .now()) == 0, !deadline.isPast {
            Pause.briefly(upTo: .milliseconds(5))
        }
        #expect(try store.job(1).state == .ready)
    }

    @Test("D3: that lets go of its parent's connection leaves the transaction to the parent")
    func connection() throws {
        let words = ["forked-in-transaction", scratch.directory, "0", "0"]
        let program = try Program("FaultRig", words, in: scratch.directory)
        #expect(try program.wait() == 0, "\(program.printed)")
    }
}
