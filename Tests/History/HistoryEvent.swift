// HistoryEvent.swift - one line of a history: what a client began, or how that ended.
//
// A history is NDJSON, one event a line, after Jepsen's (github.com/jepsen-io/history). Clients write it as they run:
//
//   {"time":10,"process":1,"type":"invoke","op":"put","item":7,"priority":5,"queue":"a"}
//   {"time":14,"process":1,"type":"return","op":"put"}
//   {"time":15,"process":2,"type":"invoke","op":"get"}
//   {"time":19,"process":2,"type":"return","op":"get","item":7,"attempt":1}
//
// Times are of one monotonic clock of all clients; without one an event's time is its line. A process does one thing
// at a time: what it returns belongs to what it invoked last. An event that says nothing of an item, attempt,
// priority or queue has what its invocation said.

/// An event of a history.
public struct HistoryEvent: Hashable, Sendable {
    /// Where an operation is.
    public enum Kind: String, CaseIterable, Sendable {
        case invoke
        /// It happened.
        case `return`
        /// It did not happen.
        case fail
        /// Nobody knows whether it happened.
        case info
    }

    /// What a client does.
    public enum Operation: String, CaseIterable, Sendable {
        case put
        /// Takes an item: its holder until one of the next four.
        case get
        /// Ends the hold; the item is finished, well.
        case done
        /// Ends the hold; the item is in the queue again.
        case back
        /// Ends the hold if there is one; the item is finished, badly.
        case dead
        /// As `dead`, because somebody wanted it so.
        case cancel
        /// A finished item is in the queue again.
        case retry
        /// Returns when all that was put before is finished.
        case join
        /// Not an operation of a client: when the history ends the item is in the queue, or held.
        case left
    }

    /// When, on the clock of the history.
    public var time: Int64
    /// Who.
    public var process: Int64
    /// Where the operation is.
    public var kind: Kind
    /// What it is.
    public var operation: Operation
    /// Which item.
    public var item: Int64?
    /// Which of the holds of the item, from 1.
    public var attempt: Int64?
    /// Small goes first. An item without one takes no part in the order.
    public var priority: Int64?
    /// Where; nil is the only one, and for a join all.
    public var queue: String?

    /// Made from its parts.
    public init(
        time: Int64, process: Int64, _ kind: Kind, _ operation: Operation, item: Int64? = nil,
        attempt: Int64? = nil, priority: Int64? = nil, queue: String? = nil
    ) {
        self.time = time
        self.process = process
        self.kind = kind
        self.operation = operation
        self.item = item
        self.attempt = attempt
        self.priority = priority
        self.queue = queue
    }
}

extension HistoryEvent: CustomStringConvertible {
    /// The line of the event.
    public var description: String {
        var line = #"{"time":\#(time),"process":\#(process),"type":"\#(kind.rawValue)""#
        line += #","op":"\#(operation.rawValue)""#
        if let item { line += #","item":\#(item)"# }
        if let attempt { line += #","attempt":\#(attempt)"# }
        if let priority { line += #","priority":\#(priority)"# }
        if let queue { line += #","queue":"\#(queue)""# }
        return line + "}"
    }

    /// The event of a line: a flat object of numbers, and of text without escapes. Nil: it is none.
    public init?(line: String, number: Int64) {
        var fields: [Substring: Substring] = [:]
        let inside = line.drop { $0 != "{" }.dropFirst().prefix { $0 != "}" }
        for part in inside.split(separator: ",") {
            let halves = part.split(separator: ":", maxSplits: 1)
            guard halves.count == 2 else { return nil }
            fields[Self.bare(halves[0])] = Self.bare(halves[1])
        }
        func integer(_ name: Substring) -> Int64? { fields[name].flatMap { Int64($0) } }
        guard let kind = fields["type"].flatMap({ Kind(rawValue: String($0)) }),
            let operation = fields["op"].flatMap({ Operation(rawValue: String($0)) }),
            let process = integer("process")
        else { return nil }
        self.init(
            time: integer("time") ?? number, process: process, kind, operation,
            item: integer("item"), attempt: integer("attempt"), priority: integer("priority"),
            queue: fields["queue"].map(String.init))
    }

    private static func bare(_ text: Substring) -> Substring {
        let text = text.drop { $0 == " " }
        return text.first == "\"" ? text.dropFirst().prefix { $0 != "\"" } : text
    }
}
