// SharedDescriptor.swift - a descriptor that several threads use, and one of them may close.
//
// Invariants: the number is closed by the last to leave, so nobody reads from a number that belongs to another file
// by now. Who waits when it is closed is woken: threads by a bell, made when the first has to wait; tasks through
// their watches.

private import CSpool
private import Glibc
internal import SpoolSelectors
internal import SpoolThreads

final class SharedDescriptor: @unchecked Sendable {  // its state is touched with the lock held only
    private let lock = Lock()
    let number: Int32
    private let name: String
    private let isClosable: Bool
    private var users = 0
    private var isClosed = false
    private var bell: Int32 = -1
    /// The process whose bell it is: rung in one, it would ring in those that have inherited it, for ever.
    private var bellOwner: Int32 = 0
    private var watches: [ObjectIdentifier: Watch] = [:]

    /// Takes ownership of an open descriptor.
    /// - Parameter name: What is closed, in the words of the error.
    /// - Parameter isClosable: Whether it may be closed while a thread waits for it: then waiting takes a bell.
    init(owning number: Int32, _ name: String, isClosable: Bool = true) {
        self.number = number
        self.name = name
        self.isClosable = isClosable
    }

    deinit { close() }

    /// Calls `body` with the number, which stays open meanwhile.
    /// - Throws: `closed`; what `body` throws.
    func use<Value>(
        _ body: (Int32) throws(SpoolError) -> Value
    ) throws(SpoolError) -> Value {
        try enter()
        defer { leave() }
        return try body(number)
    }

    private func enter() throws(SpoolError) {
        try lock.withLock { () throws(SpoolError) in
            guard !isClosed else { throw .closed(name) }
            users += 1
        }
    }

    private func leave() {
        lock.withLock {
            users -= 1
            if isClosed, users == 0 { free() }
        }
    }

    /// Ends waits with `closed`. Again is harmless.
    func close() {
        let waiting = lock.withLock { () -> [Watch] in
            guard !isClosed else { return [] }
            isClosed = true
            if users == 0 { free() } else { ring() }
            defer { watches = [:] }
            return Array(watches.values)
        }
        for watch in waiting { watch.ring() }
    }

    /// In a forked child, to which nobody's use of it matters: closes the number. It must not be used any more.
    func abandon() {
        Glibc.close(number)
        // A thread of the parent may have held its lock, and its end would close a number that is another file's.
        _ = Unmanaged.passRetained(self)
    }

    private func free() {
        Glibc.close(number)
        if bell >= 0 { Glibc.close(bell) }
    }

    private func ring() {
        guard bell >= 0, bellOwner == getpid() else { return }
        var one: UInt64 = 1
        write(bell, &one, 8)
    }

    private func makeBell() throws(SpoolError) -> Int32 {
        try lock.withLock { () throws(SpoolError) in
            if bell >= 0, bellOwner != getpid() {
                Glibc.close(bell)
                bell = -1
            }
            if bell < 0 {
                bell = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
                bellOwner = getpid()
            }
            guard bell >= 0 else { throw .system(call: "eventfd", errno: errno) }
            if isClosed { ring() }
            return bell
        }
    }

    /// Blocks until it is ready, at its end too. A signal does not end the wait.
    /// - Returns: False when the time is up.
    /// - Throws: `closed`, also when it is closed meanwhile; `system` when descriptors are short.
    func wait(for events: Events, until deadline: Deadline) throws(SpoolError) -> Bool {
        try use { number throws(SpoolError) in
            // A look needs no bell.
            var bell: Int32 = -1
            if isClosable, !deadline.isPast { bell = try makeBell() }
            let bits = events == .write ? POLLOUT : POLLIN
            while true {
                let count = spool_wait_ready(number, Int32(bits), bell, deadline.pollTimeout())
                guard lock.withLock({ !isClosed }) else { throw .closed(name) }
                if count > 0 { return true }
                guard count == 0 || count == -EINTR else {
                    throw .system(call: "poll", errno: -count)
                }
                if deadline.isPast { return false }
            }
        }
    }

    /// As the blocking form, for tasks: no thread is blocked.
    /// - Throws: as the blocking form, and `CancellationError`.
    nonisolated(nonsending) func wait(for events: Events, until deadline: Deadline) async throws
        -> Bool
    {
        let watch = Watch()
        try enter()
        defer { leave() }
        lock.withLock {
            watches[ObjectIdentifier(watch)] = watch
            if isClosed { watch.ring() }
        }
        defer { lock.withLock { _ = watches.removeValue(forKey: ObjectIdentifier(watch)) } }
        let outcome = try await watch.wait(for: [(number, events)], until: deadline)
        guard lock.withLock({ !isClosed }) else { throw SpoolError.closed(name) }
        switch outcome {
        case .woken: return true
        case .timedOut: return false
        case .cancelled: throw CancellationError()
        }
    }
}
