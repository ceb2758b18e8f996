// SharedRLock.swift - a lock of several processes that its holder may take again.

public import SpoolThreads

/// A lock that its holder may take several times, and that is free after as many releases, for several processes. See
/// multiprocessing.RLock in Python.
///
/// The holder is a thread of a process, or a task. As ``SharedLock`` it survives its holder's death, however often that
/// one had taken it, and tells the next one.
public final class SharedRLock: Sendable {
    let core: SharedLockCore

    /// A lock that is free, in memory of its own.
    /// - Throws: `system` when memory or descriptors are short.
    public init() throws(SpoolError) { core = try SharedLockCore(kind: Self.kind) }

    init(_ memory: SharedMemory) throws(SpoolError) {
        core = try SharedLockCore(memory, kind: Self.kind)
    }

    private static let kind: UInt64 = 0x5350_4F4F_4C52_3101

    /// Whether a living holder has it: a hint, as it may have changed when you read it.
    public var locked: Bool { core.locked }

    /// Whether the caller holds it.
    public var isOwned: Bool { core.owner() != nil }

    /// How often the caller has taken it; 0 when it does not hold it. For tests and debugging.
    public var recursionCount: Int { isOwned ? core.depth : 0 }

    /// For the holder: whether the one before it died with the lock. See ``SharedLock/previousOwnerDied``.
    public var previousOwnerDied: Bool { core.previousOwnerDied }

    /// Takes the lock, blocking the thread until it is free, or its holder is dead or the caller.
    /// - Throws: `badInput` when more than 1,023 threads use it.
    public func acquire() throws(SpoolError) { _ = try acquire(timeout: nil) }

    /// Takes the lock if it is free, or the caller's own, within `timeout`; zero only looks, nil waits for ever.
    /// - Returns: False when the time was up: then nothing has changed.
    /// - Throws: `badInput` for a negative time or one longer than ``Deadline/longestTimeout``.
    public func acquire(timeout: Duration?) throws(SpoolError) -> Bool {
        let deadline = try Deadline(checking: timeout)
        if core.reenter() { return true }
        return core.enter(try core.acquire(until: deadline))
    }

    /// Takes the lock if it is free or the caller's own; waits for it only when `blocking`.
    /// - Returns: Whether the caller has taken it.
    public func acquire(blocking: Bool) throws(SpoolError) -> Bool {
        try acquire(timeout: blocking ? nil : .zero)
    }

    /// Undoes one `acquire`. Only for the holder: anything else is a mistake of the program and ends it with a
    /// sentence.
    public func release() {
        precondition(isOwned, "release() of a SharedRLock that the caller does not hold.")
        core.depth -= 1
        if core.depth == 0 { core.release("SharedRLock") }
    }

    /// Runs `body` while holding the lock, and gives back what it returns or throws.
    /// - Parameter body: Is told whether the one that held the lock before died with it.
    public func withLock<Value>(_ body: (_ previousOwnerDied: Bool) throws -> Value) throws -> Value
    {
        try acquire()
        defer { release() }
        return try body(previousOwnerDied)
    }
}

extension SharedRLock {
    // MARK: - For tasks

    /// Takes the lock, suspending the task until it is free, or its holder is dead or the task.
    /// - Throws: `CancellationError` when the task was cancelled before: then nothing has changed; `system` when there
    ///   is no thread to hold it for the task.
    public nonisolated(nonsending) func acquire() async throws {
        _ = try await acquire(timeout: nil)
    }

    /// As the blocking form, for tasks.
    /// - Throws: as the blocking form, and `CancellationError` when the task was cancelled before: then nothing has
    ///   changed.
    public nonisolated(nonsending) func acquire(timeout: Duration?) async throws -> Bool {
        let deadline = try Deadline(checking: timeout)
        if core.reenter() { return true }
        return core.enter(try await core.acquire(until: deadline))
    }

    /// Runs `body` while holding the lock, also across its suspensions. As ``SharedLock/withLockAsync(_:)``.
    /// - Throws: `CancellationError` when the task was cancelled before the lock was free, and what `body` throws.
    public nonisolated(nonsending) func withLockAsync<Value>(
        _ body: nonisolated(nonsending) (_ previousOwnerDied: Bool) async throws -> Value
    ) async throws -> Value {
        try await acquire()
        defer { release() }
        return try await body(previousOwnerDied)
    }
}
