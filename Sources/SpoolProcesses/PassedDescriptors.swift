// PassedDescriptors.swift - descriptors that travel beside the bytes of a value.
//
// A number of a descriptor means nothing in another process. So a value that holds one writes an index, and the kernel
// carries a copy of the descriptor itself (SCM_RIGHTS in unix(7)), if the value goes a way that can do it.

private import Glibc
public import SpoolThreads

/// What goes along with one message: filled while a value encodes itself, emptied while it decodes itself.
///
/// Whoever sends values to another process puts one into the coder's userInfo under ``key``. Safe from any thread.
public final class PassedDescriptors: @unchecked Sendable {  // touched with the lock held only
    /// Most descriptors of one message. See SCM_MAX_FD in unix(7).
    public static let limit = 253
    /// Under which the coders of a message that can carry descriptors have it in their userInfo.
    public static let key: CodingUserInfoKey = {
        guard let key = CodingUserInfoKey(rawValue: "spool.descriptors") else {
            preconditionFailure("a key can be made of any text")
        }
        return key
    }()

    private let lock = Lock()
    private var held: [Int32?]

    /// For encoding: empty.
    public init() { held = [] }

    /// For decoding: owns descriptors that have arrived.
    public init(owning descriptors: [Int32]) { held = descriptors }

    deinit {
        for descriptor in held { descriptor.map { _ = close($0) } }
    }

    /// The descriptors that go along; they stay open as long as this object lives.
    public var numbers: [Int32] { lock.withLock { held.compactMap { $0 } } }

    /// Adds a copy of a descriptor, which the caller may close afterwards, and gives its index.
    /// - Throws: `badInput` when it is not open; `system` when the table of descriptors is full; `tooLarge` for more
    ///   than ``limit``.
    func add(_ descriptor: Int32) throws(SpoolError) -> Int {
        try lock.withLock { () throws(SpoolError) in
            guard held.count < Self.limit else {
                throw .badInput("a message carries at most \(Self.limit) descriptors.")
            }
            let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
            guard copy >= 0 else {
                guard errno != EBADF else {
                    throw .badInput("descriptor \(descriptor) is not open: it cannot be passed on.")
                }
                throw .system(call: "fcntl F_DUPFD_CLOEXEC", errno: errno)
            }
            held.append(copy)
            return held.count - 1
        }
    }

    /// Gives a descriptor that has arrived away, once.
    func take(_ index: Int) throws(SpoolError) -> Descriptor {
        let descriptor = lock.withLock { () -> Int32? in
            guard held.indices.contains(index) else { return nil }
            defer { held[index] = nil }
            return held[index]
        }
        guard let descriptor else {
            throw .badInput("the message names a descriptor that did not come with it.")
        }
        return Descriptor(owning: descriptor)
    }
}

extension Encoder {
    /// For values that hold a descriptor: lets a copy of it travel with the message, and gives the index to encode.
    /// - Parameter what: The value's name, for the error.
    /// - Throws: `badInput` when what is encoded goes no way that carries descriptors; as when the table is full.
    public func passDescriptor(_ descriptor: Int32, of what: String) throws(SpoolError) -> Int {
        guard let passed = userInfo[PassedDescriptors.key] as? PassedDescriptors else {
            throw .badInput(
                "a \(what) cannot be encoded here: it holds a descriptor, which bytes do not carry.",
                hint: "Pass it as an argument of a child process, or send it over a Connection.")
        }
        return try passed.add(descriptor)
    }
}

extension Decoder {
    /// For values that hold a descriptor: takes the one with the index that was encoded.
    /// - Throws: `badInput` when what is decoded came no way that carries descriptors, or without this one.
    public func takeDescriptor(_ index: Int, of what: String) throws(SpoolError) -> Descriptor {
        guard let passed = userInfo[PassedDescriptors.key] as? PassedDescriptors else {
            throw .badInput(
                "a \(what) cannot be decoded here: its descriptor did not come with it.")
        }
        return try passed.take(index)
    }
}
