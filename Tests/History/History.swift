// History.swift - the operations of a history, and where each item has been.
//
// An operation is an interval: what it does happens at some moment between its invocation and its return. So a checker
// speaks of a fault only if no choice of these moments explains the history.

/// What happened, in the order of time.
public struct History: Sendable {
    /// An operation of a client.
    public struct Span: Hashable, Sendable {
        /// What it is.
        public var operation: HistoryEvent.Operation
        /// Who did it.
        public var process: Int64
        /// Which item.
        public var item: Int64?
        /// Which hold of the item.
        public var attempt: Int64?
        /// Its place in the order; nil: it has none.
        public var priority: Int64?
        /// Where.
        public var queue: String?
        /// Not before this time.
        public var begin: Int64
        /// Not after this time; `.max` when it never returned.
        public var end: Int64
        /// False: nobody knows whether it happened.
        public var isKnown: Bool
    }

    /// Operations that happened, or may have happened, by the time at which they began.
    public private(set) var spans: [Span] = []
    /// Items that are in the queue or held when the history ends.
    public private(set) var left: Set<Int64> = []
    /// Lines that are no events.
    public private(set) var unreadable: [String] = []

    /// A history of events.
    public init(_ events: [HistoryEvent]) {
        var open: [Int64: HistoryEvent] = [:]
        for event in events.sorted(by: { $0.time < $1.time }) {
            if event.operation == .left, let item = event.item {
                left.insert(item)
            } else if event.kind == .invoke {
                if let forgotten = open.updateValue(event, forKey: event.process) {
                    keep(forgotten, nil)
                }
            } else if let begun = open.removeValue(forKey: event.process),
                begun.operation == event.operation
            {
                if event.kind != .fail { keep(begun, event) }
            } else {
                unreadable.append("\(event): it was not begun")
            }
        }
        for begun in open.values { keep(begun, nil) }
        spans.sort { ($0.begin, $0.process) < ($1.begin, $1.process) }
    }

    /// The history of a file's text.
    public init(text: String) {
        var events: [HistoryEvent] = []
        var strange: [String] = []
        for (index, line) in text.split(separator: "\n").enumerated() {
            if let event = HistoryEvent(line: String(line), number: Int64(index + 1)) {
                events.append(event)
            } else {
                strange.append(String(line))
            }
        }
        self.init(events)
        unreadable += strange
    }

    private mutating func keep(_ begun: HistoryEvent, _ ended: HistoryEvent?) {
        let isKnown = ended?.kind == .return
        // A get whose end is not known took an item that nobody can name.
        guard isKnown || begun.operation != .get, isKnown || begun.operation != .join else {
            return
        }
        spans.append(
            Span(
                operation: begun.operation, process: begun.process,
                item: ended?.item ?? begun.item, attempt: ended?.attempt ?? begun.attempt,
                priority: ended?.priority ?? begun.priority, queue: ended?.queue ?? begun.queue,
                begin: begun.time, end: isKnown ? ended?.time ?? .max : .max, isKnown: isKnown))
    }

    /// The operations on each item.
    func byItem() -> [Int64: Life] {
        var lives: [Int64: Life] = [:]
        for span in spans {
            guard let item = span.item else { continue }
            lives[item, default: Life()].add(span)
        }
        for item in left { lives[item, default: Life()].isLeft = true }
        return lives
    }
}

/// What happened to one item.
struct Life {
    var puts: [History.Span] = []
    var gets: [History.Span] = []
    var ends: [History.Span] = []
    var retries = 0
    var isLeft = false

    mutating func add(_ span: History.Span) {
        switch span.operation {
        case .put: puts.append(span)
        case .get: gets.append(span)
        case .done, .back, .dead, .cancel: ends.append(span)
        case .retry: retries += 1
        case .join, .left: break
        }
    }

    /// Ends after which nobody runs it again.
    var finals: [History.Span] { ends.filter { $0.operation != .back } }

    /// Until when it certainly was in the queue, once it had been put.
    var queuedUntil: Int64 {
        let taken = gets.reduce(Int64.max) { min($0, $1.begin) }
        return finals.reduce(taken) { min($0, $1.begin) }
    }
}
