// Words.swift - a command's words as one line: quoted so that a POSIX shell, and `parse`, give the same words back.

/// Quoting of argument vectors. Only what `quote` writes can be parsed back; text of people is left to a shell.
public enum Words {
    /// Plain words stay as they are; others go between single quotes, where only the quote itself is special.
    public static func quote(_ words: [[UInt8]]) -> [UInt8] {
        var line: [UInt8] = []
        for word in words {
            if !line.isEmpty { line.append(UInt8(ascii: " ")) }
            append(word, to: &line)
        }
        return line
    }

    private static func append(_ word: [UInt8], to line: inout [UInt8]) {
        guard word.isEmpty || !word.allSatisfy(isPlain) else {
            line += word
            return
        }
        let quote = UInt8(ascii: "'")
        line.append(quote)
        for byte in word {
            if byte == quote {
                line += [quote, UInt8(ascii: "\\"), quote, quote]
            } else {
                line.append(byte)
            }
        }
        line.append(quote)
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), 0x80...:
            true
        default: "%+,-./:=@_^{}".utf8.contains(byte)
        }
    }

    /// The words of a line that `quote` wrote.
    public static func parse(_ line: [UInt8]) -> [[UInt8]] {
        var words: [[UInt8]] = []
        var word: [UInt8] = []
        var isInWord = false
        var isQuoted = false
        var isEscaped = false
        for byte in line {
            if isEscaped {
                word.append(byte)
                isEscaped = false
            } else if byte == UInt8(ascii: "'") {
                isQuoted.toggle()
                isInWord = true
            } else if isQuoted {
                word.append(byte)
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
                isInWord = true
            } else if byte == UInt8(ascii: " ") {
                if isInWord { words.append(word) }
                word = []
                isInWord = false
            } else {
                word.append(byte)
                isInWord = true
            }
        }
        if isInWord { words.append(word) }
        return words
    }
}
