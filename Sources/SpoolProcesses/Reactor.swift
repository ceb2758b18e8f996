// Reactor.swift - lets tasks wait for descriptors: one thread for all of them, made with the first.
//
// After Schmidt, "Reactor", 1995. Invariants: each watch has a copy of its descriptor, so that the original may be
// closed, and be watched by several tasks. A watch is rung at most once by the thread, and its task looks again.

private import CSpool
private import Glibc
internal import SpoolSelectors
internal import SpoolThreads

/// One task that waits for a descriptor, or for several.
final class Watch: Sendable {
    private let isRung = Monitor(false)

    /// Ends the wait. Any thread may do that, before it begins too.
    func ring() {
        let waiting = isRung.withLock { isRung, line in
            isRung = true
            return line.takeAll()
        }
        waiting.wake()
    }

    /// Suspends the task until one of the descriptors is ready for its events, somebody rings, the deadline passes, or
    /// the task is cancelled.
    /// - Throws: `system` when descriptors, memory or threads are short; `badInput` for one that is not open.
    nonisolated(nonsending) func wait(
        for wanted: [(descriptor: Int32, events: Events)], until deadline: Deadline = .never
    ) async throws(SpoolError) -> WaitOutcome {
        let copies = try Reactor.shared.add(wanted, self)
        defer { Reactor.shared.remove(copies) }
        return try await isRung.wait(until: deadline) { isRung, _ in isRung }
    }
}

/// The thread that watches descriptors for tasks.
private final class Reactor: @unchecked Sendable {  // touched with the lock held only
    static let shared = Reactor()

    private let lock = Lock()
    private var selector: EpollSelector?
    private var watches: [Int32: Watch] = [:]

    /// Gives the copies that are watched from now on.
    func add(
        _ wanted: [(descriptor: Int32, events: Events)], _ watch: Watch
    ) throws(SpoolError) -> [Int32] {
        try lock.withLock { () throws(SpoolError) in
            let selector = try begin()
            var copies: [Int32] = []
            for (descriptor, events) in wanted {
                do throws(SpoolError) {
                    copies.append(try copy(descriptor))
                    watches[copies[copies.count - 1]] = watch
                    try selector.register(copies[copies.count - 1], events.union(.oneShot))
                } catch .system(_, EPERM) {
                    // A file on a disk cannot be watched, because it is always ready.
                    watch.ring()
                } catch {
                    forget(copies, selector)
                    throw error
                }
            }
            return copies
        }
    }

    func remove(_ copies: [Int32]) {
        lock.withLock { if let selector { forget(copies, selector) } }
    }

    private func copy(_ descriptor: Int32) throws(SpoolError) -> Int32 {
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else {
            guard errno != EBADF else {
                throw .badInput("descriptor \(descriptor) is not open.")
            }
            throw .system(call: "fcntl F_DUPFD_CLOEXEC", errno: errno)
        }
        return copy
    }

    private func forget(_ copies: [Int32], _ selector: EpollSelector) {
        for copy in copies {
            // What could not be registered is not watched: as wanted.
            _ = try? selector.unregister(copy)
            watches[copy] = nil
            close(copy)
        }
    }

    private func begin() throws(SpoolError) -> EpollSelector {
        if let selector { return selector }
        let fresh = try EpollSelector()
        try Thread.detach("spool-reactor") { Reactor.shared.run(fresh) }
        selector = fresh
        return fresh
    }

    private func run(_ selector: EpollSelector) {
        while true {
            do throws(SpoolError) {
                try selector.select(until: .never) { key, _ in
                    lock.withLock { watches[key.descriptor] }?.ring()
                }
            } catch {
                // Memory was short for a moment. Nothing is lost: the next look tells it again.
                Pause.briefly(upTo: .milliseconds(10))
            }
        }
    }
}
