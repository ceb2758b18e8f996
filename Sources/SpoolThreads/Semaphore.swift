// Semaphore.swift - so many units to hand out; who finds none waits for one.
//
// Invariant: nobody waits while a unit is free. A release gives its units to those who wait first, in the order in
// which they came, and a waiter that was woken has its unit: so it is fair, and nobody slips in.

/// A number of units that threads and tasks take and give back. See threading.Semaphore in Python; Dijkstra, 1965.
///
/// Strictly first come, first served. Safe from any thread and task: any may release. Not across a fork.
public class Semaphore: @unchecked Sendable {  // behind its monitor; the bound never changes
    private let units: Monitor<Int>
    private let bound: Int

    /// A semaphore with so many units; a negative number is a mistake of the program.
    public convenience init(_ value: Int = 1) { self.init(value, bound: .max) }

    fileprivate init(_ value: Int, bound: Int) {
        precondition(value >= 0, "a semaphore cannot begin with fewer than 0 units.")
        units = Monitor(value)
        self.bound = bound
    }

    /// How many units are free: a hint, as it may have changed when you read it.
    public final var value: Int { units.withLock { free, _ in free } }

    /// How many wait: a hint.
    public final var waiting: Int { units.waiting }

    /// Takes a unit, blocking the thread until there is one.
    public final func acquire() { _ = units.wait(unless: Self.take) }

    /// Takes a unit if there is one within `timeout`; zero only looks, nil waits for ever.
    /// - Returns: False when the time was up: then nothing was taken.
    /// - Throws: `badInput` for a negative time or one longer than ``Deadline/longestTimeout``.
    public final func acquire(timeout: Duration?) throws(SpoolError) -> Bool {
        let deadline = try Deadline(checking: timeout)
        return units.wait(until: deadline, unless: Self.take) == .woken
    }

    /// Takes a unit if there is one; waits for it only when `blocking`.
    /// - Returns: Whether a unit was taken.
    public final func acquire(blocking: Bool) -> Bool {
        if blocking { acquire() }
        return blocking || units.withLock(Self.take)
    }

    /// Gives `count` units to those who wait first, and to whoever comes when nobody does.
    ///
    /// Fewer than one, or more than a bounded semaphore began with, is a mistake of the program and ends it with a
    /// sentence.
    public final func release(_ count: Int = 1) {
        precondition(count >= 1, "release() of fewer than one unit.")
        let woken = units.withLock { free, line in
            precondition(
                count <= bound - free, "release() of a BoundedSemaphore beyond its first value.")
            let served = min(count, line.count)
            free += count - served
            return line.take(upTo: served)
        }
        woken.wake()
    }

    /// Takes a unit, runs `body`, and gives the unit back. Python's `with`.
    public final func withAcquired<Value, Failure: Error>(
        _ body: () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        acquire()
        defer { release() }
        return try body()
    }

    private static func take(_ free: inout Int, _: inout WaitingLine) -> Bool {
        guard free > 0 else { return false }
        free -= 1
        return true
    }
}

/// A semaphore that never holds more units than it began with: a release too many is stopped. See
/// threading.BoundedSemaphore in Python.
public final class BoundedSemaphore: Semaphore, @unchecked Sendable {  // as Semaphore
    /// A semaphore with so many units, and never more; a negative number is a mistake of the program.
    public init(_ value: Int = 1) { super.init(value, bound: value) }
}

extension Semaphore {
    // MARK: - For tasks

    /// Takes a unit, suspending the task until there is one; no thread is blocked.
    /// - Throws: `CancellationError` when the task was cancelled before: then nothing was taken.
    public final nonisolated(nonsending) func acquire() async throws {
        _ = try await acquire(timeout: nil)
    }

    /// As the blocking form, for tasks: no thread is blocked.
    /// - Throws: as the blocking form, and `CancellationError` when the task was cancelled before: then nothing was
    ///   taken.
    public final nonisolated(nonsending) func acquire(timeout: Duration?) async throws -> Bool {
        let deadline = try Deadline(checking: timeout)
        try Task.checkCancellation()
        let outcome = try await units.wait(until: deadline, unless: Self.take)
        if outcome == .cancelled { throw CancellationError() }
        return outcome == .woken
    }

    /// Takes a unit, runs `body`, also across its suspensions, and gives the unit back. Python's `async with`. Its name
    /// is its own, as that of ``Lock/withLockAsync(_:)``.
    /// - Throws: `CancellationError` when the task was cancelled before there was a unit, and what `body` throws.
    public final nonisolated(nonsending) func withAcquiredAsync<Value>(
        _ body: nonisolated(nonsending) () async throws -> Value
    ) async throws -> Value {
        try await acquire()
        defer { release() }
        return try await body()
    }
}
