// MemoryQueue+Waiting.swift - the verbs for threads, and what they share with those for tasks.

public import SpoolThreads
public import Synchronization

extension MemoryQueue where Storage: ~Copyable {
    /// Puts an item, waiting while the queue is full.
    ///
    /// Safe from any thread; blocks it. Those that wait are served in the order in which they came, but one
    /// that comes at the right moment may slip in, as with every queue of this kind.
    /// - Parameter timeout: Longest wait; nil waits for ever, zero only looks.
    /// - Throws: `full` when the time is up, `shutDown`, `badInput` for a negative time, or what the storage
    ///   throws; the item was not put then. See queue.Queue.put in Python.
    @inlinable public func put(_ item: Item, timeout: Duration? = nil) throws(SpoolError) {
        try check(timeout)
        if try tryPut(item) { return }
        let deadline = Deadline(after: timeout)
        let isPut = try wait(in: .putters, until: deadline) { () throws(SpoolError) in
            try tryPut(item) ? true : nil
        }
        guard isPut != nil else { throw .full }
    }

    /// Takes the next item, waiting while the queue is empty. Follow it with ``taskDone()`` when the work is
    /// finished.
    ///
    /// Safe from any thread; blocks it.
    /// - Parameter timeout: Longest wait; nil waits for ever, zero only looks.
    /// - Throws: `empty` when the time is up, `shutDown` when the queue is shut down and empty, `badInput` for
    ///   a negative time, or what the storage throws. See queue.Queue.get in Python.
    @inlinable public func get(timeout: Duration? = nil) throws(SpoolError) -> Item {
        try check(timeout)
        if let item = try tryGet() { return item }
        let deadline = Deadline(after: timeout)
        let item = try wait(in: .getters, until: deadline) { () throws(SpoolError) in
            try tryGet()
        }
        guard let item else { throw .empty }
        return item
    }

    /// As ``put(_:timeout:)`` without waiting. Python's put_nowait.
    /// - Throws: `full`, `shutDown`.
    @inlinable public func putNowait(_ item: Item) throws(SpoolError) {
        guard try tryPut(item) else { throw .full }
    }

    /// As ``get(timeout:)`` without waiting. Python's get_nowait.
    /// - Throws: `empty`, `shutDown`.
    @inlinable public func getNowait() throws(SpoolError) -> Item {
        guard let item = try tryGet() else { throw .empty }
        return item
    }

    /// Says that one item that was got is finished. The last one wakes who joins. Never waits; safe from any thread.
    /// - Throws: `taskDoneTooOften` when nothing is unfinished; nothing changes then. See queue.Queue.task_done.
    @inlinable public func taskDone() throws(SpoolError) {
        var finished = tally.pointee.finished.load(ordering: .acquiring)
        while true {
            // Read after `finished`: what is counted there had been counted here before.
            let puts = state.pointee.puts.load(ordering: .relaxed)
            guard finished < puts else { throw .taskDoneTooOften }
            let (isCounted, seen) = tally.pointee.finished.compareExchange(
                expected: finished, desired: finished + 1, ordering: .sequentiallyConsistent)
            if isCounted {
                if finished + 1 == puts { wakeJoiners() }
                return
            }
            finished = seen
        }
    }

    /// Waits until everything that was put is finished, what is put meanwhile too. Safe from any thread; blocks it.
    /// - Parameter timeout: Longest wait; nil waits for ever, zero only looks.
    /// - Returns: False when the time was up before.
    /// - Throws: `badInput` for a negative time. See queue.Queue.join in Python.
    @discardableResult
    public func join(timeout: Duration? = nil) throws(SpoolError) -> Bool {
        try check(timeout)
        guard unfinished > 0 else { return true }
        let deadline = Deadline(after: timeout)
        tally.pointee.joining.add(1, ordering: .sequentiallyConsistent)
        defer { tally.pointee.joining.subtract(1, ordering: .relaxed) }
        return try wait(in: .joiners, until: deadline) { unfinished == 0 ? true : nil } ?? false
    }

    @inlinable func check(_ timeout: Duration?) throws(SpoolError) {
        if let timeout, timeout < .zero { throw .badInput("a timeout cannot be negative.") }
    }

    /// Looks and sleeps in turn until `look` finds something; looks a last time when the deadline has passed.
    @inlinable func wait<Value>(
        in line: QueueLine, until deadline: Deadline, _ look: () throws(SpoolError) -> Value?
    ) throws(SpoolError) -> Value? {
        var hasSlept = false
        while !deadline.isPast {
            lock.acquire()
            if isVain(line) {
                lock.release()
            } else {
                let outcome = Waiter.sleep(
                    in: waiters(line), atFront: hasSlept, lock, until: deadline)
                hasSlept = outcome == .woken
                if hasSlept { passOn(line) }
            }
            if let value = try look() { return value }
        }
        return nil
    }

    /// A thread that woke up wakes others for what there is more than it will take itself: tasks, up to the next
    /// thread, which then does the same.
    @usableFromInline func passOn(_ line: QueueLine) {
        lock.acquire()
        lines[line.rawValue].isWaking = false
        let count = state.pointee.storage.count
        let more =
            switch line {
            case .getters: count - 1
            case .putters: state.pointee.limit - count - 1
            case .joiners: 0
            }
        let woken = lines[line.rawValue].take(upTo: more)
        lock.release()
        woken.wake()
    }

    /// The line itself; it stands first.
    @inlinable func waiters(_ line: QueueLine) -> UnsafeMutablePointer<WaitingLine> {
        UnsafeMutableRawPointer(lines + line.rawValue).assumingMemoryBound(to: WaitingLine.self)
    }

    /// Whether a wait in the line would be for what is there already. Called with the lock held.
    @inlinable func isVain(_ line: QueueLine) -> Bool {
        switch line {
        case .getters: state.pointee.storage.count > 0 || state.pointee.isShutDown
        case .putters: state.pointee.storage.count < state.pointee.limit || state.pointee.isShutDown
        case .joiners: unfinished == 0
        }
    }

    @usableFromInline func wakeJoiners() {
        guard tally.pointee.joining.load(ordering: .sequentiallyConsistent) > 0 else { return }
        lock.acquire()
        let joiners =
            unfinished == 0 ? lines[QueueLine.joiners.rawValue].line.takeAll() : WokenWaiters()
        lock.release()
        joiners.wake()
    }
}
