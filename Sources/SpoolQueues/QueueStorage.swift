// QueueStorage.swift - the order in which a queue gives its items back: the part of a queue that does not wait.
//
// As in CPython's queue.py (_init, _qsize, _put, _get), waiting is written once, in MemoryQueue, and the order is
// plugged in below it. A storage is touched only with its queue's lock held, so it needs none of its own.

public import SpoolThreads

/// What a ``MemoryQueue`` keeps its items in, and the order in which it gives them back.
///
/// Called by one thread at a time, with the queue's lock held: a storage must not use its queue.
public protocol QueueStorage<Item>: ~Copyable, SendableMetatype {
    /// What is kept.
    associatedtype Item: Sendable

    /// Empty.
    init()

    /// How many items are kept.
    var count: Int { get }

    /// Keeps one more item, or throws and keeps what it had.
    mutating func append(_ item: consuming Item) throws(SpoolError)

    /// Gives back the item that is next, or throws and keeps it. Called only when `count` is above zero.
    mutating func removeNext() throws(SpoolError) -> Item
}

/// First in, first out.
///
/// Invariant: the items are in `slots[head & mask] ..< slots[tail & mask]`; head and tail only grow, so that full and
/// empty differ. The room doubles when it is used up and never shrinks: no allocation per item in steady state.
public struct Ring<Item: Sendable>: ~Copyable, QueueStorage {
    @usableFromInline var slots: UnsafeMutablePointer<Item>
    @usableFromInline var mask = 15
    @usableFromInline var head = 0
    @usableFromInline var tail = 0

    /// Empty, with room for a few items.
    @inlinable public init() { slots = .allocate(capacity: mask + 1) }

    deinit {
        for index in head..<tail { (slots + (index & mask)).deinitialize(count: 1) }
        slots.deallocate()
    }

    /// How many items are kept.
    @inlinable public var count: Int { tail &- head }

    /// Puts the item behind all others.
    @inlinable public mutating func append(_ item: consuming Item) {
        if count > mask { grow() }
        (slots + (tail & mask)).initialize(to: item)
        tail &+= 1
    }

    /// Gives back the oldest item.
    @inlinable public mutating func removeNext() -> Item {
        let item = (slots + (head & mask)).move()
        head &+= 1
        return item
    }

    @usableFromInline mutating func grow() {
        let wider = UnsafeMutablePointer<Item>.allocate(capacity: 2 * (mask + 1))
        for index in head..<tail {
            (wider + (index - head)).moveInitialize(from: slots + (index & mask), count: 1)
        }
        slots.deallocate()
        (slots, mask, head, tail) = (wider, 2 * mask + 1, 0, count)
    }
}

/// Last in, first out.
public struct Stack<Item: Sendable>: ~Copyable, QueueStorage {
    @usableFromInline var items: [Item] = []

    /// Empty.
    @inlinable public init() {}

    /// How many items are kept.
    @inlinable public var count: Int { items.count }

    /// Puts the item on top.
    @inlinable public mutating func append(_ item: consuming Item) { items.append(item) }

    /// Gives back the newest item.
    @inlinable public mutating func removeNext() -> Item { items.removeLast() }
}
