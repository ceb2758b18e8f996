// DocumentTests.swift - docs/cli.md says what the commands say of themselves.

import Glibc
import SpoolThreads
import Testing

@Suite("docs/cli.md") struct CommandPageTests {
    @Test("is what scripts/cli-docs writes")
    func page() throws {
        let bench = try Bench()
        let root = #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
        let copy =
            "mkdir docs scripts && cp \(root)/docs/cli.md docs && cp \(root)/scripts/cli-docs scripts"
        #expect(bench.shell(copy).status == 0)
        let result = bench.shell(
            "bash scripts/cli-docs \(Program.spool) && cmp docs/cli.md \(root)/docs/cli.md")
        #expect(result.status == 0, "run scripts/cli-docs: \(result.text) \(result.errors)")
    }
}
