// Barrier.swift - a meeting point: nobody passes until all have come.
//
// Invariants: a phase is one meeting. Those of the current phase stand in the line. The one that comes last takes them
// out, begins the next phase, runs the action, and only then wakes them. Who leaves the line (time up, cancelled) is
// not counted any more.

private import Synchronization

/// A meeting point for a fixed number of threads and tasks, used again and again. See threading.Barrier in Python.
///
/// Safe from any thread and task; not across a fork.
public final class Barrier: Sendable {
    /// How many must come before anybody passes.
    public let parties: Int
    private let timeout: Duration?
    private let action: @Sendable () throws -> Void
    private let place: Monitor<State>

    /// One meeting.
    private final class Phase: Sendable {
        let isBroken = Atomic(false)
        let passed = Atomic(0)

        /// The number of the next one that passes.
        func pass() throws(SpoolError) -> Int {
            guard !isBroken.load(ordering: .acquiring) else { throw .brokenBarrier }
            return passed.add(1, ordering: .relaxed).oldValue
        }
    }

    private struct State {
        var phase = Phase()
        var isBroken = false
    }

    /// A barrier for so many parties; fewer than one is a mistake of the program, as is a negative time limit.
    /// - Parameters:
    ///   - timeout: The limit of waits that give none of their own; nil waits for ever.
    ///   - action: Run once for each meeting by one of the parties when all have come, before anybody passes. If it
    ///     throws, that party gets its error and the barrier breaks. It must not use the barrier.
    public init(
        _ parties: Int, timeout: Duration? = nil,
        action: @escaping @Sendable () throws -> Void = {}
    ) {
        precondition(parties >= 1, "a barrier needs at least one party.")
        precondition((timeout ?? .zero) >= .zero, "a barrier's timeout cannot be negative.")
        self.parties = parties
        self.timeout = timeout
        self.action = action
        place = Monitor(State())
    }

    /// Whether the barrier is broken: who comes is refused.
    public var broken: Bool { place.withLock { state, _ in state.isBroken } }

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
        var arrival = Arrival.refused
        let outcome = place.wait(until: deadline) { state, line in
            arrive(&arrival, &state, &line)
        }
        return try pass(arrival, outcome)
    }

    /// As the blocking form, for tasks: no thread is blocked. A task that is cancelled while it waits leaves its place
    /// to another and breaks nothing, as in asyncio.Barrier.
    /// - Throws: as the blocking form, and `CancellationError` when the task was cancelled before all had come.
    @discardableResult
    public nonisolated(nonsending) func wait(timeout: Duration? = nil) async throws -> Int {
        let deadline = try Deadline(checking: timeout ?? self.timeout)
        try Task.checkCancellation()
        var arrival = Arrival.refused
        let outcome = try await place.wait(until: deadline) { state, line in
            arrive(&arrival, &state, &line)
        }
        return try pass(arrival, outcome)
    }

    /// Breaks the barrier: those that wait and those that come get `brokenBarrier`, until ``reset()``.
    public func abort() { endPhase(isBroken: true) }

    /// Makes the barrier as new; those that wait get `brokenBarrier`.
    public func reset() { endPhase(isBroken: false) }

    // MARK: - One meeting

    private enum Arrival {
        case refused
        case waiting(Phase)
        case last(Phase, WokenWaiters)
    }

    /// Joins the current phase. Returns whether there is nothing to wait for.
    private func arrive(
        _ arrival: inout Arrival, _ state: inout State, _ line: inout WaitingLine
    ) -> Bool {
        guard !state.isBroken else { return true }
        guard line.count + 1 == parties else {
            arrival = .waiting(state.phase)
            return false
        }
        arrival = .last(state.phase, line.takeAll())
        state.phase = Phase()
        return true
    }

    private func pass(_ arrival: Arrival, _ outcome: WaitOutcome) throws -> Int {
        switch (arrival, outcome) {
        case (_, .cancelled): throw CancellationError()
        case (.refused, _): throw SpoolError.brokenBarrier
        case (.last(let phase, let others), _): return try meet(phase, others)
        case (.waiting(let phase), .woken): return try phase.pass()
        case (.waiting(let phase), .timedOut):
            endPhase(isBroken: true, only: phase)
            throw SpoolError.brokenBarrier
        }
    }

    /// All have come.
    private func meet(_ phase: Phase, _ others: WokenWaiters) throws -> Int {
        do {
            try action()
        } catch {
            phase.isBroken.store(true, ordering: .releasing)
            others.wake()
            abort()
            throw error
        }
        others.wake()
        return try phase.pass()
    }

    /// Breaks the current phase, or nothing if that is not `phase`.
    private func endPhase(isBroken: Bool, only phase: Phase? = nil) {
        let woken = place.withLock { state, line -> WokenWaiters? in
            guard phase == nil || phase === state.phase else { return nil }
            state.phase.isBroken.store(true, ordering: .releasing)
            state.phase = Phase()
            state.isBroken = isBroken
            return line.takeAll()
        }
        woken?.wake()
    }
}
