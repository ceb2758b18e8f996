// RLock.swift - a lock that its holder may take again.
//
// Invariants: `owner` is who holds the lock, or 0; only the holder writes it and `depth`, so whoever reads its own name
// there is the holder. A task is its own owner, whichever thread runs it; code without a task is its thread's.

private import Glibc
private import Synchronization

/// A lock that its holder may take several times, and that is free after as many releases. See threading.RLock.
///
/// Safe from any thread and task. The holder is the task that runs, or the thread when none does; only the holder may
/// release it. A forked child must not use one that another thread may have held at the fork.
public final class RLock: @unchecked Sendable {  // its depth is the holder's
    private let lock = Lock()
    private let owner = Atomic<UInt>(0)
    private var depth = 0

    /// A lock that is free.
    public init() {}

    /// Whether the caller holds it.
    public var isOwned: Bool { owner.load(ordering: .relaxed) == Self.caller }

    /// How often the caller has taken it; 0 when it does not hold it. For tests and debugging.
    public var recursionCount: Int { isOwned ? depth : 0 }

    /// Whether somebody holds it: a hint, as it may have changed when you read it.
    public var locked: Bool { lock.locked }

    /// Takes the lock, blocking the thread until it is free or the caller's own.
    public func acquire() { acquire(depth: 1) }

    /// Takes the lock if it is free, or the caller's own, within `timeout`; zero only looks, nil waits for ever.
    /// - Returns: False when the time was up: then nothing has changed.
    /// - Throws: `badInput` for a negative time or one longer than ``Deadline/longestTimeout``.
    public func acquire(timeout: Duration?) throws(SpoolError) -> Bool {
        let deadline = try Deadline(checking: timeout)
        return reenter() || enter(lock.tryAcquire() || lock.acquireSlowly(until: deadline))
    }

    /// Takes the lock if it is free or the caller's own; waits for it only when `blocking`.
    /// - Returns: Whether the caller has taken it.
    public func acquire(blocking: Bool) -> Bool {
        reenter() || enter(lock.acquire(blocking: blocking))
    }

    /// Undoes one `acquire`. Only for the holder: anything else is a mistake of the program and ends it with a
    /// sentence.
    public func release() {
        precondition(isOwned, "release() of an RLock that the caller does not hold.")
        depth -= 1
        if depth == 0 { free() }
    }

    /// Runs `body` while holding the lock, and gives back what it returns or throws.
    public func withLock<Value, Failure: Error>(
        _ body: () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        acquire()
        defer { release() }
        return try body()
    }

    func acquire(depth count: Int) {
        if reenter() { return }
        lock.acquire()
        _ = enter(true, count)
    }

    /// Gives the lock back however often it was taken; returns how often that was.
    func releaseAll() -> Int {
        defer { free() }
        return depth
    }

    private func reenter() -> Bool {
        guard isOwned else { return false }
        depth += 1
        return true
    }

    private func enter(_ isTaken: Bool, _ count: Int = 1) -> Bool {
        guard isTaken else { return false }
        owner.store(Self.caller, ordering: .relaxed)
        depth = count
        return true
    }

    private func free() {
        depth = 0
        owner.store(0, ordering: .relaxed)
        lock.release()
    }

    /// The address of the running task, or of the thread: no two that live have the same.
    private static var caller: UInt {
        let task = withUnsafeCurrentTask { unsafeBitCast($0, to: UInt.self) }
        return task != 0 ? task : UInt(pthread_self())
    }
}

extension RLock {
    // MARK: - For tasks

    /// Takes the lock, suspending the task until it is free or its own; no thread is blocked.
    /// - Throws: `CancellationError` when the task was cancelled before: then nothing has changed.
    public nonisolated(nonsending) func acquire() async throws {
        _ = try await acquire(timeout: nil)
    }

    /// As the blocking form, for tasks: no thread is blocked.
    /// - Throws: as the blocking form, and `CancellationError` when the task was cancelled before: then nothing has
    ///   changed.
    public nonisolated(nonsending) func acquire(timeout: Duration?) async throws -> Bool {
        let deadline = try Deadline(checking: timeout)
        if reenter() { return true }
        return enter(try await lock.acquire(until: deadline))
    }

    /// Runs `body` while holding the lock, also across its suspensions. As ``Lock/withLockAsync(_:)``.
    /// - Throws: `CancellationError` when the task was cancelled before the lock was free, and what `body` throws.
    public nonisolated(nonsending) func withLockAsync<Value>(
        _ body: nonisolated(nonsending) () async throws -> Value
    ) async throws -> Value {
        try await acquire()
        defer { release() }
        return try await body()
    }

    nonisolated(nonsending) func acquireUncancelled(depth count: Int) async {
        await lock.acquireUncancelled()
        _ = enter(true, count)
    }
}
