// ForkedTests.swift - a child that a process with a store has forked holds none of its locks when it has died.

import Foundation
import SpoolJobs
import SpoolThreads
import Testing

@Suite("A child that was forked", .timeLimit(.minutes(5))) struct ForkedTests {
    @Test("R3: does not keep the claims of a process that has died")
    func claims() throws {
        let scratch = try Scratch()
        let program = try Program(
            "FaultRig", ["forked", scratch.directory, "0", "0"], in: scratch.directory)
        #expect(try program.wait(minutes: 2) == 0)
        let line = program.printed.trimmingCharacters(in: .whitespacesAndNewlines)
        let child = try #require(Int32(line))
        defer { kill(child, SIGKILL) }
        #expect(kill(child, 0) == 0)
        let store = try Store.open(scratch.directory + "/jobs.db", .existing)
        // The child gets other descriptors as it begins to run.
        let deadline = Deadline(after: .seconds(60))
        while try store.recover(now: .now()) == 0, !deadline.isPast {
            Pause.briefly(upTo: .milliseconds(5))
        }
        #expect(try store.job(1).state == .ready)
    }
}
