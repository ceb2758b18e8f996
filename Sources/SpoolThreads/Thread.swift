// Thread.swift - a thread of the operating system that runs a closure once.
//
// Invariants: a thread is started once and ends once; it leaves the roll before those that join it wake up, and its
// closure is released before that. Threads are made when they are first needed, never before: a process that may still
// fork has only one.

private import CSpool
private import Glibc

/// A thread of the operating system. See threading.Thread in Python, pthread_create(3).
///
/// The process does not end before its threads have ended, unless they are daemons: returning from main, and exit(3),
/// first wait for the others (``joinAll()``); `_exit` and a signal do not. Safe from any thread. In a forked child only
/// the thread that forked exists.
public final class Thread: @unchecked Sendable {  // its life is behind a monitor
    /// For people, ps and debuggers; the kernel keeps 15 bytes.
    public let name: String
    /// Whether the process may end before this thread has.
    public let daemon: Bool
    private let stackSize: Int?
    private let onUncaught: (@Sendable (any Error) -> Void)?
    private let isOurs: Bool
    /// What a thread is that this one makes and is not told.
    private let heirsAreDaemons: Bool
    private let life: Monitor<Life>

    private enum Stage { case new, started, ended }

    private struct Life {
        var stage: Stage
        var id: Int32?
        var body: (@Sendable () throws -> Void)?
    }

    /// A thread that runs `body` when it is started.
    /// - Parameters:
    ///   - name: nil makes one of a number: Thread-1.
    ///   - daemon: Whether the process may end before it; nil takes over what the current thread is. Threads that Spool
    ///     did not start, such as those that run tasks, and those of a pool count as no daemons.
    ///   - stackSize: Bytes, at least 32,768; nil is the system's size, 8 MiB as a rule.
    ///   - onUncaught: Gets what `body` throws, in the thread; nil writes it to standard error.
    public convenience init(
        name: String? = nil, daemon: Bool? = nil, stackSize: Int? = nil,
        onUncaught: (@Sendable (any Error) -> Void)? = nil,
        _ body: @escaping @Sendable () throws -> Void
    ) {
        let daemon = daemon ?? Thread.current.heirsAreDaemons
        self.init(
            name ?? "Thread-\(Roll.shared.nextNumber())", daemon, heirsAreDaemons: daemon,
            stackSize, onUncaught, body)
    }

    /// One that runs tasks which the process waits for: it is a daemon, as its pool is what is waited for, but what the
    /// tasks start is none.
    package convenience init(ofPool name: String, _ body: @escaping @Sendable () -> Void) {
        self.init(name, true, heirsAreDaemons: false, nil, nil, body)
    }

    private init(
        _ name: String, _ daemon: Bool, heirsAreDaemons: Bool, _ stackSize: Int?,
        _ onUncaught: (@Sendable (any Error) -> Void)?,
        _ body: @escaping @Sendable () throws -> Void
    ) {
        self.name = name
        self.daemon = daemon
        self.heirsAreDaemons = heirsAreDaemons
        self.stackSize = stackSize
        self.onUncaught = onUncaught
        isOurs = true
        life = Monitor(Life(stage: .new, id: nil, body: body))
    }

    /// One that runs already.
    init(running name: String, id: Int32) {
        self.name = name
        (daemon, heirsAreDaemons) = (false, false)
        stackSize = nil
        onUncaught = nil
        isOurs = false
        life = Monitor(Life(stage: .started, id: id, body: nil))
    }

    /// Starts a daemon that runs `body` and ends with it.
    /// - Throws: `system` when the system has no thread left.
    public static func detach(
        _ name: String, _ body: @escaping @Sendable () -> Void
    ) throws(SpoolError) {
        try Thread(name: name, daemon: true, body).start()
    }

    // MARK: - Life

    /// Starts the thread.
    /// - Throws: `badInput` when it was started before or its stack is too small, `system` when the system has no
    ///   thread left: then it can be started again.
    public func start() throws(SpoolError) {
        if let stackSize, stackSize < 32_768 {
            throw .badInput(
                "a thread's stack of \(stackSize) bytes is too small; give 32768 or more.")
        }
        let isFirst = life.withLock { life, _ in
            defer { if life.stage == .new { life.stage = .started } }
            return life.stage == .new
        }
        guard isFirst else {
            throw .badInput("thread '\(name)' was started already: it runs once.")
        }
        Roll.shared.enter(self)
        let status = create()
        guard status == 0 else {
            Roll.shared.leave(self)
            let misled = life.withLock { life, line in
                life.stage = .new
                return line.takeAll()
            }
            misled.wake()
            throw .system(call: "pthread_create", errno: status)
        }
    }

    private func create() -> Int32 {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        // Those that join wait for the end of the closure: so one that nobody joins leaves nothing behind.
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        if let stackSize { pthread_attr_setstacksize(&attributes, stackSize) }
        let context = Unmanaged.passRetained(self)
        var thread = pthread_t()
        let status = pthread_create(
            &thread, &attributes,
            { context in
                if let context { Unmanaged<Thread>.fromOpaque(context).takeRetainedValue().run() }
                return nil
            }, context.toOpaque())
        if status != 0 { context.release() }
        return status
    }

    private func run() {
        spool_name_thread(name)
        Roll.current = self
        renumber()
        perform()
        Roll.shared.leave(self)
        let ended = life.withLock { life, line in
            life.stage = .ended
            return line.takeAll()
        }
        ended.wake()
    }

    /// Takes the closure over, so that it is gone when this returns.
    private func perform() {
        let body = life.withLock { life, _ in
            defer { life.body = nil }
            return life.body
        }
        do {
            try body?()
        } catch {
            if let onUncaught { return onUncaught(error) }
            Report.write("thread '\(name)' ended with an error: \(error)")
        }
    }

    /// Whether it was started and has not ended.
    public var isAlive: Bool { life.withLock { life, _ in life.stage == .started } }

    /// The kernel's number of the thread, as in /proc and ps -L; nil before it is started. Python's native_id.
    ///
    /// Just after the start it waits some microseconds for the thread to begin. Unique among the threads that live.
    public var ident: Int? {
        guard life.withLock({ life, _ in life.stage != .new }) else { return nil }
        _ = wait(until: .never) { $0.id != nil || $0.stage == .new }
        return life.withLock { life, _ in life.id.map(Int.init) }
    }

    // MARK: - Joining

    /// Blocks until the thread has ended.
    /// - Parameter timeout: Longest wait; nil waits for ever, zero only looks.
    /// - Returns: False when the time was up before.
    /// - Throws: `badInput` for the current thread (it would wait for ever), one that was not started, one that Spool
    ///   did not start, a negative time or one longer than ``Deadline/longestTimeout``.
    @discardableResult
    public func join(timeout: Duration? = nil) throws(SpoolError) -> Bool {
        let deadline = try Deadline(checking: timeout)
        try checkJoin()
        if self === Thread.current {
            throw .badInput("a thread cannot join itself: it would wait for ever.")
        }
        let hasEnded = wait(until: deadline) { $0.stage != .started }
        try checkJoin()  // its start may have failed meanwhile
        return hasEnded
    }

    /// As the blocking form, for tasks: no thread is blocked.
    /// - Throws: as the blocking form, and `CancellationError` when the task was cancelled before the thread had ended.
    @discardableResult
    public nonisolated(nonsending) func join(timeout: Duration? = nil) async throws -> Bool {
        let deadline = try Deadline(checking: timeout)
        try checkJoin()
        while true {
            let outcome = try await life.wait(until: deadline) { life, _ in
                life.stage != .started
            }
            if outcome == .cancelled { throw CancellationError() }
            try checkJoin()  // its start may have failed meanwhile
            if !isAlive { return true }
            if outcome == .timedOut { return false }
        }
    }

    private func checkJoin() throws(SpoolError) {
        guard life.withLock({ life, _ in life.stage != .new }) else {
            throw .badInput("thread '\(name)' cannot be joined: it was not started.")
        }
        guard isOurs else {
            throw .badInput("thread '\(name)' cannot be joined: Spool did not start it.")
        }
    }

    /// The beginning, the end and a start that failed wake those that wait, who look for what they want.
    private func wait(until deadline: Deadline, _ holds: (Life) -> Bool) -> Bool {
        while true {
            let outcome = life.wait(until: deadline) { life, _ in holds(life) }
            if life.withLock({ life, _ in holds(life) }) { return true }
            if outcome == .timedOut { return false }
        }
    }

    /// Its number is known when it begins.
    private func renumber() {
        let curious = life.withLock { life, line in
            life.id = spool_thread_id()
            return line.takeAll()
        }
        curious.wake()
    }

    // MARK: - Forks

    /// For the thread itself, before it forks: nobody is just asking about it.
    func holdLife() { life.lock.acquire() }

    /// In both processes.
    func letGoOfLife() { life.lock.release() }

    /// In a forked child: the thread has a new number, and those that waited for it are not here.
    func beginAnew() {
        life.withLock { life, line in (life.id, line) = (spool_thread_id(), WaitingLine()) }
    }
}

extension Thread {
    // MARK: - All threads

    /// The thread that runs this. A thread that Spool did not start, such as one that runs tasks, gets an object when
    /// it first asks. Code of tasks may be in another thread after each `await`.
    public static var current: Thread { Roll.current }

    /// The thread that the process began with; in a forked child the one that forked. Python's main_thread.
    public static var main: Thread { Roll.shared.mainThread }

    /// The main thread, and those that were started here and have not ended, in no order. Python's enumerate.
    public static func enumerate() -> [Thread] { [main] + Roll.shared.alive }

    /// How many ``enumerate()`` lists.
    public static var activeCount: Int { Roll.shared.alive.count + 1 }

    /// How many threads this process has for the kernel, whoever made them; 1 where /proc cannot be read.
    public static var countInKernel: Int {
        var status = stat()
        // The directory has two links and one for each thread.
        return stat("/proc/self/task", &status) == 0 ? Int(status.st_nlink) - 2 : 1
    }

    /// Blocks until every thread has ended that is neither a daemon nor the current one, those too that start
    /// meanwhile.
    ///
    /// The process does it by itself when main returns and in exit(3), once such a thread was started. A program that
    /// ends with `_exit` calls it itself. Not from two threads that are no daemons: they would wait for each other.
    public static func joinAll() {
        let me = current
        while let other = Roll.shared.alive.first(where: { !$0.daemon && $0 !== me }) {
            _ = other.wait(until: .never) { $0.stage != .started }
        }
    }
}
