// Connection+Receiving.swift - what an application receives and sends: bytes, values, descriptors; threads and tasks.

private import CSpool
private import Glibc
private import SpoolSelectors
public import SpoolThreads

extension Connection {
    // MARK: - Bytes

    /// Receives the next message, waiting until one comes.
    /// - Parameters:
    ///   - limit: Most bytes that you can take; nil is ``limit``.
    ///   - timeout: Longest wait; nil waits for ever, zero only looks.
    /// - Throws: `endOfFile` when the other end is closed and nothing is left; `timedOut`; `tooLarge`, which says how
    ///   many bytes it has, when it is over the limit: it stays, and can be received with a larger one; `closed`;
    ///   `badInput` when the other end has gone in the midst of a message, or what came is none; for an end that cannot
    ///   receive, or a bad limit or timeout.
    public func recvBytes(
        limit: Int? = nil, timeout: Duration? = nil
    ) throws(SpoolError) -> [UInt8] { try receive(limit, Deadline(checking: timeout)).bytes }

    /// Receives the next message into `buffer`, from `offset` on.
    /// - Returns: How many bytes it has.
    /// - Throws: as ``recvBytes(limit:timeout:)``; `tooLarge` when there is too little room: it stays, and can be
    ///   received with a larger buffer. `badInput` for an offset outside of the buffer.
    public func recvBytes(
        into buffer: inout [UInt8], offset: Int = 0, timeout: Duration? = nil
    ) throws(SpoolError) -> Int {
        let room = try Self.part(buffer, offset, nil)
        let bytes = try receive(room.count, Deadline(checking: timeout)).bytes
        buffer.replaceSubrange(offset..<offset + bytes.count, with: bytes)
        return bytes.count
    }

    // MARK: - Values

    /// Sends a value as one message, and the descriptors that it holds with it: connections too can be sent.
    /// - Throws: as ``sendBytes(_:offset:count:)``; what ``BinaryEncoder`` throws: then nothing was sent.
    public func send<Value: Encodable>(_ value: Value) throws(SpoolError) {
        try send(Self.message(value))
    }

    /// Receives a value that was sent with `send`.
    /// - Throws: as ``recvBytes(limit:timeout:)``; `badInput` when what came is something else: it is taken.
    public func recv<Value: Decodable>(
        _ type: Value.Type = Value.self, timeout: Duration? = nil
    ) throws(SpoolError) -> Value { try receive(nil, Deadline(checking: timeout)).value() }

    static func message<Value: Encodable>(
        _ value: Value, _ passed: PassedDescriptors = .init()
    ) throws(SpoolError) -> Outgoing {
        let encoder = BinaryEncoder(limit: limit, userInfo: [PassedDescriptors.key: passed])
        let bytes = try encoder.encode(value)
        return try Outgoing(bytes, 0..<bytes.count, passed)
    }

    // MARK: - Descriptors

    /// Sends a copy of a descriptor; this one stays yours. See SCM_RIGHTS in unix(7), send_handle in Python.
    /// - Throws: as ``sendBytes(_:offset:count:)``; `badInput` when it is not open.
    public func sendDescriptor(_ descriptor: Int32) throws(SpoolError) {
        let passed = PassedDescriptors()
        _ = try passed.add(descriptor)
        try send(try Outgoing([], 0..<0, passed))
    }

    /// Receives a descriptor, which is yours then.
    /// - Throws: as ``recvBytes(limit:timeout:)``; `badInput` when the next message has none: it is taken.
    public func recvDescriptor(timeout: Duration? = nil) throws(SpoolError) -> Descriptor {
        let message = try receive(nil, Deadline(checking: timeout))
        guard message.descriptors.numbers.count == 1 else {
            throw .badInput("a descriptor was expected, but a message of another kind came.")
        }
        return try message.descriptors.take(0)
    }

    // MARK: - Waiting

    /// Whether something can be received without waiting: a message, or the end.
    /// - Parameter timeout: Longest wait; nil waits for ever, zero or less only looks. Nothing is taken.
    /// - Throws: `closed`; `badInput` for an end that cannot receive.
    public func poll(timeout: Duration? = .zero) throws(SpoolError) -> Bool {
        try checkReadable()
        let deadline = try Deadline(checking: timeout.map { max($0, .zero) })
        return try file.wait(for: .read, until: deadline)
    }

    func receive(_ limit: Int?, _ deadline: Deadline) throws(SpoolError) -> Message {
        try check(limit)
        while true {
            if let message = try arrived(limit) { return message }
            guard try file.wait(for: .read, until: deadline) else {
                throw .timedOut("nothing came in time.")
            }
        }
    }

    private func check(_ limit: Int?) throws(SpoolError) {
        try checkReadable()
        guard limit ?? 0 >= 0 else { throw .badInput("a limit cannot be negative.") }
    }
}

extension Connection.Message {
    func value<Value: Decodable>() throws(SpoolError) -> Value {
        let decoder = BinaryDecoder(userInfo: [PassedDescriptors.key: descriptors])
        return try decoder.decode(from: bytes)
    }
}

extension Connection {
    // MARK: - For tasks

    /// As the blocking form, for tasks: no thread is blocked.
    /// - Throws: as the blocking form, and `CancellationError` when the task was cancelled before: no message is lost.
    public nonisolated(nonsending) func recvBytes(
        limit: Int? = nil, timeout: Duration? = nil
    ) async throws -> [UInt8] { try await receiveAsync(limit, Deadline(checking: timeout)).bytes }

    /// As the blocking form, for tasks: no thread is blocked.
    /// - Throws: as the blocking form, and `CancellationError` when the task was cancelled before: no message is lost.
    public nonisolated(nonsending) func recv<Value: Decodable>(
        _ type: Value.Type = Value.self, timeout: Duration? = nil
    ) async throws -> Value { try await receiveAsync(nil, Deadline(checking: timeout)).value() }

    /// As the blocking form, for tasks: no thread is blocked.
    /// - Throws: as the blocking form, and `CancellationError` when the task was cancelled before it began to go out.
    public nonisolated(nonsending) func sendBytes(
        _ bytes: [UInt8], offset: Int = 0, count: Int? = nil
    ) async throws { try await sendAsync(Outgoing(bytes, Self.part(bytes, offset, count))) }

    /// As the blocking form, for tasks: no thread is blocked.
    /// - Throws: as the blocking form, and `CancellationError` when the task was cancelled before it began to go out.
    public nonisolated(nonsending) func send<Value: Encodable>(_ value: Value) async throws {
        try await sendAsync(Self.message(value))
    }

    nonisolated(nonsending) func receiveAsync(
        _ limit: Int?, _ deadline: Deadline
    ) async throws -> Message {
        try check(limit)
        while true {
            try Task.checkCancellation()
            if let message = try arrived(limit) { return message }
            guard try await file.wait(for: .read, until: deadline) else {
                throw SpoolError.timedOut("nothing came in time.")
            }
        }
    }
}

extension Connection: Codable {
    private enum CodingKeys: CodingKey { case descriptor, readable, writable }

    /// Lets a copy travel to another process. Use this one no more: what you have read in part would be lost there.
    /// - Throws: `badInput` where no descriptors can go along; `closed`.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        let index = try file.use { number throws(SpoolError) in
            try encoder.passDescriptor(number, of: "Connection")
        }
        try values.encode(index, forKey: .descriptor)
        try values.encode(readable, forKey: .readable)
        try values.encode(writable, forKey: .writable)
    }

    /// The copy that arrived.
    /// - Throws: `badInput` when its descriptor did not come along.
    public convenience init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        let index = try values.decode(Int.self, forKey: .descriptor)
        let descriptor = try decoder.takeDescriptor(index, of: "Connection")
        guard spool_is_stream(descriptor.number) != 0 else {
            throw SpoolError.badInput("the descriptor that came is no end of a connection.")
        }
        self.init(
            checked: descriptor.release(), try values.decode(Bool.self, forKey: .readable),
            try values.decode(Bool.self, forKey: .writable))
    }
}
