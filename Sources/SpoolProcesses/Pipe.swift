// Pipe.swift - two connections, each the other's other end.

private import Glibc
public import SpoolThreads

/// Two connected ends. See multiprocessing.Pipe in Python.
public struct Pipe: Sendable {
    /// One end; of a pipe with one way the one that receives.
    public let first: Connection
    /// The other end; of a pipe with one way the one that sends.
    public let second: Connection

    /// Makes a pipe.
    /// - Parameter duplex: Whether both ends send and receive, or the second only sends and the first only receives.
    /// - Throws: `system` when descriptors are short.
    public init(duplex: Bool = true) throws(SpoolError) {
        let ends = try Descriptor.sockets(packets: false).release()
        if !duplex {
            // Another process that gets a copy cannot turn it round.
            shutdown(ends.first, Int32(SHUT_WR))
            shutdown(ends.second, Int32(SHUT_RD))
        }
        first = Connection(checked: ends.first, true, duplex)
        second = Connection(checked: ends.second, duplex, true)
    }

    /// Closes both ends.
    public func close() {
        first.close()
        second.close()
    }

    /// Runs `body` with the two ends of a new pipe, and closes them.
    /// - Throws: `system` when descriptors are short; what `body` throws.
    public static func with<Value>(
        duplex: Bool = true, _ body: (Connection, Connection) throws -> Value
    ) throws -> Value {
        let pipe = try Pipe(duplex: duplex)
        defer { pipe.close() }
        return try body(pipe.first, pipe.second)
    }
}
