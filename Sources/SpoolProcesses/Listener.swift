// Listener.swift - connections to processes that are no relatives, by the name of a socket.

private import CSpool
private import Glibc
private import SpoolSelectors
public import SpoolThreads

/// Waits for other processes of this machine to connect. See multiprocessing.connection.Listener in Python.
///
/// Python's two ends prove to each other that they know a key. Here the kernel says which user the other end is: only
/// processes of the own user, or of root, get in, and there is no key to keep secret. Safe from any thread.
public final class Listener: Waitable, Sendable {
    /// Where it listens; `@` stands in front of an abstract name.
    public let address: String
    private let file: SharedDescriptor
    private let owner: Int32
    private let checksUser: Bool

    /// Listens at an address.
    /// - Parameters:
    ///   - address: A path, at which nothing is yet; or `@` and an abstract name, which no file has and which ends with
    ///     the listener; nil: an abstract name that the kernel chooses. 107 bytes at most.
    ///   - anyUser: Whether other users get in too, whom an abstract name does not keep out.
    /// - Throws: `badInput` for a name that is too long or in use; `system` when it cannot be made.
    public init(_ address: String? = nil, anyUser: Bool = false) throws(SpoolError) {
        let name = Self.name(address ?? "")
        let number = name.withUnsafeBytes { spool_listen($0.baseAddress, $0.count) }
        guard number >= 0 else { throw Self.error("listen", address ?? "", -number) }
        file = SharedDescriptor(owning: number, "listener")
        self.address = address ?? Self.chosen(number)
        owner = getpid()
        checksUser = !anyUser
    }

    private static func name(_ address: String) -> [CChar] {
        var bytes = address.utf8.map { CChar(bitPattern: $0) }
        if address.hasPrefix("@") { bytes[0] = 0 }
        return bytes
    }

    private static func chosen(_ number: Int32) -> String {
        var name = [CChar](repeating: 0, count: 108)
        let count = spool_name_of(number, &name)
        let bytes = name.prefix(max(0, count)).dropFirst().map { UInt8(bitPattern: $0) }
        return "@" + String(decoding: bytes, as: UTF8.self)
    }

    private static func error(_ call: String, _ address: String, _ number: Int32) -> SpoolError {
        switch number {
        case ENAMETOOLONG: .badInput("the address '\(address)' is too long: 107 bytes at most.")
        case EADDRINUSE: .badInput("the address '\(address)' is in use.")
        case ENOENT, ECONNREFUSED: .badInput("nobody listens at '\(address)'.")
        default: .system(call: "\(call) at \(address)", errno: number)
        }
    }

    deinit { close() }

    /// Takes the next connection, waiting until one comes.
    /// - Parameter timeout: Longest wait; nil waits for ever, zero only looks.
    /// - Throws: `timedOut`; `closed`, also when it is closed meanwhile; `badInput` when the other end is another user:
    ///   it was refused. `system` when descriptors are short.
    public func accept(timeout: Duration? = nil) throws(SpoolError) -> Connection {
        let deadline = try Deadline(checking: timeout)
        while true {
            if let connection = try take() { return connection }
            guard try file.wait(for: .read, until: deadline) else {
                throw .timedOut("nobody has connected in time.")
            }
        }
    }

    /// As the blocking form, for tasks: no thread is blocked.
    /// - Throws: as the blocking form, and `CancellationError`.
    public nonisolated(nonsending) func accept(timeout: Duration? = nil) async throws -> Connection
    {
        let deadline = try Deadline(checking: timeout)
        while true {
            try Task.checkCancellation()
            if let connection = try take() { return connection }
            guard try await file.wait(for: .read, until: deadline) else {
                throw SpoolError.timedOut("nobody has connected in time.")
            }
        }
    }

    private func take() throws(SpoolError) -> Connection? {
        let number = try file.use { spool_accept($0) }
        if number == -EAGAIN { return nil }
        guard number >= 0 else { throw .system(call: "accept", errno: -number) }
        let connection = Connection(checked: number, true, true)
        if checksUser { try connection.checkUser() }
        return connection
    }

    /// The connection's descriptor.
    /// - Throws: `closed`.
    public func waitDescriptor() throws(SpoolError) -> Int32 { try file.use { $0 } }

    /// Listens no more, and removes its path. Again is harmless; it closes itself when nobody holds it.
    ///
    /// A forked child that has a copy listens on, and with it an abstract name, as in Python. A child that is being
    /// started has one for an instant, until it executes its program: who connects then finds the connection's end.
    public func close() {
        let isOpen = (try? waitDescriptor()) != nil  // closed before: nothing is left to do
        file.close()
        // A forked child that closes its copy leaves the path to who made it.
        if isOpen, owner == getpid(), !address.hasPrefix("@") { unlink(address) }
    }
}

extension Connection {
    /// Connects to a ``Listener`` of the same user, or of root. Python's Client.
    /// - Parameter anyUser: Whether the listener may be another user's.
    /// - Throws: `badInput` when nobody listens there, the name is too long, or another user listens; `system`.
    public convenience init(to address: String, anyUser: Bool = false) throws(SpoolError) {
        let number = try Listener.connect(address)
        self.init(checked: number, true, true)
        if !anyUser { try checkUser() }
    }

    /// Closes itself if the other end is neither this user nor root.
    func checkUser() throws(SpoolError) {
        var user = uid_t()
        let status = try file.use { spool_peer($0, &user) }
        guard status == 0, user == geteuid() || user == 0 else {
            close()
            throw .badInput("the process at the other end belongs to another user: it was refused.")
        }
    }
}

extension Listener {
    static func connect(_ address: String) throws(SpoolError) -> Int32 {
        let name = name(address)
        let number = name.withUnsafeBytes { spool_connect($0.baseAddress, $0.count) }
        guard number >= 0 else { throw error("connect", address, -number) }
        return number
    }
}
