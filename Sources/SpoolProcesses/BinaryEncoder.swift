// BinaryEncoder.swift - a Codable value as bytes, for another process of the same program.
//
// There is one buffer, and a value writes itself to its end. Only nested containers, which may be filled in any order,
// have buffers of their own: they are spliced in when the value that asked for them is complete.

public import SpoolThreads

/// Turns Codable values into bytes, compactly and exactly. ``BinaryDecoder`` turns them back. See pickle in Python.
///
/// For processes of one program at one time, not for storing: there is no version in it. Foundation's encoders are no
/// choice below the floor of commands: Foundation costs each start of a process milliseconds. Of `.some(nil)` in an
/// optional of an optional `nil` comes back, as from every coder of Codable. Safe from any thread.
public struct BinaryEncoder: Sendable {
    /// What values may look up while they encode themselves.
    public var userInfo: [CodingUserInfoKey: any Sendable]
    /// Most bytes of a message: 1 GiB unless told otherwise.
    public var limit: Int

    /// The limit of a message unless told otherwise.
    public static let ordinaryLimit = 1 << 30

    /// An encoder whose messages have at most `limit` bytes.
    public init(
        limit: Int = ordinaryLimit, userInfo: [CodingUserInfoKey: any Sendable] = [:]
    ) {
        self.limit = limit
        self.userInfo = userInfo
    }

    /// The bytes of a value.
    /// - Throws: `tooLarge`, as soon as the limit is passed. `badInput` when the value refuses to be encoded, or has
    ///   more than 128 containers in each other. What its own `encode(to:)` throws, if that is a SpoolError.
    public func encode<Value: Encodable>(_ value: Value) throws(SpoolError) -> [UInt8] {
        let buffer = Buffer([BinaryFormat.mark])
        // A number or a text by itself has no keys, and needs nothing of what follows.
        if buffer.putPlain(value) {
            buffer.put(varint: 0)
            guard buffer.bytes.count <= limit else {
                throw .tooLarge(what: "the encoded value", bytes: buffer.bytes.count, limit: limit)
            }
            return buffer.bytes
        }
        let message = Message(limit: min(limit, Int(UInt32.max)), userInfo: userInfo)
        do {
            try ValueEncoder(message, buffer, parent: nil, key: nil).write(value)
            return try message.complete(buffer)
        } catch let error as SpoolError {
            throw error
        } catch EncodingError.invalidValue(_, let context) {
            throw .badInput(
                "\(BinaryFormat.text(context.codingPath)) cannot be encoded: \(context.debugDescription)"
            )
        } catch {
            throw .badInput("\(Value.self) cannot be encoded: \(error)")
        }
    }
}

/// Bytes that grow.
final class Buffer {
    var bytes: [UInt8]

    init(_ bytes: [UInt8] = []) { self.bytes = bytes }

    func put(_ tag: BinaryFormat.Tag) { bytes.append(tag.rawValue) }

    func put(varint value: UInt64) {
        var rest = value
        while rest > 0x7F {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    func put<Integer: FixedWidthInteger>(fixed value: Integer) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    func put<Integer: FixedWidthInteger>(integer value: Integer) {
        if let number = UInt64(exactly: value) {
            guard number > 0x7F else { return bytes.append(BinaryFormat.small | UInt8(number)) }
            put(.positive)
            put(varint: number)
        } else if value < 0, let number = UInt64(exactly: ~value) {
            put(.negative)
            put(varint: number)
        } else if let number = Int128(exactly: value) {
            put(.wide)
            put(fixed: number)
        } else {
            put(.wideUnsigned)
            put(fixed: UInt128(truncatingIfNeeded: value))
        }
    }

    func put(text: String) {
        var text = text
        text.withUTF8 {
            put(varint: UInt64($0.count))
            bytes.append(contentsOf: $0)
        }
    }

    /// False: the value is none of these.
    func putPlain<Value>(_ value: Value) -> Bool {
        if let text = BinaryFormat.same(value, String.self) {
            put(.text)
            put(text: text)
        } else if let truth = BinaryFormat.same(value, Bool.self) {
            put(truth ? .yes : .no)
        } else if let number = BinaryFormat.same(value, Double.self) {
            put(.double)
            put(fixed: number.bitPattern)
        } else if let number = BinaryFormat.same(value, Float.self) {
            put(.float)
            put(fixed: number.bitPattern)
        } else if let run = BinaryFormat.same(value, [UInt8].self) {
            put(.run)
            put(varint: UInt64(run.count))
            bytes += run
        } else {
            return putInteger(value, Int.self) || putInteger(value, UInt8.self)
                || putInteger(value, Int32.self) || putInteger(value, UInt32.self)
                || putInteger(value, Int64.self) || putInteger(value, UInt64.self)
                || putInteger(value, UInt.self) || putInteger(value, Int8.self)
                || putInteger(value, Int16.self) || putInteger(value, UInt16.self)
                || putInteger(value, Int128.self) || putInteger(value, UInt128.self)
        }
        return true
    }

    @inline(__always)
    private func putInteger<Value, Integer: FixedWidthInteger>(
        _ value: Value, _ type: Integer.Type
    ) -> Bool {
        guard let number = BinaryFormat.same(value, type) else { return false }
        put(integer: number)
        return true
    }
}

/// What all parts of one message share.
final class Message {
    let limit: Int
    let userInfo: [CodingUserInfoKey: any Sendable]
    /// A container of a second kind was asked for: the calls that do so cannot throw.
    var misuse: EncodingError?
    private var numbers: [String: UInt64] = [:]
    private let names = Buffer()

    init(limit: Int, userInfo: [CodingUserInfoKey: any Sendable]) {
        self.limit = limit
        self.userInfo = userInfo
    }

    /// The number under which the name of a key is written.
    func number(of key: any CodingKey) -> UInt64 {
        let name = key.stringValue
        if let number = numbers[name] { return number }
        let number = UInt64(numbers.count)
        numbers[name] = number
        names.put(text: name)
        return number
    }

    func checkSize(_ buffer: Buffer) throws(SpoolError) {
        let count = buffer.bytes.count + names.bytes.count
        guard count <= limit else {
            throw .tooLarge(what: "the encoded value", bytes: count, limit: limit)
        }
    }

    func complete(_ buffer: Buffer) throws -> [UInt8] {
        if let misuse { throw misuse }
        buffer.put(varint: UInt64(numbers.count))
        buffer.bytes += names.bytes
        guard buffer.bytes.count <= limit else {
            throw SpoolError.tooLarge(
                what: "the encoded value", bytes: buffer.bytes.count, limit: limit)
        }
        return buffer.bytes
    }
}

/// What a value encodes itself into.
final class ValueEncoder: Encoder {
    enum Kind { case none, single, keyed, unkeyed }

    let message: Message
    let buffer: Buffer
    private let parent: ValueEncoder?
    private let key: (any CodingKey)?
    private let depth: Int
    private let start: Int
    private var kind = Kind.none
    private(set) var count = 0
    private var parts: [(offset: Int, part: ValueEncoder)] = []

    init(_ message: Message, _ buffer: Buffer, parent: ValueEncoder?, key: (any CodingKey)?) {
        self.message = message
        self.buffer = buffer
        self.parent = parent
        self.key = key
        depth = (parent?.depth ?? 0) + 1
        start = buffer.bytes.count
    }

    var userInfo: [CodingUserInfoKey: Any] { message.userInfo }

    var codingPath: [any CodingKey] { (parent?.codingPath ?? []) + (key.map { [$0] } ?? []) }

    func container<Key>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        become(.keyed)
        return KeyedEncodingContainer(KeyedWriting(encoder: self))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        become(.unkeyed)
        return UnkeyedWriting(encoder: self)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer {
        SingleWriting(encoder: self)
    }

    /// Begins a container, or goes on with it: a class and what it inherits from may share one.
    func become(_ wanted: Kind) {
        guard kind == .none else {
            if kind != wanted { misused("it asks for containers of different kinds") }
            return
        }
        kind = wanted
        guard wanted != .single else { return }
        buffer.put(wanted == .keyed ? .keyed : .unkeyed)
        buffer.put(fixed: UInt32(0))
    }

    private func misused(_ what: String) {
        message.misuse =
            message.misuse
            ?? .invalidValue(
                self, .init(codingPath: codingPath, debugDescription: what + "."))
    }

    /// The one value of a single-value container is to follow.
    func beginSingle() {
        if kind == .single { misused("it encodes two values into a container for one") }
        become(.single)
    }

    func beginEntry(_ key: any CodingKey) { buffer.put(varint: message.number(of: key)) }

    func beginElement() -> any CodingKey {
        defer { count += 1 }
        return BinaryFormat.Name(index: count)
    }

    /// A place for a nested container, which may be filled later.
    func nest(_ key: any CodingKey) -> ValueEncoder {
        let part = ValueEncoder(message, Buffer(), parent: self, key: key)
        parts.append((buffer.bytes.count, part))
        return part
    }

    /// Completes what was begun here: splices nested containers in, and writes the length.
    private func finish() throws(SpoolError) {
        if kind == .none, parts.isEmpty { become(.keyed) }
        try splice()
        guard kind == .keyed || kind == .unkeyed else { return }
        let content = start + 1 + BinaryFormat.lengthSize
        let length = UInt32(truncatingIfNeeded: buffer.bytes.count - content)
        for index in 0..<BinaryFormat.lengthSize {
            buffer.bytes[start + 1 + index] = UInt8(truncatingIfNeeded: length >> (8 * index))
        }
    }

    private func splice() throws(SpoolError) {
        guard let first = parts.first else { return }
        let tail = Array(buffer.bytes[first.offset...])
        buffer.bytes.removeSubrange(first.offset...)
        for (index, (offset, part)) in parts.enumerated() {
            try part.finish()
            buffer.bytes += part.buffer.bytes
            let next = index + 1 < parts.count ? parts[index + 1].offset : first.offset + tail.count
            buffer.bytes += tail[offset - first.offset..<next - first.offset]
            try message.checkSize(buffer)
        }
        parts = []
    }

    // MARK: - Values

    /// Writes a value to the end of the buffer. `key`, a way to it from here, is asked for only if it is needed.
    func write<Value: Encodable>(_ value: Value, at key: (any CodingKey)? = nil) throws {
        if buffer.putPlain(value) { return try message.checkSize(buffer) }
        guard depth < BinaryFormat.deepest else {
            throw EncodingError.invalidValue(
                value,
                .init(codingPath: codingPath, debugDescription: "it is nested too deeply."))
        }
        let encoder = ValueEncoder(message, buffer, parent: self, key: key)
        try value.encode(to: encoder)
        try encoder.finish()
        try message.checkSize(buffer)
    }

    func writeNil() { buffer.put(.nothing) }
}
