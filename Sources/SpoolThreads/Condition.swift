// Condition.swift - what those that hold a lock wait on until another one says that things changed.
//
// Invariant: a waiter stands in the line before the lock is released, so a notification that comes with the lock held
// afterwards finds it. Each notification takes its waiters out: exactly as many wake as were meant, none by itself.

/// Lets threads and tasks that hold a lock wait until another one notifies them. See threading.Condition in Python.
///
/// Safe from any thread and task; not across a fork. As in Python every verb but `acquire` wants the lock held, and a
/// call without it is a mistake of the program that ends it with a sentence.
public final class Condition: Sendable {
    private enum Guard: Sendable {
        case plain(Lock)
        case recursive(RLock)
    }

    private let lock: Guard
    private let sleepers = Monitor(())

    /// A condition over a lock of its own, which is recursive.
    public convenience init() { self.init(RLock()) }

    /// A condition over this lock; several conditions may share one.
    public init(_ lock: Lock) { self.lock = .plain(lock) }

    /// A condition over this lock; several conditions may share one. A wait releases it however often it was taken.
    public init(_ lock: RLock) { self.lock = .recursive(lock) }

    /// Takes the lock, blocking the thread until it is free. Tasks take the lock that the condition was given.
    public func acquire() {
        switch lock {
        case .plain(let lock): lock.acquire()
        case .recursive(let lock): lock.acquire()
        }
    }

    /// Gives the lock back.
    public func release() {
        switch lock {
        case .plain(let lock): lock.release()
        case .recursive(let lock): lock.release()
        }
    }

    /// Runs `body` while holding the lock, and gives back what it returns or throws.
    public func withLock<Value, Failure: Error>(
        _ body: () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        acquire()
        defer { release() }
        return try body()
    }

    // MARK: - Waiting

    /// Releases the lock, sleeps until a notification or the deadline, takes the lock again.
    /// - Returns: False when the deadline came first.
    @discardableResult
    public func wait(until deadline: Deadline = .never) -> Bool {
        requireLock("wait()")
        var depth = 0
        let outcome = sleepers.wait(until: deadline) { _, _ in
            depth = releaseAll()
            return false
        }
        switch lock {
        case .plain(let lock): lock.acquire()
        case .recursive(let lock): lock.acquire(depth: depth)
        }
        return outcome == .woken
    }

    /// As ``wait(until:)``, for at most `timeout`; nil waits for ever.
    /// - Throws: `badInput` for a negative time or one longer than ``Deadline/longestTimeout``; then it did not wait.
    @discardableResult
    public func wait(timeout: Duration?) throws(SpoolError) -> Bool {
        wait(until: try Deadline(checking: timeout))
    }

    /// Waits until `predicate`, which is asked with the lock held at once and after each notification, holds.
    /// - Parameter timeout: Longest wait in all; nil waits for ever, zero only looks.
    /// - Returns: What `predicate` said last: false when the time was up.
    /// - Throws: `badInput` for a negative time or one longer than ``Deadline/longestTimeout``, and what `predicate`
    ///   throws. Python's wait_for.
    @discardableResult
    public func waitFor(
        timeout: Duration? = nil, _ predicate: () throws -> Bool
    ) throws -> Bool {
        let deadline = try Deadline(checking: timeout)
        requireLock("waitFor()")
        while try !predicate() {
            guard wait(until: deadline) else { return try predicate() }
        }
        return true
    }

    /// Wakes up to `count` of those that wait, the first ones; a mistake if it is negative.
    public func notify(_ count: Int = 1) {
        precondition(count >= 0, "notify() of a negative number.")
        requireLock("notify()")
        sleepers.withLock { _, line in line.take(upTo: count) }.wake()
    }

    /// Wakes all that wait.
    public func notifyAll() { notify(.max) }

    /// How many wait: a hint.
    public var waiting: Int { sleepers.waiting }

    private func requireLock(_ verb: String) {
        let isHeld =
            switch lock {
            case .plain(let lock): lock.locked
            case .recursive(let lock): lock.isOwned
            }
        precondition(isHeld, "\(verb) of a Condition whose lock the caller does not hold.")
    }

    private func releaseAll() -> Int {
        switch lock {
        case .plain(let lock):
            lock.release()
            return 1
        case .recursive(let lock): return lock.releaseAll()
        }
    }
}

extension Condition {
    // MARK: - For tasks

    /// As ``wait(timeout:)-swift.method`` for tasks: no thread is blocked.
    /// - Throws: as the blocking form, and `CancellationError` when the task was cancelled before it was notified. It
    ///   holds the lock again in any case.
    @discardableResult
    public nonisolated(nonsending) func wait(timeout: Duration? = nil) async throws -> Bool {
        let deadline = try Deadline(checking: timeout)
        requireLock("wait()")
        var depth = 0
        let outcome: Result<WaitOutcome, SpoolError>
        do throws(SpoolError) {
            outcome = .success(
                try await sleepers.wait(until: deadline) { _, _ in
                    depth = releaseAll()
                    return false
                })
        } catch {
            outcome = .failure(error)
        }
        // 0: it was cancelled, or failed, before it gave the lock back.
        if depth > 0 { await takeBack(depth) }
        if try outcome.get() == .cancelled { throw CancellationError() }
        return try outcome.get() == .woken
    }

    /// As the blocking form, for tasks: no thread is blocked.
    @discardableResult
    public nonisolated(nonsending) func waitFor(
        timeout: Duration? = nil, _ predicate: () throws -> Bool
    ) async throws -> Bool {
        let deadline = try Deadline(checking: timeout)
        requireLock("waitFor()")
        while try !predicate() {
            guard try await wait(timeout: deadline.remaining()) else { return try predicate() }
        }
        return true
    }

    private nonisolated(nonsending) func takeBack(_ depth: Int) async {
        switch lock {
        case .plain(let lock): await lock.acquireUncancelled()
        case .recursive(let lock): await lock.acquireUncancelled(depth: depth)
        }
    }
}
