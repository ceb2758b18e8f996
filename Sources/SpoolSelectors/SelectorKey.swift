// SelectorKey.swift - what a selector is told about a descriptor, and tells about it.

/// What a descriptor is watched for, or ready for. See EVENT_READ and EVENT_WRITE in Python's selectors.
public struct Events: OptionSet, Hashable, Sendable {
    /// One bit for each.
    public let rawValue: UInt8

    /// Made from its bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Bytes, a connection, or the end can be read.
    public static let read = Events(rawValue: 1)
    /// Bytes can be written without waiting.
    public static let write = Events(rawValue: 2)
    /// Edge-triggered: told once when something new comes, not again while it lies there. Read or write until
    /// EAGAIN each time. Never a result; for an ``EpollSelector`` only. See EPOLLET in epoll_ctl(2).
    public static let edge = Events(rawValue: 4)
    /// Told once, then not watched until ``Selector/modify(_:_:token:)``: of several threads that wait, one gets it
    /// and keeps it. Never a result; for an ``EpollSelector`` only. See EPOLLONESHOT in epoll_ctl(2).
    public static let oneShot = Events(rawValue: 8)
}

/// A registered descriptor. See selectors.SelectorKey in Python.
public struct SelectorKey: Hashable, Sendable {
    /// The kernel's number for it.
    public let descriptor: Int32
    /// What it is watched for.
    public internal(set) var events: Events
    /// The caller's own word for it: Python's data.
    public internal(set) var token: Int
}
