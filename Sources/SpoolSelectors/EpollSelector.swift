// EpollSelector.swift - waits for many descriptors at once, over epoll(7).
//
// Level-triggered: what was not read is told again, so a reader may stop anywhere. In the shape of Python's selectors.

private import CSpool
private import Glibc
public import SpoolThreads

/// What a descriptor is watched for, or ready for.
public struct Interest: OptionSet, Hashable, Sendable {
    /// The bits of epoll(7).
    public let rawValue: UInt8

    /// Made from its parts.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Bytes, a connection, or the end can be read.
    public static let read = Interest(rawValue: 1)
    /// Bytes can be written without waiting.
    public static let write = Interest(rawValue: 2)
}

/// A registered descriptor. See selectors.SelectorKey.
public struct SelectorKey: Hashable, Sendable {
    /// What is watched.
    public let descriptor: Int32
    /// What it is watched for.
    public var interest: Interest
    /// The caller's own word for it.
    public let token: Int
}

/// Waits until one of its descriptors is ready. See selectors.EpollSelector in Python.
///
/// For one thread. Not across a fork: the child would change what the parent waits for.
public final class EpollSelector {
    private let epoll: Int32
    private var keys: [Int32: SelectorKey] = [:]
    private var events = [epoll_event](repeating: epoll_event(), count: 64)

    /// - Throws: `.system` when the process has no descriptor left.
    public init() throws(SpoolError) {
        epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard epoll >= 0 else { throw .system(call: "epoll_create1", errno: errno) }
    }

    deinit { Glibc.close(epoll) }

    /// Watches a descriptor until it is unregistered, which must happen before it is closed.
    /// - Throws: `.system` when it is registered already or cannot be watched (a regular file).
    public func register(_ descriptor: Int32, _ interest: Interest, token: Int) throws(SpoolError) {
        try control(EPOLL_CTL_ADD, descriptor, interest)
        keys[descriptor] = SelectorKey(descriptor: descriptor, interest: interest, token: token)
    }

    /// Changes what a registered descriptor is watched for.
    public func modify(_ descriptor: Int32, _ interest: Interest) throws(SpoolError) {
        guard let key = keys[descriptor], key.interest != interest else { return }
        try control(EPOLL_CTL_MOD, descriptor, interest)
        keys[descriptor]?.interest = interest
    }

    /// Stops watching; does nothing if it is not registered.
    public func unregister(_ descriptor: Int32) {
        guard keys.removeValue(forKey: descriptor) != nil else { return }
        epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, nil)
    }

    /// Waits until at least one descriptor is ready or the deadline is past, and calls `body` for each that is ready.
    /// A closed or broken one is ready for reading: the read tells. `body` may unregister any descriptor.
    public func select(
        until deadline: Deadline, _ body: (SelectorKey, Interest) throws(SpoolError) -> Void
    ) throws(SpoolError) {
        let count = epoll_wait(epoll, &events, Int32(events.count), deadline.pollTimeout())
        guard count >= 0 else {
            guard errno == EINTR else { throw .system(call: "epoll_wait", errno: errno) }
            return
        }
        for event in events[..<Int(count)] {
            guard let key = keys[event.data.fd] else { continue }
            try body(key, Self.interest(event.events))
        }
    }

    private static func interest(_ events: UInt32) -> Interest {
        var interest: Interest = []
        let readable = EPOLLIN.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue
        if events & readable != 0 { interest.insert(.read) }
        if events & EPOLLOUT.rawValue != 0 { interest.insert(.write) }
        return interest
    }

    private func control(_ operation: Int32, _ fd: Int32, _ interest: Interest) throws(SpoolError) {
        var bits: UInt32 = 0
        if interest.contains(.read) { bits |= EPOLLIN.rawValue }
        if interest.contains(.write) { bits |= EPOLLOUT.rawValue }
        var event = epoll_event(events: bits, data: epoll_data_t(fd: fd))
        guard epoll_ctl(epoll, operation, fd, &event) == 0 else {
            throw .system(call: "epoll_ctl", errno: errno)
        }
    }
}
