// ModelTests.swift - the steps by which puts are carried and synced, in every order, with a kill before each.
//
// The models stand in Tests/Models, in Python: what Board, StorePost and SyncLedger do, step by step. Whoever changes
// the order of steps in these changes it there, too.

import Foundation
import Patience
import Testing

@Suite(
    "The steps of several processes", .enabled(if: Model.isPossible, "python3 is not installed"),
    .timeLimit(.minutes(10)))
struct ModelTests {
    @Test(
        "D1, D4: in any order, whoever is killed: what is acknowledged is there once, what is refused is not",
        arguments: Model.all)
    func holds(model: Model) throws {
        let (status, text) = try model.run()
        #expect(status == 0, "\(text)")
    }

    @Test("a model finds each step that is left out, or comes too late", arguments: Model.all)
    func breaks(model: Model) throws {
        for name in model.breaks {
            let (status, text) = try model.run(name)
            #expect(status == 1 && text.contains(": 0 "), "\(name): \(text)")
        }
    }
}

/// A program of Tests/Models.
struct Model: Sendable, CustomTestStringConvertible {
    let name: String
    let breaks: [String]
    var testDescription: String { name }

    static let all = [
        Model(
            name: "puts",
            breaks: ["ack", "back", "batch", "both", "finish", "inside", "late", "taken"]),
        Model(name: "syncs", breaks: ["begun", "broken", "fail", "found", "last", "mend"]),
    ]

    private static let interpreter = "/usr/bin/python3"
    static let isPossible = FileManager.default.isExecutableFile(atPath: interpreter)
    private static let folder =
        String(#filePath.dropLast("SpoolJobsTests/ModelTests.swift".count)) + "Models/"

    /// How it ended, and what it printed.
    func run(_ words: String...) throws -> (Int32, String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Model.interpreter)
        process.arguments = ["-B", Model.folder + name + ".py"] + words
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let text = try process.end(reading: pipe, atMost: Patience.longest * 10)
        return (process.terminationStatus, text)
    }
}
