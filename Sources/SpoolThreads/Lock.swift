// Lock.swift - a mutual-exclusion lock, for threads and tasks.
//
// Invariant: the word is 0 when free, 1 when held, 2 when held and somebody may wait. Whoever waits has set it to 2
// with the line's lock held, and a release that finds 2 wakes the first of the line, which tries again and sets it to 2
// again: so while somebody sleeps, either the word is 2 or one that was woken is on its way. Not over pthread_mutex_t:
// a task that holds the lock may go on in another thread. Not Synchronization.Mutex: it is 40 times slower under
// contention (FUTEX_LOCK_PI), and it traps in the main thread of a forked child.

public import Synchronization

/// A mutual-exclusion lock, not recursive. See threading.Lock in Python.
///
/// Safe from any thread and task. It belongs to nobody: as in Python any thread may release it, because a task that
/// holds it may go on in another thread. Those that wait are served in the order in which they came, but one that comes
/// at the right moment may slip in: strict order would make every hand-over wait for a sleeper. A forked child must not
/// use a lock that another thread may have held at the fork.
public final class Lock: @unchecked Sendable {  // raw memory, made to be shared
    @usableFromInline let word: UnsafeMutablePointer<Atomic<UInt32>>
    let sleepers = Monitor(())

    /// A lock that is free.
    public init() {
        word = .allocate(capacity: 1)
        word.initialize(to: Atomic(0))
    }

    deinit {
        word.deinitialize(count: 1)
        word.deallocate()
    }

    /// Whether somebody holds it: a hint, as it may have changed when you read it.
    public var locked: Bool { word.pointee.load(ordering: .acquiring) != 0 }

    /// Takes the lock, blocking the thread until it is free. Taking it twice without a release waits for ever.
    @inlinable public func acquire() {
        if !tryAcquire() { _ = acquireSlowly(until: .never) }
    }

    /// Takes the lock if it is free within `timeout`; zero only looks, nil waits for ever.
    /// - Returns: False when the time was up: then the caller does not hold it.
    /// - Throws: `badInput` for a negative time or one longer than ``Deadline/longestTimeout``.
    @inlinable public func acquire(timeout: Duration?) throws(SpoolError) -> Bool {
        let deadline = try Deadline(checking: timeout)
        return tryAcquire() || acquireSlowly(until: deadline)
    }

    /// Takes the lock if it is free; waits for it only when `blocking`.
    /// - Returns: Whether the caller holds it now.
    @inlinable public func acquire(blocking: Bool) -> Bool {
        tryAcquire() || blocking && acquireSlowly(until: .never)
    }

    /// Gives the lock back, and wakes the first that waits for it. Any thread may do that.
    ///
    /// Releasing a lock that nobody holds is a mistake of the program and ends it with a sentence.
    @inlinable public func release() {
        let before = word.pointee.exchange(0, ordering: .releasing)
        precondition(before != 0, "release() of a Lock that nobody holds.")
        if before == 2 { wakeFirst() }
    }

    /// Runs `body` while holding the lock, and gives back what it returns or throws.
    @inlinable public func withLock<Value, Failure: Error>(
        _ body: () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        acquire()
        defer { release() }
        return try body()
    }

    @inlinable func tryAcquire() -> Bool {
        word.pointee.compareExchange(expected: 0, desired: 1, ordering: .acquiring).exchanged
    }

    @usableFromInline func acquireSlowly(until deadline: Deadline) -> Bool {
        var (isMine, hasSlept) = (false, false)
        while true {
            let outcome = sleepers.wait(atFront: hasSlept, until: deadline) { _, _ in
                isMine = mark()
                return isMine
            }
            if isMine { return true }
            // Woken is not served: another may have come first. Who was woken looks once more, whatever the time is.
            if outcome == .timedOut { return false }
            hasSlept = true
        }
    }

    /// Takes the lock or says that somebody waits for it.
    private func mark() -> Bool { word.pointee.exchange(2, ordering: .acquiring) == 0 }

    @usableFromInline func wakeFirst() {
        sleepers.withLock { _, line in line.takeFirst() }.wake()
    }
}

extension Lock {
    // MARK: - For tasks

    /// Takes the lock, suspending the task until it is free; no thread is blocked.
    /// - Throws: `CancellationError` when the task was cancelled before: then it does not hold the lock.
    public nonisolated(nonsending) func acquire() async throws {
        _ = try await acquire(timeout: nil)
    }

    /// As the blocking form, for tasks: no thread is blocked.
    /// - Throws: as the blocking form, and `CancellationError` when the task was cancelled before the lock was free:
    ///   then it does not hold it.
    public nonisolated(nonsending) func acquire(timeout: Duration?) async throws -> Bool {
        try await acquire(until: Deadline(checking: timeout))
    }

    nonisolated(nonsending) func acquire(until deadline: Deadline) async throws -> Bool {
        try Task.checkCancellation()
        if tryAcquire() { return true }
        var (isMine, hasSlept) = (false, false)
        while true {
            let outcome = try await sleepers.wait(atFront: hasSlept, until: deadline) { _, _ in
                isMine = mark()
                return isMine
            }
            if isMine { return true }
            if outcome == .cancelled {
                // It was woken, and does not look any more: the next one must.
                if hasSlept { wakeFirst() }
                throw CancellationError()
            }
            if outcome == .timedOut { return false }
            hasSlept = true
        }
    }

    /// Runs `body` while holding the lock, also across its suspensions. Its name is its own because code of tasks takes
    /// the blocking ``withLock(_:)`` too, where the lock is held for nanoseconds.
    /// - Throws: `CancellationError` when the task was cancelled before the lock was free, and what `body` throws.
    public nonisolated(nonsending) func withLockAsync<Value>(
        _ body: nonisolated(nonsending) () async throws -> Value
    ) async throws -> Value {
        try await acquire()
        defer { release() }
        return try await body()
    }

    /// For a wait that must end with the lock held, cancelled or not.
    nonisolated(nonsending) func acquireUncancelled() async {
        guard !tryAcquire() else { return }
        var (isMine, hasSlept) = (false, false)
        while !isMine {
            await sleepers.waitUncancelled(atFront: hasSlept) { _, _ in
                isMine = mark()
                return isMine
            }
            hasSlept = true
        }
    }
}
