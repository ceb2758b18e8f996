// SharedQueue.swift - the queue for processes: the contract of the queues in memory, alive after any kill.
//
// The typed face of a RecordQueue: values become bytes here, and bytes values, outside the queue's lock.

public import SpoolQueues
public import SpoolThreads

/// A joinable queue in shared memory, first in, first out. See multiprocessing.JoinableQueue in Python, which a killed
/// process can block for ever.
///
/// An item belongs to the process that got it until ``taskDone()``. If the process dies, by whatever signal, the item
/// is ready again, once, before all others, and the next ``getDelivery(timeout:)`` tells how often it was handed out. A
/// process that is killed in the middle of a verb leaves the queue whole: the verb has happened or it has not.
///
/// Safe from any thread and task of any process that has it. A forked child uses its parent's object; items that the
/// parent holds stay the parent's. Blocking verbs are for threads; the async ones of the same name never block the
/// cooperative pool. See docs/processes.md for how large to make it, and what it costs.
public final class SharedQueue<Item: SharedItem>: JoinableQueue {
    let records: RecordQueue

    /// Makes an empty queue.
    /// - Parameters:
    ///   - maxsize: How many items can wait to be got before put waits; 0 has no bound.
    ///   - bytes: Room for all items that are not finished, from 4,096 to 2^34; each takes its own bytes, 32 more, and
    ///     what is missing to a multiple of 64. All of it is taken from the system at once. Where items of different
    ///     sizes are held for long, give four times what is in flight.
    /// - Throws: `badInput` for a bound or a size out of range, `system` when memory or descriptors are short.
    public init(maxsize: Int = 0, bytes: Int = 1 << 20) throws(SpoolError) {
        records = try RecordQueue(limit: maxsize, bytes: bytes)
    }

    /// The queue behind a descriptor that another process passed on; the object owns it from now on.
    /// - Throws: `badInput` when it is not the descriptor of such a queue, `system` when address space is short.
    public init(mapping descriptor: consuming Descriptor) throws(SpoolError) {
        records = try RecordQueue(mapping: descriptor)
    }

    /// For the rigs.
    init(_ records: RecordQueue) { self.records = records }

    /// The kernel's number of the queue's descriptor, which stays this object's: to be passed to other processes. It is
    /// close-on-exec.
    public var descriptor: Int32 { records.memory.descriptor }

    // MARK: - The verbs

    /// Puts an item, waiting while the queue has no room for it.
    ///
    /// Safe from any thread; blocks it. An item that needs much room may wait while smaller ones pass it by.
    /// - Parameter timeout: Longest wait; nil waits for ever, zero only looks.
    /// - Throws: `full` when the time is up, `shutDown`, `closed`, `tooLarge` for an item that would not fit into the
    ///   empty queue, `badInput` for a negative time or an item that has no bytes; the item was not put then.
    @inlinable public func put(_ item: Item, timeout: Duration? = nil) throws(SpoolError) {
        try item.withSharedBytes { bytes throws(SpoolError) in
            try put(bytes: bytes, timeout: timeout)
        }
    }

    @usableFromInline func put(
        bytes: UnsafeRawBufferPointer, timeout: Duration?
    ) throws(SpoolError) {
        try records.put(bytes, timeout: timeout)
    }

    /// Takes the next item, waiting while the queue is empty. Follow it with ``taskDone()`` when the work is finished.
    ///
    /// Safe from any thread; blocks it.
    /// - Parameter timeout: Longest wait; nil waits for ever, zero only looks.
    /// - Throws: `empty` when the time is up, `shutDown` when the queue is shut down and empty, `closed`, `badInput`
    ///   for a negative time or bytes that are no item, which stay in the queue then.
    @inlinable public func get(timeout: Duration? = nil) throws(SpoolError) -> Item {
        try read(take(timeout: timeout))
    }

    /// As ``get(timeout:)``, and tells which delivery it is.
    @inlinable public func getDelivery(timeout: Duration? = nil) throws(SpoolError) -> Delivery<
        Item
    > {
        let held = try take(timeout: timeout)
        return Delivery(try read(held), held)
    }

    @usableFromInline func take(timeout: Duration?) throws(SpoolError) -> HeldRecord {
        try records.get(timeout: timeout)
    }

    /// The item in the bytes; they go back when they are none.
    @inlinable func read(_ held: HeldRecord) throws(SpoolError) -> Item {
        do throws(SpoolError) {
            return try Item(sharedBytes: held.bytes)
        } catch {
            putBack(held)
            throw error
        }
    }

    @usableFromInline func putBack(_ held: HeldRecord) { records.putBack(held) }

    /// Says that an item that this process got is finished: the oldest that the calling thread got, or if it got none,
    /// the oldest of the process. Who has several in work says which: ``taskDone(_:)``, ``work(timeout:_:)``.
    /// - Throws: `taskDoneTooOften` when this process holds none, `closed`; nothing changes then.
    public func taskDone() throws(SpoolError) { try records.finishOldest() }

    /// Says that this delivery is finished.
    /// - Throws: `claimLost` when this process does not hold it any more, `closed`; nothing changes then.
    public func taskDone(_ delivery: Delivery<Item>) throws(SpoolError) {
        try records.finish(delivery.index, delivery.itemNumber, delivery.number)
    }

    /// Takes the next item, runs `body` on it, and says that it is finished, also when `body` throws.
    /// - Returns: What `body` returns.
    /// - Throws: as ``get(timeout:)``, and what `body` throws.
    @_disfavoredOverload  // else a task would take it for a body that awaits nothing
    @discardableResult
    public func work<Value>(
        timeout: Duration? = nil, _ body: (Item) throws -> Value
    ) throws -> Value {
        let delivery = try getDelivery(timeout: timeout)
        let outcome = Result { try body(delivery.item) }
        try taskDone(delivery)
        return try outcome.get()
    }

    /// Waits until everything that was put is finished, by whichever process. Safe from any thread; blocks it.
    /// - Parameter timeout: Longest wait; nil waits for ever, zero only looks.
    /// - Returns: False when the time was up before.
    /// - Throws: `badInput` for a negative time, `closed`.
    @discardableResult
    public func join(timeout: Duration? = nil) throws(SpoolError) -> Bool {
        try records.join(timeout: timeout)
    }

    // MARK: - Looking

    /// How many items can be got: a hint, as it may have changed when you read it. Python's qsize.
    public var count: Int { records.look { Int($0.readyCount) } }

    /// How many items were put and are not finished: a hint. Python's unfinished_tasks.
    public var unfinished: Int { records.look { Int($0.readyCount + $0.heldCount) } }

    /// Whether a put would have to wait for a place: a hint.
    public var isFull: Bool { records.look { $0.readyCount >= $0.limit } }

    /// How many items can wait to be got before put waits; 0 has no bound.
    public var maxsize: Int { records.look { $0.limit == .max ? 0 : Int($0.limit) } }

    // MARK: - The end

    /// Ends the queue for all processes, and wakes everybody who waits: put throws `shutDown`, and get does when
    /// nothing is left. Calling it again is harmless.
    /// - Parameter immediate: Also drops what was not got yet and counts it as finished; what was got stays unfinished
    ///   until its taskDone or the end of its process.
    public func shutdown(immediate: Bool = false) { records.shutdown(immediate: immediate) }

    /// Ends the use of this object in this process: what it holds goes back into the queue, and every verb throws
    /// `closed`, those that wait too. Other processes go on. Calling it again is harmless; an object that goes closes.
    public func close() { records.close() }

    /// Gives back what dead processes held, now. Nobody has to call this, as waiting finds it out; for who knows of a
    /// death earlier, as the parent of the dead.
    public func lookForDeaths() {
        records.lookForDeaths()
        // The dead may have been woken for what is there, or have looked out for it.
        records.passOn(.arrived)
        records.passOn(.freed)
    }
}

extension SharedQueue {
    /// As ``getDelivery(timeout:)``, for who got an item a moment ago and expects another.
    func getDelivery(timeout: Duration? = nil, _ spin: inout Spin) throws(SpoolError) -> Delivery<
        Item
    > {
        let held = try records.get(timeout: timeout, &spin)
        return Delivery(try read(held), held)
    }
}

extension SharedQueue: Codable {
    /// Hands the queue to another process, as an argument of a child or over a connection.
    /// - Throws: `badInput` where what is encoded goes no way that carries descriptors.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(encoder.passDescriptor(descriptor, of: "SharedQueue"))
    }

    /// The same queue in the process that it was handed to.
    /// - Throws: as ``init(mapping:)``, and `badInput` when no descriptor came along.
    public convenience init(from decoder: any Decoder) throws {
        let index = try decoder.singleValueContainer().decode(Int.self)
        try self.init(mapping: decoder.takeDescriptor(index, of: "SharedQueue"))
    }
}

/// An item, and how often it was handed out.
public struct Delivery<Item: Sendable>: Sendable {
    /// What was put.
    public let item: Item
    /// 1 for the first; one more each time that a process died with it.
    public let number: Int
    let index: UInt32
    let itemNumber: UInt64

    @usableFromInline init(_ item: Item, _ held: HeldRecord) {
        self.item = item
        number = held.deliveries
        index = held.index
        itemNumber = held.number
    }
}
