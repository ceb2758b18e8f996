// Rule.swift - a rule of the house: what it forbids, what to do instead, and a sample that it must catch.

import Testing

/// One rule over one file at a time. Its sample proves that it bites.
struct Rule: Sendable, CustomTestStringConvertible {
    /// The sentence that the house keeps.
    let sentence: String
    /// What to do when it does not.
    let instead: String
    let applies: @Sendable (SourceFile) -> Bool
    /// The numbers of the lines that break it, the first is 1.
    let broken: @Sendable (SourceFile) -> [Int]
    /// A file that breaks it, once.
    let sample: SourceFile

    init(
        _ sentence: String, instead: String, sample: (path: String, text: String),
        in applies: @escaping @Sendable (SourceFile) -> Bool,
        broken: @escaping @Sendable (SourceFile) -> [Int]
    ) {
        self.sentence = sentence
        self.instead = instead
        self.applies = applies
        self.broken = broken
        self.sample = SourceFile(path: sample.path, text: sample.text)
    }

    var testDescription: String { sentence }

    /// What is wrong in `file`, one text per line that breaks the rule.
    func findings(in file: SourceFile) -> [String] {
        guard applies(file) else { return [] }
        return broken(file).map { "\(file.path):\($0): \(sentence). \(instead)" }
    }
}

extension SourceFile {
    /// The numbers of the lines of code that match.
    func codeLines(matching pattern: Regex<some Any>) -> [Int] {
        code.indices.filter { code[$0].contains(pattern) }.map { $0 + 1 }
    }

    /// The numbers of the lines that match, comments and literals included.
    func lines(matching pattern: Regex<some Any>) -> [Int] {
        lines.indices.filter { lines[$0].contains(pattern) }.map { $0 + 1 }
    }
}
