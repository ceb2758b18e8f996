// SharedEvent.swift - a flag that threads and tasks of several processes wait for.
//
// Invariant: nobody living waits while the flag is set. `set` serves all who wait, and who was served does not look at
// the flag again: so it returns even when the flag was cleared before it ran.

private import Synchronization

public import SpoolThreads

/// A flag that is set and cleared; who waits sleeps until it is set. See multiprocessing.Event in Python.
///
/// Safe from any thread and task of any process that has it. Who is killed while it waits, sets or clears harms nobody.
/// At most 1,023 threads use it at once.
public final class SharedEvent: Sendable {
    let place: SharedMonitor
    private var bench: Bench { place.seats.bench }

    private static let rules = SharedRules(
        kind: 0x5350_4F4F_4C45_3101,
        repair: { place in
            if place.isFlagSet { place.serveAll() }
            place.ringServed()
        },
        settle: { _, _ in }, concerns: { _ in false })

    /// A flag that is not set, in memory of its own.
    /// - Throws: `system` when memory or descriptors are short.
    public init() throws(SpoolError) {
        place = try SharedMonitor(Self.rules)
    }

    init(_ memory: SharedMemory) throws(SpoolError) {
        place = try SharedMonitor(Self.rules, memory)
    }

    deinit { place.seats.close() }

    /// Whether the flag is set: a hint, as it may have changed when you read it.
    public var isSet: Bool { place.isFlagSet }

    /// How many wait, in all processes: a hint.
    public var waiting: Int { place.waiting }

    /// Sets the flag and wakes all that wait. Setting it again is harmless.
    /// - Throws: `badInput` when more than 1,023 threads use it.
    public func set() throws(SpoolError) {
        place.withLock(try place.seats.me()) {
            place.isFlagSet = true
            place.serveAll()
        }
    }

    /// Clears the flag: who comes now waits. Clearing it again is harmless.
    /// - Throws: `badInput` when more than 1,023 threads use it.
    public func clear() throws(SpoolError) {
        place.withLock(try place.seats.me()) { place.isFlagSet = false }
    }

    /// Blocks the thread until the flag is set.
    public func wait() throws(SpoolError) { _ = try wait(timeout: nil) }

    /// Blocks the thread until the flag is set, for at most `timeout`; zero only looks, nil waits for ever.
    /// - Returns: False when the time was up before.
    /// - Throws: `badInput` for a negative time or one longer than ``Deadline/longestTimeout``.
    public func wait(timeout: Duration?) throws(SpoolError) -> Bool {
        let deadline = try Deadline(checking: timeout)
        return place.waitForFlag(try place.seats.me(), until: deadline)
    }

    // MARK: - For tasks

    /// Suspends the task until the flag is set; no thread of the pool is blocked.
    /// - Throws: `CancellationError` when the task was cancelled before.
    public nonisolated(nonsending) func wait() async throws { _ = try await wait(timeout: nil) }

    /// As the blocking form, for tasks.
    /// - Throws: as the blocking form, `CancellationError` when the task was cancelled before, and `system` when there
    ///   is no thread to wait for the task.
    public nonisolated(nonsending) func wait(timeout: Duration?) async throws -> Bool {
        let deadline = try Deadline(checking: timeout)
        try Task.checkCancellation()
        let sitter = try bench.take(place.seats)
        defer { bench.giveBack(sitter) }
        let isSet = await bench.run(sitter) { [place] isCancelled in
            place.waitForFlag(sitter.name, until: deadline, orEnd: isCancelled)
        }
        if !isSet { try Task.checkCancellation() }
        return isSet
    }
}

extension SharedMonitor {
    fileprivate var isFlagSet: Bool {
        get { seats.state(0).pointee.load(ordering: .acquiring) != 0 }
        nonmutating set { seats.state(0).pointee.store(newValue ? 1 : 0, ordering: .releasing) }
    }

    fileprivate func serveAll() {
        for seat in 0..<seats.count where status(seat).stage == .waiting {
            serve(seat, SeatStatus(.served))
        }
    }

    fileprivate func waitForFlag(
        _ me: SeatName, until deadline: Deadline, orEnd isEnded: () -> Bool = { false }
    ) -> Bool {
        let isSet = withLock(me) {
            if !isFlagSet { join(me, SeatStatus(.waiting)) }
            return isFlagSet
        }
        if isSet { return true }
        let isServed = sleep(me, until: deadline, orEnd: isEnded) != nil
        set(Seats.seat(me), SeatStatus(.idle))
        return isServed
    }
}
