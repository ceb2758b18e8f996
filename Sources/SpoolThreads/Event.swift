// Event.swift - a flag that threads and tasks wait for.
//
// Invariant: nobody waits while the flag is set. `set` takes all out of the line, and a waiter that was woken does not
// look at the flag again: so it returns even when the flag was cleared before it ran.

/// A flag that is set and cleared; who waits sleeps until it is set. See threading.Event in Python.
///
/// Safe from any thread and task; not across a fork.
public final class Event: Sendable {
    private let flag = Monitor(false)

    /// A flag that is not set.
    public init() {}

    /// Whether the flag is set: a hint, as it may have changed when you read it.
    public var isSet: Bool { flag.withLock { isSet, _ in isSet } }

    /// How many wait: a hint.
    public var waiting: Int { flag.waiting }

    /// Sets the flag and wakes all that wait. Setting it again is harmless.
    public func set() {
        let woken = flag.withLock { isSet, line in
            isSet = true
            return line.takeAll()
        }
        woken.wake()
    }

    /// Clears the flag: who comes now waits. Clearing it again is harmless.
    public func clear() { flag.withLock { isSet, _ in isSet = false } }

    /// Blocks the thread until the flag is set.
    public func wait() { _ = flag.wait { isSet, _ in isSet } }

    /// Blocks the thread until the flag is set, for at most `timeout`; zero only looks, nil waits for ever.
    /// - Returns: False when the time was up before.
    /// - Throws: `badInput` for a negative time or one longer than ``Deadline/longestTimeout``.
    public func wait(timeout: Duration?) throws(SpoolError) -> Bool {
        wait(until: try Deadline(checking: timeout))
    }

    /// - Returns: False when the deadline was past before.
    package func wait(until deadline: Deadline) -> Bool {
        flag.wait(until: deadline) { isSet, _ in isSet } == .woken
    }

    // MARK: - For tasks

    /// Suspends the task until the flag is set; no thread is blocked.
    /// - Throws: `CancellationError` when the task was cancelled before.
    public nonisolated(nonsending) func wait() async throws { _ = try await wait(timeout: nil) }

    /// As the blocking form, for tasks: no thread is blocked.
    /// - Throws: as the blocking form, and `CancellationError` when the task was cancelled before.
    public nonisolated(nonsending) func wait(timeout: Duration?) async throws -> Bool {
        let deadline = try Deadline(checking: timeout)
        let outcome = try await flag.wait(until: deadline) { isSet, _ in isSet }
        if outcome == .cancelled { throw CancellationError() }
        return outcome == .woken
    }
}
