// Descriptor.swift - file descriptors with one owner, and the pairs that processes talk through.

private import CSpool
private import Glibc
public import SpoolThreads

/// A file descriptor, closed when its owner goes. Close-on-exec, as everything that is opened here.
public struct Descriptor: ~Copyable {
    /// The kernel's number for it.
    public let number: Int32

    /// Takes ownership of an open descriptor.
    public init(owning number: Int32) { self.number = number }

    deinit { close(number) }

    /// Hands the number out; whoever takes it closes it.
    public consuming func release() -> Int32 {
        let number = number
        discard self
        return number
    }

    /// /dev/null for reading and writing.
    /// - Throws: `.system` when it cannot be opened.
    public static func null() throws(SpoolError) -> Descriptor {
        let number = open("/dev/null", O_RDWR | O_CLOEXEC)
        guard number >= 0 else { throw .system(call: "open /dev/null", errno: errno) }
        return Descriptor(owning: number)
    }

    /// An unnamed file in memory that holds these bytes, read from its beginning.
    /// - Throws: `.system` when memory or descriptors are short.
    public static func memory(_ bytes: [UInt8]) throws(SpoolError) -> Descriptor {
        let number = spool_memory_file("spool-body")
        guard number >= 0 else { throw .system(call: "memfd_create", errno: -number) }
        let file = Descriptor(owning: number)
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes {
                pwrite(number, $0.baseAddress?.advanced(by: offset), bytes.count - offset, offset)
            }
            guard count >= 0 || errno == EINTR else { throw .system(call: "write", errno: errno) }
            offset += max(0, count)
        }
        return file
    }

    /// A pipe.
    /// - Throws: `.system` when descriptors are short.
    public static func pipe() throws(SpoolError) -> DescriptorPair {
        var ends: [Int32] = [0, 0]
        let status = spool_pipe(&ends)
        guard status == 0 else { throw .system(call: "pipe2", errno: -status) }
        return DescriptorPair(Descriptor(owning: ends[0]), Descriptor(owning: ends[1]))
    }

    /// Two connected sockets that carry bytes, or packets.
    /// - Throws: `.system` when descriptors are short.
    public static func sockets(packets: Bool) throws(SpoolError) -> DescriptorPair {
        var ends: [Int32] = [0, 0]
        let type = packets ? SOCK_SEQPACKET : SOCK_STREAM
        let status = spool_socket_pair(Int32(type.rawValue), &ends)
        guard status == 0 else { throw .system(call: "socketpair", errno: -status) }
        return DescriptorPair(Descriptor(owning: ends[0]), Descriptor(owning: ends[1]))
    }
}

/// The two ends of a pipe (reading, writing) or of a connection (ours, theirs).
public struct DescriptorPair: ~Copyable {
    /// The end for reading, or ours.
    public let first: Descriptor
    /// The end for writing, or theirs.
    public let second: Descriptor

    init(_ first: consuming Descriptor, _ second: consuming Descriptor) {
        self.first = first
        self.second = second
    }

    /// Gives both ends away; whoever takes them closes them.
    public consuming func release() -> (first: Int32, second: Int32) {
        (first.release(), second.release())
    }
}
