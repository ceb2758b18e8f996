// Frames.swift - messages between a supervisor and its consumers over a stream socket.
//
// A frame is: UInt32 length of what follows, UInt8 kind, payload. Integers are little-endian, a run of bytes is its
// UInt32 count and the bytes. Both ends are the same program on one host. Many frames travel in one write.

private import Glibc
public import SpoolThreads

/// Builds frames, one after the other, into one buffer that is written as a whole.
public struct FrameWriter {
    /// Largest payload: a body and a command of the largest size, and what is said about them.
    public static let maximumPayload = 129 << 20

    @usableFromInline var bytes: [UInt8] = []
    private var sent = 0
    private var frame = 0

    /// Made from its parts.
    public init() {}

    /// Nothing waits to be written.
    public var isEmpty: Bool { sent == bytes.count }

    /// Bytes that wait to be written.
    public var count: Int { bytes.count - sent }

    /// Begins a frame; `end` completes it.
    public mutating func begin(_ kind: UInt8) {
        frame = bytes.count
        put(UInt32(0))
        put(kind)
    }

    /// Completes the frame that was begun.
    public mutating func end() {
        let length = UInt32(bytes.count - frame - 4)
        for index in 0..<4 {
            bytes[frame + index] = UInt8(truncatingIfNeeded: length >> (8 * index))
        }
    }

    /// Appends an integer.
    @inlinable
    public mutating func put<Integer: FixedWidthInteger>(_ integer: Integer) {
        withUnsafeBytes(of: integer.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// Appends bytes with their count before them.
    public mutating func put(bytes more: [UInt8]) {
        put(UInt32(more.count))
        bytes.append(contentsOf: more)
    }

    /// Appends a text with its count of bytes before it.
    public mutating func put(text: String) {
        var text = text
        text.withUTF8 {
            put(UInt32($0.count))
            bytes.append(contentsOf: $0)
        }
    }

    /// What was put since the last ``flush(to:waiting:)`` or ``discard()``, frames or not.
    package func withBytes<Value>(_ body: (UnsafeRawBufferPointer) -> Value) -> Value {
        bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[sent...])) }
    }

    /// Begins anew.
    package mutating func discard() { reset() }

    /// Writes what it can without waiting, or everything when `waiting`. True: the other end is there. Where the system
    /// has no memory for it, it waits until there is some, or without `waiting` for a moment.
    public mutating func flush(to socket: Int32, waiting: Bool) throws(SpoolError) -> Bool {
        let flags = Int32(MSG_NOSIGNAL) | (waiting ? 0 : Int32(MSG_DONTWAIT))
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                send(socket, $0.baseAddress?.advanced(by: sent), $0.count - sent, flags)
            }
            if count >= 0 {
                sent += count
                continue
            }
            switch errno {
            case EINTR: continue
            case EAGAIN: return true
            case ENOBUFS, ENOMEM:
                Self.awaitMemory()
                if !waiting { return true }
            case EPIPE, ECONNRESET: return false
            default: throw .system(call: "send", errno: errno)
            }
        }
        reset()
        return true
    }

    /// The system was short of memory for a message: for the moment, as for who is out of processes.
    fileprivate static func awaitMemory() { Pause.briefly(upTo: .milliseconds(10)) }

    private mutating func reset() {
        // A 64 MiB body must not keep its memory.
        bytes.removeAll(keepingCapacity: bytes.capacity <= 1 << 20)
        sent = 0
    }
}

/// What a frame carries, read from front to back.
public struct FramePayload {
    @usableFromInline let bytes: UnsafeRawBufferPointer
    @usableFromInline var offset = 0

    package init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// The next integer.
    /// - Throws: `.badInput` when the frame is shorter.
    @inlinable
    public mutating func integer<Integer: FixedWidthInteger>(
        _ type: Integer.Type = Integer.self
    ) throws(SpoolError) -> Integer {
        let size = MemoryLayout<Integer>.size
        guard offset + size <= bytes.count else { throw FrameReader.malformed }
        defer { offset += size }
        return Integer(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Integer.self))
    }

    /// The next run of bytes.
    /// - Throws: `.badInput` when the frame is shorter.
    public mutating func run() throws(SpoolError) -> [UInt8] { Array(try slice()) }

    /// The next text.
    /// - Throws: `.badInput` when the frame is shorter.
    public mutating func text() throws(SpoolError) -> String {
        String(decoding: try slice(), as: UTF8.self)
    }

    private mutating func slice() throws(SpoolError) -> UnsafeRawBufferPointer {
        let count = Int(try integer(UInt32.self))
        guard offset + count <= bytes.count else { throw FrameReader.malformed }
        defer { offset += count }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
    }
}

/// Takes frames out of what arrived on a socket.
public struct FrameReader {
    /// What a look at the socket gave.
    public enum Arrival: Hashable, Sendable {
        case some
        /// Nothing yet (only without waiting).
        case nothing
        /// The other end is closed and everything was read.
        case end
    }

    @usableFromInline static let malformed = SpoolError.badInput(
        "a message between the worker's processes is malformed.")
    private static let ordinarySize = 64 << 10
    /// For so long the system may have no memory for a message.
    private static let longestShortage = Duration.seconds(5)

    private var bytes = [UInt8](repeating: 0, count: ordinarySize)
    private var start = 0
    private var end = 0

    /// Made from its parts.
    public init() {}

    /// Reads once from the socket.
    public mutating func fill(from socket: Int32, waiting: Bool) throws(SpoolError) -> Arrival {
        makeRoom()
        let flags = waiting ? 0 : Int32(MSG_DONTWAIT)
        var limit: Deadline?
        while true {
            let count = bytes.withUnsafeMutableBytes {
                recv(socket, $0.baseAddress?.advanced(by: end), $0.count - end, flags)
            }
            if count > 0 {
                end += count
                return .some
            }
            if count == 0 { return .end }
            let number = errno
            switch number {
            case EINTR: continue
            // "Nothing" is an answer on which the caller acts. But who waits here hears no signal.
            case ENOBUFS, ENOMEM:
                let end = limit ?? Deadline(after: Self.longestShortage)
                guard !end.isPast else { throw .system(call: "recv", errno: number) }
                limit = end
                FrameWriter.awaitMemory()
            case EAGAIN: return .nothing
            case ECONNRESET: return .end
            default: throw .system(call: "recv", errno: number)
            }
        }
    }

    /// Calls `body` for each whole frame that is here.
    /// - Throws: `.badInput` for a frame over the limit; what `body` throws.
    public mutating func forEach(
        _ body: (_ kind: UInt8, _ payload: inout FramePayload) throws(SpoolError) -> Void
    ) throws(SpoolError) {
        while let length = try nextLength(), end - start >= 4 + length {
            let range = start + 4..<start + 4 + length
            start = range.upperBound
            let result = bytes.withUnsafeBytes { all -> Result<Void, SpoolError> in
                var payload = FramePayload(UnsafeRawBufferPointer(rebasing: all[range]))
                return Result { () throws(SpoolError) in
                    let kind = try payload.integer(UInt8.self)
                    try body(kind, &payload)
                }
            }
            try result.get()
        }
    }

    private func nextLength() throws(SpoolError) -> Int? {
        guard end - start >= 4 else { return nil }
        let length = bytes.withUnsafeBytes {
            Int(UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: start, as: UInt32.self)))
        }
        guard length >= 1, length <= FrameWriter.maximumPayload else { throw Self.malformed }
        return length
    }

    private mutating func makeRoom() {
        if start == end {
            start = 0
            end = 0
            if bytes.count > 1 << 20 { bytes = [UInt8](repeating: 0, count: Self.ordinarySize) }
        }
        guard end == bytes.count else { return }
        if start > 0 {
            bytes.removeSubrange(..<start)
            end -= start
            start = 0
        }
        bytes.append(contentsOf: repeatElement(0, count: max(end, Self.ordinarySize)))
    }
}
