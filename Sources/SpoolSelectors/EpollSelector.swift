// EpollSelector.swift - a selector over epoll(7): its cost is that of what is ready, not of what is registered.

internal import CSpool
private import Glibc
public import SpoolThreads

/// The best selector of this system. See selectors.DefaultSelector in Python.
public typealias DefaultSelector = EpollSelector

/// A selector over epoll(7), level-triggered unless ``Events/edge`` is asked for. See selectors.EpollSelector.
///
/// Several threads may wait in it at once. It does not take regular files, which are always ready.
public final class EpollSelector: Selector, @unchecked Sendable {  // adds nothing that changes
    private let epoll: Epoll

    /// Nothing registered yet.
    /// - Throws: `system` when the process has no descriptor left.
    public init() throws(SpoolError) {
        epoll = try Epoll()
        try super.init(epoll)
    }

    /// The selector's own descriptor, readable while something is ready: it can be registered elsewhere.
    /// - Throws: `closed`.
    public func fileno() throws(SpoolError) -> Int32 {
        try requireOpen()
        return epoll.descriptor
    }
}

private struct Epoll: Kernel {
    let descriptor: Int32

    init() throws(SpoolError) {
        descriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard descriptor >= 0 else { throw .system(call: "epoll_create1", errno: errno) }
    }

    var supported: Events { [.read, .write, .edge, .oneShot] }
    var isLive: Bool { true }

    func watch(_ watched: Watched, isNew: Bool) throws(SpoolError) {
        var event = epoll_event(
            events: watched.key.events.bits, data: epoll_data_t(u64: watched.tag))
        let number = watched.key.descriptor
        var status = epoll_ctl(descriptor, isNew ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, number, &event)
        // A copy that was closed before it was unregistered, and opened again with the same number.
        if status != 0, isNew, errno == EEXIST {
            status = epoll_ctl(descriptor, EPOLL_CTL_MOD, number, &event)
        }
        guard status != 0 else { return }
        guard errno != EPERM else {
            throw .badInput(
                "descriptor \(number) is always ready, as regular files are: epoll refuses it.",
                hint: "Read it without waiting, or use a PollSelector.")
        }
        throw .system(call: "epoll_ctl", errno: errno)
    }

    // Fails when the descriptor was closed before: then the kernel has forgotten it by itself.
    func forget(_ other: Int32) { epoll_ctl(descriptor, EPOLL_CTL_DEL, other, nil) }

    func wait(
        _ milliseconds: Int32, _ batch: inout [epoll_event], _: () -> [Watched]
    ) -> Int32 {
        let count = epoll_wait(descriptor, &batch, Int32(clamping: batch.count), milliseconds)
        return count < 0 ? -errno : count
    }

    func close() { Glibc.close(descriptor) }
}
