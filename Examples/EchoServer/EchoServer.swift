// EchoServer.swift - one thread, one selector, and as many connections as the system has descriptors.
//
//     swift run EchoServer [PORT]          (1234 unless told; 0 takes any free port)
//     nc localhost 1234                    (in another terminal; what you type comes back)
//
// A client that sends but does not read holds up nobody: its bytes stay in the kernel until it reads again.

import Glibc
import Spool

@main
struct EchoServer {
    private let selector: DefaultSelector
    private let listener: Int32
    /// What a client did not take yet, at most one read's worth each.
    private var unsent: [Int32: ArraySlice<UInt8>] = [:]
    private var buffer = [UInt8](repeating: 0, count: 1 << 14)
    private var isListening = true

    static func main() {
        let word = CommandLine.arguments.dropFirst().first ?? "1234"
        do throws(SpoolError) {
            guard let port = UInt16(word) else { throw .usage("'\(word)' is not a port.") }
            signal(SIGPIPE, SIG_IGN)
            raiseLimit()
            var server = try EchoServer(port: port)
            print("listening on 127.0.0.1:\(server.port)")
            fflush(nil)  // at once, into a pipe too
            try server.run()
        } catch {
            print("EchoServer: \(error)")
            exit(error.exitCode)
        }
    }

    init(port: UInt16) throws(SpoolError) {
        selector = try DefaultSelector()
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
        var yes: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        let status = withUnsafeBytes(of: &address) { bytes in
            bind(
                listener, bytes.assumingMemoryBound(to: sockaddr.self).baseAddress,
                socklen_t(bytes.count))
        }
        guard status == 0, listen(listener, 4096) == 0 else {
            throw .system(call: "listen on port \(port)", errno: errno)
        }
        try selector.register(listener, .read)
    }

    /// The loop of the tutorial, `for key, mask in sel.select()`, with the callback chosen by the descriptor.
    mutating func run() throws(SpoolError) {
        while true {
            for (key, events) in try selector.select() {
                if key.descriptor == listener {
                    try accept()
                } else if events == .write, let rest = unsent[key.descriptor] {
                    try send(rest, to: key.descriptor)
                } else {
                    try echo(key.descriptor)
                }
            }
        }
    }

    private mutating func accept() throws(SpoolError) {
        let connection = Glibc.accept(listener, nil, nil)
        if connection >= 0 {
            _ = fcntl(connection, F_SETFL, O_NONBLOCK)
            try selector.register(connection, .read)
        } else if [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(errno) {
            // Who knocks stays ready: listen again when somebody has left.
            try selector.unregister(listener)
            isListening = false
        }
    }

    private mutating func echo(_ connection: Int32) throws(SpoolError) {
        let count = read(connection, &buffer, buffer.count)
        if count > 0 {
            try send(buffer.prefix(count), to: connection)
        } else if count == 0 || errno != EAGAIN {
            try hangUp(connection)
        }
    }

    /// Sends what the client takes. While something is left nothing more is read from this client.
    private mutating func send(
        _ bytes: ArraySlice<UInt8>, to connection: Int32
    ) throws(SpoolError) {
        let count = bytes.withUnsafeBytes { write(connection, $0.baseAddress, $0.count) }
        if count == bytes.count {
            guard unsent.removeValue(forKey: connection) != nil else { return }
            try selector.modify(connection, .read)
        } else if count >= 0 || errno == EAGAIN {
            unsent[connection] = bytes.dropFirst(max(0, count))
            try selector.modify(connection, .write)
        } else {
            try hangUp(connection)
        }
    }

    private mutating func hangUp(_ connection: Int32) throws(SpoolError) {
        unsent[connection] = nil
        try selector.unregister(connection)  // before it is closed
        close(connection)
        guard !isListening else { return }
        try selector.register(listener, .read)
        isListening = true
    }

    private var port: UInt16 {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutableBytes(of: &address) { bytes in
            getsockname(
                listener, bytes.assumingMemoryBound(to: sockaddr.self).baseAddress, &length)
        }
        return UInt16(bigEndian: address.sin_port)
    }

    /// As many descriptors as the system lets this process have.
    private static func raiseLimit() {
        var limit = rlimit()
        let files = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(files, &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(files, &limit)
    }
}
