// Kernel.swift - the system call below a selector: epoll, poll or select.
//
// All three answer in the kernel's epoll_event: poll's bits are the same, and a batch is walked by one text.

internal import CSpool
private import Glibc
internal import SpoolThreads

/// A registered descriptor and its tag, which no other registration has: news of an old one cannot be taken for news
/// of a new one with the same number.
struct Watched {
    var key: SelectorKey
    let tag: UInt64
}

/// What asks the kernel. Everything but `wait` is called with the selector's lock held.
protocol Kernel: Sendable {
    /// What can be asked for.
    var supported: Events { get }

    /// Whether a change reaches a wait that has begun. If not, the wait must be woken, and only one thread may wait.
    var isLive: Bool { get }

    /// Begins or changes a registration. The descriptor is open.
    func watch(_ watched: Watched, isNew: Bool) throws(SpoolError)

    /// Ends a registration. The descriptor may be closed already, and its number belong to another file.
    func forget(_ descriptor: Int32)

    /// Waits, and writes what is ready to the front of `batch`.
    /// - Parameters:
    ///   - milliseconds: -1 waits for ever.
    ///   - snapshot: What to wait for, for a kernel that is told each time anew.
    /// - Returns: How many are ready, or a negated errno.
    func wait(
        _ milliseconds: Int32, _ batch: inout [epoll_event], _ snapshot: () -> [Watched]
    ) -> Int32

    /// Frees what it holds.
    func close()
}

extension Kernel {
    var supported: Events { [.read, .write] }
    var isLive: Bool { false }
    func forget(_: Int32) {}
    func close() {}
}

extension Events {
    /// For epoll_ctl(2), and without edge and oneShot for poll(2).
    var bits: UInt32 {
        var bits: UInt32 = 0
        if contains(.read) { bits |= EPOLLIN.rawValue }
        if contains(.write) { bits |= EPOLLOUT.rawValue }
        if contains(.edge) { bits |= EPOLLET.rawValue }
        if contains(.oneShot) { bits |= EPOLLONESHOT.rawValue }
        return bits
    }

    /// What the kernel's answer means for who asked for `wanted`. A closed or broken descriptor is ready for all that
    /// was wanted: the read or the write tells what has happened.
    init(bits: UInt32, wanted: Events) {
        var events: Events = []
        if bits & ~EPOLLOUT.rawValue != 0 { events.insert(.read) }
        if bits & ~EPOLLIN.rawValue != 0 { events.insert(.write) }
        self = events.intersection(wanted)
    }
}
