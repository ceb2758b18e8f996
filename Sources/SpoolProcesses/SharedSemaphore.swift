// SharedSemaphore.swift - so many units to hand out among processes; the units of the dead come back.
//
// Invariants: the amount in a seat's status is how many units its thread holds. `total` and the amounts are the truth,
// `free` is total less the sum of the amounts, and is reckoned again when one died with the lock: so each step is one
// store. Nobody living waits while a unit is free.

private import CSpool
public import SpoolThreads

/// A number of units that threads and tasks of several processes take and give back. See multiprocessing.Semaphore in
/// Python; Dijkstra, 1965.
///
/// First come, first served. A unit belongs to the process that took it until one of its threads gives it back. If the
/// process ends or is killed its units come back by themselves, and the next ones get them within a tenth of a
/// second. So it guards things that are in use; it does not count signals: a process that gives back what another
/// one took adds a unit, and the taker's comes back too when that ends. Safe from any thread and task of any process
/// that has it. At most 1,023 threads use it at once.
public class SharedSemaphore: Decodable, @unchecked Sendable {  // guarded by its monitor
    let place: SharedMonitor
    private var bench: Bench { place.seats.bench }

    /// A semaphore with so many units, in memory of its own; a negative number is a mistake of the program.
    /// - Throws: `system` when memory or descriptors are short.
    public convenience init(_ value: Int = 1) throws(SpoolError) {
        try self.init(value, bound: .max)
    }

    fileprivate init(_ value: Int, bound: Int) throws(SpoolError) {
        precondition(value >= 0, "a semaphore cannot begin with fewer than 0 units.")
        place = try SharedMonitor(Units.rules, parameters: [UInt64(bound)])
        place.total = value
        place.free = value
    }

    /// The semaphore that came along with a message.
    /// - Throws: `badInput` when no such semaphore came along; `system` when address space is short.
    public required init(from decoder: any Decoder) throws {
        place = try SharedMonitor(Units.rules, Self.memory(from: decoder))
    }

    deinit { place.seats.close() }

    /// How many units are free: a hint, as it may have changed when you read it.
    public final var value: Int { max(0, place.free) }

    /// How many wait, in all processes: a hint.
    public final var waiting: Int { place.waiting }

    /// Takes a unit, blocking the thread until there is one.
    /// - Throws: `badInput` when more than 1,023 threads use it.
    public final func acquire() throws(SpoolError) { _ = try acquire(timeout: nil) }

    /// Takes a unit if there is one within `timeout`; zero only looks, nil waits for ever.
    /// - Returns: False when the time was up: then nothing was taken.
    /// - Throws: `badInput` for a negative time or one longer than ``Deadline/longestTimeout``.
    public final func acquire(timeout: Duration?) throws(SpoolError) -> Bool {
        let deadline = try Deadline(checking: timeout)
        return place.takeUnit(try place.seats.me(), until: deadline)
    }

    /// Takes a unit if there is one; waits for it only when `blocking`.
    /// - Returns: Whether a unit was taken.
    public final func acquire(blocking: Bool) throws(SpoolError) -> Bool {
        try acquire(timeout: blocking ? nil : .zero)
    }

    /// Gives `count` units back: the caller's, those of other threads of its process, and beyond them new ones.
    ///
    /// Fewer than one, or more than a bounded semaphore began with, is a mistake of the program and ends it with a
    /// sentence.
    /// - Throws: `badInput` when more than 1,023 threads use it.
    public final func release(_ count: Int = 1) throws(SpoolError) {
        precondition(count >= 1, "release() of fewer than one unit.")
        let isRefused = place.giveUnits(count, try place.seats.me())
        precondition(!isRefused, "release() of a SharedBoundedSemaphore beyond its first value.")
    }

    /// Takes a unit, runs `body`, and gives the unit back. Python's `with`.
    public final func withAcquired<Value>(_ body: () throws -> Value) throws -> Value {
        try acquire()
        let result = Result(catching: body)
        try release()
        return try result.get()
    }
}

/// A shared semaphore that never holds more units than it began with: a release too many is stopped. See
/// multiprocessing.BoundedSemaphore in Python.
public final class SharedBoundedSemaphore: SharedSemaphore, @unchecked Sendable {  // as its class
    /// A semaphore with so many units, and never more; a negative number is a mistake of the program.
    /// - Throws: `system` when memory or descriptors are short.
    public init(_ value: Int = 1) throws(SpoolError) { try super.init(value, bound: value) }

    /// The semaphore that came along with a message.
    /// - Throws: `badInput` when no such semaphore came along; `system` when address space is short.
    public required init(from decoder: any Decoder) throws { try super.init(from: decoder) }
}

extension SharedSemaphore {
    // MARK: - For tasks

    /// Takes a unit, suspending the task until there is one; no thread of the pool is blocked.
    /// - Throws: `CancellationError` when the task was cancelled before: then nothing was taken; `system` when there is
    ///   no thread to wait for the task.
    public final nonisolated(nonsending) func acquire() async throws {
        _ = try await acquire(timeout: nil)
    }

    /// As the blocking form, for tasks.
    /// - Throws: as the blocking form, and `CancellationError` when the task was cancelled before: then nothing was
    ///   taken.
    public final nonisolated(nonsending) func acquire(timeout: Duration?) async throws -> Bool {
        let deadline = try Deadline(checking: timeout)
        try Task.checkCancellation()
        let sitter = try bench.take(place.seats)
        defer { bench.giveBack(sitter) }
        let isTaken = await bench.run(sitter) { [place] isCancelled in
            place.takeUnit(sitter.name, until: deadline, orEnd: isCancelled)
        }
        if !isTaken { try Task.checkCancellation() }
        return isTaken
    }

    /// Takes a unit, runs `body`, also across its suspensions, and gives the unit back. Its name is its own, as that of
    /// ``Lock/withLockAsync(_:)``.
    /// - Throws: `CancellationError` when the task was cancelled before there was a unit, and what `body` throws.
    public final nonisolated(nonsending) func withAcquiredAsync<Value>(
        _ body: nonisolated(nonsending) () async throws -> Value
    ) async throws -> Value {
        try await acquire()
        do {
            let value = try await body()
            try release()
            return value
        } catch {
            try release()
            throw error
        }
    }
}
