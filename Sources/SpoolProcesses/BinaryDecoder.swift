// BinaryDecoder.swift - a Codable value out of bytes, which may be anything.
//
// Invariant: every read is checked against the bytes that there are, so bytes that no encoder wrote end in an error.
// The bytes are the caller's, for the time of the call: a decoder that a value kept finds none afterwards.

public import SpoolThreads

/// Turns the bytes of a ``BinaryEncoder`` back into a value. Malformed bytes are an error and never a trap. Safe from
/// any thread.
public struct BinaryDecoder: Sendable {
    /// What values may look up while they decode themselves.
    public var userInfo: [CodingUserInfoKey: any Sendable]

    /// A decoder.
    public init(userInfo: [CodingUserInfoKey: any Sendable] = [:]) { self.userInfo = userInfo }

    /// The value in a message.
    /// - Throws: `badInput` when the bytes are malformed or hold something else. What the value's own `init(from:)`
    ///   throws, if that is a SpoolError.
    public func decode<Value: Decodable>(
        _ type: Value.Type = Value.self, from bytes: [UInt8]
    ) throws(SpoolError) -> Value {
        let result = bytes.withUnsafeBytes { bytes in
            Result { () throws(SpoolError) in try decode(type, from: bytes) }
        }
        return try result.get()
    }

    /// The value in a message, wherever it lies; the bytes must stay as they are meanwhile.
    /// - Throws: as ``decode(_:from:)-(_,[UInt8])``.
    public func decode<Value: Decodable>(
        _ type: Value.Type = Value.self, from bytes: UnsafeRawBufferPointer
    ) throws(SpoolError) -> Value {
        let source = Source(bytes, userInfo: userInfo)
        defer { source.bytes = UnsafeRawBufferPointer(start: nil, count: 0) }
        do {
            let end = try source.begin()
            return try ValueDecoder(source, 1..<end, parent: nil, key: nil).read(type)
        } catch let error as SpoolError {
            throw error
        } catch let error as DecodingError {
            throw .badInput("\(Value.self) cannot be decoded: \(Self.describe(error))")
        } catch {
            throw .badInput("\(Value.self) cannot be decoded: \(error)")
        }
    }

    private static func describe(_ error: DecodingError) -> String {
        switch error {
        case .keyNotFound(let key, let context):
            "\(BinaryFormat.text(context.codingPath)) has no '\(key.stringValue)'."
        case .typeMismatch(_, let context), .valueNotFound(_, let context),
            .dataCorrupted(let context):
            "\(BinaryFormat.text(context.codingPath)): \(context.debugDescription)"
        @unknown default: "\(error)"
        }
    }
}

/// The bytes of a message, and the names of its keys.
final class Source {
    var bytes: UnsafeRawBufferPointer
    let userInfo: [CodingUserInfoKey: any Sendable]
    private(set) var names: [String] = []

    struct Malformed: Error, CustomStringConvertible {
        let description = "the bytes are malformed."
    }

    init(_ bytes: UnsafeRawBufferPointer, userInfo: [CodingUserInfoKey: any Sendable]) {
        self.bytes = bytes
        self.userInfo = userInfo
    }

    /// Reads what stands around the value; gives its end.
    func begin() throws -> Int {
        guard bytes.first == BinaryFormat.mark else { throw Malformed() }
        let end = try end(of: 1, within: bytes.count)
        var offset = end
        // Each name has a byte at least: a count cannot make us ask for more memory than the message has.
        let count = try varint(&offset, bytes.count)
        guard count <= bytes.count - offset else { throw Malformed() }
        names.reserveCapacity(Int(count))
        for _ in 0..<count { names.append(try text(&offset, bytes.count)) }
        guard offset == bytes.count else { throw Malformed() }
        return end
    }

    func tag(_ offset: Int, _ end: Int) throws -> UInt8 {
        guard offset < end, end <= bytes.count else { throw Malformed() }
        return bytes[offset]
    }

    func fixed<Integer: FixedWidthInteger>(
        _ offset: Int, _ end: Int, _ type: Integer.Type = Integer.self
    ) throws -> Integer {
        guard offset <= end, end <= bytes.count, end - offset >= MemoryLayout<Integer>.size else {
            throw Malformed()
        }
        return Integer(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: type))
    }

    func varint(_ offset: inout Int, _ end: Int) throws -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            let byte = try tag(offset, end)
            offset += 1
            guard shift < 63 || byte <= 1 else { throw Malformed() }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        throw Malformed()
    }

    /// A count and so many bytes.
    func run(_ offset: inout Int, _ end: Int) throws -> UnsafeRawBufferPointer {
        let count = try varint(&offset, end)
        guard count <= end - offset else { throw Malformed() }
        defer { offset += Int(count) }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + Int(count)])
    }

    func text(_ offset: inout Int, _ end: Int) throws -> String {
        guard let text = String(validating: try run(&offset, end), as: UTF8.self) else {
            throw Malformed()
        }
        return text
    }

    /// Where the content of a container stands.
    func content(_ offset: Int, _ end: Int) throws -> Range<Int> {
        let length = try fixed(offset + 1, end, UInt32.self)
        let start = offset + 1 + BinaryFormat.lengthSize
        guard length <= end - start else { throw Malformed() }
        return start..<start + Int(length)
    }

    /// The end of the value that begins at `offset`.
    func end(of offset: Int, within end: Int) throws -> Int {
        let tag = try tag(offset, end)
        guard tag < BinaryFormat.small else { return offset + 1 }
        var next = offset + 1
        switch BinaryFormat.Tag(rawValue: tag) {
        case .nothing, .no, .yes: break
        case .positive, .negative: _ = try varint(&next, end)
        case .wide, .wideUnsigned: next += 16
        case .float: next += 4
        case .double: next += 8
        case .text, .run: _ = try run(&next, end)
        case .keyed, .unkeyed: next = try content(offset, end).upperBound
        case nil: throw Malformed()
        }
        guard next <= end else { throw Malformed() }
        return next
    }
}

/// What a value decodes itself from: the bytes of one value.
final class ValueDecoder: Decoder {
    let source: Source
    let place: Range<Int>
    private let parent: ValueDecoder?
    private let key: (any CodingKey)?
    private let depth: Int

    init(_ source: Source, _ place: Range<Int>, parent: ValueDecoder?, key: (any CodingKey)?) {
        self.source = source
        self.place = place
        self.parent = parent
        self.key = key
        depth = (parent?.depth ?? 0) + 1
    }

    var userInfo: [CodingUserInfoKey: Any] { source.userInfo }

    var codingPath: [any CodingKey] { (parent?.codingPath ?? []) + (key.map { [$0] } ?? []) }

    func container<Key>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(try KeyedReading(self, try content(.keyed, "values by name")))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        UnkeyedReading(self, try content(.unkeyed, "values in order"))
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer {
        SingleReading(decoder: self)
    }

    private func content(_ wanted: BinaryFormat.Tag, _ what: String) throws -> Range<Int> {
        guard try tag() == wanted.rawValue else { throw mismatch(what) }
        return try source.content(place.lowerBound, place.upperBound)
    }

    func tag() throws -> UInt8 { try source.tag(place.lowerBound, place.upperBound) }

    /// The decoder of a part of this value.
    func part(_ place: Range<Int>, _ key: (any CodingKey)?) throws -> ValueDecoder {
        guard depth < BinaryFormat.deepest else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: codingPath, debugDescription: "it is nested too deeply."))
        }
        return ValueDecoder(source, place, parent: self, key: key)
    }

    func mismatch(_ wanted: String) -> DecodingError {
        .typeMismatch(
            Any.self, .init(codingPath: codingPath, debugDescription: "it is not \(wanted)."))
    }
}
