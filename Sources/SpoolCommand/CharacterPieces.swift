// CharacterPieces.swift - UTF-8 that comes in pieces, whose borders may stand in the middle of a character.

/// Bytes that come one piece after the other, given on up to the last whole character.
struct CharacterPieces {
    private var rest: [UInt8] = []

    /// What can be shown of `piece`, behind what was kept of the one before. Bytes that are no UTF-8 are not kept.
    mutating func add(_ piece: [UInt8]) -> [UInt8] {
        var bytes = rest + piece
        let kept = CharacterPieces.unfinished(bytes)
        rest = Array(bytes.suffix(kept))
        bytes.removeLast(kept)
        return bytes
    }

    /// What is left when no more will come.
    mutating func end() -> [UInt8] {
        defer { rest = [] }
        return rest
    }

    /// How many bytes at the end begin a character that does not end there.
    private static func unfinished(_ bytes: [UInt8]) -> Int {
        let last = Array(bytes.suffix(3).reversed())
        guard let first = last.firstIndex(where: { !isContinuation($0) }) else { return 0 }
        return length(beginningWith: last[first]) > first + 1 ? first + 1 : 0
    }

    private static func length(beginningWith byte: UInt8) -> Int {
        switch byte {
        case 0xC2...0xDF: 2
        case 0xE0...0xEF: 3
        case 0xF0...0xF4: 4
        default: 1
        }
    }

    private static func isContinuation(_ byte: UInt8) -> Bool { byte & 0xC0 == 0x80 }

    /// `bytes` that were cut at their end, without what is left of a character there.
    static func whole(_ bytes: [UInt8]) -> [UInt8] { bytes.dropLast(unfinished(bytes)) }

    /// `bytes` that were cut at their beginning, without what is left of a character there.
    static func end(of bytes: [UInt8]) -> [UInt8] {
        Array(bytes.dropFirst(bytes.prefix(3).prefix(while: isContinuation).count))
    }
}
