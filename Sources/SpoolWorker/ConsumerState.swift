// ConsumerState.swift - what a supervisor knows about one of its consumers.

package import SpoolJobs
package import SpoolThreads

/// One consumer's place in a worker; the process in it may be replaced.
package struct ConsumerState {
    package enum Phase: Equatable {
        case absent(until: Deadline)
        /// The fork server was asked; it has not said hello, and should by then.
        case starting(until: Deadline)
        case ready
    }

    package var phase: Phase
    /// In the order in which they were sent: it runs the first.
    package private(set) var held: [Claim] = []
    /// Since when the first one may have been running.
    var headSince: Deadline
    /// What was sent behind the first one was called back.
    var isRecalled = false
    /// By then what was called back is taken from it; never if nothing was.
    private(set) var barAt = Deadline.never
    /// It may begin nothing, and gets nothing, until it has said that it knows.
    package private(set) var isBarred = false
    /// It did not end its job in time, and is killed.
    var isOverdue = false
    /// Deaths and failed starts since something was last done.
    var failures = 0
    /// Microseconds a job takes; nil: not measured.
    private var pace: Double?

    /// Deaths in a row that are replaced without a pause: a job that kills gets three consumers.
    private static let freeFailures = 4

    var isStarting: Bool { if case .starting = phase { true } else { false } }

    init(_ now: Deadline) {
        phase = .absent(until: now)
        headSince = now
    }

    mutating func give(_ claims: [Claim], now: Deadline) {
        if held.isEmpty { headSince = now }
        held += claims
    }

    /// Takes a claim out of its hands. False: it does not hold it.
    mutating func settle(_ outcome: Outcome) -> Bool {
        guard let index = held.firstIndex(of: outcome.claim) else { return false }
        held.remove(at: index)
        if held.count <= 1 {
            isRecalled = false
            barAt = .never
        }
        switch outcome.verdict {
        case .done, .failed, .timedOut: measure(outcome.run)
        case .cancelled, .released, .consumerDied, .workerLost, .recalled: break
        }
        return true
    }

    private mutating func measure(_ run: Run) {
        let took = Double(max(1, run.ended.microseconds - run.started.microseconds))
        guard let pace else {
            pace = took
            return
        }
        // Quick to become careful, slower to become bold.
        self.pace = pace + (took - pace) * (took > pace ? 0.5 : 0.2)
    }

    mutating func recall(_ now: Deadline) {
        isRecalled = true
        if held.count > 1, !isBarred { barAt = now + SupervisorState.patience }
    }

    mutating func bar() {
        barAt = .never
        isBarred = true
    }

    /// Takes what it has not begun out of its hands.
    mutating func takeBack(except running: Int64) -> [Claim] {
        defer { held.removeAll { $0.job != running } }
        return held.filter { $0.job != running }
    }

    mutating func unbar() {
        isBarred = false
        isRecalled = false
    }

    mutating func die(_ now: Deadline) {
        held = []
        unbar()
        barAt = .never
        isOverdue = false
        fail(now)
    }

    mutating func failToStart(_ now: Deadline) { fail(now, after: 1) }

    private mutating func fail(_ now: Deadline, after free: Int = freeFailures) {
        failures += 1
        let excess = failures - free
        phase = .absent(
            until: excess <= 0 ? now : now + .milliseconds(min(2000, 10 << min(excess, 8))))
    }

    /// How many more claims it may get.
    /// - Parameter prefetching: Whether it may hold more than the one that it runs.
    func room(prefetching: Bool, now: Deadline) -> Int {
        guard phase == .ready, !isBarred else { return 0 }
        return max(0, limit(prefetching, now) - held.count)
    }

    /// It soon has nothing to do.
    func isHungry(prefetching: Bool, now: Deadline) -> Bool {
        phase == .ready && !isBarred && held.count * 2 <= limit(prefetching, now)
    }

    private func limit(_ prefetching: Bool, _ now: Deadline) -> Int {
        guard prefetching, !isRecalled, let pace else { return 1 }
        let isStuck =
            !held.isEmpty && headSince + .microseconds(Int64(SupervisorState.prefetched)) <= now
        guard !isStuck else { return 1 }
        return 1
            + Int(min(SupervisorState.prefetched / pace, Double(SupervisorState.maximumHeld - 1)))
    }

    /// When what waits behind a long job is to be called back; never if nothing waits.
    var recallAt: Deadline {
        guard phase == .ready, held.count > 1, !isRecalled else { return .never }
        return headSince + SupervisorState.recallAfter
    }
}
