// ChildRoll.swift - which children there are, what this process is itself, and that children end with it.
//
// Invariant: a child is on the roll from its start until its end was seen, so it is not forgotten when nobody holds
// its object. The hook that waits at the end of the process is an atexit(3) handler, made with the first child. The
// lock is taken around each fork, and then those of the lives of all children on the roll, which other threads may be
// asking about: the new process finds the roll whole, and takes its parent's children off it. Nobody takes the roll's
// lock while he holds a life's. These locks are one word each: a Lock has a line of those that wait, which another
// thread may be changing at the fork. So the new process makes itself another Lock for who asks its zygote.

private import CSpool
private import Glibc
internal import SpoolThreads
private import Synchronization

/// The children of this process.
final class ChildRoll: @unchecked Sendable {  // its state is touched with the lock held only
    static let shared = ChildRoll()

    /// How long a daemon that was asked to end may take.
    static let grace = Duration.seconds(2)

    private struct State {
        var children: [ObjectIdentifier: ChildProcess] = [:]
        /// Children whose end was taken in passing: for who waits for any. Nobody else keeps them.
        var untold: [ObjectIdentifier: Untold] = [:]
        var own: CurrentProcess?
        var zygote: Zygote?
        /// Held while a child is made by the zygote, so that one waits for one answer.
        var asking = Lock()
        var lastNumber = 0
        var waitsAtExit = false
    }

    private struct Untold {
        weak var child: ChildProcess?
    }

    private let lock: WordLock
    private var state = State()

    private init() {
        let word = UnsafeMutablePointer<Atomic<UInt32>>.allocate(capacity: 1)
        word.initialize(to: Atomic(0))
        lock = WordLock(word)
        pthread_atfork(
            { ChildRoll.shared.hold() }, { ChildRoll.shared.letGo() },
            {
                ChildRoll.shared.letGo()
                ChildRoll.shared.beginAnew()
            })
    }

    /// Before a fork.
    private func hold() {
        lock.acquire()
        for child in state.children.values { child.holdLife() }
    }

    /// After a fork, in both processes.
    private func letGo() {
        for child in state.children.values { child.letGoOfLife() }
        lock.release()
    }

    private func withLock<Value>(_ body: () -> Value) -> Value {
        lock.acquire()
        defer { lock.release() }
        return body()
    }

    // MARK: - This process

    var own: CurrentProcess {
        withLock { state.own }
            ?? CurrentProcess(name: "MainProcess", daemon: false, method: nil, parent: nil)
    }

    func become(_ own: CurrentProcess) { withLock { state.own = own } }

    /// As in Python: the children of Process-1 are Process-1:1, Process-1:2 and so on.
    func nextName() -> String {
        withLock {
            state.lastNumber += 1
            guard let own = state.own else { return "Process-\(state.lastNumber)" }
            return "\(own.name):\(state.lastNumber)"
        }
    }

    // MARK: - Children

    var children: [ChildProcess] { withLock { Array(state.children.values) } }

    func enter(_ child: ChildProcess) {
        let isFirst = withLock {
            state.children[ObjectIdentifier(child)] = child
            defer { state.waitsAtExit = true }
            return !state.waitsAtExit
        }
        if isFirst { atexit { ChildRoll.shared.endAll() } }
    }

    func leave(_ child: ChildProcess, isTold: Bool) {
        let gone = withLock {
            if !isTold {
                state.untold = state.untold.filter { $1.child != nil }
                state.untold[ObjectIdentifier(child)] = Untold(child: child)
            }
            return state.children.removeValue(forKey: ObjectIdentifier(child))
        }
        withExtendedLifetime(gone) {}
    }

    /// Somebody knows of its end now.
    func hasTold(_ child: ChildProcess) {
        withLock { _ = state.untold.removeValue(forKey: ObjectIdentifier(child)) }
    }

    /// A child that has ended, and nobody was told.
    func takeUntold() -> ChildProcess? {
        withLock {
            while let (key, untold) = state.untold.first {
                state.untold[key] = nil
                if let child = untold.child { return child }
            }
            return nil
        }
    }

    /// At the end of the process: asks daemons to end, and makes those that do not; waits for the others.
    func endAll() {
        let daemons = children.filter(\.daemon)
        for daemon in daemons { daemon.end(by: SIGTERM) }
        let deadline = Deadline(after: Self.grace)
        for daemon in daemons where !daemon.awaitEnd(until: deadline) {
            daemon.end(by: SIGKILL)
            _ = daemon.awaitEnd(until: .never)
        }
        while let other = children.first { _ = other.awaitEnd(until: .never) }
    }

    /// In a forked child.
    private func beginAnew() {
        let (strangers, zygote) = withLock {
            defer {
                (state.children, state.untold) = ([:], [:])
                (state.zygote, state.lastNumber) = (nil, 0)
                state.asking = Lock()
            }
            return (state.children.values, state.zygote)
        }
        for stranger in strangers { stranger.abandon() }
        zygote?.abandon()
    }

    // MARK: - The zygote

    /// Lets the zygote make a child that gets `socket`; starts one if there is none. Nil: it has died, and may have
    /// given `socket` to a child that nobody knows of. The next one must get another.
    func fork(socket: Int32) throws(SpoolError) -> Int32? {
        try withLock { state.asking }.withLock { () throws(SpoolError) in
            let zygote: Zygote
            if let running = withLock({ state.zygote }) {
                zygote = running
            } else {
                zygote = try Zygote.start()
                withLock { state.zygote = zygote }
            }
            if let pid = try zygote.fork(socket: socket) { return pid }
            withLock { state.zygote = nil }
            zygote.end()
            return nil
        }
    }
}
