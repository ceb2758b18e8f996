// GuaranteeTests.swift - docs/guarantees.md is true, as far as scripts/guarantees can tell, which is shown to bite.

import Foundation
import Patience
import Testing

@Suite(
    "The guarantees", .enabled(if: Guarantees.canRun, "python3 is not installed"),
    .timeLimit(.minutes(10)))
struct GuaranteeTests {
    @Test("stand with their tests, rigs, rounds and breaks on docs/guarantees.md")
    func page() throws {
        let (status, said) = try Guarantees(Tree.top).run("--check")
        #expect(status == 0, "\(said)")
    }

    /// What somebody changes in which file, and what he is told.
    static let faults: [(file: String, old: String, new: String, told: String)] = [
        (hostile, "S12: what", "what", "no test's name begins with S12"),
        (hostile, "S3: no", "S14: no", "names S14, which is in no row"),
        (hostile, "S3: no", "S5: no", "S5 stands on the page as \"with\" a part that"),
        (hostile, "S3: no", "K, S3: no", "K attacks S3, but no line of scripts/torture does"),
        ("Tests/KillTests/ClockTests.swift", "the rig notices a", "a", "that rig C can be red"),
        ("Tests/KillTests/SoakTests.swift", "L, D8, R10", "D8, R10", anew),
        ("Tests/SpoolJobsTests/ModelTests.swift", "a model finds", "it finds", "does not exist"),
        (breaks, "[\"S12\"]", "[\"S4\"]", "no break of S12 stands in"),
        (breaks, "[\"S12\"]", "[\"S12\", \"S5\"]", "a break of S5, which no test holds"),
        ("scripts/torture", "| SoakTests", "| SoaksTest", "of SoaksTest, which a line of L names"),
        (sheet, "\n| S12 | ", "\n| S13 | ", "S12 has no row in the table"),
        (sheet, "\n| S12 | ", "\n| S13 | ", "S13 has more than one row"),
        (sheet, "<br>[tests](#d1) | ", "<br>[tests](#d1) | 1", anew),
        (sheet, "</a><b>D1</b>: ", "</a><b>D1</b>: 1", anew),
        ("Tests/SpoolCommandTests/ReadingTests.swift", "S4: what", "what", anew),
    ]
    private static let hostile = "Tests/SpoolCommandTests/InjectionTests.swift"
    private static let breaks = "Tests/Mutants/mutants.toml"
    private static let sheet = "docs/guarantees.md"
    private static let anew = "is not what scripts/guarantees --write gives"

    @Test("are not what somebody says who errs")
    func notices() throws {
        let copy = try Guarantees.copy()
        for fault in Self.faults {
            let text = Tree.read(fault.file)
            #expect(text.contains(fault.old), "\(fault.file) has no more \(fault.old)")
            try copy.write(
                text.replacingOccurrences(of: fault.old, with: fault.new), into: fault.file)
            let (status, said) = try copy.run("--check")
            #expect(status == 1 && said.contains(fault.told), "\(fault): \(said)")
            try copy.write(text, into: fault.file)
        }
        #expect(try copy.run("--check").status == 0)
    }

    @Test("have the figures of the last full run, and of no other")
    func torture() throws {
        let copy = try Guarantees.copy()
        let page = Tree.read("docs/guarantees.md")
        let table = try #require(
            page.firstMatch(of: #/(?s)torture: begin -->\n```\n(.*?\n)```/#)?.1)
        let soak = try #require(table.firstMatch(of: #/\nL .* (\d+) +\d+ green .*/#))
        let next = table.replacing(soak.1, with: "123456789")
        let few = "scripts/torture --rounds 1 --seed 7\n" + table
        for wrong in [String(table.replacing(soak.0, with: "")), few] {
            try copy.write(wrong, into: "table")
            let (status, said) = try copy.run("--torture", "table")
            #expect(status == 1 && said.contains("is not of a full run"), "\(said)")
        }
        #expect(try copy.run("--check").status == 0)
        try copy.write(String(next), into: "table")
        #expect(try copy.run("--torture", "table").status == 0)
        #expect(try copy.run("--check").status == 0)
        #expect(try copy.read("docs/guarantees.md").contains("123,456,789<br>"))
    }
}

/// scripts/guarantees in this repository, or in a copy of what it reads.
private final class Guarantees {
    private static let interpreter = "/usr/bin/python3"
    static let canRun = FileManager.default.isExecutableFile(atPath: interpreter)
    private let top: String
    private var isCopy = false

    init(_ top: String) { self.top = top }

    deinit { if isCopy { try? FileManager.default.removeItem(atPath: top) } }

    static func copy() throws -> Guarantees {
        let copy = Guarantees(NSTemporaryDirectory() + "spool-guarantees-" + UUID().uuidString)
        copy.isCopy = true
        let folders = ["scripts", "docs", "Tests/Mutants"]
        let tests = Tree.files.filter { $0.isTest }.map(\.path)
        let files = try folders.flatMap { folder in
            try FileManager.default.contentsOfDirectory(atPath: "\(Tree.top)/\(folder)").map {
                "\(folder)/\($0)"
            }
        }
        for file in files + tests { try copy.write(Tree.read(file), into: file) }
        return copy
    }

    func read(_ file: String) throws -> String {
        try String(contentsOfFile: "\(top)/\(file)", encoding: .utf8)
    }

    func write(_ text: String, into file: String) throws {
        let url = URL(fileURLWithPath: "\(top)/\(file)")
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: url)
    }

    /// Its exit status, and what it says.
    func run(_ words: String...) throws -> (status: Int32, said: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Guarantees.interpreter)
        process.arguments = ["-B", "scripts/guarantees"] + words
        process.currentDirectoryURL = URL(fileURLWithPath: top)
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let said = try process.end(reading: pipe)
        return (process.terminationStatus, said)
    }
}
