// StandIn.swift - a thread that sleeps in shared memory in the place of this process's tasks.
//
// The kernel wakes threads, not tasks. So the tasks of a process that wait for one event stand in a line of their own,
// and one thread sleeps for all of them. Invariants:
//  - a task looks a last time when it enters the line, with the line's lock held, and the stand-in is counted among the
//    queue's sleepers before it sleeps: what comes in between is seen by one of them;
//  - a task that was woken looks, whatever happened to it meanwhile, and wakes the next one if it leaves something;
//  - a stand-in that was woken when nobody was in the line passes the wake-up on to other processes;
//  - it ends when nobody has waited for a while, and lets the queue go.

internal import SpoolThreads
internal import Synchronization

/// Sleeps for the tasks that wait for one event of one queue. Belongs to one process.
final class StandIn: Sendable {
    /// How long it stays when nobody waits: a thread costs more than this.
    private static let linger = Duration.milliseconds(100)

    private struct State {
        /// Tasks that wait or are about to.
        var tasks = 0
        var isRunning = false
    }

    private let event: QueueEvent
    private let line = Monitor(State())
    /// Moves when the first task comes.
    private let come = OwnCount()

    init(_ event: QueueEvent) { self.event = event }

    /// Has it sleep for one more task, until ``end()``.
    /// - Throws: `system` when its thread cannot be made.
    func begin(for queue: RecordQueue) throws(SpoolError) {
        let mustStart = line.withLock { state, _ in
            state.tasks += 1
            defer { state.isRunning = true }
            return !state.isRunning
        }
        come.count.advance()
        guard mustStart else { return }
        do throws(SpoolError) {
            try Thread.detach("spool-queue") { [self] in run(queue) }
        } catch {
            line.withLock { state, _ in (state.tasks, state.isRunning) = (state.tasks - 1, false) }
            throw error
        }
    }

    /// One task less.
    func end() { line.withLock { state, _ in state.tasks -= 1 } }

    /// Suspends the task until it should look again; not at all when `isVain`, which is asked with the line's lock
    /// held.
    nonisolated(nonsending) func wait(
        atFront: Bool, until deadline: Deadline, unless isVain: () -> Bool
    ) async throws(SpoolError) -> WaitOutcome {
        try await line.wait(atFront: atFront, until: deadline) { _, _ in isVain() }
    }

    /// Wakes up to `limit` tasks. Returns whether any waited.
    @discardableResult
    func wake(upTo limit: Int) -> Bool {
        let woken = line.withLock { _, line in line.take(upTo: limit) }
        woken.wake()
        return !woken.isEmpty
    }

    // MARK: - The thread

    private func run(_ queue: RecordQueue) {
        var sleep = Sleep()
        var pace = queue.pace
        while waitForTasks(queue, &sleep) {
            let chances = queue.chances(event, &sleep)
            if chances > 0, !wake(upTo: chances) { queue.passOn(event) }
            queue.doze(event, sleep, until: .never, &pace)
        }
    }

    /// False when it has ended, as no task came for a while.
    private func waitForTasks(_ queue: RecordQueue, _ sleep: inout Sleep) -> Bool {
        let seen = come.count.read()
        if hasTasks { return true }
        queue.retire(event, &sleep)
        come.count.wait(after: seen, until: Deadline(after: Self.linger))
        return line.withLock { state, _ in
            state.isRunning = state.tasks > 0
            return state.isRunning
        }
    }

    private var hasTasks: Bool { line.withLock { state, _ in state.tasks > 0 } }
}

/// An event count with a word of its own.
private final class OwnCount: @unchecked Sendable {  // a word that only its event count touches
    private let word: UnsafeMutablePointer<Atomic<UInt32>>
    let count: EventCount

    init() {
        word = .allocate(capacity: 1)
        word.initialize(to: Atomic(0))
        count = EventCount(word)
    }

    deinit {
        word.deinitialize(count: 1)
        word.deallocate()
    }
}

extension RecordQueue {
    /// The one that sleeps for this process's tasks.
    func standIn(for event: QueueEvent) -> StandIn {
        acquire()
        defer { release() }
        if let standIn = standIns[event.rawValue] { return standIn }
        let standIn = StandIn(event)
        standIns[event.rawValue] = standIn
        return standIn
    }

    /// How many could go on now; counts the caller among the sleepers.
    func chances(_ event: QueueEvent, _ sleep: inout Sleep) -> Int {
        acquire()
        defer { release() }
        // As it does not know how many bytes its tasks need, it wants to be woken for any.
        enlist(&sleep, event, forPlace: event == .freed, forBytes: event == .freed, true)
        return chances(event)
    }

    private func chances(_ event: QueueEvent) -> Int {
        if isClosed || header.pointee.end != 0 { return .max }
        switch event {
        case .arrived: return Int(header.pointee.readyCount)
        case .freed:
            return Int(header.pointee.limit)
                - min(
                    Int(header.pointee.limit), Int(header.pointee.readyCount))
        case .settled:
            return header.pointee.readyCount + header.pointee.heldCount == 0 ? .max : 0
        }
    }

    /// Wakes another process that waits for what the caller was woken for and has no use for.
    func passOn(_ event: QueueEvent) {
        acquire()
        let woken: Int
        switch event {
        case .arrived: woken = header.pointee.readyCount > 0 ? takeGetter() : 0
        case .freed: woken = max(takePuttersForPlace(), takePuttersForBytes())
        case .settled: woken = takeJoiners()
        }
        release()
        wake(event, woken)
    }

    /// Takes a stand-in without tasks off the sleepers; was it woken, the wake-up is another's.
    func retire(_ event: QueueEvent, _ sleep: inout Sleep) {
        guard sleep.isCounted else { return }
        acquire()
        let wasWoken = !delist(&sleep, event)
        release()
        if wasWoken { passOn(event) }
    }

    /// Looks and suspends in turn until `look` finds something; looks a last time when the time is up.
    nonisolated(nonsending) func waitAsync<Value>(
        _ event: QueueEvent, _ timeout: Duration?, _ look: () throws(SpoolError) -> Value?
    ) async throws -> Value? {
        if timeout == .zero { return lookNowAndThen() ? try look() : nil }
        let standIn = standIn(for: event)
        try standIn.begin(for: self)
        waiting.add(1, event)
        defer {
            waiting.add(-1, event)
            standIn.end()
        }
        let deadline = Deadline(after: timeout)
        var hasSlept = false
        while !deadline.isPast {
            var found: Result<Value, SpoolError>?
            let outcome = try await standIn.wait(atFront: hasSlept, until: deadline) {
                found = Self.outcome(of: look)
                return found != nil
            }
            if outcome == .cancelled { throw CancellationError() }
            hasSlept = outcome == .woken
            if let found = found ?? Self.outcome(of: look) {
                if chances(of: event) > 0 { standIn.wake(upTo: 1) }
                return try found.get()
            }
        }
        return try look()
    }

    private func chances(of event: QueueEvent) -> Int {
        acquire()
        defer { release() }
        return chances(event)
    }

    private static func outcome<Value>(
        of look: () throws(SpoolError) -> Value?
    ) -> Result<Value, SpoolError>? {
        do throws(SpoolError) { return try look().map { .success($0) } } catch {
            return .failure(error)
        }
    }
}
