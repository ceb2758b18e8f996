// FuzzEntry.swift - a place where Spool takes bytes from outside, and what must hold for any bytes at all.
//
// scripts/fuzz calls an entry some thousand times a second with bytes that libFuzzer makes up; FuzzTests calls it with
// the inputs that were kept. An entry never fails for bad bytes: those end in a SpoolError with a sentence. It throws a
// `Broken` when a promise does not hold: what was read is written and read again as the same, nothing is larger
// than the input allows, nothing unsafe comes out.

internal import SpoolThreads

/// A deliberate break, outside of the product, that the entries must notice.
public enum FuzzBreak: String, CaseIterable, Sendable {
    /// A reader of frames that makes room for what a length claims, before so much has come.
    case trustedLength
    /// Words are written between quotes without care for the quotes in them.
    case carelessQuotes
}

/// One parser under attack.
public struct FuzzEntry: Sendable {
    /// Its name on the command line, and that of its folder in Tests/Corpora.
    public let name: String
    /// Inputs written by hand: where the search begins.
    public let seeds: [[UInt8]]
    private let body: @Sendable ([UInt8], FuzzBreak?) throws -> Void

    init(
        _ name: String, seeds: [[UInt8]],
        _ body: @escaping @Sendable ([UInt8], FuzzBreak?) throws -> Void
    ) {
        self.name = name
        self.seeds = seeds
        self.body = body
    }

    init(
        _ name: String, texts: [String],
        _ body: @escaping @Sendable ([UInt8], FuzzBreak?) throws -> Void
    ) { self.init(name, seeds: texts.map { Array($0.utf8) }, body) }

    /// - Throws: `Broken` when a promise does not hold; anything else that is no SpoolError is broken as well.
    public func check(_ bytes: [UInt8], broken: FuzzBreak? = nil) throws {
        try body(bytes, broken)
    }

    /// All of them. Whoever adds a parser adds one here.
    public static let all: [FuzzEntry] = [
        ndjson, json, duration, time, filter, words, template, put, frames, pool, value, post,
        connection, log, lines, rows, store,
    ]

    /// The entry of that name.
    public static func named(_ name: String) -> FuzzEntry? { all.first { $0.name == name } }
}

/// A promise that does not hold.
public struct Broken: Error, CustomStringConvertible {
    /// Which one, and how.
    public let description: String

    init(_ description: String) { self.description = description }
}

/// Fails the run unless `holds`.
func demand(_ holds: Bool, _ sentence: @autoclosure () -> String) throws {
    guard holds else { throw Broken(sentence()) }
}

/// What a parser makes of bytes; nil when it refused them as it should: with a sentence that is not much longer than
/// what it is about.
func answer<Value>(
    to bytes: [UInt8], _ parse: () throws(SpoolError) -> Value
) throws -> Value? {
    do {
        return try parse()
    } catch {
        let message = error.message
        try demand(
            message.utf8.count > 3 && ".?)!".contains(message.last ?? " "),
            "no sentence: \(error.code) '\(message)'")
        try demand(
            message.utf8.count <= 2000 + 8 * bytes.count,
            "a message of \(message.utf8.count) bytes about \(bytes.count)")
        return nil
    }
}

/// What must not be refused, since Spool wrote it itself.
func mustParse<Value>(
    _ what: @autoclosure () -> String, _ parse: () throws(SpoolError) -> Value
) throws -> Value {
    do {
        return try parse()
    } catch {
        throw Broken("\(what()) was refused: \(error.message)")
    }
}

extension [UInt8] {
    /// The pieces between NUL bytes: how an input holds several words.
    var pieces: [[UInt8]] {
        split(separator: 0, omittingEmptySubsequences: false).map(Array.init)
    }

    var text: String { String(decoding: self, as: UTF8.self) }
}

/// Choices out of an input, byte by byte; zeros when it is used up.
struct Choices {
    private(set) var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    mutating func below(_ limit: Int) -> Int { Int(byte()) % limit }

    mutating func run(_ count: Int) -> [UInt8] {
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }

    /// Mostly a number at an edge, where sums overflow.
    mutating func number() -> Int64 {
        switch byte() % 12 {
        case 0: .min
        case 1: .max
        case 2: .max - Int64(byte())
        case 3: .min + Int64(byte())
        case 4: Int64(Int32.max) + Int64(byte())
        case 5: -Int64(byte())
        case 6: Int64(byte())
        case 7: 1_800_000_000_000_000 + Int64(byte())
        case 8: Int64(1) << Int64(byte() % 63)
        case 9: 253_402_300_799_000_000 + Int64(byte())
        default: run(8).reduce(0) { $0 << 8 | Int64($1) }
        }
    }
}
