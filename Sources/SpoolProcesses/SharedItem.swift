// SharedItem.swift - what can be put into a queue in shared memory: values that are, or become, bytes.

public import SpoolThreads

/// A value that can be copied into shared memory and out of it, in another process of the same program.
///
/// `[UInt8]` goes as it is, `String` as UTF-8. Values without references (numbers, structs of numbers) are copied as
/// they lie in memory, Codable ones by ``BinaryEncoder``: say `extension Point: SharedItem {}`.
public protocol SharedItem: Sendable {
    /// Runs `body` with the value's bytes, which last as long as it runs.
    /// - Throws: `badInput` when the value has no bytes, and what `body` throws.
    func withSharedBytes<Value>(
        _ body: (UnsafeRawBufferPointer) throws(SpoolError) -> Value
    ) throws(SpoolError) -> Value

    /// The value that these bytes are; they are gone when this returns.
    /// - Throws: `badInput` when they are none.
    init(sharedBytes: UnsafeRawBufferPointer) throws(SpoolError)
}

extension SharedItem where Self: BitwiseCopyable {
    /// The value as it lies in memory.
    @inlinable public func withSharedBytes<Value>(
        _ body: (UnsafeRawBufferPointer) throws(SpoolError) -> Value
    ) throws(SpoolError) -> Value {
        try withUnsafeBytes(of: self) { bytes throws(SpoolError) in try body(bytes) }
    }

    /// The value that lies in these bytes.
    /// - Throws: `badInput` when they are not as many as the value has.
    @inlinable public init(sharedBytes: UnsafeRawBufferPointer) throws(SpoolError) {
        try self.init(copying: sharedBytes)
    }

    @inlinable init(copying sharedBytes: UnsafeRawBufferPointer) throws(SpoolError) {
        guard sharedBytes.count == MemoryLayout<Self>.size else {
            throw .badInput(
                "\(sharedBytes.count) bytes are no \(Self.self), which has \(MemoryLayout<Self>.size)."
            )
        }
        self = sharedBytes.loadUnaligned(as: Self.self)
    }
}

extension SharedItem where Self: Codable {
    /// The value in the format of ``BinaryEncoder``.
    /// - Throws: what that throws.
    public func withSharedBytes<Value>(
        _ body: (UnsafeRawBufferPointer) throws(SpoolError) -> Value
    ) throws(SpoolError) -> Value {
        try BinaryEncoder().encode(self).withSharedBytes(body)
    }

    /// The value that ``BinaryDecoder`` finds.
    /// - Throws: what that throws.
    public init(sharedBytes: UnsafeRawBufferPointer) throws(SpoolError) {
        self = try BinaryDecoder().decode(Self.self, from: sharedBytes)
    }
}

/// Copying is quicker than encoding.
extension SharedItem where Self: BitwiseCopyable & Codable {
    /// The value as it lies in memory.
    @inlinable public func withSharedBytes<Value>(
        _ body: (UnsafeRawBufferPointer) throws(SpoolError) -> Value
    ) throws(SpoolError) -> Value {
        try withUnsafeBytes(of: self) { bytes throws(SpoolError) in try body(bytes) }
    }

    /// The value that lies in these bytes.
    /// - Throws: `badInput` when they are not as many as the value has.
    @inlinable public init(sharedBytes: UnsafeRawBufferPointer) throws(SpoolError) {
        try self.init(copying: sharedBytes)
    }
}

extension Array: SharedItem where Element == UInt8 {
    /// The bytes themselves.
    @inlinable public func withSharedBytes<Value>(
        _ body: (UnsafeRawBufferPointer) throws(SpoolError) -> Value
    ) throws(SpoolError) -> Value {
        try withUnsafeBufferPointer { bytes throws(SpoolError) in
            try body(UnsafeRawBufferPointer(bytes))
        }
    }

    /// The bytes themselves.
    @inlinable public init(sharedBytes: UnsafeRawBufferPointer) { self = Array(sharedBytes) }
}

extension String: SharedItem {
    /// The text as UTF-8.
    @inlinable public func withSharedBytes<Value>(
        _ body: (UnsafeRawBufferPointer) throws(SpoolError) -> Value
    ) throws(SpoolError) -> Value {
        try Array(utf8).withSharedBytes(body)
    }

    /// The text that these bytes are in UTF-8; what is no UTF-8 is replaced.
    @inlinable public init(sharedBytes: UnsafeRawBufferPointer) {
        self = String(decoding: sharedBytes, as: UTF8.self)
    }
}

extension Int: SharedItem {}
extension Int32: SharedItem {}
extension Int64: SharedItem {}
extension UInt8: SharedItem {}
extension UInt32: SharedItem {}
extension UInt64: SharedItem {}
extension Double: SharedItem {}
extension Bool: SharedItem {}
