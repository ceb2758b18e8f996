// SelectSelector.swift - a selector over select(2): the oldest call, for descriptors below 1,024.

internal import CSpool
private import Glibc
public import SpoolThreads

/// A selector over select(2), level-triggered. See selectors.SelectSelector in Python.
///
/// One thread at a time waits in it. It takes descriptors below 1,024 only (FD_SETSIZE).
public final class SelectSelector: Selector, @unchecked Sendable {  // adds nothing that changes
    /// Nothing registered yet.
    /// - Throws: `system` when the process has no descriptor left, `badInput` when it has none below 1,024.
    public init() throws(SpoolError) { try super.init(Select()) }
}

private struct Select: Kernel {
    func watch(_ watched: Watched, isNew: Bool) throws(SpoolError) {
        let descriptor = watched.key.descriptor
        guard descriptor < DescriptorSet.limit else {
            throw .badInput(
                "descriptor \(descriptor) is too high for select(2), which ends below \(DescriptorSet.limit).",
                hint: "Use an EpollSelector or a PollSelector.")
        }
    }

    func wait(
        _ milliseconds: Int32, _ batch: inout [epoll_event], _ snapshot: () -> [Watched]
    ) -> Int32 {
        let watched = snapshot()
        var readers = DescriptorSet()
        var writers = DescriptorSet()
        for one in watched {
            if one.key.events.contains(.read) { readers.insert(one.key.descriptor) }
            if one.key.events.contains(.write) { writers.insert(one.key.descriptor) }
        }
        let highest = watched.lazy.map(\.key.descriptor).max() ?? -1
        let status = Self.select(highest + 1, &readers, &writers, milliseconds)
        guard status >= 0 else { return status }
        var count = 0
        for one in watched where count < batch.count {
            var bits: UInt32 = 0
            if readers.contains(one.key.descriptor) { bits |= EPOLLIN.rawValue }
            if writers.contains(one.key.descriptor) { bits |= EPOLLOUT.rawValue }
            guard bits != 0 else { continue }
            batch[count] = epoll_event(events: bits, data: epoll_data_t(u64: one.tag))
            count += 1
        }
        return Int32(count)
    }

    private static func select(
        _ end: Int32, _ readers: inout DescriptorSet, _ writers: inout DescriptorSet,
        _ milliseconds: Int32
    ) -> Int32 {
        var time = timeval(
            tv_sec: Int(milliseconds / 1000), tv_usec: Int(milliseconds % 1000) * 1000)
        let status =
            milliseconds < 0
            ? Glibc.select(end, &readers.bits, &writers.bits, nil, nil)
            : Glibc.select(end, &readers.bits, &writers.bits, nil, &time)
        return status < 0 ? -errno : status
    }
}

/// An fd_set, whose macros Swift does not import: a bit for each descriptor, in words of 64.
private struct DescriptorSet {
    static let limit = Int32(MemoryLayout<fd_set>.size * 8)
    var bits = fd_set()

    mutating func insert(_ descriptor: Int32) {
        withUnsafeMutableBytes(of: &bits) {
            $0.bindMemory(to: UInt64.self)[Int(descriptor) / 64] |= 1 << (UInt64(descriptor) % 64)
        }
    }

    func contains(_ descriptor: Int32) -> Bool {
        withUnsafeBytes(of: bits) {
            $0.bindMemory(to: UInt64.self)[Int(descriptor) / 64] >> (UInt64(descriptor) % 64) & 1
                == 1
        }
    }
}
