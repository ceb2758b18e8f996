// Heap.swift - smallest first, and among equals the one that came first.
//
// Invariant: no entry comes before its parent, `(index - 1) / 2`. Each entry carries the number of its arrival, which
// decides between equals: that makes the order stable, which Python's heapq is not.

/// Smallest first; equals in the order in which they came. `<` is called with the queue's lock held.
public struct Heap<Item: Comparable & Sendable>: ~Copyable, QueueStorage {
    @usableFromInline struct Entry {
        @usableFromInline let item: Item
        @usableFromInline let arrival: UInt64

        @inlinable init(_ item: consuming Item, _ arrival: UInt64) {
            self.item = item
            self.arrival = arrival
        }

        @inlinable func comesBefore(_ other: Entry) -> Bool {
            item < other.item || (!(other.item < item) && arrival < other.arrival)
        }
    }

    @usableFromInline var entries: [Entry] = []
    @usableFromInline var arrivals: UInt64 = 0

    /// Empty.
    @inlinable public init() {}

    /// How many items are kept.
    @inlinable public var count: Int { entries.count }

    /// Puts the item behind those that are smaller or equal. Takes O(log count) comparisons.
    @inlinable public mutating func append(_ item: consuming Item) {
        let entry = Entry(item, arrivals)
        arrivals &+= 1
        entries.append(entry)
        var hole = entries.count - 1
        while hole > 0 {
            let parent = (hole - 1) / 2
            guard entry.comesBefore(entries[parent]) else { break }
            entries[hole] = entries[parent]
            hole = parent
        }
        entries[hole] = entry
    }

    /// Gives back the smallest item. Takes O(log count) comparisons.
    @inlinable public mutating func removeNext() -> Item {
        let last = entries.removeLast()
        guard let first = entries.first else { return last.item }
        var hole = 0
        while true {
            var child = 2 * hole + 1
            guard child < entries.count else { break }
            if child + 1 < entries.count, entries[child + 1].comesBefore(entries[child]) {
                child += 1
            }
            guard entries[child].comesBefore(last) else { break }
            entries[hole] = entries[child]
            hole = child
        }
        entries[hole] = last
        return first.item
    }
}

/// An item and its priority, for a ``PriorityQueue`` of items that cannot be compared themselves.
///
/// As the class of that name in the documentation of Python's queue module.
public struct PrioritizedItem<Item: Sendable>: Comparable, Sendable {
    /// Smaller comes first.
    public let priority: Int
    /// What is to be done; it does not take part in the comparison.
    public let item: Item

    /// An item that comes before all those with a greater priority.
    @inlinable public init(_ item: Item, priority: Int) {
        self.priority = priority
        self.item = item
    }

    /// Whether the priority is smaller.
    @inlinable public static func < (a: PrioritizedItem, b: PrioritizedItem) -> Bool {
        a.priority < b.priority
    }

    /// Whether the priorities are equal.
    @inlinable public static func == (a: PrioritizedItem, b: PrioritizedItem) -> Bool {
        a.priority == b.priority
    }
}
