// SoakTests.swift - a worker at full speed for a while, watched by Tests/Soak/soak.py. Short in CI.

import Foundation
import SpoolThreads
import Testing

@Suite(
    "A worker at full speed", .enabled(if: Soak.isPossible, "python3 is not installed"),
    .timeLimit(.minutes(10)))
struct SoakTests {
    @Test(
        "L, D8, R10, R13: leaves nothing behind, keeps its log short, and lets every producer put")
    func soak() throws {
        let (said, status) = try Soak.run("--seconds", "4")
        #expect(status == 0 && said.contains("jobs put and done"), "\(said)")
    }

    @Test("L, R13: the rig notices finished jobs that nobody removes")
    func leavesFinished() throws {
        let (said, status) = try Soak.run("--seconds", "1", "--leave-finished")
        #expect(status == 1 && said.contains("jobs are left of"), "\(said)")
    }
}

private enum Soak {
    static let interpreter = "/usr/bin/python3"
    static let isPossible = access(interpreter, X_OK) == 0

    static func run(_ words: String...) throws -> (said: String, status: Int32) {
        let scratch = try Scratch()
        let script = "\(#filePath)".split(separator: "/").dropLast(2).reduce("") { $0 + "/" + $1 }
        let program = try Program(
            interpreter,
            [
                script + "/Soak/soak.py", Program.folder.path + "/spool", "--seed",
                "\(Rounds.seed)", "--longest-put", "120",
            ] + words, in: scratch.directory)
        let status = try program.wait(minutes: 9)
        return (program.printed, status)
    }
}
