// Roll.swift - which threads there are, and that the process waits for them.
//
// Invariant: a thread is on the roll from before it is made until just before those that join it wake up. The hook that
// waits at the end of the process is an atexit(3) handler: returning from main and exit(3) run it, in the thread that
// ends the process, before buffers are flushed and the process is torn down. It is made with the first thread that is
// no daemon. Two locks are taken around each fork: the roll's, so that a child finds it whole (it then knows one thread
// only), and that of the life of the thread that forks, which others may be asking about: the child needs it, and
// nobody there would give it back. No thread takes one of the two while it holds the other, but to fork.

private import CSpool
private import Glibc

/// The threads of this process that Spool started.
final class Roll: Sendable {
    static let shared = Roll()

    private struct State {
        var threads: [ObjectIdentifier: Thread] = [:]
        var main: Thread?
        var lastNumber = 0
        var waitsAtExit = false
        /// The thread that forks, whose life is locked until it has.
        var forking: Thread?
    }

    private let state = Monitor(State())

    private init() {
        pthread_atfork(
            { Roll.shared.hold() }, { Roll.shared.letGo() },
            {
                Roll.shared.letGo()
                Roll.shared.beginAnew()
            })
    }

    /// Before a fork. Handlers of others may give the thread an object after this has run: it is noted which it had.
    private func hold() {
        state.lock.acquire()
        let forking = Roll.existing
        forking?.holdLife()
        state.inside.pointee.state.forking = forking
    }

    /// After a fork, in both processes.
    private func letGo() {
        let forking = state.inside.pointee.state.forking
        state.inside.pointee.state.forking = nil
        forking?.letGoOfLife()
        state.lock.release()
    }

    func nextNumber() -> Int {
        state.withLock { state, _ in
            state.lastNumber += 1
            return state.lastNumber
        }
    }

    func enter(_ thread: Thread) {
        let isFirst = state.withLock { state, _ in
            state.threads[ObjectIdentifier(thread)] = thread
            guard !thread.daemon, !state.waitsAtExit else { return false }
            state.waitsAtExit = true
            return true
        }
        if isFirst { atexit { Thread.joinAll() } }
    }

    func leave(_ thread: Thread) {
        state.withLock { state, _ in _ = state.threads.removeValue(forKey: ObjectIdentifier(thread))
        }
    }

    var alive: [Thread] { state.withLock { state, _ in Array(state.threads.values) } }

    var mainThread: Thread {
        if let main = state.withLock({ state, _ in state.main }) { return main }
        // The first thread of a process has its number.
        let isMain = spool_thread_id() == getpid()
        let candidate = isMain ? Roll.current : Thread(running: "MainThread", id: getpid())
        return keepMain(candidate)
    }

    /// The main thread has one object: whoever asks first, itself or another thread, makes it.
    private func keepMain(_ candidate: Thread) -> Thread {
        state.withLock { state, _ in
            let main = state.main ?? candidate
            state.main = main
            return main
        }
    }

    /// In a forked child.
    private func beginAnew() {
        let gone = state.withLock { state, _ in
            defer { (state.threads, state.main) = ([:], nil) }
            return state.threads
        }
        withExtendedLifetime(gone) { Roll.existing?.beginAnew() }
    }

    // MARK: - The current thread

    /// Where each thread keeps its object, which is released when the thread ends.
    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        pthread_key_create(&key) { object in
            if let object { Unmanaged<Thread>.fromOpaque(object).release() }
        }
        return key
    }()

    private static var existing: Thread? {
        pthread_getspecific(key).map { Unmanaged<Thread>.fromOpaque($0).takeUnretainedValue() }
    }

    static var current: Thread {
        get { existing ?? adopt() }
        set { pthread_setspecific(key, Unmanaged.passRetained(newValue).toOpaque()) }
    }

    /// Gives an object to a thread that Spool did not start.
    private static func adopt() -> Thread {
        let id = spool_thread_id()
        let isMain = id == getpid()
        let new = Thread(running: isMain ? "MainThread" : "Thread-\(id)", id: id)
        let thread = isMain ? shared.keepMain(new) : new
        current = thread
        return thread
    }
}
