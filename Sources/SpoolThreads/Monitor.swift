// Monitor.swift - a state, the lock that guards it, and the line of those who wait for it to change.
//
// After Hoare, "Monitors: An Operating System Structuring Concept", 1974. Invariant: who finds that it has to wait is
// in the line before the lock is released, so whoever changes the state afterwards finds it there.

public import Synchronization

/// What a lock, a semaphore, an event or a future is made of: a state and one ``WaitingLine``, guarded by a
/// ``WordLock``.
///
/// Two ways to use the line: hand over (change the state in the waiter's name, take it out: its wait returns `woken`
/// and it has what it wanted, in strict order), or tell it to look again (``wait(atFront:until:unless:)-swift.method``
/// in a loop). Safe from any thread and task of one process; not across a fork.
public final class Monitor<State>: @unchecked Sendable {  // raw memory, guarded by its own lock
    @usableFromInline struct Inside {
        @usableFromInline var line = WaitingLine()
        @usableFromInline var state: State

        @inlinable init(_ state: State) { self.state = state }
    }

    @usableFromInline let word: UnsafeMutablePointer<Atomic<UInt32>>
    @usableFromInline let inside: UnsafeMutablePointer<Inside>

    /// Nobody waits.
    @inlinable public init(_ state: State) {
        word = .allocate(capacity: 1)
        word.initialize(to: Atomic(0))
        inside = .allocate(capacity: 1)
        inside.initialize(to: Inside(state))
    }

    @inlinable deinit {
        inside.deinitialize(count: 1)
        inside.deallocate()
        word.deinitialize(count: 1)
        word.deallocate()
    }

    /// For who must hold it around a fork; else see ``withLock(_:)``.
    @inlinable package var lock: WordLock { WordLock(word) }

    /// The line stands first.
    @inlinable var line: UnsafeMutablePointer<WaitingLine> {
        UnsafeMutableRawPointer(inside).assumingMemoryBound(to: WaitingLine.self)
    }

    /// Runs `body` with the lock held. It must not wait, run user code, or use this monitor; whom it takes out of the
    /// line must be woken afterwards: return them.
    @inlinable public func withLock<Value, Failure: Error>(
        _ body: (inout State, inout WaitingLine) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        lock.acquire()
        defer { lock.release() }
        return try body(&inside.pointee.state, &inside.pointee.line)
    }

    /// Blocks the thread until it is woken or the deadline passes; not at all when `isVain` says, with the lock held,
    /// that there is nothing to wait for (and may take what is there).
    /// - Parameter atFront: For one that was woken and came too late: it keeps its turn.
    /// - Returns: `woken` or `timedOut`. Woken also when `isVain`, and when both came at once.
    @inlinable public func wait(
        atFront: Bool = false, until deadline: Deadline = .never,
        unless isVain: (inout State, inout WaitingLine) -> Bool
    ) -> WaitOutcome {
        lock.acquire()
        if isVain(&inside.pointee.state, &inside.pointee.line) {
            lock.release()
            return .woken
        }
        return Waiter.sleep(in: line, atFront: atFront, lock, until: deadline)
    }

    /// As ``wait(atFront:until:unless:)-swift.method`` for tasks: no thread is blocked.
    /// - Returns: `cancelled` when the task was cancelled before it was woken.
    /// - Throws: `system` when the thread that keeps the deadlines cannot be made.
    @inlinable public nonisolated(nonsending) func wait(
        atFront: Bool = false, until deadline: Deadline = .never,
        unless isVain: (inout State, inout WaitingLine) -> Bool
    ) async throws(SpoolError) -> WaitOutcome {
        let waiter = TaskWaiter(self, lock, line)
        return try await waiter.wait(atFront: atFront, until: deadline) {
            isVain(&inside.pointee.state, &inside.pointee.line)
        }
    }

    /// As the async `wait`, but neither a deadline nor a cancellation ends it.
    nonisolated(nonsending) func waitUncancelled(
        atFront: Bool, unless isVain: (inout State, inout WaitingLine) -> Bool
    ) async {
        await TaskWaiter(self, lock, line).waitUncancelled(atFront: atFront) {
            isVain(&inside.pointee.state, &inside.pointee.line)
        }
    }

    /// How many wait: a hint, as it may have changed when you read it.
    public var waiting: Int { withLock { _, line in line.count } }
}
