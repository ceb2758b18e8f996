// SharedQueueRecordTests.swift - the records of a shared queue: items of any sizes, and memory that was damaged.

import CSpool
import Glibc
import SpoolQueues
import SpoolThreads
import Testing

@testable import SpoolProcesses

@Suite("The records of a shared queue", .timeLimit(.minutes(10))) struct SharedQueueRecordTests {
    @Test("J1: nothing is lost when a put finds no room in one piece: all come out whole, in order")
    func refused() throws {
        let queue = try SharedQueue<[UInt8]>(bytes: 4096)
        func put(_ name: UInt8, units: Int) throws {
            try queue.putNowait([UInt8](repeating: name, count: units * 64 - 32))
        }
        for (name, units) in [(1, 10), (2, 10), (3, 10), (4, 10), (5, 24)] {
            try put(UInt8(name), units: units)
        }
        let first = try (0..<5).map { _ in try queue.getDelivery(timeout: .zero) }
        for delivery in first[..<2] { try queue.taskDone(delivery) }
        try put(6, units: 5)
        try queue.taskDone(queue.getDelivery(timeout: .zero))
        try queue.taskDone(first[4])
        // The 20 free units in front become one record, and the place to look at next was in their midst.
        #expect(throws: SpoolError.full) { try put(7, units: 30) }
        try put(8, units: 15)
        try put(9, units: 24)
        try put(10, units: 5)
        try queue.taskDone(first[2])
        try put(11, units: 10)
        for (name, units) in [(8, 15), (9, 24), (10, 5), (11, 10)] {
            let item = [UInt8](repeating: UInt8(name), count: units * 64 - 32)
            let delivery = try queue.getDelivery(timeout: .zero)
            #expect(delivery.item == item)
            try queue.taskDone(delivery)
        }
        try queue.taskDone(first[3])
        #expect(queue.isEmpty && queue.unfinished == 0)
        #expect(try queue.join(timeout: .zero))
    }

    @Test(
        "J1: items of any sizes, bound by bytes, are what they would be in an array",
        arguments: [
            Shape(bytes: 4096, largest: 4064, holds: 2),
            Shape(bytes: 4096, largest: 1500, holds: 5),
            Shape(bytes: 8192, largest: 400, holds: 40),
            Shape(bytes: 16384, largest: 6000, holds: 5),
        ])
    func model(_ shape: Shape) throws {
        for seed in Array(1...10) + [UInt64.random(in: 11...UInt64.max)] {
            var model = try Model(shape, seed)
            for _ in 0..<2000 { try model.step() }
            try model.end()
        }
    }

    @Test("memory that was damaged ends those who come by, and no walk through it goes on for ever")
    func damaged() throws {
        let queue = try SharedQueue<Int>()
        queue.records.commit(RecordWord(bits: 0), at: 0)
        // The second one has the lock of the first.
        for _ in 0..<2 { #expect(try end(of: ["put=1"], queue)?.signal != nil) }
        // This process would be the next.
        queue.records.commit(.free(queue.records.units), at: 0)
        let other = try SharedQueue<Int>()
        for item in 0..<3 { try other.put(item) }
        let holder = try user(["get", "get", "hang"], other)
        let deadline = Deadline(after: .seconds(60))
        while other.records.look({ $0.heldCount }) < 2, !deadline.isPast {
            Pause.briefly(upTo: .milliseconds(1))
        }
        holder.signal(SIGKILL)
        _ = holder.reap()
        let held = other.records.members[0].held
        try #require(held.last != Record.none)
        other.records.record(at: held.last).pointee.next = held.first
        #expect(try end(of: ["looks=1"], other)?.signal != nil)
    }

    /// A program that uses the queue: Tests/SharedKillRig/Use.swift.
    private func user(_ words: [String], _ queue: SharedQueue<Int>) throws -> RunningCommand {
        let program = ForkServerTests.spool.replacing("/spool", with: "/SharedKillRig")
        let null = try Descriptor.null()
        return try Command(
            ([program, "use"] + words).map { Array($0.utf8) },
            environment: Command.currentEnvironment()
        ).start(.init(input: queue.descriptor, output: null.number, error: null.number))
    }

    /// How it ends. Nil: it does not, and was killed.
    private func end(of words: [String], _ queue: SharedQueue<Int>) throws -> ProcessEnd? {
        let running = try user(words, queue)
        let hasEnded = spool_wait_ready(running.pidDescriptor, Int32(POLLIN), -1, 60_000) > 0
        if !hasEnded { running.signal(SIGKILL) }
        let end = running.reap()
        return hasEnded ? end : nil
    }
}

/// A small queue, how large items are in it, and how many are held at most.
struct Shape: Sendable {
    let bytes: Int
    let largest: Int
    let holds: Int
}

/// A queue that two objects of this process use, and the array that it must agree with after each verb.
private struct Model {
    private struct Item {
        let number: UInt64
        let size: Int

        var bytes: [UInt8] {
            (0..<size).map { UInt8(truncatingIfNeeded: number &* 31 &+ UInt64($0)) }
        }
    }

    private struct Held {
        let item: Item
        let delivery: Delivery<[UInt8]>
        let isOther: Bool
    }

    private let shape: Shape
    private let seed: UInt64
    private var dice: Dice
    private let queue: SharedQueue<[UInt8]>
    private var other: SharedQueue<[UInt8]>
    private var waiting: [Item] = []
    private var held: [Held] = []
    private var number: UInt64 = 0
    /// How many of a hundred steps put something.
    private var puts = 40
    /// The most free units in one piece.
    private var room = 0

    init(_ shape: Shape, _ seed: UInt64) throws {
        (self.shape, self.seed) = (shape, seed)
        dice = Dice(state: seed)
        queue = try SharedQueue(bytes: shape.bytes)
        other = try SharedQueue(mapping: Descriptor(owning: dup(queue.descriptor)))
        try look()
    }

    mutating func step() throws {
        // In turn it fills and empties.
        if dice.next() % 32 == 0 { puts = [10, 25, 40, 70].randomElement(using: &dice) ?? 40 }
        if Int.random(in: 0..<100, using: &dice) < puts {
            try put()
        } else {
            switch dice.next() % 100 {
            case 0..<50: try get()
            case 50..<99: try finish()
            default: try close()
            }
        }
        try look()
    }

    /// All of it is finished, and comes out on the way.
    mutating func end() throws {
        while !waiting.isEmpty || !held.isEmpty {
            try get()
            try finish()
            try look()
        }
        try #require(try queue.join(timeout: .zero), "\(place)")
    }

    private var place: String { "\(shape), seed \(seed), item \(number)" }

    private mutating func put() throws {
        let sizes =
            dice.next() % 4 == 0 ? shape.largest / 2...shape.largest : 0...shape.largest / 8
        let item = Item(number: number, size: Int.random(in: sizes, using: &dice))
        let isPut: Bool
        do throws(SpoolError) {
            try queue.putNowait(item.bytes)
            isPut = true
        } catch .full {
            isPut = false
        }
        let units = (item.size + Record.headSize + Record.unit - 1) / Record.unit
        try #require(isPut == (units <= room), "\(place): \(units) units, room for \(room)")
        guard isPut else { return }
        waiting.append(item)
        number += 1
    }

    private mutating func get() throws {
        guard held.count < shape.holds else { return }
        let isOther = dice.next() % 4 == 0
        guard let item = waiting.first else {
            #expect(throws: SpoolError.empty) { try queue.getNowait() }
            return
        }
        let delivery = try (isOther ? other : queue).getDelivery(timeout: .zero)
        try #require(delivery.item == item.bytes, "\(place)")
        waiting.removeFirst()
        held.append(Held(item: item, delivery: delivery, isOther: isOther))
    }

    private mutating func finish() throws {
        guard !held.isEmpty else { return }
        let one = held.remove(at: Int.random(in: 0..<held.count, using: &dice))
        try (one.isOther ? other : queue).taskDone(one.delivery)
    }

    /// One of the objects goes: what it held is there again, in its old place.
    private mutating func close() throws {
        other.close()
        other = try SharedQueue(mapping: Descriptor(owning: dup(queue.descriptor)))
        waiting += held.filter(\.isOther).map(\.item)
        waiting.sort { $0.number < $1.number }
        held.removeAll(where: \.isOther)
    }

    /// The records must be in order, and the next search must begin at one of them.
    private mutating func look() throws {
        let records = queue.records
        records.acquire()
        defer { records.release() }
        let header = records.header.pointee
        var (free, piece, longest) = (0, 0, 0)
        var hasCursor = header.cursor == records.units
        records.forEachRecord { index, word in
            hasCursor = hasCursor || header.cursor == index
            guard word.state == .free else { return piece = 0 }
            free += Int(word.units)
            piece += Int(word.units)
            longest = max(longest, piece)
        }
        try #require(hasCursor, "\(place): the cursor stands in the midst of a record")
        try #require(free == header.freeUnits, "\(place)")
        try #require(
            header.readyCount == waiting.count && header.heldCount == held.count, "\(place)")
        room = longest
    }
}

/// Numbers that look random and can be had again. SplitMix64 (Steele, Lea, Flood 2014).
private struct Dice: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = (state ^ state >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
