// TakerLine.swift - the threads and tasks of a process that wait for a job of one queue and kind, one behind the other.
//
// What rings calls one of them, not all: it looks, and calls as many more as there are jobs left. So a put costs one
// look, however many wait. Invariants: who is called looks, or calls the next one in its place; a call that finds
// nobody waiting is kept for the next who comes to wait, as that one may have looked before.

internal import SpoolThreads

/// A line of takers. Safe from any thread and task; not across a fork.
final class TakerLine: Sendable {
    private struct Calls {
        /// A look is owed to the next who comes.
        var isOwed = false
        var made = 0
    }

    private let calls = Monitor(Calls())

    /// Calls up to `count` of those who have waited longest.
    func call(_ count: Int = 1) {
        let called = calls.withLock { calls, line in
            let served = min(count, line.count)
            if served < count { calls.isOwed = true }
            calls.made += served
            return line.take(upTo: served)
        }
        called.wake()
    }

    /// Blocks until it is called.
    /// - Parameter again: It was called, and found nothing: it keeps its turn.
    /// - Returns: False when the time was up before.
    func wait(again: Bool, until deadline: Deadline) -> Bool {
        calls.wait(atFront: again, until: deadline, unless: TakerLine.take) == .woken
    }

    /// As the blocking form, for tasks.
    /// - Throws: `CancellationError` when the task was cancelled before it was called; `system`.
    nonisolated(nonsending) func wait(again: Bool, until deadline: Deadline) async throws -> Bool {
        let outcome = try await calls.wait(atFront: again, until: deadline, unless: TakerLine.take)
        if outcome == .cancelled { throw CancellationError() }
        return outcome == .woken
    }

    private static func take(_ calls: inout Calls, _: inout WaitingLine) -> Bool {
        defer { calls.isOwed = false }
        return calls.isOwed
    }

    /// How many wait: a hint.
    var waiting: Int { calls.waiting }

    /// How many were woken to look, ever.
    var made: Int { calls.withLock { calls, _ in calls.made } }
}
