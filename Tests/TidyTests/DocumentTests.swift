// DocumentTests.swift - the documents are true where a program can tell: their links, and the tests that they name.

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

    @Test("name tests that exist")
    func namedTests() {
        let tests = Tree.files.filter(\.isTest).flatMap { $0.literals.map(\.text) }
        let sentences = Set(tests)
        let document = Tree.read("docs/guarantees.md")
        let named = document.matches(of: #/`"([^"`]+)"`/#).map { String($0.1) }
        #expect(!named.isEmpty, "docs/guarantees.md names each test as `\"its sentence\"`.")
        for name in named {
            #expect(
                sentences.contains(name),
                "docs/guarantees.md names \"\(name)\": no test is called so. Mend the page.")
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

    @Test("account for every guarantee: held by tests, or said to be not promised yet")
    func everyGuarantee() {
        let document = Tree.read("docs/guarantees.md")
        let parts = document.split(separator: "## Not promised yet", maxSplits: 1)
        let held = Set(parts[0].split(separator: "\n").flatMap { ids($0, naming: #/`"[^`]+"`/#) })
        // Behind it are tables of breaks, which name every id.
        let waiting = parts.last?.split(separator: "\n## ", maxSplits: 1).first ?? ""
        let open = Set(waiting.split(separator: "\n").flatMap { ids($0, naming: /./) })
        let sizes = ["D": 9, "X": 5, "R": 13, "J": 5, "I": 7, "P": 9, "S": 13]
        for id in sizes.flatMap({ letter, count in (1...count).map { "\(letter)\($0)" } }) {
            #expect(
                held.contains(id) || open.contains(id),
                "\(id): name the tests that hold it on docs/guarantees.md, or what it waits for.")
        }
    }

    /// The ids in the first column of a row of a table that names what it must.
    private func ids(_ row: Substring, naming what: Regex<Substring>) -> [String] {
        let columns = row.split(separator: "|", omittingEmptySubsequences: false)
        guard columns.count > 3, columns.dropFirst(2).joined().contains(what) else { return [] }
        return columns[1].matches(of: #/[A-Z][0-9]+/#).map { String($0.0) }
    }

    private func resolve(_ path: String) -> String {
        var parts: [Substring] = []
        for part in path.split(separator: "/") where part != "." {
            if part == ".." { parts = parts.dropLast() } else { parts.append(part) }
        }
        return parts.joined(separator: "/")
    }
}
