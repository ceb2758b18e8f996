// Selector.swift - waits for many descriptors at once; everything but the system call below it.
//
// Invariants: `watched` says what is registered, and the kernel agrees with it, but for descriptors that were closed
// before they were unregistered. State is touched with the lock held, which nobody holds while waiting or while the
// caller's code runs. The kernel's descriptors are closed by the last to leave: a waiting thread never waits on a
// number that may belong to another file. The bell is rung to end a wait, and stays rung when the selector is closed.

internal import CSpool
private import Glibc
public import SpoolThreads

/// Waits until one of its descriptors is ready. See selectors.BaseSelector in Python.
///
/// Make an ``EpollSelector`` (``DefaultSelector``), a ``PollSelector`` or a ``SelectSelector``. Any thread may
/// register, modify, unregister and close, also while another one waits. Not across a fork: the child would change
/// what the parent waits for. Unregister a descriptor before you close it, as in Python: epoll goes on watching a file
/// that a copy of the descriptor keeps open.
public class Selector: @unchecked Sendable {  // its state is touched with the lock held only
    private let kernel: any Kernel
    private let lock = Lock()
    private let bell: Int32
    private var watched: [Int32: Watched] = [:]
    private var generation: UInt32 = 0
    private var waiting = 0
    private var isClosed = false
    /// The last batch, for the next select: no memory is asked for per event.
    private var spare: [epoll_event] = []

    init(_ kernel: any Kernel) throws(SpoolError) {
        self.kernel = kernel
        bell = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard bell >= 0 else {
            let number = errno
            isClosed = true
            kernel.close()
            throw .system(call: "eventfd", errno: number)
        }
        do throws(SpoolError) {
            try kernel.watch(watchedBell, isNew: true)
        } catch {
            close()
            throw error
        }
    }

    deinit { close() }

    // MARK: - What is registered

    /// Watches a descriptor until it is unregistered.
    /// - Parameters:
    ///   - events: Reading, writing or both; what else there is, an ``EpollSelector`` takes.
    ///   - token: Any word of yours; the key carries it.
    /// - Returns: Its key.
    /// - Throws: `badInput` when it is not open, is registered already, or when it or the events cannot be watched;
    ///   `closed`; `system` when the kernel has no memory for it. Nothing changes then.
    @discardableResult
    public func register(
        _ descriptor: Int32, _ events: Events, token: Int = 0
    ) throws(SpoolError) -> SelectorKey {
        try lock.withLock { () throws(SpoolError) in
            try check(descriptor, events)
            guard watched[descriptor] == nil else {
                throw .badInput(
                    "descriptor \(descriptor) is registered already.",
                    hint: "Change what it is watched for with modify.")
            }
            guard fcntl(descriptor, F_GETFD) >= 0 else {
                throw .badInput("descriptor \(descriptor) is not open.")
            }
            generation &+= 1
            let key = SelectorKey(descriptor: descriptor, events: events, token: token)
            let new = Watched(
                key: key, tag: UInt64(generation) << 32 | UInt64(UInt32(bitPattern: descriptor)))
            try kernel.watch(new, isNew: true)
            watched[descriptor] = new
            tellWaiting()
            return key
        }
    }

    /// Stops watching a descriptor, which may be closed already.
    /// - Returns: Its last key.
    /// - Throws: `badInput` when it is not registered; `closed`.
    @discardableResult
    public func unregister(_ descriptor: Int32) throws(SpoolError) -> SelectorKey {
        try lock.withLock { () throws(SpoolError) in
            let old = try find(descriptor)
            watched[descriptor] = nil
            kernel.forget(descriptor)
            tellWaiting()
            return old.key
        }
    }

    /// Changes what a registered descriptor is watched for, or its token.
    ///
    /// The kernel is told only if the events change, or are ``Events/oneShot``, which it rearms.
    /// - Parameter token: Nil keeps it; Python would forget its data.
    /// - Returns: The new key.
    /// - Throws: `badInput` when it is not registered or the events cannot be watched; `closed`. `system` when the
    ///   kernel refuses, because the descriptor was closed: then it is not registered any more.
    @discardableResult
    public func modify(
        _ descriptor: Int32, _ events: Events, token: Int? = nil
    ) throws(SpoolError) -> SelectorKey {
        try lock.withLock { () throws(SpoolError) in
            try check(descriptor, events)
            var new = try find(descriptor)
            let isNews = new.key.events != events || events.contains(.oneShot)
            new.key.events = events
            new.key.token = token ?? new.key.token
            if isNews { try rewatch(new) }
            watched[descriptor] = new
            return new.key
        }
    }

    /// The key of a registered descriptor.
    /// - Throws: `badInput` when it is not registered; `closed`.
    public func getKey(_ descriptor: Int32) throws(SpoolError) -> SelectorKey {
        try lock.withLock { () throws(SpoolError) in try find(descriptor).key }
    }

    /// All keys by descriptor, as they are now. Python's is a view that changes with the selector.
    /// - Throws: `closed`.
    public func getMap() throws(SpoolError) -> [Int32: SelectorKey] {
        try lock.withLock { () throws(SpoolError) in
            try checkOpen()
            return watched.mapValues(\.key)
        }
    }

    // MARK: - Waiting

    /// Waits until at least one descriptor is ready or the time is up.
    /// - Parameter timeout: Longest wait; nil waits for ever, zero or less only looks.
    /// - Returns: What is ready, and for what; empty when the time is up. A signal does not end the wait.
    /// - Throws: `closed`, also when another thread closes the selector meanwhile; `badInput` for a time longer than
    ///   ``Deadline/longestTimeout``; `system` when memory is short, or a descriptor below select(2) was closed.
    public func select(
        timeout: Duration? = nil
    ) throws(SpoolError) -> [(key: SelectorKey, events: Events)] {
        var ready: [(key: SelectorKey, events: Events)] = []
        let deadline = try Deadline(checking: timeout.map { max($0, .zero) })
        try select(until: deadline) { key, events in ready.append((key, events)) }
        return ready
    }

    /// As ``select(timeout:)``, and calls `body` for each that is ready, on this thread: asks for no memory per event.
    ///
    /// `body` may register, modify, unregister, close; what it unregisters is not told any more.
    /// - Returns: How often `body` was called; 0 when the time is up.
    /// - Throws: As ``select(timeout:)``, and what `body` throws: the next select tells the rest again, but for edge
    ///   and oneShot.
    @discardableResult
    public func select(
        until deadline: Deadline, _ body: (SelectorKey, Events) throws(SpoolError) -> Void
    ) throws(SpoolError) -> Int {
        var told = 0
        repeat {
            var batch = try enter()
            let count = kernel.wait(deadline.pollTimeout(), &batch) { snapshot() }
            try leave()
            guard count >= 0 || count == -EINTR else {
                throw .system(call: "waiting for descriptors", errno: -count)
            }
            told = try tell(batch.prefix(Int(max(0, count))), body)
            lock.withLock { spare = batch }
        } while told == 0 && !deadline.isPast
        return told
    }

    /// Ends the selector: forgets every descriptor, ends a wait in another thread with `closed`. The descriptors stay
    /// open. Calling it again is harmless; a selector that nobody holds any more closes itself.
    public func close() {
        lock.withLock {
            guard !isClosed else { return }
            isClosed = true
            watched = [:]
            spare = []
            if waiting == 0 { free() } else { ring() }
        }
    }
}

// MARK: - Steps, with the lock held unless they say otherwise

extension Selector {
    private var watchedBell: Watched {
        Watched(key: SelectorKey(descriptor: bell, events: .read, token: 0), tag: .max)
    }

    private func checkOpen() throws(SpoolError) {
        guard !isClosed else { throw .closed("selector") }
    }

    private func check(_ descriptor: Int32, _ events: Events) throws(SpoolError) {
        try checkOpen()
        guard descriptor >= 0 else { throw .badInput("\(descriptor) is not a descriptor.") }
        guard !events.isDisjoint(with: [.read, .write]), kernel.supported.isSuperset(of: events)
        else {
            throw .badInput(
                "descriptor \(descriptor) cannot be watched for the events \(events.rawValue).",
                hint: "Give read, write or both; edge and oneShot are for an EpollSelector.")
        }
    }

    private func find(_ descriptor: Int32) throws(SpoolError) -> Watched {
        try checkOpen()
        guard let found = watched[descriptor] else {
            throw .badInput("descriptor \(descriptor) is not registered.")
        }
        return found
    }

    private func rewatch(_ new: Watched) throws(SpoolError) {
        do throws(SpoolError) {
            try kernel.watch(new, isNew: false)
        } catch {
            watched[new.key.descriptor] = nil
            throw error
        }
        tellWaiting()
    }

    /// Takes the lock.
    /// - Throws: `closed`.
    func requireOpen() throws(SpoolError) {
        try lock.withLock { () throws(SpoolError) in try checkOpen() }
    }

    /// Lets a wait that has begun begin again with what is registered now.
    private func tellWaiting() {
        if waiting > 0, !kernel.isLive { ring() }
    }

    private func ring() {
        var one: UInt64 = 1
        write(bell, &one, 8)
    }

    private func free() {
        kernel.close()
        Glibc.close(bell)
    }

    /// Takes the lock. Gives memory for a batch that has room for all that is registered.
    private func enter() throws(SpoolError) -> [epoll_event] {
        try lock.withLock { () throws(SpoolError) in
            try checkOpen()
            precondition(
                kernel.isLive || waiting == 0,
                "only one thread at a time may wait in a PollSelector or SelectSelector.")
            waiting += 1
            var batch: [epoll_event] = []
            swap(&batch, &spare)
            if batch.count <= watched.count {
                batch = Array(repeating: epoll_event(), count: max(64, 2 * watched.count))
            }
            return batch
        }
    }

    /// Takes the lock.
    private func leave() throws(SpoolError) {
        try lock.withLock { () throws(SpoolError) in
            waiting -= 1
            guard isClosed else { return }
            if waiting == 0 { free() }
            throw .closed("selector")
        }
    }

    /// Takes the lock.
    private func snapshot() -> [Watched] {
        lock.withLock { [watchedBell] + watched.values }
    }

    /// Takes the lock for each, and calls `body` without it.
    private func tell(
        _ batch: ArraySlice<epoll_event>,
        _ body: (SelectorKey, Events) throws(SpoolError) -> Void
    ) throws(SpoolError) -> Int {
        var told = 0
        for event in batch {
            guard event.data.u64 != .max else {
                hush()
                continue
            }
            let descriptor = Int32(truncatingIfNeeded: event.data.u64)
            let found = lock.withLock { watched[descriptor] }
            guard let found, found.tag == event.data.u64 else { continue }
            let events = Events(bits: event.events, wanted: found.key.events)
            guard !events.isEmpty else { continue }
            try body(found.key, events)
            told += 1
        }
        return told
    }

    /// Takes the lock. The wait was woken for a change: what comes later rings again.
    private func hush() {
        lock.withLock {
            // Closed meanwhile, the bell's number may belong to another file.
            guard !isClosed else { return }
            var count: UInt64 = 0
            read(bell, &count, 8)
        }
    }
}
