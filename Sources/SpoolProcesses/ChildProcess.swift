// ChildProcess.swift - a process that runs a function of this program, and its life as its parent sees it.
//
// Invariants: every child is a child of this process for the kernel too, whichever way it was made, and is known by a
// descriptor (pidfd): signals and waits cannot meet a stranger that got its number. Its end is taken once, whoever
// asks first: afterwards it is no zombie and not on the roll. Another process that inherits the object cannot use it.

private import CSpool
private import Glibc
private import SpoolSelectors
public import SpoolThreads

/// A process that runs a function of this program. See multiprocessing.Process in Python.
///
/// This process does not end before its children have ended, unless they are daemons, which are asked to end then
/// (SIGTERM, and SIGKILL after two seconds): returning from main, and exit(3), do that. A daemon ends with its parent
/// also when that is killed; another child goes on, and sees it at ``parent``. Open stores and queues in the child,
/// never before a fork. Safe from any thread.
public final class ChildProcess: @unchecked Sendable {  // a body runs in a forked child only
    /// For people and ps; unique unless you give one.
    public let name: String
    /// Whether it ends with its parent, and may have no children.
    public let daemon: Bool
    /// How it is made.
    public let method: StartMethod
    private let life: Monitor<Life>

    private enum Stage {
        case new
        case starting
        case running
        case ended(ProcessEnd)
        case closed
    }

    private struct Life {
        var stage = Stage.new
        var pid: Int32?
        var file: SharedDescriptor?
        var owner = getpid()
        var work: Work?

        var hasEnded: Bool {
            switch stage {
            case .new, .starting, .running: false
            case .ended, .closed: true
            }
        }
    }

    /// What it is to do.
    struct Work {
        let program: String
        let entry: String?
        /// Runs it here, after a fork.
        let body: () throws -> Void
        /// What the entry gets elsewhere.
        let encode: (PassedDescriptors) throws(SpoolError) -> [UInt8]
    }

    private init(_ name: String?, _ daemon: Bool?, _ method: StartMethod, _ work: Work) {
        self.name = name ?? ChildRoll.shared.nextName()
        self.daemon = daemon ?? Self.current.daemon
        self.method = method
        life = Monitor(Life(work: work))
    }

    /// A child that runs a registered entry when it is started.
    /// - Parameters:
    ///   - entry: One of those that main gives to ``serveIfAsked(_:)``.
    ///   - input: What the entry gets. It may hold connections and other values that carry descriptors.
    ///   - name: Nil makes one of a number: Process-1.
    ///   - daemon: Nil takes over what this process is.
    ///   - method: Nil is the one by which this process was made, if it has a parent; else ``StartMethod/forkServer``.
    ///   - program: For ``StartMethod/spawn``: another build of this program, which knows the entry.
    public convenience init<Input, Output>(
        _ entry: ChildEntry<Input, Output>, _ input: Input, name: String? = nil,
        daemon: Bool? = nil,
        method: StartMethod? = nil, program: String = ownProgram
    ) {
        let work = Work(
            program: program, entry: entry.name, body: { _ = try entry.body(input) },
            encode: { passed throws(SpoolError) in
                try BinaryEncoder(userInfo: [PassedDescriptors.key: passed]).encode(input)
            })
        self.init(name, daemon, method ?? Self.ordinaryMethod, work)
    }

    /// A child that runs a registered entry without input when it is started.
    public convenience init<Output>(
        _ entry: ChildEntry<NoInput, Output>, name: String? = nil, daemon: Bool? = nil,
        method: StartMethod? = nil, program: String = ownProgram
    ) {
        self.init(
            entry, NoInput(), name: name, daemon: daemon, method: method, program: program)
    }

    /// A child that is forked from this process when it is started, and runs `body` with a copy of all that is here.
    ///
    /// Only a process with one thread can be forked: the locks of others would stay locked in the child for ever.
    /// What `body` throws is written to standard error, and the status is 1, or that of a ``ChildExit``.
    public convenience init(
        forking body: @escaping () throws -> Void, name: String? = nil, daemon: Bool? = nil
    ) {
        let work = Work(
            program: Self.ownProgram, entry: nil, body: body, encode: { _ in [] })
        self.init(name, daemon, .fork, work)
    }

    /// This program, even when its file was replaced.
    public static let ownProgram = "/proc/self/exe"

    private static var ordinaryMethod: StartMethod { current.method ?? .forkServer }

    // MARK: - Start

    /// Starts the process. It runs when this returns.
    /// - Throws: `usage` when it was started before, its entry is not registered, this process is a daemon, or it is to
    ///   be forked and this process has other threads. `badInput` when the input cannot be encoded. `noWorker` and
    ///   `system` when it cannot be made. Then it can be started again, unless it was started before.
    public func start() throws(SpoolError) {
        guard !Self.current.daemon else {
            throw .usage(
                "a daemon may have no children: when it is killed with its parent, nobody would end them.",
                hint: "Make process '\(Self.current.name)' no daemon.")
        }
        try checkOwner()
        let work = life.withLock { life, _ -> Work? in
            guard case .new = life.stage else { return nil }
            life.stage = .starting
            return life.work
        }
        guard let work else { throw .usage("process '\(name)' was started already: it runs once.") }
        Self.reapEnded()
        do throws(SpoolError) {
            try make(work)
        } catch {
            life.withLock { life, _ in life.stage = .new }
            throw error
        }
    }

    /// From now on it runs.
    func began(_ pid: Int32, _ descriptor: Int32) {
        let work = life.withLock { life, _ in
            defer { life.work = nil }
            life.stage = .running
            life.pid = pid
            life.file = SharedDescriptor(owning: descriptor, "process '\(name)'", isClosable: false)
            return life.work
        }
        withExtendedLifetime(work) {}
        ChildRoll.shared.enter(self)
        // Another thread may have seen its end before it was on the roll.
        if life.withLock({ life, _ in life.hasEnded }) {
            ChildRoll.shared.leave(self, isTold: true)
        }
    }

    /// Before a fork: the child needs the lock of its life, which another thread may hold.
    func holdLife() { life.lock.acquire() }

    /// After a fork, in both processes.
    func letGoOfLife() { life.lock.release() }

    /// In a forked child of its parent: it is not its child.
    func abandon() {
        let file = life.withLock { life, _ in
            defer { life.file = nil }
            return life.file
        }
        file?.abandon()
    }

    private func checkOwner() throws(SpoolError) {
        guard life.withLock({ life, _ in life.owner == getpid() }) else {
            throw .usage(
                "process '\(name)' is no child of this process: it was inherited by a fork.")
        }
    }

    // MARK: - Its end

    /// The descriptor that stands for it, if it was started.
    private func file() throws(SpoolError) -> SharedDescriptor {
        try checkOwner()
        let (stage, file) = life.withLock { life, _ in (life.stage, life.file) }
        if case .closed = stage { throw .closed("process '\(name)'") }
        guard let file else { throw .usage("process '\(name)' was not started.") }
        return file
    }

    /// Takes its end, if it has come.
    /// - Parameter isTold: Whether the caller hears of it; if not, ``waitForAny()`` still tells it.
    @discardableResult
    private func reap(isTold: Bool = true) -> Bool {
        let (isNew, hasEnded) = life.withLock { life, _ -> (Bool, Bool) in
            guard case .running = life.stage, let file = life.file else { return (false, true) }
            guard let end = ProcessEnd.reap(process: file.number) else { return (false, false) }
            life.stage = .ended(end)
            return (true, true)
        }
        if isNew { ChildRoll.shared.leave(self, isTold: isTold) }
        return hasEnded
    }

    /// Children whose end nobody has asked for are zombies until then.
    static func reapEnded() {
        for child in ChildRoll.shared.children { child.reap(isTold: false) }
    }

    /// Blocks until it has ended. Its end wakes at once.
    /// - Parameter timeout: Longest wait; nil waits for ever, zero or less only looks.
    /// - Returns: False when the time was up before.
    /// - Throws: `usage` when it was not started, or is no child of this process; `closed`; `badInput` for a time
    ///   longer than ``Deadline/longestTimeout``.
    @discardableResult
    public func join(timeout: Duration? = nil) throws(SpoolError) -> Bool {
        let deadline = try Deadline(checking: timeout.map { max($0, .zero) })
        _ = try file()
        return awaitEnd(until: deadline)
    }

    func awaitEnd(until deadline: Deadline) -> Bool {
        // Closed by another thread it has ended too.
        guard let file = try? file() else { return true }
        ChildRoll.shared.hasTold(self)
        return reap() || (try? file.wait(for: .read, until: deadline)) != false && reap()
    }

    /// As the blocking form, for tasks: no thread is blocked.
    /// - Throws: as the blocking form, and `CancellationError`; `system` when descriptors are short.
    @discardableResult
    public nonisolated(nonsending) func join(timeout: Duration? = nil) async throws -> Bool {
        let deadline = try Deadline(checking: timeout.map { max($0, .zero) })
        let file = try file()
        ChildRoll.shared.hasTold(self)
        if reap() { return true }
        guard try await file.wait(for: .read, until: deadline) else { return false }
        return reap()
    }

    /// Whether it was started and has not ended.
    /// - Throws: `closed`; `usage` when it is no child of this process.
    public var isAlive: Bool {
        get throws(SpoolError) {
            guard case .running = try stage() else { return false }
            return true
        }
    }

    /// How it ended: a status or a signal, and a sentence about it. Nil: it has not ended. Python's exitcode.
    /// - Throws: `closed`; `usage` when it is no child of this process.
    public var exitStatus: ProcessEnd? {
        get throws(SpoolError) {
            guard case .ended(let end) = try stage() else { return nil }
            ChildRoll.shared.hasTold(self)
            return end
        }
    }

    private func stage() throws(SpoolError) -> Stage {
        try checkOwner()
        reap()
        let stage = life.withLock { life, _ in life.stage }
        if case .closed = stage { throw .closed("process '\(name)'") }
        return stage
    }

    /// Its process id; nil before the start. Free for others once its end was seen.
    public var pid: Int32? { life.withLock { life, _ in life.pid } }

    /// Readable when it has ended; for ``Connection/wait(for:timeout:)`` and selectors.
    /// - Throws: `usage` when it was not started, or is no child of this process; `closed`.
    public var sentinel: Int32 { get throws(SpoolError) { try file().number } }

    /// Asks it to end: SIGTERM. One that has ended already is no error.
    /// - Throws: `usage` when it was not started, or is no child of this process; `closed`.
    public func terminate() throws(SpoolError) { try signal(SIGTERM) }

    /// Ends it: SIGKILL. One that has ended already is no error.
    /// - Throws: `usage` when it was not started, or is no child of this process; `closed`.
    public func kill() throws(SpoolError) { try signal(SIGKILL) }

    private func signal(_ number: Int32) throws(SpoolError) {
        _ = try file()
        end(by: number)
    }

    func end(by signal: Int32) {
        // Its number cannot be another's: the descriptor stands for the process.
        if let file = try? file() { spool_signal_process(file.number, signal) }
    }

    /// Frees its descriptor. Again is harmless; every other use is an error then.
    /// - Throws: `usage` while it runs, or when it is no child of this process.
    public func close() throws(SpoolError) {
        try checkOwner()
        reap()
        let (isRunning, file) = life.withLock { life, _ -> (Bool, SharedDescriptor?) in
            switch life.stage {
            case .running, .starting: return (true, nil)
            case .new, .ended, .closed:
                life.stage = .closed
                defer { (life.file, life.work) = (nil, nil) }
                return (false, life.file)
            }
        }
        guard !isRunning else {
            throw .usage(
                "process '\(name)' cannot be closed: it still runs.",
                hint: "Join or terminate it first.")
        }
        ChildRoll.shared.hasTold(self)
        file?.close()
    }
}

extension ChildProcess: Hashable {
    /// Two are equal when they are one.
    public static func == (a: ChildProcess, b: ChildProcess) -> Bool { a === b }

    /// By identity.
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}
