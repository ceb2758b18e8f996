// BinaryFormat.swift - how a Codable value looks as bytes.
//
// A message is: the mark, one value, the names of all keys (a count, then texts). A value begins with its tag:
//
//     0x80...0xFF   an integer from 0 to 127, in the tag itself
//     nothing, no, yes                             nil, false, true
//     positive, negative   varint                  an integer; a negative one n as -1 - n
//     wide          16 bytes                       an integer that needs more than 64 bits, two's complement
//     wideUnsigned  16 bytes                       the same, above the largest Int128
//     float, double 4, 8 bytes                     the bits, so that every NaN stays what it is
//     text, run     varint count, bytes            UTF-8; [UInt8]
//     keyed         4 bytes length, entries        an entry is a varint (the number of its key's name) and a value
//     unkeyed       4 bytes length, values
//
// Integers are little-endian; a varint has 7 bits a byte, low ones first, the high bit says that more follow. Lengths
// let a reader step over what it does not want. Both ends are the same program, so there is no version: the mark only
// tells such a message from other bytes.

enum BinaryFormat {
    static let mark: UInt8 = 0xB1
    static let small: UInt8 = 0x80
    /// Bytes of a container's length.
    static let lengthSize = 4
    /// Containers in containers: more would need more stack than a thread of a task has.
    static let deepest = 128

    enum Tag: UInt8 {
        case nothing = 1
        case no
        case yes
        case positive
        case negative
        case wide
        case wideUnsigned
        case float
        case double
        case text
        case run
        case keyed
        case unkeyed
    }

    /// The key under which a class encodes what it inherits.
    static let superKey = Name("super")

    /// A key of which only the name is known.
    struct Name: CodingKey {
        let stringValue: String
        let intValue: Int?

        init(_ name: String) {
            stringValue = name
            intValue = nil
        }

        init(index: Int) {
            stringValue = "\(index)"
            intValue = index
        }

        init?(stringValue: String) { self.init(stringValue) }
        init?(intValue: Int) { self.init(index: intValue) }
    }

    /// `value` as another type that is the same: what a generic caller knows to be a number or a text.
    @inline(__always)
    static func same<Value, Wanted>(_ value: Value, _: Wanted.Type) -> Wanted? {
        Value.self == Wanted.self ? value as? Wanted : nil
    }

    /// The way to a value, for messages: "orders.3.name".
    static func text(_ path: [any CodingKey]) -> String {
        path.isEmpty ? "the value" : path.map(\.stringValue).joined(separator: ".")
    }
}
