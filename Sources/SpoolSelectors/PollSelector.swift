// PollSelector.swift - a selector over poll(2): takes any descriptor, and costs more the more there are.

internal import CSpool
private import Glibc
public import SpoolThreads

/// A selector over poll(2), level-triggered. See selectors.PollSelector in Python.
///
/// One thread at a time waits in it. A regular file is always ready.
public final class PollSelector: Selector, @unchecked Sendable {  // adds nothing that changes
    /// Nothing registered yet.
    /// - Throws: `system` when the process has no descriptor left.
    public init() throws(SpoolError) { try super.init(Poll()) }
}

private struct Poll: Kernel {
    func watch(_: Watched, isNew: Bool) {}

    func wait(
        _ milliseconds: Int32, _ batch: inout [epoll_event], _ snapshot: () -> [Watched]
    ) -> Int32 {
        let watched = snapshot()
        var polled = watched.map {
            pollfd(
                fd: $0.key.descriptor, events: Int16(truncatingIfNeeded: $0.key.events.bits),
                revents: 0)
        }
        guard poll(&polled, nfds_t(polled.count), milliseconds) >= 0 else { return -errno }
        var count = 0
        for (index, answer) in polled.enumerated() where answer.revents != 0 {
            guard count < batch.count else { break }
            batch[count] = epoll_event(
                events: UInt32(UInt16(bitPattern: answer.revents)),
                data: epoll_data_t(u64: watched[index].tag))
            count += 1
        }
        return Int32(count)
    }
}
