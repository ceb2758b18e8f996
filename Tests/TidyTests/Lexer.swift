// Lexer.swift - splits Swift text into code and string literals, so that a rule can look at one without the other.
//
// Invariant: `code` has the length and the lines of the text. Comments and the insides of literals are blanks in it;
// quotes, braces and the code in interpolations stay.

/// A string literal of a file.
struct Literal {
    var line: Int
    /// Its text, an interpolation shown as `\()`.
    var text: String
    /// The first sign of code after it that is not blank.
    var next: Character?

    var hasInterpolation: Bool { text.contains("\\()") }
}

/// Reads Swift text once, from the front.
struct Lexer {
    private(set) var code: [Character] = []
    private(set) var literals: [Literal] = []
    private let text: [Character]
    private var at = 0
    private var line = 1

    init(_ text: String) {
        self.text = Array(text)
        readCode(until: nil)
    }

    private func sees(_ word: String) -> Bool {
        let word = Array(word)
        return at + word.count <= text.count && text[at..<(at + word.count)].elementsEqual(word)
    }

    /// Goes on by `count` signs, which stay in the code or become blanks.
    private mutating func pass(_ count: Int, keep: Bool) {
        for _ in 0..<count where at < text.count {
            let sign = text[at]
            if sign.isNewline { line += 1 }
            code.append(keep || sign.isNewline ? sign : " ")
            at += 1
        }
    }

    /// Reads code up to the parenthesis that ends an interpolation, or to the end of the text.
    private mutating func readCode(until end: Character?) {
        var depth = 0
        while at < text.count {
            if sees("//") {
                while at < text.count, !text[at].isNewline { pass(1, keep: false) }
            } else if sees("/*") {
                readComment()
            } else if let hashes = literalHashes() {
                readLiteral(hashes: hashes)
            } else {
                if text[at] == end, depth == 0 { return }
                if text[at] == "(" { depth += 1 }
                if text[at] == ")" { depth -= 1 }
                pass(1, keep: true)
            }
        }
    }

    private mutating func readComment() {
        var depth = 0
        repeat {
            if sees("/*") { depth += 1 }
            if sees("*/") { depth -= 1 }
            pass(sees("/*") || sees("*/") ? 2 : 1, keep: false)
        } while depth > 0 && at < text.count
    }

    /// How many # stand before the quote here; nil if no literal begins.
    private func literalHashes() -> Int? {
        var index = at
        while index < text.count, text[index] == "#" { index += 1 }
        return index < text.count && text[index] == "\"" ? index - at : nil
    }

    private mutating func readLiteral(hashes: Int) {
        let marks = String(repeating: "#", count: hashes)
        var literal = Literal(line: line, text: "")
        pass(hashes, keep: true)
        let quote = sees("\"\"\"") ? "\"\"\"" : "\""
        pass(quote.count, keep: true)
        while at < text.count, !sees(quote + marks) {
            if sees("\\" + marks + "(") {
                literal.text += "\\()"
                pass(marks.count + 2, keep: true)
                readCode(until: ")")
                pass(1, keep: true)
            } else if sees("\\" + marks) {
                pass(marks.count + 2, keep: false)
            } else if quote == "\"", text[at].isNewline {
                break
            } else {
                literal.text.append(text[at])
                pass(1, keep: false)
            }
        }
        pass(quote.count + hashes, keep: true)
        literal.next = text[min(at, text.count)...].first { !$0.isWhitespace }
        literals.append(literal)
    }
}
