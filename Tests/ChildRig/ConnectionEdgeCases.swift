// ConnectionEdgeCases.swift - cases about connections whose process has no descriptors left, was forked, or has a peer
// that does not keep to the rules.

import CSpool
import Glibc
import SpoolProcesses
import SpoolThreads

private let patience = Duration.seconds(30)

let connectionEdges: [String: Case] = [
    "sharedBell": { _ in
        let (pipe, go) = (try Pipe(), try Pipe())
        // What a wait needs is made before the fork.
        _ = try expectError { _ = try pipe.first.recvBytes(timeout: .milliseconds(1)) }
        let child = ChildProcess(forking: {
            _ = try go.first.recvBytes()
            let isReady = try pipe.first.poll(timeout: .milliseconds(20))
            try check(!isReady, "nothing came")
        })
        try child.start()
        let waiting = Thread { _ = try expectError { _ = try pipe.first.recvBytes() } }
        try waiting.start()
        try awaitSleep(of: waiting)
        pipe.first.close()
        try waiting.join()
        try go.second.sendBytes([])
        try child.join()
        try check(child.exitStatus?.exit == 0, "\(String(describing: child.exitStatus))")
    },
    "halfSent": { _ in
        let pipe = try Pipe()
        let large = [UInt8](repeating: 7, count: 8 << 20)
        try withoutDescriptors {
            // It has to wait in the midst of the message, for which it needs a descriptor more.
            let error = try expectError { try pipe.first.sendBytes(large) }
            try check(error.code == "system", "\(error)")
        }
        // There is room for more.
        _ = try expectError { _ = try pipe.second.recvBytes(timeout: .zero) }
        let error = try expectError { try pipe.first.sendBytes([1]) }
        try check(error.code == "closed", "\(error)")
        _ = try expectError { _ = try pipe.second.recvBytes(timeout: patience) }
    },
    "strays": { _ in
        // A peer that sends descriptors with every byte cannot fill the table of who receives.
        let ends = try Descriptor.sockets(packets: false).release()
        let connection = try Connection(owning: ends.second)
        let before = openDescriptors()
        let header: [UInt8] = [8, 0, 0, 0, 0, 0, 0x70, 0x53]
        let passed = [Int32](repeating: ends.first, count: 100)
        for byte in header + header {
            var byte = byte
            _ = spool_send_parts(ends.first, &byte, 1, nil, 0, passed, passed.count)
        }
        let error = try expectError { _ = try connection.recvBytes(timeout: .zero) }
        try check(error.code == "bad_input", "\(error)")
        try check(openDescriptors() <= before, "\(openDescriptors() - before) were kept")
    },
]

/// Waits until the kernel says that the thread sleeps.
private func awaitSleep(of thread: Thread) throws {
    let deadline = Deadline(after: patience)
    while true {
        try check(!deadline.isPast, "the thread sleeps")
        if let number = thread.ident, let file = fopen("/proc/self/task/\(number)/stat", "r") {
            defer { fclose(file) }
            var text = [CChar](repeating: 0, count: 256)
            fgets(&text, 256, file)
            let words = String(
                decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self
            ).split(separator: ")").last
            if words?.split(separator: " ").first == "S" { return }
        }
        Pause.briefly(upTo: .milliseconds(1))
    }
}

/// Runs `body` in a process that has no descriptors left, but for a few.
func withoutDescriptors(but free: Int = 0, _ body: () throws -> Void) throws {
    limit(7, to: 64)  // RLIMIT_NOFILE
    var taken: [Int32] = []
    while case let number = dup(0), number >= 0 { taken.append(number) }
    for _ in 0..<free { if let number = taken.popLast() { close(number) } }
    defer { for number in taken { close(number) } }
    try body()
}

/// Runs `body` in a process that can map only so many bytes more.
func withLittleMemory(_ bytes: rlim_t, _ body: () throws -> Void) throws {
    guard let file = fopen("/proc/self/statm", "r") else { throw Untrue(description: "no /proc") }
    defer { fclose(file) }
    var text = [CChar](repeating: 0, count: 256)
    fgets(&text, 256, file)
    let pages = text.prefix { $0 != 32 }.reduce(0) { 10 * $0 + rlim_t($1) - 48 }
    limit(9, to: pages * rlim_t(getpagesize()) + bytes)  // RLIMIT_AS
    defer { limit(9, to: .max) }
    try body()
}

private func limit(_ resource: UInt32, to value: rlim_t) {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(resource), &limit)
    limit.rlim_cur = min(value, limit.rlim_max)
    setrlimit(__rlimit_resource_t(resource), &limit)
}
