// Watch.swift - one thread of a process that waits at a doorbell, for all threads and tasks that wait for the store.
//
// An event count: a waiter reads `count` before it looks, so that a ring after the look ends its wait at once.

private import CSpool
private import Glibc
internal import SpoolThreads

/// Counts the rings of a doorbell and wakes whoever waits for the next one.
final class Watch: @unchecked Sendable {  // the mutable part is touched with the lock held only
    private let lock = Lock()
    private let rang: Condition
    private let wake: Int32
    private var count: UInt64 = 0
    private var sleepers: [UInt64: Sleeper] = [:]
    private var nextSleeper: UInt64 = 0
    private var isClosed = false

    private struct Sleeper {
        let deadline: Deadline
        let continuation: CheckedContinuation<Void, Never>
    }

    /// - Throws: what opening the store or making a thread throws.
    init(_ kind: Doorbell.Kind, _ path: String) throws(SpoolError) {
        rang = Condition(lock)
        wake = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard wake >= 0 else { throw .system(call: "eventfd", errno: errno) }
        let station = Station(try Store.open(path, .existing))
        station.bell = try Doorbell(kind, of: station.store)
        try Thread.detach("spool watch") { [weak self] in
            while let self, !self.isOver { self.turn(station) }
        }
    }

    deinit { close(wake) }

    /// The store and bell of the watching thread, handed to it once.
    private final class Station: @unchecked Sendable {  // the watching thread's alone
        let store: Store
        var bell: Doorbell?
        init(_ store: Store) { self.store = store }
    }

    /// Ends the thread and wakes everybody.
    func end() {
        lock.withLock { isClosed = true }
        poke()
    }

    private var isOver: Bool { lock.withLock { isClosed } }

    /// Read it before you look at the store.
    var rings: UInt64 { lock.withLock { count } }

    private func turn(_ station: Station) {
        guard let bell = station.bell else { return }
        let nearest = lock.withLock { sleepers.values.map(\.deadline).min() ?? .never }
        let again = bell.answer()
        let limit = min(nearest, Deadline(after: again ?? Doorbell.safetyPoll))
        var events = [
            pollfd(fd: bell.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: wake, events: Int16(POLLIN), revents: 0),
        ]
        let woken = poll(&events, 2, limit.pollTimeout())
        var drained: UInt64 = 0
        if events[1].revents != 0 { _ = read(wake, &drained, 8) }
        // A poll that ended by itself still counts as a ring: the safety poll of whoever waits.
        let isRing = events[0].revents != 0 || again != nil || woken == 0
        release(isRing: isRing)
    }

    private func release(isRing: Bool) {
        let now = Deadline.now()
        let due = lock.withLock { () -> [Sleeper] in
            if isRing || isClosed {
                count += 1
                rang.notifyAll()
                defer { sleepers.removeAll() }
                return Array(sleepers.values)
            }
            let late = sleepers.filter { $0.value.deadline <= now }
            for key in late.keys { sleepers[key] = nil }
            return Array(late.values)
        }
        for sleeper in due { sleeper.continuation.resume() }
    }

    private func poke() {
        var one: UInt64 = 1
        _ = write(wake, &one, 8)
    }

    /// Blocks until a ring after the one that `seen` counts, or the deadline.
    func wait(after seen: UInt64, until deadline: Deadline) {
        lock.withLock {
            while count == seen, !isClosed {
                guard rang.wait(until: deadline) else { return }
            }
        }
    }

    /// As ``wait(after:until:)`` for tasks; ends at once when the task is cancelled.
    func wait(after seen: UInt64, until deadline: Deadline) async {
        let id = lock.withLock { () -> UInt64 in
            nextSleeper += 1
            return nextSleeper
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isAwake = lock.withLock { () -> Bool in
                    guard count == seen, !isClosed, !Task.isCancelled else { return true }
                    sleepers[id] = Sleeper(deadline: deadline, continuation: continuation)
                    return false
                }
                if isAwake { continuation.resume() } else { poke() }
            }
        } onCancel: {
            let sleeper = lock.withLock { sleepers.removeValue(forKey: id) }
            sleeper?.continuation.resume()
        }
    }
}
