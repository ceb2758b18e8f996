// Waiting.swift - waiting for several things at once. See multiprocessing.connection.wait in Python.

private import CSpool
private import Glibc
private import SpoolSelectors
public import SpoolThreads

/// Something with a descriptor that becomes readable: a ``Connection`` and a ``Listener`` when something came or the
/// end is there, a ``ChildProcess`` and a ``ParentProcess`` when it has ended, and any descriptor by its number.
public protocol Waitable: Sendable {
    /// The descriptor to watch.
    /// - Throws: `closed`, or what else is in the way.
    func waitDescriptor() throws(SpoolError) -> Int32
}

extension Int32: Waitable {
    /// Itself.
    public func waitDescriptor() -> Int32 { self }
}

extension Connection: Waitable {
    /// Its number.
    public func waitDescriptor() throws(SpoolError) -> Int32 {
        try checkReadable()
        return try fileno()
    }
}

extension ChildProcess: Waitable {
    /// Its sentinel.
    public func waitDescriptor() throws(SpoolError) -> Int32 { try sentinel }
}

extension ParentProcess: Waitable {
    /// Its sentinel.
    public func waitDescriptor() -> Int32 { sentinel }
}

extension Connection {
    /// Blocks until at least one of several things is ready.
    /// - Parameters:
    ///   - things: May stand there twice. Do not close one meanwhile.
    ///   - timeout: Longest wait; nil waits for ever, zero or less only looks.
    /// - Returns: The places in `things` of all that are ready, in order; empty when the time is up.
    /// - Throws: `closed`, or `usage` for a process that was not started; `badInput` for a descriptor that is not open
    ///   or a time longer than ``Deadline/longestTimeout``; `system` when descriptors are short.
    public static func wait(
        for things: [any Waitable], timeout: Duration? = nil
    ) throws(SpoolError) -> [Int] {
        let deadline = try Deadline(checking: timeout.map { max($0, .zero) })
        let descriptors = try descriptors(of: things)
        let selector = try PollSelector()
        for descriptor in Set(descriptors) { try selector.register(descriptor, .read) }
        var ready: Set<Int32> = []
        try selector.select(until: deadline) { key, _ in ready.insert(key.descriptor) }
        return descriptors.indices.filter { ready.contains(descriptors[$0]) }
    }

    /// As the blocking form, for tasks: no thread is blocked.
    /// - Throws: as the blocking form, and `CancellationError`.
    public nonisolated(nonsending) static func wait(
        for things: [any Waitable], timeout: Duration? = nil
    ) async throws -> [Int] {
        let deadline = try Deadline(checking: timeout.map { max($0, .zero) })
        let wanted = try Set(descriptors(of: things)).map { ($0, Events.read) }
        while true {
            // The blocking form only looks here.
            let ready = try look(things)
            guard ready.isEmpty, !deadline.isPast else { return ready }
            let outcome = try await Watch().wait(for: wanted, until: deadline)
            if outcome == .cancelled { throw CancellationError() }
        }
    }

    private static func look(_ things: [any Waitable]) throws(SpoolError) -> [Int] {
        try wait(for: things, timeout: .zero)
    }

    private static func descriptors(of things: [any Waitable]) throws(SpoolError) -> [Int32] {
        var descriptors: [Int32] = []
        for thing in things { descriptors.append(try thing.waitDescriptor()) }
        return descriptors
    }
}
