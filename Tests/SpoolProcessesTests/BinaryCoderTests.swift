// BinaryCoderTests.swift - values that become bytes and come back.

import Glibc
import SpoolProcesses
import SpoolThreads
import Testing

@Suite("The binary coder", .timeLimit(.minutes(10))) struct BinaryCoderTests {
    struct Order: Codable, Hashable {
        var name: String
        var count: Int?
        var prices: [Double]
        var notes: [String: [Int]]
        var dish: Dish
        var picture: [UInt8]
    }

    enum Dish: Codable, Hashable {
        case bun
        case soup(spoons: Int, hot: Bool)
        indirect case with(Dish, [Dish])
    }

    func again<Value: Codable>(_ value: Value) throws -> Value {
        try BinaryDecoder().decode(from: BinaryEncoder().encode(value))
    }

    @Test("brings every integer back, from the smallest to the largest of each type")
    func integers() throws {
        func check<Integer: FixedWidthInteger & Codable>(_: Integer.Type) throws {
            var numbers: [Integer] = [.min, .max, 0, 1, 127, .max / 2, .min / 2]
            if Integer.isSigned { numbers += [~0, ~127, ~63] }
            #expect(try again(numbers) == numbers)
            for number in numbers { #expect(try again(number) == number) }
        }
        try check(Int.self)
        try check(Int8.self)
        try check(Int16.self)
        try check(Int32.self)
        try check(Int64.self)
        try check(Int128.self)
        try check(UInt.self)
        try check(UInt8.self)
        try check(UInt16.self)
        try check(UInt32.self)
        try check(UInt64.self)
        try check(UInt128.self)
    }

    @Test("brings floating numbers back bit for bit, NaN and minus zero too")
    func floats() throws {
        let numbers = [
            0, -0.0, .pi, .infinity, .leastNonzeroMagnitude, Double(nan: 5, signaling: false),
        ]
        #expect(try again(numbers).map(\.bitPattern) == numbers.map(\.bitPattern))
        let small: [Float] = [-0.0, .pi, .nan]
        #expect(try again(small).map(\.bitPattern) == small.map(\.bitPattern))
    }

    @Test("brings texts, runs of bytes, optionals and empty things back")
    func plain() throws {
        for text in ["", "a", "e\u{301}", "é", "\u{0}", "👩‍👩‍👧", String(repeating: "x", count: 70_000)]
        {
            #expect(Array(try again(text).utf8) == Array(text.utf8))
        }
        for count in [0, 1, 127, 128, 70_000] {
            let run = [UInt8](repeating: 0xB1, count: count)
            #expect(try again(run) == run)
        }
        #expect(try again(Int?.none) == nil && again(Int?.some(5)) == 5)
        #expect(try again([Int?.none, 1, nil]) == [nil, 1, nil])
        #expect(try again([Int]()) == [] && again([String: Int]()) == [:])
        #expect(try again([true, false]) == [true, false])
    }

    @Test("brings structs, dictionaries and enums with payloads back")
    func composed() throws {
        let order = Order(
            name: "dinner", count: nil, prices: [1.5, 2], notes: ["": [], "salt": [1, -2]],
            dish: .with(.soup(spoons: 3, hot: true), [.bun, .bun]), picture: [0, 255])
        #expect(try again([order, order]) == [order, order])
        let many = Dictionary(uniqueKeysWithValues: (0..<500).map { ($0, "\($0)") })
        #expect(try again(many) == many)
        #expect(try again([Dish.bun: 1]) == [Dish.bun: 1])
    }

    class Animal: Codable {
        var legs = 4
    }

    final class Dog: Animal {
        var name = "Rex"

        enum Keys: String, CodingKey { case name, first, second, list }

        override init() { super.init() }

        required init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: Keys.self)
            let second = try values.nestedContainer(keyedBy: Keys.self, forKey: .second)
            var list = try values.nestedUnkeyedContainer(forKey: .list)
            let first = try values.nestedContainer(keyedBy: Keys.self, forKey: .first)
            name = try first.decode(String.self, forKey: .name)
            name += try second.decode(String.self, forKey: .name)
            #expect(list.count == 2)
            name += try "\(list.decode(Int.self))\(list.decodeNil())\(list.isAtEnd)"
            try super.init(from: values.superDecoder())
        }

        override func encode(to encoder: any Encoder) throws {
            var values = encoder.container(keyedBy: Keys.self)
            // Two nested containers, filled in turn and against their order.
            var first = values.nestedContainer(keyedBy: Keys.self, forKey: .first)
            var second = values.nestedContainer(keyedBy: Keys.self, forKey: .second)
            var list = values.nestedUnkeyedContainer(forKey: .list)
            try second.encode("Max", forKey: .name)
            try first.encode(name, forKey: .name)
            try list.encode(7)
            try list.encodeNil()
            try super.encode(to: values.superEncoder())
        }
    }

    @Test(
        "keeps nested containers apart, in whatever order they are filled, and what a class inherits"
    )
    func nested() throws {
        let dog = Dog()
        dog.legs = 3
        let read = try again([dog, Dog()])
        #expect(read.map(\.legs) == [3, 4])
        #expect(read[0].name == "RexMax7truetrue")
    }

    @Test("is compact: names once, small numbers in a byte")
    func compact() throws {
        struct Point: Codable { var x = 5, y = 100 }
        let one = try BinaryEncoder().encode([Point()]).count
        let two = try BinaryEncoder().encode([Point(), Point()]).count
        #expect(two - one == 9)
        #expect(try BinaryEncoder().encode(7) == [0xB1, 0x87, 0])
    }

    @Test("throws for any bytes that no encoder wrote, and never traps")
    func malformed() throws {
        let order = Order(
            name: "n", count: 1, prices: [2], notes: ["a": [300]], dish: .with(.bun, []),
            picture: [1])
        let bytes = try BinaryEncoder().encode(order)
        func look(_ bytes: [UInt8]) { _ = try? BinaryDecoder().decode(Order.self, from: bytes) }
        for count in bytes.indices {
            #expect(throws: SpoolError.self) {
                try BinaryDecoder().decode(Order.self, from: Array(bytes[..<count]))
            }
        }
        #expect(throws: SpoolError.self) {
            try BinaryDecoder().decode(Order.self, from: bytes + [0])
        }
        // Every byte replaced by every other one; then noise.
        for index in bytes.indices {
            for value in UInt8.min...UInt8.max {
                var wrong = bytes
                wrong[index] = value
                look(wrong)
            }
        }
        var dice = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            look(
                [0xB1]
                    + (0..<Int.random(in: 0...40, using: &dice)).map { _ in
                        UInt8.random(in: 0...255)
                    })
            look([0xB1] + (0..<30).map { _ in UInt8.random(in: 0...13) })
        }
    }

    private func message<Value: Decodable>(_: Value.Type, _ bytes: [UInt8]) -> String {
        #expect(throws: SpoolError.self) { try BinaryDecoder().decode(Value.self, from: bytes) }?
            .message ?? ""
    }

    @Test("says where a value is wrong")
    func sentences() throws {
        struct Old: Codable { var name = "n", prices = ["cheap"] }
        let bytes = try BinaryEncoder().encode([Old()])
        struct Price: Codable { var prices: [Int] }
        struct Missing: Codable { var count: Int }
        #expect(message([Price].self, bytes).hasSuffix("0.prices.0: it is not a whole number."))
        #expect(message([Missing].self, bytes).hasSuffix("0 has no 'count'."))
        #expect(throws: SpoolError.self) {
            try BinaryDecoder().decode(UInt8.self, from: BinaryEncoder().encode(300))
        }
    }

    indirect enum Chain: Codable {
        case end
        case link(Chain)
    }

    @Test("refuses what is nested too deeply and what is too large, on both sides")
    func limits() throws {
        var chain = Chain.end
        for _ in 0..<1000 { chain = .link(chain) }
        #expect(throws: SpoolError.self) { try BinaryEncoder().encode(chain) }
        let error = #expect(throws: SpoolError.self) {
            try BinaryEncoder(limit: 1000).encode([[UInt8]](repeating: [1, 2, 3], count: 500))
        }
        guard case .tooLarge(_, _, 1000) = error else {
            Issue.record("not tooLarge: \(String(describing: error))")
            return
        }
        // Arrays in arrays without end, as no encoder writes them.
        var bytes: [UInt8] = [0x87]
        for _ in 0..<1000 {
            let length = UInt32(bytes.count)
            bytes = [13] + (0..<4).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + bytes
        }
        final class Deep: Decodable {
            init(from decoder: any Decoder) throws {
                var list = try decoder.unkeyedContainer()
                _ = try list.decode(Deep.self)
            }
        }
        #expect(throws: SpoolError.self) {
            try BinaryDecoder().decode(Deep.self, from: [0xB1] + bytes + [0])
        }
    }

    struct Handle: Codable {
        let number: Int32

        init(number: Int32) { self.number = number }

        init(from decoder: any Decoder) throws {
            let index = try decoder.singleValueContainer().decode(Int.self)
            number = try decoder.takeDescriptor(index, of: "handle").release()
        }

        func encode(to encoder: any Encoder) throws {
            var value = encoder.singleValueContainer()
            try value.encode(encoder.passDescriptor(number, of: "handle"))
        }
    }

    @Test("cSM6: what holds a descriptor is encoded only where descriptors can go along")
    func descriptors() throws {
        let pipe = try Descriptor.pipe()
        let handle = Handle(number: pipe.first.number)
        let error = #expect(throws: SpoolError.self) { try BinaryEncoder().encode([handle]) }
        #expect(error?.message.contains("holds a descriptor") == true)

        let passed = PassedDescriptors()
        let bytes = try BinaryEncoder(userInfo: [PassedDescriptors.key: passed]).encode([handle])
        #expect(passed.numbers.count == 1)
        #expect(throws: SpoolError.self) {
            try BinaryDecoder().decode([Handle].self, from: bytes)
        }
        let copy = fcntl(passed.numbers[0], F_DUPFD_CLOEXEC, 3)
        let arrived = PassedDescriptors(owning: [copy])
        let decoder = BinaryDecoder(userInfo: [PassedDescriptors.key: arrived])
        #expect(try decoder.decode([Handle].self, from: bytes)[0].number == copy)
        // Taken once: a second value cannot own it too.
        #expect(throws: SpoolError.self) { try decoder.decode([Handle].self, from: bytes) }
        close(copy)
    }
}
