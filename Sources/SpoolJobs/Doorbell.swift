// Doorbell.swift - how a process that waits learns that another one changed the store.
//
// One inotify descriptor watches two files: a doorbell beside the database, which Spool writes to after each commit,
// and the write-ahead log, which everybody writes to. The second covers writers that died before they rang and foreign
// programs such as the sqlite3 shell; but a log is written before its commit can be seen, so after such a write the
// waiter looks again at growing intervals until it sees the commit. See inotify(7).
//
// Invariant: answer() comes before the look. A ring after the look makes the descriptor readable again.

private import CSpool
private import Glibc
public import SpoolThreads

/// Tells a waiting process that the store changed. Belongs to the thread that uses its store.
public final class Doorbell {
    /// What a waiter waits for.
    public enum Kind: Sendable {
        /// Work that may be taken, or a job that shall stop: workers.
        case arrived
        /// Jobs that ended: `join`.
        case settled
    }

    /// Longest sleep without a ring: what no event announced is found after this time at the latest, and counted.
    public static let safetyPoll = Duration.seconds(1)

    private let store: Store
    private let inotify: Int32
    private let bell: Int32
    private var log: Int32 = -1
    private var seen: Int64
    private var patience: Duration?
    private var isClosed = false
    private var nextRound = Deadline(after: Doorbell.safetyPoll)

    /// - Throws: `system` when the process or user has no inotify instance left (see
    ///   /proc/sys/fs/inotify/max_user_instances), `notAStore`, `inputOutput`.
    public init(_ kind: Kind, of store: Store) throws(SpoolError) {
        self.store = store
        let path = kind == .arrived ? store.files.arrived : store.files.settled
        _ = try File.side(path)
        inotify = inotify_init1(Int32(IN_NONBLOCK | IN_CLOEXEC))
        guard inotify >= 0 else { throw .system(call: "inotify_init1", errno: errno) }
        bell = inotify_add_watch(inotify, path, UInt32(IN_MODIFY))
        seen = 0
        guard bell >= 0 else {
            let number = errno
            close(inotify)
            throw .system(call: "inotify_add_watch", errno: number)
        }
        seen = try store.dataVersion()
        watchLog()
    }

    deinit { if !isClosed { close(inotify) } }

    /// Ends its use. The kernel takes 10 to 20 ms to close an inotify descriptor; a command that is
    /// about to end need not wait for that: a child of it does.
    public func closeElsewhere() {
        isClosed = true
        spool_close_elsewhere(inotify)
    }

    private func watchLog() {
        // Reading the store has opened the log, and it stays while a connection is open.
        log = inotify_add_watch(
            inotify, store.files.database + "-wal", UInt32(IN_MODIFY | IN_DELETE_SELF))
    }

    /// For poll(2) and epoll(7): readable when it was rung, until ``answer()``.
    public var descriptor: Int32 { inotify }

    /// Empties the descriptor. Call it before you look at the store, each time.
    /// - Returns: After how long to look again although nothing rang: somebody writes, and the commit is not there yet.
    public func answer() -> Duration? {
        if drain().hasWritten { patience = .milliseconds(1) }
        return whenToLook()
    }

    /// As ``answer()`` for who then looks with an exchange and tells what it saw: what has rung is to be seen there, so
    /// that nothing is read of the store before.
    public func answerRing() -> Duration? {
        let heard = drain()
        if heard.hasRung {
            patience = nil
            return nil
        }
        if heard.hasWritten { patience = .milliseconds(1) }
        return whenToLook()
    }

    /// The ``Exchange/version`` of an exchange with the store.
    public func saw(_ version: Int64) { seen = version }

    private func whenToLook() -> Duration? {
        guard let wait = patience else { return nil }
        let version = (try? store.dataVersion()) ?? seen  // an error shows when the caller looks
        if version != seen {
            seen = version
            patience = nil
            return nil
        }
        patience = wait < .milliseconds(512) ? wait * 2 : nil
        return wait
    }

    /// What whoever waits sees to once a second, whatever rings, as there may be nobody else who does: that the file
    /// still has its name, and that the jobs of a worker that died come back. Call it before you look.
    /// - Returns: How many jobs came back.
    /// - Throws: `notAStore` when the file was removed or replaced.
    @discardableResult
    public func goRounds() throws(SpoolError) -> Int {
        guard nextRound.isPast else { return 0 }
        nextRound = Deadline(after: Doorbell.safetyPoll)
        try store.checkInPlace()
        // Who may not write waits on; what is wrong with the file the look says.
        return store.gate == nil ? 0 : (try? store.recover(now: .now())) ?? 0
    }

    /// Whether somebody rang, and whether the log was written to.
    private func drain() -> (hasRung: Bool, hasWritten: Bool) {
        var heard = (hasRung: false, hasWritten: false)
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { buffer in
            while true {
                let count = read(inotify, buffer.baseAddress, buffer.count)
                guard count > 0 else { return }
                var offset = 0
                while offset + MemoryLayout<inotify_event>.size <= count {
                    let event = buffer.load(fromByteOffset: offset, as: inotify_event.self)
                    if event.wd == bell { heard.hasRung = true }
                    if event.wd == log { heard.hasWritten = true }
                    if event.wd == log, event.mask & UInt32(IN_IGNORED) != 0 { watchLog() }
                    offset += MemoryLayout<inotify_event>.size + Int(event.len)
                }
                // Files that are watched themselves have no names in their events.
                guard count == buffer.count else { return }
            }
        }
        return heard
    }

    /// Sleeps until it rings, at most until the deadline, `again` or the safety poll. Then answer, and look.
    /// - Returns: Whether it rang.
    @discardableResult
    public func wait(until deadline: Deadline, again: Duration?) -> Bool {
        let limit = min(
            deadline, Deadline(after: min(again ?? Doorbell.safetyPoll, Doorbell.safetyPoll)))
        var event = pollfd(fd: inotify, events: Int16(POLLIN), revents: 0)
        return poll(&event, 1, limit.pollTimeout()) > 0
    }
}
