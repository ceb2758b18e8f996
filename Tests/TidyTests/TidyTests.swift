// TidyTests.swift - the house is tidy: its rules are tests, and each rule is shown to bite.

import Migrations
import Testing

@Suite("The house") struct TidyTests {
    static let rules = Rule.sizes + Rule.safety + Rule.words + Rule.floors

    @Test("is tidy", arguments: rules)
    func isTidy(_ rule: Rule) {
        let findings = Tree.files.flatMap(rule.findings)
        if !findings.isEmpty { Issue.record("\(findings.joined(separator: "\n"))") }
    }

    @Test("notices what is untidy", arguments: rules)
    func notices(_ rule: Rule) {
        #expect(rule.findings(in: rule.sample).count == 1)
    }

    @Test("is read from its top, not from an empty folder")
    func isRead() {
        let paths = Set(Tree.files.map(\.path))
        #expect(paths.isSuperset(of: ["README.md", ".ci/run", "Sources/SpoolThreads/Time.swift"]))
    }

    @Test("is read as code, without comments and literals")
    func codeOnly() {
        let file = SourceFile(
            path: "Sources/SpoolJobs/A.swift",
            text: """
                let a = "b! \\(c(")") + d!) {" // e!
                /* f! /* g! */ h! */ let i = #"j" k!"# + \"""
                  l! "m"
                  \"""
                """)
        #expect(file.codeLines(matching: #/[a-z]!/#) == [1])
        #expect(file.code[0].contains("d!") && !file.code[0].contains("{"))
        #expect(file.literals.map(\.line) == [1, 1, 2, 2])
    }

    @Test("measures a function by its own braces")
    func functionLength() {
        let text = """
            protocol A {
                func b()
                func c(_ d: () -> Void = {})
            }
            func e() {
                f { g() }
            }
            """
        let file = SourceFile(path: "Sources/SpoolJobs/A.swift", text: text)
        #expect(Functions.longer(than: 2, in: file) == [5])
    }
}

@Suite("The migrations") struct MigrationsTests {
    /// What the program carries, by path.
    private var embedded: [String: String] {
        let all = UnsafeBufferPointer(start: spool_migrations, count: spool_migrations_count)
        return Dictionary(
            all.map { (String(cString: $0.name), String(cString: $0.sql)) },
            uniquingKeysWith: { first, _ in first })
    }

    @Test("are all in the program, byte for byte")
    func areEmbedded() {
        let files = Tree.paths(below: "migrations/").filter { $0.hasSuffix(".sql") }
        let onDisk = Dictionary(
            files.map { (String($0.dropFirst("migrations/".count)), Tree.read($0)) },
            uniquingKeysWith: { first, _ in first })
        #expect(
            embedded == onDisk,
            "List every file of migrations/ in migrations/embed.c, and build again.")
    }

    @Test("are named NNNN_word.sql and numbered without a gap")
    func areNumbered() {
        let folders = Dictionary(grouping: embedded.keys.sorted()) { $0.prefix { $0 != "/" } }
        for (folder, paths) in folders {
            for (index, path) in paths.enumerated() {
                let number = String(10_001 + index).dropFirst()
                let name = path.dropFirst(folder.count + 1)
                #expect(
                    name.hasPrefix(number + "_"),
                    "\(path): the next number of \(folder) is \(number).")
                #expect(
                    name.wholeMatch(of: #/\d{4}_[a-z][a-z_]*\.sql/#) != nil,
                    "\(path): name it NNNN_word.sql.")
            }
        }
    }
}
