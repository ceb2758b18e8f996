// MemoryQueue.swift - the queue for threads and tasks of one process: waiting written once, over any storage.
//
// Invariants, all under the lock: nobody sleeps in `getters` while an item is there that nobody was woken for, nor
// in `putters` while a place is free. A put wakes one getter, a get one putter, and only if somebody really sleeps
// and no thread is just waking up for it, which then wakes the next. Who is woken looks again; another may have come
// first, and then it waits at the front. unfinished = puts - finished: `finished` moves without the lock, and only a
// taskDone that makes both equal looks for who joins.

public import SpoolThreads
public import Synchronization

/// A joinable queue in memory, first in, first out. See queue.Queue in Python.
public typealias Queue<Item: Sendable> = MemoryQueue<Ring<Item>>

/// A joinable queue in memory that gives back the newest item first. See queue.LifoQueue in Python.
public typealias LifoQueue<Item: Sendable> = MemoryQueue<Stack<Item>>

/// A joinable queue in memory that gives back the smallest item first, equals in the order in which they came.
///
/// For items that cannot be compared use ``PrioritizedItem``. See queue.PriorityQueue in Python.
public typealias PriorityQueue<Item: Comparable & Sendable> = MemoryQueue<Heap<Item>>

/// A joinable queue in memory, in the order of its storage: ``Queue``, ``LifoQueue``, ``PriorityQueue``.
///
/// Safe from any thread and any task of one process; a forked child must not use a queue of its parent.
/// Blocking verbs are for threads; the async ones of the same name (MemoryQueue+Async.swift) never block the
/// cooperative pool.
public final class MemoryQueue<Storage: QueueStorage & ~Copyable>: JoinableQueue,
    @unchecked Sendable  // raw memory, guarded by its own lock
{
    /// What is put and got.
    public typealias Item = Storage.Item

    @usableFromInline let lock: WordLock
    @usableFromInline let state: UnsafeMutablePointer<QueueState<Storage>>
    @usableFromInline let lines: UnsafeMutablePointer<WakingLine>
    @usableFromInline let tally: UnsafeMutablePointer<QueueTally>

    /// An empty queue.
    /// - Parameter maxsize: How many items it holds before put waits; 0 has no bound, less than 0 is a mistake.
    @inlinable public init(maxsize: Int = 0) {
        precondition(maxsize >= 0, "a queue's maxsize cannot be negative; 0 has no bound.")
        let word = UnsafeMutablePointer<Atomic<UInt32>>.allocate(capacity: 1)
        word.initialize(to: Atomic(0))
        lock = WordLock(word)
        state = .allocate(capacity: 1)
        state.initialize(to: QueueState(maxsize))
        lines = .allocate(capacity: QueueLine.allCases.count)
        lines.initialize(repeating: WakingLine(), count: QueueLine.allCases.count)
        tally = .allocate(capacity: 1)
        tally.initialize(to: QueueTally())
    }

    @inlinable deinit {
        state.deinitialize(count: 1)
        state.deallocate()
        lines.deallocate()
        tally.deinitialize(count: 1)
        tally.deallocate()
        lock.word.deallocate()
    }

    // MARK: - Without waiting

    /// Puts the item if there is room, and wakes one that waits for it.
    /// - Returns: False when the queue is full.
    @inlinable func tryPut(_ item: Item) throws(SpoolError) -> Bool {
        lock.acquire()
        let hasRoom = state.pointee.storage.count < state.pointee.limit
        guard hasRoom, !state.pointee.isShutDown else {
            let isShutDown = state.pointee.isShutDown
            lock.release()
            if isShutDown { throw .shutDown }
            return false
        }
        do throws(SpoolError) {
            try state.pointee.storage.append(item)
        } catch {
            throw giveUpPlace(because: error)
        }
        let puts = state.pointee.puts.load(ordering: .relaxed)
        state.pointee.puts.store(puts &+ 1, ordering: .relaxed)
        let getter = lines[QueueLine.getters.rawValue].takeFirst()
        lock.release()
        getter.wake()
        return true
    }

    /// Takes the next item if there is one, and wakes one that waits for its place.
    @inlinable func tryGet() throws(SpoolError) -> Item? {
        lock.acquire()
        guard state.pointee.storage.count > 0 else {
            let isShutDown = state.pointee.isShutDown
            lock.release()
            if isShutDown { throw .shutDown }
            return nil
        }
        let item: Item
        do throws(SpoolError) {
            item = try state.pointee.storage.removeNext()
        } catch {
            throw giveUpItem(because: error)
        }
        let putter = lines[QueueLine.putters.rawValue].takeFirst()
        lock.release()
        putter.wake()
        return item
    }

    /// The storage refused the item: the place is free for the next that waits for one.
    @usableFromInline func giveUpPlace(because error: SpoolError) -> SpoolError {
        let putter = lines[QueueLine.putters.rawValue].takeFirst()
        lock.release()
        putter.wake()
        return error
    }

    /// The storage kept the item: it is there for the next that waits for one.
    @usableFromInline func giveUpItem(because error: SpoolError) -> SpoolError {
        let getter = lines[QueueLine.getters.rawValue].takeFirst()
        lock.release()
        getter.wake()
        return error
    }
}

/// What can be waited for: an item, a place, the end of the work.
@usableFromInline enum QueueLine: Int, CaseIterable {
    case getters, putters, joiners
}

/// What the lock guards, but for `puts`, which is read without it.
@usableFromInline struct QueueState<Storage: QueueStorage & ~Copyable>: ~Copyable {
    @usableFromInline var storage = Storage()
    /// The bound; Int.max for none.
    @usableFromInline var limit: Int
    @usableFromInline var isShutDown = false
    @usableFromInline let puts = Atomic<Int>(0)

    @inlinable init(_ maxsize: Int) { limit = maxsize == 0 ? .max : maxsize }
}

/// What moves without the lock, away from what the lock guards.
@usableFromInline struct QueueTally: ~Copyable {
    @usableFromInline let finished = Atomic<Int>(0)
    /// How many join. Raised before a joiner looks at the counts, so that the last taskDone sees it or it sees that.
    @usableFromInline let joining = Atomic<Int>(0)

    @inlinable init() {}
}

extension MemoryQueue where Storage: ~Copyable {
    // MARK: - Looking

    /// How many items can be got: a hint, as it may have changed when you read it. Python's qsize.
    public var count: Int {
        lock.acquire()
        defer { lock.release() }
        return state.pointee.storage.count
    }

    /// How many items were put and are not finished: a hint. Python's unfinished_tasks.
    @inlinable public var unfinished: Int {
        let finished = tally.pointee.finished.load(ordering: .sequentiallyConsistent)
        return state.pointee.puts.load(ordering: .acquiring) - finished
    }

    /// Whether a put would have to wait: a hint.
    public var isFull: Bool {
        lock.acquire()
        defer { lock.release() }
        return state.pointee.storage.count >= state.pointee.limit
    }

    /// How many threads and tasks wait in get: a hint.
    public var waiting: Int { waiting(in: .getters) }

    func waiting(in line: QueueLine) -> Int {
        lock.acquire()
        defer { lock.release() }
        return lines[line.rawValue].line.count
    }

    /// How many items it holds before put waits; 0 has no bound. Setting less than it holds drops nothing: put waits
    /// until there is room again. Less than 0 is a mistake. Safe from any thread.
    public var maxsize: Int {
        get {
            lock.acquire()
            defer { lock.release() }
            return state.pointee.limit == .max ? 0 : state.pointee.limit
        }
        set {
            precondition(newValue >= 0, "a queue's maxsize cannot be negative; 0 has no bound.")
            lock.acquire()
            state.pointee.limit = newValue == 0 ? .max : newValue
            let putters = lines[QueueLine.putters.rawValue].line.takeAll()
            lock.release()
            putters.wake()
        }
    }

    // MARK: - The end

    /// Ends the queue and wakes everybody who waits: put throws `shutDown`, and get does when nothing is left.
    /// Safe from any thread; calling it again is harmless. See queue.Queue.shutdown in Python 3.13.
    /// - Parameter immediate: Also drops what was not got yet and counts it as finished; what was got stays
    ///   unfinished until its taskDone.
    public func shutdown(immediate: Bool = false) {
        var dropped: Storage? = nil
        lock.acquire()
        state.pointee.isShutDown = true
        if immediate {
            dropped = exchange(&state.pointee.storage, with: Storage())
            settle(dropped?.count ?? 0)
        }
        let chains = QueueLine.allCases.map { lines[$0.rawValue].line.takeAll() }
        lock.release()
        for woken in chains { woken.wake() }
        _ = consume dropped  // outside the lock: the end of an item may use the queue
    }

    /// Counts items as finished that nobody will get; never more than are unfinished.
    private func settle(_ count: Int) {
        let puts = state.pointee.puts.load(ordering: .relaxed)
        var finished = tally.pointee.finished.load(ordering: .acquiring)
        while true {
            let (isCounted, seen) = tally.pointee.finished.compareExchange(
                expected: finished, desired: min(puts, finished + count),
                ordering: .sequentiallyConsistent)
            if isCounted { return }
            finished = seen
        }
    }
}
