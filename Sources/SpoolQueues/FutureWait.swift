// FutureWait.swift - waiting for many futures: until one is done, one has failed, or all are.
//
// All: each is waited for in turn, the last first, as it is mostly done last; so nothing has to be registered.
// One: see Completions.swift.

public import SpoolThreads

/// When ``Future/wait(_:for:timeout:)`` returns. See the constants of concurrent.futures.wait in Python.
public enum ReturnWhen: Sendable {
    /// When one is done, or cancelled.
    case firstCompleted
    /// When one has failed; when none does, as soon as all are done.
    case firstException
    /// When all are done.
    case allCompleted
}

extension Future {
    /// What a wait for many has found, each in the order in which they were given, and once.
    public typealias DoneAndNotDone = (done: [Future], notDone: [Future])

    /// Waits until one or all of `futures` are done, and tells which are.
    ///
    /// Blocks the thread; tasks use the async form. A future that was cancelled is done, and has not failed. One that
    /// is given twice counts once. See concurrent.futures.wait in Python.
    /// - Parameters:
    ///   - futures: Of one pool or of several.
    ///   - for: What to wait for.
    ///   - timeout: Longest wait; nil waits for ever, zero only looks. When it is up, the wait returns what is done.
    /// - Throws: `badInput` for a negative time; for `allCompleted` also in a worker whose wait would never end, as
    ///   ``result(timeout:)``.
    @discardableResult @inlinable
    public static func wait(
        _ futures: some Sequence<Future>, for condition: ReturnWhen = .allCompleted,
        timeout: Duration? = nil
    ) throws(SpoolError) -> DoneAndNotDone {
        let all = Array(futures)
        try wait(all, condition, timeout)
        return split(all)
    }

    /// As the blocking form, suspending the task.
    /// - Throws: `badInput` for a negative time, `CancellationError` when the waiting task is cancelled.
    @discardableResult
    public static func wait(
        _ futures: some Sequence<Future> & Sendable, for condition: ReturnWhen = .allCompleted,
        timeout: Duration? = nil
    ) async throws -> DoneAndNotDone {
        try check(timeout)
        let deadline = Deadline(after: timeout)
        let all = Array(futures)
        do {
            if condition == .allCompleted {
                for future in all.reversed() where !future.done {
                    try await future.suspendUntilDone(deadline.remaining())
                }
            } else if !isMet(condition, all) {
                let completions = Completions(all, deadline)
                while let next = try await completions.next(), !next.ends(condition) {}
            }
        } catch SpoolError.timedOut {
            // What is done by now is the answer.
        }
        return split(all)
    }

    @usableFromInline static func wait(
        _ all: [Future], _ condition: ReturnWhen, _ timeout: Duration?
    ) throws(SpoolError) {
        try check(timeout)
        let deadline = Deadline(after: timeout)
        do throws(SpoolError) {
            if condition == .allCompleted {
                for future in all.reversed() where !future.done {
                    try future.sleepUntilDone(deadline)
                }
            } else if !isMet(condition, all) {
                let completions = Completions(all, deadline)
                while let next = try completions.next(), !next.ends(condition) {}
            }
        } catch .timedOut {
            // What is done by now is the answer.
        }
    }

    private static func check(_ timeout: Duration?) throws(SpoolError) {
        if let timeout, timeout < .zero { throw .badInput("a timeout cannot be negative.") }
    }

    private static func isMet(_ condition: ReturnWhen, _ futures: [Future]) -> Bool {
        futures.contains { $0.done && $0.ends(condition) } || futures.allSatisfy(\.done)
    }

    /// Whether this one, which is done, ends a wait for one.
    private func ends(_ condition: ReturnWhen) -> Bool {
        switch condition {
        case .firstCompleted: return true
        case .allCompleted: return false
        case .firstException:
            guard case .failure = outcome else { return false }
            return true
        }
    }

    @inlinable static func split(_ futures: [Future]) -> DoneAndNotDone {
        var (done, notDone): DoneAndNotDone = ([], [])
        done.reserveCapacity(futures.count)
        var seen = Set<ObjectIdentifier>(minimumCapacity: futures.count)
        for future in futures where seen.insert(ObjectIdentifier(future)).inserted {
            if future.done { done.append(future) } else { notDone.append(future) }
        }
        return (done, notDone)
    }
}
