// Escaping.swift - makes text that came from a job safe to show.
//
// Invariant (S4): nothing that a job, its command or its output named can move the cursor, set a colour, write the
// clipboard or turn the reading direction of a terminal. C0, C1, bidi and zero-width are shown as their escapes.

enum Escaping {
    /// One line: control and invisible characters become \n, \t, \e, \xNN or \u{NNNN}.
    static func line(_ text: String) -> String {
        guard !text.unicodeScalars.allSatisfy({ isPlain($0) }) else { return text }
        var shown = ""
        for scalar in text.unicodeScalars { append(scalar, to: &shown) }
        return shown
    }

    /// Output of a job: as `line`, but line ends and tabs stay.
    static func output(_ bytes: some Sequence<UInt8>) -> String {
        var shown = ""
        for scalar in String(decoding: Array(bytes), as: UTF8.self).unicodeScalars {
            if scalar == "\n" || scalar == "\t" {
                shown.unicodeScalars.append(scalar)
            } else if scalar == "\r" {
                continue  // programs that write CRLF or redraw a line: the line end is what counts
            } else {
                append(scalar, to: &shown)
            }
        }
        return shown
    }

    private static func append(_ scalar: Unicode.Scalar, to shown: inout String) {
        guard !isPlain(scalar) else {
            shown.unicodeScalars.append(scalar)
            return
        }
        switch scalar {
        case "\n": shown += "\\n"
        case "\t": shown += "\\t"
        case "\r": shown += "\\r"
        case "\u{1B}": shown += "\\e"
        case ..<"\u{80}": shown += "\\x" + hex(scalar.value, digits: 2)
        default: shown += "\\u{" + hex(scalar.value, digits: 4) + "}"
        }
    }

    private static func hex(_ value: UInt32, digits: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
    }

    static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0: false
        // Soft hyphen, Arabic letter mark, Hangul fillers, Khmer inherent vowels, Mongolian separators.
        case 0xAD, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B...0x180F: false
        // Zero-width, bidi marks and embeddings, line and paragraph separators, isolates.
        case 0x200B...0x200F, 0x2028...0x202E, 0x2060...0x206F, 0x3164, 0xFEFF, 0xFFA0: false
        case 0xFE00...0xFE0F: true
        case 0xFFF0...0xFFFB, 0x1BCA0...0x1BCA3, 0x1D173...0x1D17A, 0xE0000...0xE0FFF: false
        default: true
        }
    }
}
