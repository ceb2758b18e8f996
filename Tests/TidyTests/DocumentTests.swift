// DocumentTests.swift - the documents are true where a program can tell: their links, and the cases of Python's suites.

import Testing

@Suite("The documents") struct DocumentTests {
    private static let documents = Tree.files.filter { $0.path.hasSuffix(".md") }

    @Test("have links that lead somewhere", arguments: documents.map(\.path))
    func links(_ path: String) {
        let folder = path.split(separator: "/").dropLast().map { $0 + "/" }.joined()
        for match in Tree.read(path).matches(of: #/\]\(([^)#:\s]+)(#[^)]*)?\)/#) {
            let target = resolve(folder + match.1)
            #expect(
                Tree.exists(target),
                "\(path) links to \(target), which is not there. Mend the link or add the file.")
        }
    }

    @Test("list every case of Python's suites beside the tests that are called after it")
    func cases() {
        var rows: [String: Substring] = [:]
        for match in Tree.read("docs/conformance.md").matches(
            of: #/(?m)^\| (c[A-Z]+\d+) \|.*\| (.*) \|$/#)
        {
            rows[String(match.1)] = match.2
            #expect(!match.2.isEmpty, "\(match.1) has neither a test nor a reason.")
        }
        #expect(rows.count > 100, "docs/conformance.md lists the cases in tables.")
        for file in Tree.files where file.isTest && !file.isTidy {
            for literal in file.literals where literal.text.hasPrefix("c") {
                guard let list = literal.text.prefixMatch(of: #/((c[A-Z]+\d+|[A-Z]\d+)(, )?)+:/#)
                else { continue }
                for match in list.0.matches(of: #/c[A-Z]+\d+/#) {
                    #expect(
                        rows[String(match.0)]?.contains(literal.text) ?? false,
                        "docs/conformance.md lacks \"\(literal.text)\" at \(match.0). Run scripts/conformance."
                    )
                }
            }
        }
    }

    private func resolve(_ path: String) -> String {
        var parts: [Substring] = []
        for part in path.split(separator: "/") where part != "." {
            if part == ".." { parts = parts.dropLast() } else { parts.append(part) }
        }
        return parts.joined(separator: "/")
    }
}
