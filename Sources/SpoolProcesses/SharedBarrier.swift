// SharedBarrier.swift - a meeting point of several processes: nobody passes until all have come.
//
// Invariants: a phase is one meeting. Those of a phase wait in their seats with its number as amount, and theirs among
// the parties as number. The one that comes last is `meeting` before the phase moves on, runs the action, and is
// `passing` before it lets the first of the others go: one store that decides for all. So when it dies, others
// know by its status whether the phase was broken or passed.

public import SpoolThreads

/// A meeting point for a fixed number of threads and tasks of several processes, used again and again. See
/// multiprocessing.Barrier in Python.
///
/// A party that is killed while it waits, or runs the action, breaks the barrier for the others at once. One that
/// dies before it comes is not known to be missed: give waits a limit. Safe from any thread and task of any process
/// that has it. At most 1,023 threads use it at once.
public final class SharedBarrier: Sendable {
    /// How many must come before anybody passes.
    public let parties: Int
    let place: SharedMonitor
    private let timeout: Duration?
    private let action: @Sendable () throws -> Void
    private var bench: Bench { place.seats.bench }

    /// A barrier for so many parties, in memory of its own; fewer than one is a mistake of the program, as is a
    /// negative time limit.
    /// - Parameters:
    ///   - timeout: The limit of waits that give none of their own; nil waits for ever.
    ///   - action: Run once for each meeting by one of the parties when all have come, before anybody passes. If it
    ///     throws, that party gets its error and the barrier breaks. It must not use the barrier. Forked children
    ///     have it; it does not travel to other processes: there the last to come has none to run.
    /// - Throws: `system` when memory or descriptors are short; `badInput` for a time longer than
    ///   ``Deadline/longestTimeout``.
    public init(
        _ parties: Int, timeout: Duration? = nil,
        action: @escaping @Sendable () throws -> Void = {}
    ) throws(SpoolError) {
        precondition(
            (1...Seats.limit).contains(parties), "a shared barrier has 1 to 1,023 parties.")
        precondition((timeout ?? .zero) >= .zero, "a barrier's timeout cannot be negative.")
        _ = try Deadline(checking: timeout)
        self.parties = parties
        self.timeout = timeout
        self.action = action
        place = try SharedMonitor(
            Meetings.rules,
            parameters: [UInt64(parties), timeout.map { UInt64($0.nanoseconds) } ?? .max])
    }

    init(_ memory: SharedMemory) throws(SpoolError) {
        place = try SharedMonitor(Meetings.rules, memory)
        parties = Int(place.seats.parameter(0))
        let limit = place.seats.parameter(1)
        timeout = limit == .max ? nil : .nanoseconds(Int64(clamping: limit))
        action = {}
    }

    deinit { place.seats.close() }

    /// Whether the barrier is broken: who comes is refused.
    public var broken: Bool { place.isBroken }

    /// How many have come and wait: a hint. Python's n_waiting.
    public var nWaiting: Int { place.waiting }

    /// Blocks the thread until all parties have come.
    /// - Parameter timeout: Longest wait; nil takes the barrier's own limit. When it is up the barrier breaks for all.
    /// - Returns: Which of the parties this is, 0 to `parties` - 1, each once.
    /// - Throws: `brokenBarrier` when it is broken or breaks; `badInput` for a negative time or one longer than
    ///   ``Deadline/longestTimeout``; what the action throws, at the one that ran it.
    @discardableResult
    public func wait(timeout: Duration? = nil) throws -> Int {
        let deadline = try Deadline(checking: timeout ?? self.timeout)
        let me = try place.seats.me()
        switch place.arrive(me, parties) {
        case .refused: throw SpoolError.brokenBarrier
        case .last(let number): return try meet(me, number)
        case .early: return try Self.number(place.awaitOthers(me, until: deadline))
        }
    }

    /// Breaks the barrier: those that wait and those that come get `brokenBarrier`, until ``reset()``.
    /// - Throws: `badInput` when more than 1,023 threads use it.
    public func abort() throws(SpoolError) {
        place.withLock(try place.seats.me()) { place.breakUp() }
    }

    /// Makes the barrier as new; those that wait get `brokenBarrier`.
    /// - Throws: `badInput` when more than 1,023 threads use it.
    public func reset() throws(SpoolError) {
        place.withLock(try place.seats.me()) { place.beginAnew() }
    }

    private static func number(_ status: SeatStatus?) throws -> Int {
        guard let status, status.stage == .served else { throw SpoolError.brokenBarrier }
        return status.number
    }

    /// All have come.
    private func meet(_ me: SeatName, _ number: Int) throws -> Int {
        do {
            try action()
        } catch {
            place.disperse(me)
            throw error
        }
        place.letGo(me)
        return number
    }

    // MARK: - For tasks

    /// As the blocking form, for tasks: no thread of the pool is blocked. A task that is cancelled while it waits
    /// leaves its place to another and breaks nothing, as in asyncio.Barrier.
    /// - Throws: as the blocking form, `CancellationError` when the task was cancelled before all had come, and
    ///   `system` when there is no thread to wait for the task.
    @discardableResult
    public nonisolated(nonsending) func wait(timeout: Duration? = nil) async throws -> Int {
        let deadline = try Deadline(checking: timeout ?? self.timeout)
        try Task.checkCancellation()
        let sitter = try bench.take(place.seats)
        defer { bench.giveBack(sitter) }
        switch place.arrive(sitter.name, parties) {
        case .refused: throw SpoolError.brokenBarrier
        case .last(let number): return try meet(sitter.name, number)
        case .early: break
        }
        let status = await bench.run(sitter) { [place] isCancelled in
            place.awaitOthers(sitter.name, until: deadline, orEnd: isCancelled)
        }
        if status == nil, Task.isCancelled { throw CancellationError() }
        return try Self.number(status)
    }
}
