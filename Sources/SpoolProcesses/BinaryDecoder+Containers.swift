// BinaryDecoder+Containers.swift - plain values, and the three shapes that a value can have.

extension ValueDecoder {
    /// The value here.
    func read<Value: Decodable>(_ type: Value.Type) throws -> Value {
        if let plain = try readPlain(type) { return plain }
        return try Value(from: self)
    }

    var isNil: Bool {
        get throws { try tag() == BinaryFormat.Tag.nothing.rawValue }
    }

    /// Nil: the type is none of these.
    private func readPlain<Value>(_ type: Value.Type) throws -> Value? {
        if type == String.self { return try text() as? Value }
        if type == Bool.self { return try truth() as? Value }
        if type == Double.self {
            return Double(bitPattern: try bits(.double, "a Double")) as? Value
        }
        if type == Float.self { return Float(bitPattern: try bits(.float, "a Float")) as? Value }
        if type == [UInt8].self, try tag() == BinaryFormat.Tag.run.rawValue {
            var offset = place.lowerBound + 1
            return Array(try source.run(&offset, place.upperBound)) as? Value
        }
        return try readInteger(type)
    }

    private func readInteger<Value>(_ type: Value.Type) throws -> Value? {
        if type == Int.self { return try integer(Int.self) as? Value }
        if type == UInt8.self { return try integer(UInt8.self) as? Value }
        if type == Int32.self { return try integer(Int32.self) as? Value }
        if type == UInt32.self { return try integer(UInt32.self) as? Value }
        if type == Int64.self { return try integer(Int64.self) as? Value }
        if type == UInt64.self { return try integer(UInt64.self) as? Value }
        if type == UInt.self { return try integer(UInt.self) as? Value }
        if type == Int8.self { return try integer(Int8.self) as? Value }
        if type == Int16.self { return try integer(Int16.self) as? Value }
        if type == UInt16.self { return try integer(UInt16.self) as? Value }
        if type == Int128.self { return try integer(Int128.self) as? Value }
        if type == UInt128.self { return try integer(UInt128.self) as? Value }
        return nil
    }

    private func text() throws -> String {
        guard try tag() == BinaryFormat.Tag.text.rawValue else { throw mismatch("a text") }
        var offset = place.lowerBound + 1
        return try source.text(&offset, place.upperBound)
    }

    private func truth() throws -> Bool {
        switch BinaryFormat.Tag(rawValue: try tag()) {
        case .yes: return true
        case .no: return false
        default: throw mismatch("true or false")
        }
    }

    private func bits<Integer: FixedWidthInteger>(
        _ wanted: BinaryFormat.Tag, _ what: String
    ) throws -> Integer {
        guard try tag() == wanted.rawValue else { throw mismatch(what) }
        return try source.fixed(place.lowerBound + 1, place.upperBound)
    }

    private func integer<Integer: FixedWidthInteger>(_ type: Integer.Type) throws -> Integer {
        let tag = try tag()
        var offset = place.lowerBound + 1
        let number: Integer?
        switch BinaryFormat.Tag(rawValue: tag) {
        case _ where tag >= BinaryFormat.small:
            number = Integer(exactly: tag & ~BinaryFormat.small)
        case .positive:
            number = Integer(exactly: try source.varint(&offset, place.upperBound))
        case .negative:
            number = Integer(exactly: ~Int128(try source.varint(&offset, place.upperBound)))
        case .wide:
            number = Integer(exactly: try source.fixed(offset, place.upperBound, Int128.self))
        case .wideUnsigned:
            number = Integer(exactly: try source.fixed(offset, place.upperBound, UInt128.self))
        default: throw mismatch("a whole number")
        }
        guard let number else { throw mismatch("a whole number that fits into \(type)") }
        return number
    }
}

/// Values by name. Most are asked for in the order in which they were written: a lookup begins where the last ended.
final class KeyedReading<Key: CodingKey>: KeyedDecodingContainerProtocol {
    private let decoder: ValueDecoder
    private var entries: [(name: String, place: Range<Int>)] = []
    private var last = 0
    private var index: [String: Int]?
    /// From so many entries on they are looked up in a table.
    private let many = 16

    init(_ decoder: ValueDecoder, _ content: Range<Int>) throws {
        self.decoder = decoder
        let source = decoder.source
        var offset = content.lowerBound
        while offset < content.upperBound {
            let number = try source.varint(&offset, content.upperBound)
            guard number < source.names.count else { throw Source.Malformed() }
            let end = try source.end(of: offset, within: content.upperBound)
            entries.append((source.names[Int(number)], offset..<end))
            offset = end
        }
    }

    var codingPath: [any CodingKey] { decoder.codingPath }
    var allKeys: [Key] { entries.compactMap { Key(stringValue: $0.name) } }
    func contains(_ key: Key) -> Bool { find(key.stringValue) != nil }

    private func find(_ name: String) -> Range<Int>? {
        for place in last..<min(last + 2, entries.count) where entries[place].name == name {
            last = place
            return entries[place].place
        }
        guard let place = search(name) else { return nil }
        last = place
        return entries[place].place
    }

    private func search(_ name: String) -> Int? {
        guard entries.count > many else { return entries.firstIndex { $0.name == name } }
        let table =
            index
            ?? Dictionary(
                entries.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
        index = table
        return table[name]
    }

    private func part(_ key: any CodingKey) throws -> ValueDecoder {
        guard let place = find(key.stringValue) else {
            throw DecodingError.keyNotFound(
                key, .init(codingPath: codingPath, debugDescription: "it is not there."))
        }
        return try decoder.part(place, key)
    }

    func decodeNil(forKey key: Key) throws -> Bool { try part(key).isNil }

    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
        try part(key).read(type)
    }

    func nestedContainer<Nested>(
        keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> { try part(key).container(keyedBy: type) }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try part(key).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder { try part(BinaryFormat.superKey) }
    func superDecoder(forKey key: Key) throws -> any Decoder { try part(key) }
}

/// Values in order.
struct UnkeyedReading: UnkeyedDecodingContainer {
    private let decoder: ValueDecoder
    private let content: Range<Int>
    private var offset: Int
    private(set) var currentIndex = 0

    init(_ decoder: ValueDecoder, _ content: Range<Int>) {
        self.decoder = decoder
        self.content = content
        offset = content.lowerBound
    }

    var codingPath: [any CodingKey] { decoder.codingPath }
    var isAtEnd: Bool { offset >= content.upperBound }

    /// Counted by walking over them; nil when they are malformed.
    var count: Int? {
        var (offset, count) = (content.lowerBound, 0)
        while offset < content.upperBound {
            guard let end = try? decoder.source.end(of: offset, within: content.upperBound) else {
                return nil  // the element's own decoding tells what is wrong
            }
            offset = end
            count += 1
        }
        return count
    }

    private func next() throws -> (ValueDecoder, end: Int) {
        let key = BinaryFormat.Name(index: currentIndex)
        guard !isAtEnd else {
            throw DecodingError.valueNotFound(
                Any.self,
                .init(codingPath: codingPath + [key], debugDescription: "it is not there."))
        }
        let end = try decoder.source.end(of: offset, within: content.upperBound)
        return (try decoder.part(offset..<end, key), end)
    }

    /// An element that could not be decoded can be tried again.
    private mutating func take<Value>(_ body: (ValueDecoder) throws -> Value) throws -> Value {
        let (part, end) = try next()
        let value = try body(part)
        offset = end
        currentIndex += 1
        return value
    }

    mutating func decodeNil() throws -> Bool {
        guard try next().0.isNil else { return false }
        return try take { _ in true }
    }

    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        try take { try $0.read(type) }
    }

    mutating func nestedContainer<Nested>(
        keyedBy type: Nested.Type
    ) throws -> KeyedDecodingContainer<Nested> { try take { try $0.container(keyedBy: type) } }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try take { try $0.unkeyedContainer() }
    }

    mutating func superDecoder() throws -> any Decoder { try take { $0 } }
}

/// One value.
struct SingleReading: SingleValueDecodingContainer {
    let decoder: ValueDecoder
    var codingPath: [any CodingKey] { decoder.codingPath }

    func decodeNil() -> Bool {
        // Malformed bytes are no nil; decoding them tells what is wrong.
        (try? decoder.isNil) ?? false
    }

    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        try decoder.part(decoder.place, nil).read(type)
    }
}
