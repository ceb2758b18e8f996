// ValueEntry.swift - Codable values out of the bytes of another process: every shape that a value can have.

@testable private import SpoolProcesses
internal import SpoolThreads

extension FuzzEntry {
    static let value = FuzzEntry("value", seeds: valueSeeds) { bytes, _ in
        try checkValue(Sample.self, bytes)
        try checkValue(Tree.self, bytes)
        try checkValue([String: [Bits?]].self, bytes)
        // It names a descriptor, and none came.
        let connection = try answer(to: bytes) { () throws(SpoolError) in
            try BinaryDecoder().decode(SpoolProcesses.Connection.self, from: bytes)
        }
        try demand(connection == nil, "a connection came out of nothing")
    }

    private static func checkValue<Value: Codable & Equatable>(
        _ type: Value.Type, _ bytes: [UInt8]
    ) throws {
        let value = try answer(to: bytes) { () throws(SpoolError) in
            try BinaryDecoder().decode(type, from: bytes)
        }
        guard let value else { return }
        let written = try mustParse("\(value)") { () throws(SpoolError) in
            try BinaryEncoder().encode(value)
        }
        let again = try mustParse("the bytes of \(value)") { () throws(SpoolError) in
            try BinaryDecoder().decode(type, from: written)
        }
        try demand(again == value, "\(value) came back as \(again)")
        // A name is written once, so what a message leaves out must not grow much when it is written in full.
        try demand(written.count <= 40 * bytes.count + 512, "\(written.count) of \(bytes.count)")
    }

    private static var valueSeeds: [[UInt8]] {
        let encoder = BinaryEncoder()
        var deep = Tree.leaf(-1)
        for _ in 0..<20 { deep = .branches([deep, .leaf(.max)], name: "\u{e9}") }
        // A seed that cannot be written is none.
        let values = [
            try? encoder.encode(Sample()), try? encoder.encode(deep),
            try? encoder.encode(["a": [Bits(.nan), nil], "": []]),
        ]
        return values.compactMap { $0 } + [[], [0xB1], [0xB1, 0x81, 0x00]]
    }
}

/// A Double that is what its bits are, NaN too.
struct Bits: Codable, Equatable {
    var value: Double

    init(_ value: Double) { self.value = value }

    init(from decoder: any Decoder) throws {
        value = try decoder.singleValueContainer().decode(Double.self)
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(value)
    }

    static func == (a: Bits, b: Bits) -> Bool { a.value.bitPattern == b.value.bitPattern }
}

indirect enum Tree: Codable, Equatable {
    case leaf(Int64)
    case branches([Tree], name: String)
}

struct Sample: Codable, Equatable {
    enum Color: String, Codable { case red, green }

    var tiny: Int8 = -128
    var small: UInt16 = 65535
    var number = -1
    var wide: Int128 = .min
    var wideUnsigned: UInt128 = .max
    var isTrue = true
    var bits = Bits(-0.0)
    var text = "a\u{0}\u{1F600}"
    var bytes: [UInt8] = [1, 2, 3]
    var nothing: Int?
    var color: Color = .green
    var list: [[Int32]] = [[1], []]
    var table: [String: UInt64] = ["x": .max]
    var trees: [Tree] = [.leaf(3)]
}
