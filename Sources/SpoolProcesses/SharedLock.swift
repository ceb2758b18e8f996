// SharedLock.swift - a mutual-exclusion lock for the threads and tasks of several processes.
//
// The lock is one word of shared memory (SeatLock); this file says who may do what with it. A task holds it by a thread
// of its own (Sitters): `tasks` says which.

private import CSpool
public import SpoolThreads

/// A mutual-exclusion lock that several processes share, not recursive. See multiprocessing.Lock in Python,
/// pthread_mutexattr_setrobust(3).
///
/// Its holder is a thread, or a task. Whoever holds it may be killed at any instant: the next one gets it, and is told
/// so by ``previousOwnerDied``, because what the lock protects may be half changed. A thread that ends with the
/// lock counts as dead. Safe from any thread and task of any process that has it: a forked child has it too, but not
/// what its parent holds. Served in no strict order. At most 1,023 threads use it at once.
public final class SharedLock: Sendable {
    let core: SharedLockCore

    /// A lock that is free, in memory of its own.
    /// - Throws: `system` when memory or descriptors are short.
    public init() throws(SpoolError) { core = try SharedLockCore(kind: Self.kind) }

    init(_ memory: SharedMemory) throws(SpoolError) {
        core = try SharedLockCore(memory, kind: Self.kind)
    }

    private static let kind: UInt64 = 0x5350_4F4F_4C4C_3101

    /// Whether a living holder has it: a hint, as it may have changed when you read it.
    public var locked: Bool { core.locked }

    /// Whether the caller holds it.
    public var isOwned: Bool { core.owner() != nil }

    /// For the holder: whether the one before it died with the lock, so that what it protects may be half changed.
    /// False after the next release, and for who does not hold it.
    public var previousOwnerDied: Bool { core.previousOwnerDied }

    /// Takes the lock, blocking the thread until it is free or its holder is dead.
    /// - Throws: `badInput` when the caller holds it already: it would wait for ever.
    public func acquire() throws(SpoolError) {
        try core.refuseAgain()
        _ = try core.acquire(until: .never)
    }

    /// Takes the lock if it is free within `timeout`; zero only looks, nil waits for ever.
    /// - Returns: False when the time was up: then the caller does not hold it.
    /// - Throws: `badInput` for a negative time or one longer than ``Deadline/longestTimeout``, and when the caller
    ///   holds it already and would wait for ever.
    public func acquire(timeout: Duration?) throws(SpoolError) -> Bool {
        let deadline = try Deadline(checking: timeout)
        if deadline == .never { try core.refuseAgain() }
        return try core.acquire(until: deadline)
    }

    /// Takes the lock if it is free; waits for it only when `blocking`.
    /// - Returns: Whether the caller holds it now.
    public func acquire(blocking: Bool) throws(SpoolError) -> Bool {
        try acquire(timeout: blocking ? nil : .zero)
    }

    /// Gives the lock back. Only for its holder: anything else is a mistake of the program and ends it with a sentence.
    public func release() { core.release("SharedLock") }

    /// Runs `body` while holding the lock, and gives back what it returns or throws.
    /// - Parameter body: Is told whether the one that held the lock before died with it.
    public func withLock<Value>(_ body: (_ previousOwnerDied: Bool) throws -> Value) throws -> Value
    {
        try acquire()
        defer { release() }
        return try body(previousOwnerDied)
    }
}

extension SharedLock {
    // MARK: - For tasks

    /// Takes the lock, suspending the task until it is free or its holder is dead; no thread of the pool is blocked.
    /// - Throws: `CancellationError` when the task was cancelled before: then it does not hold the lock; `badInput`
    ///   when it holds it already; `system` when there is no thread to hold it for the task.
    public nonisolated(nonsending) func acquire() async throws {
        _ = try await acquire(timeout: nil)
    }

    /// As the blocking form, for tasks.
    /// - Throws: as the blocking form, and `CancellationError` when the task was cancelled before the lock was free.
    public nonisolated(nonsending) func acquire(timeout: Duration?) async throws -> Bool {
        let deadline = try Deadline(checking: timeout)
        if deadline == .never { try core.refuseAgain() }
        return try await core.acquire(until: deadline)
    }

    /// Runs `body` while holding the lock, also across its suspensions. Its name is its own, as that of
    /// ``Lock/withLockAsync(_:)``.
    /// - Throws: `CancellationError` when the task was cancelled before the lock was free, and what `body` throws.
    public nonisolated(nonsending) func withLockAsync<Value>(
        _ body: nonisolated(nonsending) (_ previousOwnerDied: Bool) async throws -> Value
    ) async throws -> Value {
        try await acquire()
        defer { release() }
        return try await body(previousOwnerDied)
    }
}
