// Timer.swift - a thread that waits before it runs its closure, and can be called off until then.
//
// Invariant: the closure begins or the cancel succeeds, never both: whichever takes the stage from `waiting` first.

/// Runs a closure once, after a time, in a thread of its own. See threading.Timer in Python.
///
/// The time is monotonic: no change of the clock moves it. Safe from any thread; not across a fork.
public final class Timer: Sendable {
    /// The thread that waits and then runs the closure: its name, its end, whether the process waits for it.
    public let thread: Thread
    private let stage: Monitor<Stage>

    private enum Stage { case waiting, cancelled, begun }

    /// A timer that begins to wait when it is started.
    /// - Parameters:
    ///   - interval: How long it waits; zero runs the closure at once.
    ///   - daemon: Whether the process may end before it; nil takes over what the current thread is.
    ///   - body: What it runs; what it throws is treated as in a ``Thread``.
    /// - Throws: `badInput` for a negative time or one longer than ``Deadline/longestTimeout``.
    public init(
        after interval: Duration, name: String? = nil, daemon: Bool? = nil,
        _ body: @escaping @Sendable () throws -> Void
    ) throws(SpoolError) {
        _ = try Deadline(checking: interval)
        let stage = Monitor(Stage.waiting)
        self.stage = stage
        thread = Thread(name: name, daemon: daemon) {
            let deadline = Deadline(after: interval)
            _ = stage.wait(until: deadline) { now, _ in now != .waiting }
            let isOurs = stage.withLock { now, _ in
                defer { if now == .waiting { now = .begun } }
                return now == .waiting
            }
            if isOurs { try body() }
        }
    }

    /// Begins to wait.
    /// - Throws: as ``Thread/start()``.
    public func start() throws(SpoolError) { try thread.start() }

    /// Calls it off, also before it was started; its thread ends at once then.
    /// - Returns: False when the closure has begun. Python's cancel returns nothing.
    @discardableResult
    public func cancel() -> Bool {
        let (isCalledOff, woken) = stage.withLock { stage, line in
            if stage == .waiting { stage = .cancelled }
            return (stage == .cancelled, line.takeAll())
        }
        woken.wake()
        return isCalledOff
    }

    /// Blocks until the closure has run or was called off.
    /// - Returns: False when the time was up before.
    /// - Throws: as ``Thread/join(timeout:)``.
    @discardableResult
    public func join(timeout: Duration? = nil) throws(SpoolError) -> Bool {
        try thread.join(timeout: timeout)
    }
}
