// AgreementTests.swift - the two implementations of the checkers say the same of thousands of histories, good and bad.

import Foundation
import History
import Patience
import Testing

@Suite(
    "The checkers in Swift and in Python", .enabled(if: Python.isThere, "python3 is not installed"))
struct AgreementTests {
    @Test("say the same of the histories that are told in this suite")
    func told() throws {
        let tales = CheckerTests.good + CheckerTests.bad.map(\.0)
        let found = try agree(tales.map { Tale($0).events }, "the tales")
        #expect(found.filter { !$0.isEmpty }.count >= CheckerTests.bad.count)
    }

    @Test("say the same of generated histories, of which many are bad")
    func generated() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var dice = Numbers(seed: seed)
        let histories = (0..<400).map { _ in Self.history(&dice) }
        let bad = try agree(histories, "seed \(seed)").filter { !$0.isEmpty }
        #expect(bad.count > 80 && bad.count < 380, "\(bad.count) are bad: the generator is void")
        let kinds = Set(bad.joined().map { $0.prefix { $0 != " " } })
        #expect(
            kinds.isSuperset(of: ["lost", "invented", "doubled", "repeated", "overlap", "join"]))
        #expect(kinds.isSuperset(of: ["fifo", "priority", "conservation"]))
    }

    /// Compares both, and gives what they found.
    func agree(_ histories: [[HistoryEvent]], _ name: String) throws -> [[String]] {
        let ours = histories.map { History($0).findings([.fifo, .priority]).map(\.description) }
        let theirs = try Python.findings(histories)
        #expect(ours.count == theirs.count)
        for (index, (ours, theirs)) in zip(ours, theirs).enumerated() where ours != theirs {
            let lines = histories[index].map(\.description).joined(separator: "\n")
            Issue.record("\(name), \(index): Swift says \(ours), Python \(theirs)\n\(lines)")
        }
        return ours
    }

    /// A queue of a few items under a few clients, in which now and then something is left out, doubled or swapped.
    static func history(_ dice: inout Numbers) -> [HistoryEvent] {
        var events: [HistoryEvent] = []
        let isClean = dice.next(3) == 0
        for item in 1...Int64(2 + dice.next(8)) {
            var signs = ["p", "g", "d"]
            for _ in 0..<dice.next(3) { signs.insert(contentsOf: ["b", "g"], at: 2) }
            if !isClean { spoil(&signs, &dice) }
            events += life(of: item, signs, isClean, &dice)
        }
        if dice.next(2) == 0 {
            let end = (events.map(\.time).max() ?? 0) + 9
            events.append(HistoryEvent(time: end, process: 1, .invoke, .join))
            events.append(HistoryEvent(time: end + 1, process: 1, .return, .join))
        }
        return events
    }

    private static func life(
        of item: Int64, _ signs: [String], _ isClean: Bool, _ dice: inout Numbers
    ) -> [HistoryEvent] {
        var events: [HistoryEvent] = []
        let queue = dice.next(2) == 0 ? "a" : "b"
        let priority = dice.next(5) == 0 ? nil : Int64(dice.next(3))
        var at = Int64(dice.next(60))
        var attempt: Int64 = 0
        for operation in signs.compactMap({ operations[$0] }) {
            if operation == .get { attempt += 1 }
            let process = item * 1000 + Int64(events.count)
            let isPut = operation == .put
            let isNamed = operation != .join && operation != .get
            events.append(
                HistoryEvent(
                    time: at, process: process, .invoke, operation, item: isNamed ? item : nil,
                    attempt: isPut ? nil : attempt, priority: isPut ? priority : nil,
                    queue: isPut || (operation == .join && dice.next(2) == 0) ? queue : nil))
            at += Int64(1 + dice.next(isClean ? 3 : 20))
            let isUsual = isClean || dice.next(12) > 0
            if isClean || dice.next(20) > 0 {
                events.append(
                    HistoryEvent(
                        time: at, process: process,
                        isUsual ? .return : [.fail, .info][dice.next(2)],
                        operation, item: operation == .join ? nil : item))
            }
            at += Int64(dice.next(4)) + (isClean ? 1 : 0)
        }
        return events
    }

    private static let operations: [String: HistoryEvent.Operation] = [
        "p": .put, "g": .get, "d": .done, "b": .back, "x": .dead, "c": .cancel, "r": .retry,
        "j": .join, "l": .left,
    ]

    private static func spoil(_ signs: inout [String], _ dice: inout Numbers) {
        let letters = ["p", "g", "d", "b", "x", "c", "r", "j", "l"]
        for _ in 0...dice.next(2) {
            let at = dice.next(signs.count)
            switch dice.next(4) {
            case 0: signs.remove(at: at)
            case 1: signs.insert(letters[dice.next(letters.count)], at: at)
            case 2: signs.swapAt(at, dice.next(signs.count))
            default: break
            }
            if signs.isEmpty { return }
        }
    }
}

/// splitmix64.
struct Numbers {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next(_ limit: Int) -> Int {
        state &+= 0x9e37_79b9_7f4a_7c15
        var hash = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
        hash = (hash ^ (hash >> 27)) &* 0x94d0_49bb_1331_11eb
        return Int((hash ^ (hash >> 31)) % UInt64(max(1, limit)))
    }
}

/// check.py as a program.
enum Python {
    static let interpreter = "/usr/bin/python3"
    static let isThere = FileManager.default.isExecutableFile(atPath: interpreter)
    static let script =
        String(#filePath.dropLast("HistoryTests/AgreementTests.swift".count)) + "History/check.py"

    /// What it prints of each history, line by line.
    static func findings(_ histories: [[HistoryEvent]]) throws -> [[String]] {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "histories-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for (index, events) in histories.enumerated() {
            let text = events.map { $0.description + "\n" }.joined()
            let file = folder.appendingPathComponent(String(index))
            try text.write(to: file, atomically: false, encoding: .utf8)
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: interpreter)
        process.currentDirectoryURL = folder
        process.arguments = [script, "--fifo", "--priority"] + histories.indices.map(String.init)
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let parts = try process.end(reading: pipe, atMost: Patience.longest * 10).components(
            separatedBy: "== ")
        return parts.dropFirst().map {
            $0.split(separator: "\n").dropFirst().map(String.init)
        }
    }
}
