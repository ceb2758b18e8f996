// CheckerTests.swift - each checker accepts what a queue may do, and refuses what it must not.

import Foundation
import History
import Testing

/// Histories in few signs: `p1` puts item 1, `g1` gets it, `d1` is its end, `b1` gives it back, `j` joins. A sign is a
/// whole operation; one with `(` only begins and with `)` ends, so that operations can overlap.
struct Tale {
    var events: [HistoryEvent] = []

    init(_ signs: String, priorities: [Int64: Int64] = [:]) {
        var attempts: [Int64: Int64] = [:]
        for (index, sign) in signs.split(separator: " ").enumerated() {
            let letters = sign.filter(\.isLetter)
            let item = Int64(sign.filter(\.isNumber))
            guard let operation = Self.operations[letters] else { continue }
            if operation == .get, !sign.contains("(") {
                attempts[item ?? 0, default: 0] += 1
            }
            let isPut = operation == .put
            let place = HistoryEvent.Operation.allCases.firstIndex(of: operation) ?? 0
            let process = (item ?? 0) * 100 + Int64(place)
            let attempt = isPut || item == nil ? nil : attempts[item ?? 0]
            let time = Int64(index + 1) * 10
            let priority = isPut ? priorities[item ?? 0] ?? 5 : nil
            if operation == .left {
                events.append(HistoryEvent(time: time, process: 0, .info, .left, item: item))
                continue
            }
            if !sign.contains(")") {
                events.append(
                    HistoryEvent(
                        time: time, process: process, .invoke, operation,
                        item: operation == .get ? nil : item, attempt: attempt, priority: priority))
            }
            if !sign.contains("(") {
                events.append(
                    HistoryEvent(
                        time: time + 5, process: process, sign.contains("?") ? .info : .return,
                        operation, item: item,
                        attempt: sign.contains(")") && operation != .get ? nil : attempt))
            }
        }
    }

    private static let operations: [String: HistoryEvent.Operation] = [
        "p": .put, "g": .get, "d": .done, "b": .back, "x": .dead, "c": .cancel, "r": .retry,
        "j": .join, "l": .left,
    ]

    func findings(_ ordering: Ordering = []) -> [String] {
        History(events).findings(ordering).map(\.check)
    }
}

@Suite("A history checker") struct CheckerTests {
    static let good = [
        "p1 g1 d1", "p1 g1 b1 g1 d1", "p1 p2 g1 g2 d2 d1 j", "p1 l1", "p1 c1", "p1? ", "p1? g1 d1",
        "p1 g1 d1 r1 g1 d1", "p1 g1 b1 g1 x1 j", "p1( g1 d1 p1)", "p1 g1 d1? ", "p1 g1 d1? g1 d1",
        "p1 g1 d1( j d1)", "p1( j p1) l1", "j", "p1 g1 b1( g1 b1) d1", "p1 g1 l1",
    ]

    @Test("accepts what a queue may do", arguments: good)
    func accepts(_ signs: String) { #expect(Tale(signs).findings() == []) }

    static let bad = [
        ("p1", ["lost"]), ("p1 g1", ["lost"]), ("p1 p2 g1 d1", ["lost"]), ("p1 g1 b1", ["lost"]),
        ("g1 d1", ["invented"]), ("g1 d1 p1 l1", ["conservation", "invented"]),
        ("p1 d1", ["invented"]), ("p1 g1 d1 g1 d1", ["doubled", "repeated"]),
        ("p1 g1 d1 r1 g1 d1 g1 d1", ["doubled", "repeated"]), ("p1 g1 d1 g1 x1", ["repeated"]),
        ("p1 g1 g1 d1", ["overlap", "repeated"]), ("p1 g1 d1 l1", ["conservation"]),
        ("p1 j g1 d1", ["join"]), ("p1 g1 j d1", ["join"]), ("p1 j l1", ["join"]),
        ("p1 p2 g1 d1 j g2 d2", ["join"]),
    ]

    @Test("refuses what a queue must not do", arguments: bad)
    func refuses(_ signs: String, _ expected: [String]) {
        #expect(Tale(signs).findings() == expected)
    }

    @Test(
        "fifo: of two items the one that was put first goes first, unless their puts or gets overlap"
    )
    func fifo() {
        #expect(Tale("p1 p2 g1 g2 d1 d2").findings(.fifo) == [])
        #expect(Tale("p1 p2 g2 g1 d1 d2").findings(.fifo) == ["fifo"])
        #expect(Tale("p1( p2 p1) g2 g1 d1 d2").findings(.fifo) == [])
        #expect(Tale("p1 p2 c1 g2 d2").findings(.fifo) == [])
        #expect(Tale("p1 p2 g2 d2 l1").findings(.fifo) == ["fifo"])
        #expect(Tale("p1 p2 g2 g1 d1 d2", priorities: [1: 1, 2: 2]).findings(.fifo) == [])
    }

    @Test("priority: a small number goes first, if it was there")
    func priority() {
        let priorities: [Int64: Int64] = [1: 9, 2: 1]
        #expect(
            Tale("p1 p2 g2 g1 d1 d2", priorities: priorities).findings([.fifo, .priority]) == [])
        #expect(
            Tale("p1 p2 g1 g2 d1 d2", priorities: priorities).findings(.priority) == ["priority"])
        #expect(Tale("p1 g1 p2 g2 d1 d2", priorities: priorities).findings(.priority) == [])
        #expect(Tale("p1 p2( g1 p2) g2 d1 d2", priorities: priorities).findings(.priority) == [])
    }

    @Test("a line that is no event, or ends what was not begun, is told of")
    func unreadable() {
        #expect(History(text: "{\"type\":\"dance\"}\n").findings().map(\.check) == ["unreadable"])
        let end = #"{"time":1,"process":1,"type":"return","op":"put","item":1}"#
        #expect(History(text: end).findings().map(\.check) == ["unreadable"])
    }

    @Test("an event is read back from its line as it was")
    func lines() {
        let event = HistoryEvent(
            time: 12, process: 3, .invoke, .put, item: 7, attempt: 2, priority: 0, queue: "mail/a")
        #expect(HistoryEvent(line: event.description, number: 9) == event)
        let bare = HistoryEvent(line: #"{"process": 4, "type": "info", "op": "get"}"#, number: 9)
        #expect(bare == HistoryEvent(time: 9, process: 4, .info, .get))
    }

    @Test("looks at a million events in the time of sorting them")
    func large() {
        var events: [HistoryEvent] = []
        for item in 0..<Int64(20_000) {
            let time = item * 100
            events += Tale("p1 g1 d1").events.map { event in
                var event = event
                event.time += time
                event.item = event.item.map { _ in item }
                return event
            }
        }
        events.append(HistoryEvent(time: 1 << 40, process: 9, .invoke, .join))
        events.append(HistoryEvent(time: 1 << 41, process: 9, .return, .join))
        #expect(History(events).findings([.fifo, .priority]) == [])
    }
}
