// Watch.swift - one thread of a process that waits at a doorbell, for all threads and tasks that wait for the store.
//
// For joins an event count: a waiter reads `count` before it looks, so that a ring after the look ends its wait. Those
// who wait for a job stand in lines, of which a ring calls the first (TakerLine).

private import CSpool
private import Glibc
internal import SpoolThreads

/// Counts the rings of a doorbell and wakes whoever waits for the next one.
final class Watch: @unchecked Sendable {  // the mutable part is touched with the lock held only
    private let lock = Lock()
    private let rang: Condition
    private let wake: Int32
    private var count: UInt64 = 0
    private var lines: [LineName: TakerLine] = [:]
    /// When the next job becomes ready that one of those who wait has seen.
    private var due = Deadline.never
    private var sleepers: [UInt64: Sleeper] = [:]
    private var nextSleeper: UInt64 = 0
    private var isClosed = false
    private let hasClosed = Event()
    private let process = getpid()
    /// Its thread may be in the middle of a look, and the file locked.
    private static let longestClosing = Duration.seconds(2)

    private struct LineName: Hashable {
        let queue: String
        let kind: String
    }

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
        try Thread.detach("spool watch") { [weak self, hasClosed] in
            while let self, !self.isOver { self.turn(station) }
            station.store.close()
            hasClosed.set()
        }
    }

    deinit { close(wake) }

    /// The store and bell of the watching thread, handed to it once.
    private final class Station: @unchecked Sendable {  // the watching thread's alone
        let store: Store
        var bell: Doorbell?
        /// When the bell wants to be asked again although it did not ring.
        var again = Deadline.never
        /// What no ring announced is found then.
        var safety = Deadline(after: Doorbell.safetyPoll)
        init(_ store: Store) { self.store = store }
    }

    /// Ends the thread and wakes everybody. Returns when its store is closed, so that the caller's is the last one.
    func end() {
        guard process == getpid() else { return }
        lock.withLock { isClosed = true }
        poke()
        _ = hasClosed.wait(until: Deadline(after: Watch.longestClosing))
    }

    private var isOver: Bool { lock.withLock { isClosed } }

    /// Read it before you look at the store.
    var rings: UInt64 { lock.withLock { count } }

    /// Who waits for jobs of a queue and kind.
    func line(queue: String, kind: String) -> TakerLine {
        lock.withLock {
            let name = LineName(queue: queue, kind: kind)
            if let known = lines[name] { return known }
            let made = TakerLine()
            lines[name] = made
            return made
        }
    }

    /// A scheduled job becomes ready without a ring: this rings for it.
    func expect(_ next: Deadline) {
        let isSooner = lock.withLock { () -> Bool in
            defer { due = min(due, next) }
            return next < due
        }
        if isSooner { poke() }
    }

    private func turn(_ station: Station) {
        guard let bell = station.bell else { return }
        let nearest = lock.withLock { min(due, sleepers.values.map(\.deadline).min() ?? .never) }
        let limit = min(nearest, station.again, station.safety)
        var events = [
            pollfd(fd: bell.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: wake, events: Int16(POLLIN), revents: 0),
        ]
        _ = poll(&events, 2, limit.pollTimeout())
        var drained: UInt64 = 0
        if events[1].revents != 0 { _ = read(wake, &drained, 8) }
        // A file that was moved is told to those who wait by their own look.
        _ = try? bell.goRounds()
        var isRing = station.safety.isPast
        if events[0].revents != 0 || station.again.isPast {
            // Nil: rung, or a foreign commit can be seen. Else somebody writes, and it can not be seen yet.
            let wait = bell.answer()
            station.again = wait.map { Deadline(after: $0) } ?? .never
            if wait == nil { isRing = true }
        }
        if release(isRing: isRing) { station.safety = Deadline(after: Doorbell.safetyPoll) }
    }

    /// Wakes those for whom it is time, after a ring all joins and the first of each line.
    /// - Returns: Whether it was a ring, or the time of a job that becomes ready.
    private func release(isRing: Bool) -> Bool {
        let now = Deadline.now()
        let (woken, called) = lock.withLock { () -> ([Sleeper], [TakerLine]) in
            if isRing || due <= now || isClosed {
                count += 1
                due = .never
                rang.notifyAll()
                defer { sleepers.removeAll() }
                return (Array(sleepers.values), Array(lines.values))
            }
            let late = sleepers.filter { $0.value.deadline <= now }
            for key in late.keys { sleepers[key] = nil }
            return (Array(late.values), [])
        }
        for sleeper in woken { sleeper.continuation.resume() }
        for line in called { line.call() }
        return !called.isEmpty || isRing
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
