// Checkers.swift - what must hold in every history of a queue. O(n log n), all of them.
//
// After the checkers total-queue and queue of Jepsen, and "Testing for Linearizability", Lowe, 2017. A second time in
// check.py, in another language and by other means: the two must agree (Tests/HistoryTests).

/// Something in a history that no correct queue does.
public struct Finding: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The name of what does not hold.
    public var check: String
    /// The item; for a join the time at which it began.
    public var item: Int64

    /// One line, the same as check.py prints.
    public var description: String { "\(check) \(item)" }

    /// By check, then by item.
    public static func < (a: Finding, b: Finding) -> Bool {
        (a.check, a.item) < (b.check, b.item)
    }
}

/// Which promises of order a queue makes.
public struct Ordering: OptionSet, Sendable {
    /// One bit for each promise.
    public let rawValue: Int

    /// Made from its bits.
    public init(rawValue: Int) { self.rawValue = rawValue }

    /// Of two items of one priority that one that was put before the other was begun to be put goes first.
    public static let fifo = Ordering(rawValue: 1)
    /// Small numbers go first.
    public static let priority = Ordering(rawValue: 2)
}

extension History {
    /// Everything that is wrong, in order.
    public func findings(_ ordering: Ordering = []) -> [Finding] {
        let lives = byItem()
        var found = lives.flatMap { item, life in
            life.faults.map { Finding(check: $0, item: item) }
        }
        found += unreadable.map { _ in Finding(check: "unreadable", item: 0) }
        found += brokenJoins(lives)
        if ordering.contains(.fifo) { found += overtaken(lives, FirstPut.self) }
        if ordering.contains(.priority) { found += overtaken(lives, FirstPriority.self) }
        return found.sorted()
    }
}

extension Life {
    /// The names of what is wrong with this item alone.
    fileprivate var faults: [String] {
        var names: [String] = []
        let isPut = puts.contains(where: \.isKnown)
        if isPut, finals.isEmpty, !isLeft { names.append("lost") }
        if isInvented { names.append("invented") }
        let done = ends.filter { $0.operation == .done && $0.isKnown }.count
        if done > 1 + retries { names.append("doubled") }
        let reasons = ends.filter { $0.operation == .back || !$0.isKnown }.count + retries
        if gets.count > 1 + reasons { names.append("repeated") }
        if isHeldTwice { names.append("overlap") }
        // In two places at once: finished, and there all the same.
        let certain = finals.filter(\.isKnown).count
        if isLeft, certain > retries { names.append("conservation") }
        return names
    }

    private var isInvented: Bool {
        guard !gets.isEmpty || !ends.isEmpty else { return false }
        guard let first = puts.map(\.begin).min() else { return true }
        if gets.contains(where: { $0.end < first }) { return true }
        let held = Set(gets.map(\.attempt))
        return ends.contains { $0.operation == .done && !held.contains($0.attempt) }
    }

    /// A hold certainly lasts from the return of its get to the beginning of its end.
    private var isHeldTwice: Bool {
        var until: [Int64?: Int64] = [:]
        for end in ends where end.attempt != nil {
            until[end.attempt] = min(until[end.attempt] ?? .max, end.begin)
        }
        var latest = Int64.min
        let holds = gets.map { (from: $0.end, to: until[$0.attempt] ?? .max) }
        for hold in holds.sorted(by: <) {
            if hold.from < latest { return true }
            latest = max(latest, hold.to)
        }
        return false
    }
}

extension History {
    /// Joins that returned before something that was put before them had begun to finish.
    private func brokenJoins(_ lives: [Int64: Life]) -> [Finding] {
        let joins = spans.filter { $0.operation == .join }
        guard !joins.isEmpty else { return [] }
        var found: [Finding] = []
        for (queue, joins) in Dictionary(grouping: joins, by: \.queue) {
            // Of what was put up to a time: when did the last one begin to finish?
            var puts: [(end: Int64, finish: Int64)] = []
            for life in lives.values {
                let ends = life.puts.filter { $0.isKnown && (queue == nil || $0.queue == queue) }
                guard let end = ends.map(\.end).min() else { continue }
                puts.append((end, life.finals.map(\.begin).min() ?? .max))
            }
            puts.sort { $0.end < $1.end }
            var latest = Int64.min
            var next = 0
            for join in joins.sorted(by: { $0.begin < $1.begin }) {
                while next < puts.count, puts[next].end < join.begin {
                    latest = max(latest, puts[next].finish)
                    next += 1
                }
                if latest > join.end { found.append(Finding(check: "join", item: join.begin)) }
            }
        }
        return found
    }

    /// Items that were taken although another one, to be taken first, was in the queue all the while.
    private func overtaken(_ lives: [Int64: Life], _ order: any Precedence.Type) -> [Finding] {
        var queues: [String?: [Queued]] = [:]
        for (item, life) in lives {
            guard let put = life.puts.first, let priority = put.priority else { continue }
            let taken = life.gets.min { $0.end < $1.end }
            queues[put.queue, default: []].append(
                Queued(
                    item: item, priority: priority, put: put, until: life.queuedUntil, taken: taken)
            )
        }
        return queues.values.flatMap { order.overtaken($0) }.map {
            Finding(check: order.name, item: $0)
        }
    }
}

/// An item's time in the queue.
private struct Queued {
    var item: Int64
    var priority: Int64
    var put: History.Span
    /// It certainly was there until then.
    var until: Int64
    /// The get that took it first.
    var taken: History.Span?
}

/// A rule which of two items goes first.
private protocol Precedence {
    static var name: String { get }
    static func overtaken(_ items: [Queued]) -> [Int64]
}

private enum FirstPut: Precedence {
    static let name = "fifo"

    static func overtaken(_ items: [Queued]) -> [Int64] {
        Dictionary(grouping: items, by: \.priority).values.flatMap { items -> [Int64] in
            var found: [Int64] = []
            let byEnd = items.sorted { $0.put.end < $1.put.end }
            var next = 0
            var latest = Int64.min
            for item in items.sorted(by: { $0.put.begin < $1.put.begin }) {
                while next < byEnd.count, byEnd[next].put.end < item.put.begin {
                    latest = max(latest, byEnd[next].until)
                    next += 1
                }
                if let taken = item.taken, latest > taken.end { found.append(item.item) }
            }
            return found
        }
    }
}

private enum FirstPriority: Precedence {
    static let name = "priority"

    static func overtaken(_ items: [Queued]) -> [Int64] {
        let priorities = Set(items.map(\.priority)).sorted()
        let rank = Dictionary(uniqueKeysWithValues: priorities.enumerated().map { ($1, $0) })
        var latest = PrefixMaximum(count: priorities.count)
        let byEnd = items.sorted { $0.put.end < $1.put.end }
        var next = 0
        var found: [Int64] = []
        let taken = items.filter { $0.taken != nil }
        for item in taken.sorted(by: { ($0.taken?.begin ?? 0) < ($1.taken?.begin ?? 0) }) {
            guard let get = item.taken, let place = rank[item.priority] else { continue }
            while next < byEnd.count, byEnd[next].put.end < get.begin {
                latest.raise(rank[byEnd[next].priority] ?? 0, to: byEnd[next].until)
                next += 1
            }
            if latest.maximum(below: place) > get.end { found.append(item.item) }
        }
        return found
    }
}

/// The largest value below an index, both ways in O(log n): Fenwick, "A New Data Structure for Cumulative Frequency
/// Tables", 1994.
private struct PrefixMaximum {
    private var tree: [Int64]

    init(count: Int) { tree = Array(repeating: .min, count: count + 1) }

    mutating func raise(_ index: Int, to value: Int64) {
        var at = index + 1
        while at < tree.count {
            tree[at] = max(tree[at], value)
            at += at & -at
        }
    }

    func maximum(below index: Int) -> Int64 {
        var at = index
        var best = Int64.min
        while at > 0 {
            best = max(best, tree[at])
            at -= at & -at
        }
        return best
    }
}
