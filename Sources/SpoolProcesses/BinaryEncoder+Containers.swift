// BinaryEncoder+Containers.swift - the three shapes that a value can give itself.
//
// Each has one generic `encode`, which stands for the dozen that Codable asks for.

/// Values by name.
struct KeyedWriting<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let encoder: ValueEncoder
    var codingPath: [any CodingKey] { encoder.codingPath }

    mutating func encodeNil(forKey key: Key) {
        encoder.beginEntry(key)
        encoder.writeNil()
    }

    mutating func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws {
        encoder.beginEntry(key)
        try encoder.write(value, at: key)
    }

    mutating func nestedContainer<Nested>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        encoder.beginEntry(key)
        return encoder.nest(key).container(keyedBy: type)
    }

    mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        encoder.beginEntry(key)
        return encoder.nest(key).unkeyedContainer()
    }

    mutating func superEncoder() -> any Encoder {
        encoder.beginEntry(BinaryFormat.superKey)
        return encoder.nest(BinaryFormat.superKey)
    }

    mutating func superEncoder(forKey key: Key) -> any Encoder {
        encoder.beginEntry(key)
        return encoder.nest(key)
    }
}

/// Values in order.
struct UnkeyedWriting: UnkeyedEncodingContainer {
    let encoder: ValueEncoder
    var codingPath: [any CodingKey] { encoder.codingPath }
    var count: Int { encoder.count }

    mutating func encodeNil() {
        _ = encoder.beginElement()
        encoder.writeNil()
    }

    mutating func encode<Value: Encodable>(_ value: Value) throws {
        try encoder.write(value, at: encoder.beginElement())
    }

    mutating func nestedContainer<Nested>(
        keyedBy type: Nested.Type
    ) -> KeyedEncodingContainer<Nested> {
        encoder.nest(encoder.beginElement()).container(keyedBy: type)
    }

    mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        encoder.nest(encoder.beginElement()).unkeyedContainer()
    }

    mutating func superEncoder() -> any Encoder { encoder.nest(encoder.beginElement()) }
}

/// One value.
struct SingleWriting: SingleValueEncodingContainer {
    let encoder: ValueEncoder
    var codingPath: [any CodingKey] { encoder.codingPath }

    mutating func encodeNil() {
        encoder.beginSingle()
        encoder.writeNil()
    }

    mutating func encode<Value: Encodable>(_ value: Value) throws {
        encoder.beginSingle()
        try encoder.write(value)
    }
}
