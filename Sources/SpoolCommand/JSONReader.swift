// JSONReader.swift - reads JSON (RFC 8259) from bytes, and says where it is wrong and what was expected there.
//
// Own, because the errors must name line, column and expectation, 100,000 lines must pass in a fraction of a second,
// and Foundation would double the start of `spool`. Strict: no comments, no trailing commas, UTF-8 only.

internal import SpoolThreads

/// Steps through one JSON text. Values that are only kept are checked and skipped, never built.
struct JSONReader {
    /// Deeper nesting is refused, so that hostile text cannot exhaust the stack.
    static let deepest = 512

    let bytes: [UInt8]
    private(set) var at: Int
    let end: Int

    init(_ bytes: [UInt8]) { self.init(bytes, 0..<bytes.count) }

    init(_ bytes: [UInt8], _ range: Range<Int>) {
        self.bytes = bytes
        at = range.lowerBound
        end = range.upperBound
        start = range.lowerBound
    }

    private let start: Int

    /// Checks that the whole text is one value. Throws `.badInput` "line 1 column 8: expected ...".
    static func check(_ bytes: [UInt8]) throws(SpoolError) {
        var reader = JSONReader(bytes)
        _ = try reader.skipValue()
        try reader.finish()
    }

    /// The same value without white space between its tokens, so that it fits on one line.
    static func compact(_ bytes: [UInt8]) throws(SpoolError) -> [UInt8] {
        try check(bytes)
        var kept: [UInt8] = []
        kept.reserveCapacity(bytes.count)
        var isInString = false
        var isEscaped = false
        for byte in bytes {
            if isInString {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isInString = false
                }
            } else if isSpace(byte) {
                continue
            } else {
                isInString = byte == UInt8(ascii: "\"")
            }
            kept.append(byte)
        }
        return kept
    }

    /// The next byte that is not white space, left in place; nil at the end.
    mutating func peek() -> UInt8? {
        while at < end, JSONReader.isSpace(bytes[at]) { at += 1 }
        return at < end ? bytes[at] : nil
    }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard peek() == UInt8(ascii: character) else { return false }
        at += 1
        return true
    }

    /// Nothing but white space may follow.
    mutating func finish() throws(SpoolError) {
        guard peek() == nil else { throw problem("expected the end") }
    }

    /// Reads `{"key": value, ...}`; `value` must consume the value of its key.
    mutating func readObject(
        _ value: (String, inout JSONReader) throws(SpoolError) -> Void
    ) throws(SpoolError) {
        guard skip("{") else { throw problem("expected '{'") }
        guard !skip("}") else { return }
        while true {
            guard peek() == UInt8(ascii: "\"") else { throw problem("expected a key in quotes") }
            let key = try readString()
            guard skip(":") else { throw problem("expected ':'") }
            try value(key, &self)
            if skip(",") { continue }
            guard skip("}") else { throw problem("expected ',' or '}'") }
            return
        }
    }

    /// Reads `[value, ...]`; `element` must consume one value.
    mutating func readArray(
        _ element: (inout JSONReader) throws(SpoolError) -> Void
    ) throws(SpoolError) {
        guard skip("[") else { throw problem("expected '['") }
        guard !skip("]") else { return }
        while true {
            try element(&self)
            if skip(",") { continue }
            guard skip("]") else { throw problem("expected ',' or ']'") }
            return
        }
    }

    /// Checks the next value and gives back the bytes that it stands in.
    mutating func skipValue(depth: Int = 0) throws(SpoolError) -> Range<Int> {
        guard depth < JSONReader.deepest else {
            throw problem("expected less than \(JSONReader.deepest) levels")
        }
        guard let first = peek() else { throw problem("expected a value") }
        let begin = at
        switch first {
        case UInt8(ascii: "{"):
            try readObject { (_, reader) throws(SpoolError) in
                _ = try reader.skipValue(depth: depth + 1)
            }
        case UInt8(ascii: "["):
            try readArray { (reader) throws(SpoolError) in
                _ = try reader.skipValue(depth: depth + 1)
            }
        case UInt8(ascii: "\""): try skipString()
        case UInt8(ascii: "t"): try skipWord("true")
        case UInt8(ascii: "f"): try skipWord("false")
        case UInt8(ascii: "n"): try skipWord("null")
        default: try skipNumber()
        }
        return begin..<at
    }

    mutating func isNull() throws(SpoolError) -> Bool {
        guard peek() == UInt8(ascii: "n") else { return false }
        try skipWord("null")
        return true
    }

    private mutating func skipWord(_ word: StaticString) throws(SpoolError) {
        let length = word.utf8CodeUnitCount
        let matches = word.withUTF8Buffer { expected in
            at + length <= end && (0..<length).allSatisfy { bytes[at + $0] == expected[$0] }
        }
        guard matches else { throw problem("expected a value") }
        at += length
    }

    private mutating func skipNumber() throws(SpoolError) {
        if bytes[at] == UInt8(ascii: "-") { at += 1 }
        if at < end, bytes[at] == UInt8(ascii: "0") {
            at += 1
        } else if skipDigits() == 0 {
            throw problem("expected a value")
        }
        if at < end, bytes[at] == UInt8(ascii: ".") {
            at += 1
            guard skipDigits() > 0 else { throw problem("expected a digit") }
        }
        if at < end, bytes[at] | 0x20 == UInt8(ascii: "e") {
            at += 1
            if at < end, bytes[at] == UInt8(ascii: "+") || bytes[at] == UInt8(ascii: "-") {
                at += 1
            }
            guard skipDigits() > 0 else { throw problem("expected a digit") }
        }
    }

    private mutating func skipDigits() -> Int {
        let begin = at
        while at < end, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[at]) { at += 1 }
        return at - begin
    }

    static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
    }

    /// What stands wrong at the current byte; columns count characters from 1.
    func problem(_ expectation: String) -> SpoolError {
        var line = 1
        var column = 1
        for byte in bytes[start..<min(at, end)] {
            if byte == 0x0A {
                line += 1
                column = 1
            } else if byte & 0xC0 != 0x80 {
                column += 1
            }
        }
        return .badInput("line \(line) column \(column): \(expectation).")
    }
}

extension JSONReader {
    mutating func readString() throws(SpoolError) -> String {
        guard peek() == UInt8(ascii: "\"") else { throw problem("expected a string") }
        let begin = at + 1
        try skipString()
        let content = begin..<(at - 1)
        guard bytes[content].contains(UInt8(ascii: "\\")) else {
            return String(decoding: bytes[content], as: UTF8.self)
        }
        return String(decoding: unescape(content), as: UTF8.self)
    }

    /// Moves past a string and checks its escapes and its UTF-8.
    private mutating func skipString() throws(SpoolError) {
        at += 1
        while at < end {
            let byte = bytes[at]
            switch byte {
            case UInt8(ascii: "\""):
                at += 1
                return
            case UInt8(ascii: "\\"): try skipEscape()
            case ..<0x20: throw problem("expected an escape, not a raw control character")
            case ..<0x80: at += 1
            default: try skipScalar()
            }
        }
        throw problem("expected the closing '\"'")
    }

    private mutating func skipEscape() throws(SpoolError) {
        guard at + 1 < end else { throw problem("expected the closing '\"'") }
        switch bytes[at + 1] {
        case UInt8(ascii: "u"):
            guard let unit = unit(at + 2) else { throw problem("expected four hex digits") }
            guard !UTF16.isTrailSurrogate(unit) else { throw problem("expected a whole pair") }
            at += 6
            guard UTF16.isLeadSurrogate(unit) else { return }
            guard at + 1 < end, bytes[at] == UInt8(ascii: "\\"), bytes[at + 1] == UInt8(ascii: "u"),
                let trail = self.unit(at + 2), UTF16.isTrailSurrogate(trail)
            else { throw problem("expected a whole pair") }
            at += 6
        case let byte where JSONReader.simpleEscape(byte) != nil: at += 2
        default: throw problem("expected an escape such as \\n or \\\"")
        }
    }

    private mutating func skipScalar() throws(SpoolError) {
        let length =
            switch bytes[at] {
            case 0xC2...0xDF: 2
            case 0xE0...0xEF: 3
            case 0xF0...0xF4: 4
            default: 0
            }
        guard length > 0, at + length <= end,
            String(validating: bytes[at..<(at + length)], as: UTF8.self) != nil
        else { throw problem("expected UTF-8") }
        at += length
    }

    /// The UTF-16 unit of four hex digits.
    private func unit(_ index: Int) -> UInt16? {
        guard index + 4 <= end else { return nil }
        var value: UInt16 = 0
        for byte in bytes[index..<(index + 4)] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { return nil }
            value = value << 4 | UInt16(digit)
        }
        return value
    }

    private static func simpleEscape(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): byte
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0C
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "t"): 0x09
        default: nil
        }
    }

    /// Only for content that `skipString` accepted.
    private func unescape(_ content: Range<Int>) -> [UInt8] {
        var plain: [UInt8] = []
        plain.reserveCapacity(content.count)
        var at = content.lowerBound
        while at < content.upperBound {
            guard bytes[at] == UInt8(ascii: "\\") else {
                plain.append(bytes[at])
                at += 1
                continue
            }
            if let byte = JSONReader.simpleEscape(bytes[at + 1]) {
                plain.append(byte)
                at += 2
            } else {
                var units = [unit(at + 2) ?? 0]
                at += 6
                if UTF16.isLeadSurrogate(units[0]) {
                    units.append(unit(at + 2) ?? 0)
                    at += 6
                }
                plain += Array(String(decoding: units, as: UTF16.self).utf8)
            }
        }
        return plain
    }
}
