// Connection.swift - messages between two processes, and descriptors with them.
//
// A message is 8 bytes, then its content: UInt32 length, UInt16 count of descriptors, UInt16 mark; little-endian. A
// unix socket carries them as a stream: packets would be quicker by a call, but of packets the kernel holds no more
// than net.unix.max_dgram_qlen, often 10, for one that does not read yet.
// Invariants: what was read of a message that is not complete stays in `incoming`, so a wait that ends early loses
// nothing. One sender at a time holds `sending` until its message is out as a whole.

private import CSpool
private import SpoolSelectors
private import Glibc
public import SpoolThreads

/// One end of a ``Pipe``, or of what a ``Listener`` accepted. See multiprocessing.connection.Connection in Python.
///
/// Safe from any thread; also from a forked child, which has its own copy: then each end is for one process at a time,
/// as pieces of two large messages would mix. It can be passed to another process: as an argument of a
/// ``ChildProcess``, or as a value over another connection; the copy here stays open until it is closed.
/// The end comes when every copy of the other end is closed: so close the copies that you gave away.
public final class Connection: @unchecked Sendable {  // what changes is guarded by its two locks
    /// Most bytes of a message: 1 GiB.
    public static let limit = BinaryEncoder.ordinaryLimit
    static let headerSize = 8
    private static let mark: UInt16 = 0x5370

    /// Whether it can receive.
    public let readable: Bool
    /// Whether it can send.
    public let writable: Bool
    let file: SharedDescriptor
    private let sending = Lock()
    private let receiving = Lock()
    private var incoming = Incoming()

    /// What was read of the next message.
    private struct Incoming {
        var header: [UInt8] = []
        var descriptors: [Int32] = []
        var isShort = false  // descriptors were lost
        var content: [UInt8] = []
        var filled = 0

        /// More than this is not taken from memory before as much has come: a length is only a claim.
        private static let trusted = 1 << 20

        /// Makes room for the next bytes: for all of them, or as much again as there is.
        mutating func makeRoom(_ length: Int) {
            guard filled == content.count else { return }
            let room = min(length, max(Self.trusted, 2 * filled))
            let old = content
            content = [UInt8](unsafeUninitializedCapacity: room) { bytes, count in
                UnsafeMutableRawBufferPointer(bytes).copyBytes(from: old)
                count = room
            }
        }
    }

    /// A message that has arrived.
    struct Message {
        let bytes: [UInt8]
        let descriptors: PassedDescriptors
    }

    /// Takes over a descriptor that is one end of a connection, such as one that was inherited.
    /// - Throws: `badInput` when it is not open, or no connected unix socket for a stream; it is not closed then.
    public convenience init(
        owning descriptor: Int32, readable: Bool = true, writable: Bool = true
    ) throws(SpoolError) {
        guard fcntl(descriptor, F_GETFD) >= 0 else {
            throw .badInput("descriptor \(descriptor) is not open.")
        }
        guard spool_is_stream(descriptor) != 0 else {
            throw .badInput("descriptor \(descriptor) is no end of a connection.")
        }
        self.init(checked: descriptor, readable, writable)
    }

    init(checked descriptor: Int32, _ readable: Bool, _ writable: Bool) {
        self.readable = readable
        self.writable = writable
        file = SharedDescriptor(owning: descriptor, "connection")
    }

    deinit { for descriptor in incoming.descriptors { Glibc.close(descriptor) } }

    /// The kernel's number of it, for ``wait(for:timeout:)`` and selectors; open as long as the
    /// connection is.
    /// - Throws: `closed`.
    public func fileno() throws(SpoolError) -> Int32 { try file.use { $0 } }

    /// Whether it was closed here.
    public var closed: Bool { (try? fileno()) == nil }  // the only error that there is

    /// Closes this copy. Who waits in it here gets `closed`. Again is harmless; it closes itself when nobody holds it.
    public func close() { file.close() }

    // MARK: - Sending

    /// Sends a part of a run of bytes as one message, waiting while the other end has much to read.
    /// - Parameters:
    ///   - offset: Where the part begins: 0 to the count of `bytes`.
    ///   - count: How many bytes; nil takes all that follow. None makes an empty message.
    /// - Throws: `badInput` for an offset or a count outside of `bytes` or an end that cannot send; `tooLarge`;
    ///   `closed`, also when the other end is; `system` when descriptors are short: was a part of the message out by
    ///   then, the connection is closed, as what followed would be taken for the rest.
    public func sendBytes(
        _ bytes: [UInt8], offset: Int = 0, count: Int? = nil
    ) throws(SpoolError) {
        try send(try Outgoing(bytes, try Self.part(bytes, offset, count)))
    }

    static func part(
        _ bytes: [UInt8], _ offset: Int, _ count: Int?
    ) throws(SpoolError) -> Range<Int> {
        guard offset >= 0, offset <= bytes.count else {
            throw .badInput("offset \(offset) is outside of the \(bytes.count) bytes.")
        }
        let count = count ?? bytes.count - offset
        guard count >= 0, count <= bytes.count - offset else {
            throw .badInput(
                "\(count) bytes from offset \(offset) are not in the \(bytes.count) bytes.")
        }
        return offset..<offset + count
    }

    /// A message on its way out.
    struct Outgoing {
        let bytes: [UInt8]
        let part: Range<Int>
        let descriptors: PassedDescriptors
        private var header: [UInt8] = []
        private var sent = 0

        init(
            _ bytes: [UInt8], _ part: Range<Int>, _ descriptors: PassedDescriptors = .init()
        ) throws(SpoolError) {
            guard part.count <= Connection.limit else {
                throw .tooLarge(what: "the message", bytes: part.count, limit: Connection.limit)
            }
            self.bytes = bytes
            self.part = part
            self.descriptors = descriptors
            append(UInt32(part.count))
            append(UInt16(descriptors.numbers.count))
            append(Connection.mark)
        }

        private mutating func append<Integer: FixedWidthInteger>(_ value: Integer) {
            withUnsafeBytes(of: value.littleEndian) { header += $0 }
        }

        var isOut: Bool { sent == header.count + part.count }
        var hasBegun: Bool { sent > 0 }

        /// Sends what fits. True: all of it is out.
        mutating func advance(_ socket: Int32) throws(SpoolError) -> Bool {
            while !isOut {
                let count = step(socket)
                switch -count {
                case ..<0: sent += count
                case Int(EAGAIN): return false
                case Int(EPIPE), Int(ECONNRESET):
                    throw .closed("other end of the connection")
                default: throw .system(call: "sendmsg", errno: Int32(-count))
                }
            }
            return true
        }

        private func step(_ socket: Int32) -> Int {
            let start = part.lowerBound + max(0, sent - header.count)
            let head = min(sent, header.count)
            let passed = hasBegun ? [] : descriptors.numbers
            return bytes.withUnsafeBytes { bytes in
                header.withUnsafeBytes { header in
                    spool_send_parts(
                        socket, header.baseAddress?.advanced(by: head), header.count - head,
                        bytes.baseAddress?.advanced(by: start), part.upperBound - start, passed,
                        passed.count)
                }
            }
        }
    }

    func checkWritable() throws(SpoolError) {
        guard writable else {
            throw .badInput("this end of the pipe is for receiving: it cannot send.")
        }
    }

    func send(_ message: Outgoing) throws(SpoolError) {
        try checkWritable()
        var message = message
        try sending.withLock { () throws(SpoolError) in
            do throws(SpoolError) {
                while try !file.use({ number throws(SpoolError) in try message.advance(number) }) {
                    _ = try file.wait(for: .write, until: .never)
                }
            } catch {
                giveUp(message)
                throw error
            }
        }
    }

    nonisolated(nonsending) func sendAsync(_ message: Outgoing) async throws {
        try checkWritable()
        var message = message
        try await sending.acquire()
        defer { sending.release() }
        do {
            while try !file.use({ number throws(SpoolError) in try message.advance(number) }) {
                guard message.hasBegun else {
                    _ = try await file.wait(for: .write, until: .never)
                    continue
                }
                // The rest must follow, or the other end could read nothing any more: not the caller's to cancel.
                let file = file
                _ = try await Task { try await file.wait(for: .write, until: .never) }.value
            }
        } catch {
            giveUp(message)
            throw error
        }
    }

    /// After a part of a message nothing else may go out: the other end would take it for the rest.
    private func giveUp(_ message: Outgoing) { if message.hasBegun { file.close() } }

    // MARK: - Receiving

    func checkReadable() throws(SpoolError) {
        guard readable else {
            throw .badInput("this end of the pipe is for sending: nothing can be received.")
        }
    }

    /// The next message, if it is here as a whole; nil if not.
    /// - Throws: `endOfFile`; `badInput` when that comes in the midst of it; `tooLarge` when it has more than `limit`
    ///   bytes: it can still be received.
    func arrived(_ limit: Int?) throws(SpoolError) -> Message? {
        try receiving.withLock { () throws(SpoolError) in
            try file.use { number throws(SpoolError) in
                guard let length = try readHeader(number) else { return nil }
                guard length <= limit ?? .max else {
                    throw .tooLarge(what: "the message", bytes: length, limit: limit ?? 0)
                }
                guard try readContent(number, length) else { return nil }
                return try complete()
            }
        }
    }

    private func readHeader(_ socket: Int32) throws(SpoolError) -> Int? {
        while incoming.header.count < Self.headerSize {
            var bytes: UInt64 = 0
            let wanted = Self.headerSize - incoming.header.count
            let isFirst = incoming.header.isEmpty
            let (count, isStray) = withUnsafeMutableBytes(of: &bytes) {
                isFirst
                    ? (readFirst(socket, $0.baseAddress, wanted), false)
                    : Self.readPlain(socket, $0.baseAddress, wanted)
            }
            if isStray { throw refusal() }
            guard try isSome(count) else { return nil }
            withUnsafeBytes(of: bytes) { incoming.header += $0[..<count] }
        }
        let length = incoming.header.withUnsafeBytes {
            ($0.load(as: UInt32.self).littleEndian, $0.load(fromByteOffset: 6, as: UInt16.self))
        }
        guard length.1.littleEndian == Self.mark, length.0 <= Self.limit else {
            throw refusal()
        }
        return Int(length.0)
    }

    /// What came is no message: nobody knows where the next one would begin.
    private func refusal() -> SpoolError {
        file.close()
        for descriptor in incoming.descriptors { Glibc.close(descriptor) }
        incoming = Incoming()
        return .badInput("what came is no message of a Connection; it is closed now.")
    }

    private func readContent(_ socket: Int32, _ length: Int) throws(SpoolError) -> Bool {
        while incoming.filled < length {
            incoming.makeRoom(length)
            let filled = incoming.filled
            let (count, isStray) = incoming.content.withUnsafeMutableBytes {
                Self.readPlain(socket, $0.baseAddress?.advanced(by: filled), $0.count - filled)
            }
            if isStray { throw refusal() }
            guard try isSome(count) else { return false }
            incoming.filled += count
        }
        return true
    }

    /// As recvmsg(2), but keeps the descriptors that come along: with a message's first byte.
    private func readFirst(_ socket: Int32, _ bytes: UnsafeMutableRawPointer?, _ room: Int) -> Int {
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: PassedDescriptors.limit) {
            numbers in
            var came: Int32 = 0
            let count = spool_receive_part(socket, bytes, room, numbers.baseAddress, &came)
            if came < 0 { incoming.isShort = true }
            if came > 0 { incoming.descriptors += numbers[..<Int(came)] }
            return count
        }
    }

    /// As recvmsg(2). Descriptors that come along are none of a message's, and are closed.
    private static func readPlain(
        _ socket: Int32, _ bytes: UnsafeMutableRawPointer?, _ room: Int
    ) -> (count: Int, isStray: Bool) {
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: PassedDescriptors.limit) {
            numbers in
            var came: Int32 = 0
            let count = spool_receive_part(socket, bytes, room, numbers.baseAddress, &came)
            for number in numbers.prefix(Int(max(0, came))) { Glibc.close(number) }
            return (count, came != 0)
        }
    }

    private func isSome(_ count: Int) throws(SpoolError) -> Bool {
        switch -count {
        case ..<0: return true
        case 0, Int(ECONNRESET):
            guard !incoming.header.isEmpty else { throw .endOfFile }
            throw .badInput(
                "the other end has gone in the midst of a message: \(incoming.filled) bytes of it came."
            )
        case Int(EAGAIN): return false
        default: throw .system(call: "recvmsg", errno: Int32(-count))
        }
    }

    private func complete() throws(SpoolError) -> Message {
        let message = Message(
            bytes: incoming.content, descriptors: .init(owning: incoming.descriptors))
        defer { incoming = Incoming() }
        guard !incoming.isShort else {
            throw .system(call: "receiving a descriptor", errno: EMFILE)
        }
        return message
    }
}
