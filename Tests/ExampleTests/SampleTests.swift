// SampleTests.swift - each sample of README.md and docs/ is code that compiles: it stands in Samples.swift.

import Foundation
import Testing

@Suite("The samples of the documents") struct SampleTests {
    private static let top = String(
        #filePath.dropLast("/Tests/ExampleTests/SampleTests.swift".count))

    /// Lines without what only makes them line up.
    private static func read(_ path: String) throws -> [String] {
        try String(contentsOfFile: top + "/" + path, encoding: .utf8)
            .split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0.split(separator: " ").joined(separator: " ") }
    }

    @Test("stand, line by line, in a file of the tests")
    func samples() throws {
        let compiled = try Self.read("Tests/ExampleTests/Samples.swift")
        // The tour's stand in the examples that it names: see TourTests.
        let pages = try FileManager.default.contentsOfDirectory(atPath: Self.top + "/docs")
            .filter { $0.hasSuffix(".md") && $0 != "from-python.md" }.map { "docs/" + $0 }
        var count = 0
        for page in pages + ["README.md"] {
            var block: [String]?
            for line in try Self.read(page) {
                if let shown = block, line == "```" {
                    let stands = compiled.indices.contains { compiled[$0...].starts(with: shown) }
                    #expect(stands, "Samples.swift lacks what \(page) shows: \(shown.first ?? "")")
                    count += 1
                    block = nil
                } else if line == "```swift" {
                    block = []
                } else if !(block?.isEmpty ?? false) || !["", "import Spool"].contains(line) {
                    block?.append(line)
                }
            }
        }
        #expect(count >= 9)
    }
}
