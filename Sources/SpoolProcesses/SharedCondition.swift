// SharedCondition.swift - what those that hold a shared lock wait on until another one says that things changed.
//
// Invariants: a waiter stands in the line before the lock is released, so a notification that comes with the lock held
// afterwards finds it. A notification goes to the living ones that came first, by their status: who is late or dead
// by then gets none. One whose receiver dies before it has the lock again goes to the next in line: at a kill there may
// be one notification too many, never one too few.

public import SpoolThreads

/// Lets threads and tasks of several processes that hold a shared lock wait until another one notifies them. See
/// multiprocessing.Condition in Python.
///
/// As in Python every verb but `acquire` wants the lock held, and a call without it is a mistake of the program that
/// ends it with a sentence. Safe from any thread and task of any process that has it. Whoever has the lock after a wait
/// asks the lock's ``SharedLock/previousOwnerDied``, as after any other acquire. At most 1,023 threads use it at once.
public final class SharedCondition: Sendable {
    let lock: SharedGuard
    let place: SharedMonitor
    private var bench: Bench { place.seats.bench }

    private static let rules = SharedRules(
        kind: 0x5350_4F4F_4C43_3101,
        repair: { place in place.ringServed() },
        settle: { place, seat in
            if place.status(seat).stage == .served { place.notifyFirst() }
        },
        concerns: { $0.stage == .served })

    /// A condition over a lock of its own, which is recursive.
    /// - Throws: `system` when memory or descriptors are short.
    public convenience init() throws(SpoolError) { try self.init(SharedRLock()) }

    /// A condition over this lock; several conditions may share one.
    /// - Throws: `system` when memory or descriptors are short.
    public convenience init(_ lock: SharedLock) throws(SpoolError) {
        try self.init(.plain(lock), SharedMonitor(Self.rules))
    }

    /// A condition over this lock; several conditions may share one. A wait releases it however often it was taken.
    /// - Throws: `system` when memory or descriptors are short.
    public convenience init(_ lock: SharedRLock) throws(SpoolError) {
        try self.init(.recursive(lock), SharedMonitor(Self.rules))
    }

    convenience init(_ lock: SharedGuard, _ memory: SharedMemory) throws(SpoolError) {
        try self.init(lock, SharedMonitor(Self.rules, memory))
    }

    private init(_ lock: SharedGuard, _ place: SharedMonitor) throws(SpoolError) {
        self.lock = lock
        self.place = place
    }

    deinit { place.seats.close() }

    /// Takes the lock, blocking the thread until it is free or its holder is dead.
    /// - Throws: as `acquire` of the lock.
    public func acquire() throws(SpoolError) {
        switch lock {
        case .plain(let lock): try lock.acquire()
        case .recursive(let lock): try lock.acquire()
        }
    }

    /// Gives the lock back.
    public func release() {
        switch lock {
        case .plain(let lock): lock.release()
        case .recursive(let lock): lock.release()
        }
    }

    /// Whether the one that held the lock before the caller died with it.
    public var previousOwnerDied: Bool { lock.core.previousOwnerDied }

    /// Runs `body` while holding the lock, and gives back what it returns or throws.
    /// - Parameter body: Is told whether the one that held the lock before died with it.
    public func withLock<Value>(_ body: (_ previousOwnerDied: Bool) throws -> Value) throws -> Value
    {
        try acquire()
        defer { release() }
        return try body(previousOwnerDied)
    }

    // MARK: - Waiting

    /// Releases the lock, sleeps until a notification or for at most `timeout`, takes the lock again; nil waits for
    /// ever.
    /// - Returns: False when the time was up first.
    /// - Throws: `badInput` for a negative time or one longer than ``Deadline/longestTimeout``; then it did not wait.
    @discardableResult
    public func wait(timeout: Duration? = nil) throws(SpoolError) -> Bool {
        try wait(until: Deadline(checking: timeout))
    }

    private func wait(until deadline: Deadline) throws(SpoolError) -> Bool {
        requireLock("wait()")
        let me = try place.seats.me()
        let depth = place.standInLine(me, releasing: lock)
        let isNotified = place.sleep(me, until: deadline, orEnd: { false }) != nil
        _ = try lock.core.acquire(until: .never)
        lock.core.depth = depth
        place.set(Seats.seat(me), SeatStatus(.idle))
        return isNotified
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
            guard try wait(until: deadline) else { return try predicate() }
        }
        return true
    }

    /// Wakes up to `count` of those that wait, the first ones; a mistake if it is negative.
    /// - Throws: `badInput` when more than 1,023 threads use it.
    public func notify(_ count: Int = 1) throws(SpoolError) {
        precondition(count >= 0, "notify() of a negative number.")
        requireLock("notify()")
        place.withLock(try place.seats.me()) {
            for seat in place.waiters().prefix(count) { place.serve(seat, SeatStatus(.served)) }
        }
    }

    /// Wakes all that wait.
    /// - Throws: `badInput` when more than 1,023 threads use it.
    public func notifyAll() throws(SpoolError) { try notify(.max) }

    /// How many wait, in all processes: a hint.
    public var waiting: Int { place.waiting }

    private func requireLock(_ verb: StaticString) {
        precondition(
            lock.core.owner() != nil,
            "\(verb) of a SharedCondition whose lock the caller does not hold.")
    }
}

/// The lock of a condition.
enum SharedGuard: Sendable {
    case plain(SharedLock)
    case recursive(SharedRLock)

    var core: SharedLockCore {
        switch self {
        case .plain(let lock): lock.core
        case .recursive(let lock): lock.core
        }
    }
}

extension SharedMonitor {
    fileprivate func notifyFirst() {
        if let seat = firstWaiter() { serve(seat, SeatStatus(.served)) }
    }

    /// Stands in line, then releases the condition's lock, however often it was taken. Returns how often that was.
    fileprivate func standInLine(_ me: SeatName, releasing lock: SharedGuard) -> Int {
        withLock(me) { join(me, SeatStatus(.waiting)) }
        let depth = lock.core.depth
        lock.core.release("lock")
        return depth
    }
}

extension SharedCondition {
    // MARK: - For tasks

    /// As the blocking form, for tasks: no thread of the pool is blocked.
    /// - Throws: as the blocking form, and `CancellationError` when the task was cancelled before it was notified. It
    ///   holds the lock again in any case but that of `system`: no thread was there to hold it for the task.
    @discardableResult
    public nonisolated(nonsending) func wait(timeout: Duration? = nil) async throws -> Bool {
        let deadline = try Deadline(checking: timeout)
        requireLock("wait()")
        try Task.checkCancellation()
        let sitter = try bench.take(place.seats)
        defer { bench.giveBack(sitter) }
        let depth = place.standInLine(sitter.name, releasing: lock)
        let isNotified = await bench.run(sitter) { [place] isCancelled in
            place.sleep(sitter.name, until: deadline, orEnd: isCancelled) != nil
        }
        _ = try await lock.core.acquire(until: .never, isCancellable: false)
        lock.core.depth = depth
        place.set(Seats.seat(sitter.name), SeatStatus(.idle))
        if !isNotified { try Task.checkCancellation() }
        return isNotified
    }

    /// As the blocking form, for tasks: no thread of the pool is blocked.
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
}
