// EchoServerTests.swift - the echo server, seen by its clients.

import Foundation
import SpoolThreads
import Testing

@Suite("The example EchoServer", .serialized, .timeLimit(.minutes(10))) struct EchoServerTests {
    let server: Example
    let port: UInt16

    init() throws {
        server = try Example("EchoServer", ["0"])
        let line = try #require(try server.nextLine())
        let word = try #require(line.split(separator: ":").last)
        #expect(line == "listening on 127.0.0.1:\(word)")
        port = try #require(UInt16(word))
    }

    @Test("holds 10,000 connections, or half as many as there are descriptors, and answers each")
    func holds() throws {
        let count = min(10_000, Client.limit / 2)
        let clients = try (0..<count).map { _ in try Client(port) }
        for (number, client) in clients.enumerated() { client.send(Array("hello \(number)".utf8)) }
        for (number, client) in clients.enumerated() {
            let text = Array("hello \(number)".utf8)
            try #require(client.receive(text.count) == text)
        }
    }

    @Test("gives back a megabyte in order, to a client that sends all of it before it reads")
    func large() throws {
        let client = try Client(port)
        let bytes = (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        let other = try Client(port)
        try client.sendOnThread(bytes)
        other.send([1, 2, 3])
        #expect(other.receive(3) == [1, 2, 3], "one that does not read holds up nobody")
        #expect(client.receive(bytes.count) == bytes)
    }

    @Test("outlives clients that leave in every way")
    func outlives() throws {
        do {
            let (silent, halfClosed, reset) = (try Client(port), try Client(port), try Client(port))
            halfClosed.send([9])
            halfClosed.endSending()
            #expect(halfClosed.receive(1) == [9] && halfClosed.receive(1) == [])
            reset.send([UInt8](repeating: 0, count: 1 << 12))
            _ = (silent, reset)  // they end here, the second with an answer unread
        }
        let next = try Client(port)
        next.send([4])
        #expect(next.receive(1) == [4])
    }

    @Test("says what is wrong with its port")
    func badPort() throws {
        let used = try #require(try Example("EchoServer", ["\(port)"]).nextLine())
        #expect(used == "EchoServer: listen on port \(port): Address already in use.")
        let absurd = try #require(try Example("EchoServer", ["65536"]).nextLine())
        #expect(absurd == "EchoServer: '65536' is not a port.")
    }

    @Test("when it has no descriptor left, who knocks waits until somebody leaves")
    func crowded() throws {
        let small = try Example("EchoServer", ["0"], descriptors: 12)
        let word = try #require(try small.nextLine()?.split(separator: ":").last)
        let port = try #require(UInt16(word))
        var clients = try (0..<30).map { _ in try Client(port) }
        for client in clients { client.send([5]) }
        while !clients.isEmpty {
            let answered = try #require(Client.ready(clients), "nobody is answered")
            #expect(clients.remove(at: answered).receive(1) == [5])
        }
    }
}

/// A client that blocks, for half a minute at most. Its end leaves no port behind.
final class Client: Sendable {
    private let socket: Int32

    init(_ port: UInt16) throws {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
        var limit = timeval(tv_sec: 30, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
        // Resets instead of lingering in TIME_WAIT: ten thousand would use up the ports for a minute.
        var reset = linger(l_onoff: 1, l_linger: 0)
        setsockopt(socket, SOL_SOCKET, SO_LINGER, &reset, socklen_t(MemoryLayout<linger>.size))
        let status = withUnsafeBytes(of: &address) { bytes in
            connect(
                socket, bytes.assumingMemoryBound(to: sockaddr.self).baseAddress,
                socklen_t(bytes.count))
        }
        guard status == 0 else { throw SpoolError.system(call: "connect", errno: errno) }
    }

    deinit { close(socket) }

    func send(_ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(
                    socket, $0.baseAddress?.advanced(by: sent), bytes.count - sent,
                    Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            sent += count
        }
    }

    /// Sends while the test goes on.
    func sendOnThread(_ bytes: [UInt8]) throws {
        try SpoolThreads.Thread.detach("sender") { self.send(bytes) }
    }

    func endSending() { shutdown(socket, Int32(SHUT_WR)) }

    /// Exactly so many bytes, or fewer when the connection ends or nothing comes.
    func receive(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = recv(socket, &bytes, count, Int32(MSG_WAITALL))
        return Array(bytes.prefix(max(0, got)))
    }

    /// One that has something to read, within half a minute.
    static func ready(_ clients: [Client]) -> Int? {
        var polled = clients.map { pollfd(fd: $0.socket, events: Int16(POLLIN), revents: 0) }
        guard poll(&polled, nfds_t(polled.count), 30_000) > 0 else { return nil }
        return polled.firstIndex { $0.revents != 0 }
    }

    /// How many descriptors this process may open.
    static var limit: Int {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return Int(clamping: limit.rlim_cur)
    }
}
