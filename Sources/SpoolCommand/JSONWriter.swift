// JSONWriter.swift - writes JSON on one line: for people's pipes, so ASCII control and line separators are escaped.

internal import SpoolThreads

/// One JSON object that grows key by key; `bytes` is it, closed.
struct JSONObject {
    private var content: [UInt8] = [UInt8(ascii: "{")]

    /// The object so far, closed.
    var bytes: [UInt8] { content + [UInt8(ascii: "}")] }

    mutating func set(_ key: String, _ value: String?) {
        begin(key)
        if let value { JSONWriter.append(value, to: &content) } else { appendNull() }
    }

    mutating func set(_ key: String, _ value: (some FixedWidthInteger)?) {
        begin(key)
        if let value { content += Array(String(value).utf8) } else { appendNull() }
    }

    mutating func set(_ key: String, _ value: Bool) {
        begin(key)
        content += Array((value ? "true" : "false").utf8)
    }

    /// RFC 3339 with milliseconds.
    mutating func set(_ key: String, _ value: UnixTime?) {
        set(key, value.map(\.rfc3339))
    }

    /// Whole milliseconds.
    mutating func set(_ key: String, _ value: Duration?) {
        set(key, value.map { $0.microseconds / 1000 })
    }

    mutating func set(_ key: String, _ values: [String]) {
        set(key, json: JSONWriter.array(values.map(JSONWriter.string)))
    }

    mutating func set(_ key: String, _ object: JSONObject) {
        set(key, json: object.bytes)
    }

    /// - Parameter json: A value that is JSON already, on one line.
    mutating func set(_ key: String, json: [UInt8]) {
        begin(key)
        content += JSONWriter.visible(json)
    }

    private mutating func begin(_ key: String) {
        if content.count > 1 { content.append(UInt8(ascii: ",")) }
        JSONWriter.append(key, to: &content)
        content.append(UInt8(ascii: ":"))
    }

    private mutating func appendNull() { content += Array("null".utf8) }
}

enum JSONWriter {
    static func string(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        append(text, to: &bytes)
        return bytes
    }

    static func array(_ values: [[UInt8]]) -> [UInt8] {
        [UInt8(ascii: "[")] + Array(values.joined(separator: [UInt8(ascii: ",")]))
            + [UInt8(ascii: "]")]
    }

    static func append(_ text: String, to bytes: inout [UInt8]) {
        let quote = UInt8(ascii: "\"")
        let start = bytes.count
        bytes.append(quote)
        for byte in text.utf8 {
            switch byte {
            case quote, UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
            case 0x0A: bytes += Array("\\n".utf8)
            case 0x0D: bytes += Array("\\r".utf8)
            case 0x09: bytes += Array("\\t".utf8)
            case ..<0x20, 0x7F:
                bytes += Array("\\u00".utf8) + [hex(byte >> 4), hex(byte & 15)]
            default: bytes.append(byte)
            }
        }
        bytes.append(quote)
        if !text.utf8.allSatisfy({ $0 < 0x80 }) {
            bytes.replaceSubrange(start..., with: visible(Array(bytes[start...])))
        }
    }

    /// JSON with the characters that ``Escaping`` does not let through as escapes: beyond ASCII there are none outside
    /// of its strings.
    static func visible(_ json: [UInt8]) -> [UInt8] {
        guard !json.allSatisfy({ $0 < 0x80 }) else { return json }
        var shown: [UInt8] = []
        shown.reserveCapacity(json.count)
        for scalar in String(decoding: json, as: UTF8.self).unicodeScalars {
            guard scalar.value >= 0x80, !Escaping.isPlain(scalar) else {
                shown += Array(UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
                continue
            }
            for unit in String(scalar).utf16 {
                let digits = [unit >> 12, unit >> 8 & 15, unit >> 4 & 15, unit & 15]
                shown += Array("\\u".utf8) + digits.map { hex(UInt8($0)) }
            }
        }
        return shown
    }

    private static func hex(_ digit: UInt8) -> UInt8 {
        digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
    }
}
