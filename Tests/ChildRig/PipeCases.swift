// PipeCases.swift - cases about connections between processes.

import CSpool
import Glibc
import SpoolProcesses
import SpoolThreads

let pipes: [String: Case] = [
    "echo": { method in
        let pipe = try Pipe()
        let child =
            method == .fork
            ? ChildProcess(
                forking: {
                    // A fork has a copy of our end too: while it is open the end of the file does not come.
                    pipe.first.close()
                    try answer(pipe.second)
                }) : ChildProcess(echo, pipe.second, method: method)
        try child.start()
        // The parent may close its copy right after the start.
        pipe.second.close()
        let large = [UInt8](unsafeUninitializedCapacity: 16 << 20) { bytes, count in
            for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: index &* 7) }
            count = bytes.count
        }
        for message in [[1, 2, 3], [], large, []] {
            try pipe.first.sendBytes(message)
            try check(pipe.first.recvBytes() == message, "\(message.count) bytes come back")
        }
        pipe.first.close()
        try child.join()
        try check(child.exitStatus?.exit == 0, "the end of the file ends it")
    },
    "transfer": { method in
        // The child writes through a descriptor that came over the pipe, and through an end of another one.
        let (pipe, cargo) = (try Pipe(), try Pipe(duplex: false))
        let plain = try Descriptor.pipe()
        let child = try started(writer, pipe.second, method)
        try pipe.first.sendDescriptor(plain.second.number)
        try pipe.first.send(cargo.second)
        cargo.second.close()
        try check(cargo.first.recv(String.self) == "through the connection", "it wrote")
        var bytes = [UInt8](repeating: 0, count: 100)
        let count = read(plain.first.number, &bytes, bytes.count)
        try check(
            String(decoding: bytes.prefix(count), as: UTF8.self) == "through the pipe", "it wrote")
        try child.join()
        if method != .fork {
            try check(
                expectError { _ = try cargo.first.recvBytes() } == .endOfFile, "the last copy")
        }
    },
    "boundaries": { method in
        // A process that only polls takes nothing from the one that receives.
        let pipe = try Pipe()
        let child = try started(poller, pipe.first, method)
        for number in 0..<200 {
            try pipe.second.sendBytes([UInt8](repeating: UInt8(number), count: number * 50))
            let bytes = try pipe.first.recvBytes(timeout: .seconds(30))
            try check(
                bytes.count == number * 50 && Set(bytes).count <= 1, "message \(number) is whole")
        }
        try child.kill()
        try child.join()
    },
    "signals": { method in
        // Handlers run in the midst of waiting, receiving, accepting and a large blocked send.
        signal(SIGUSR1) { _ in }
        let pipe = try Pipe()
        let nagging = try started(nag, getpid(), method, daemon: true)
        let slow = try started(slowEcho, pipe.second, method)
        let large = [UInt8](repeating: 7, count: 4 << 20)
        try pipe.first.sendBytes(large)
        try check(pipe.first.recvBytes() == large, "sent and received")
        try check(
            !pipe.first.poll(timeout: .milliseconds(20)), "a poll is not cut short by an error")
        try slow.join()
        try check(slow.exitStatus?.exit == 0, "a join is not cut short")
        let listener = try Listener()
        let caller = try started(call, listener.address, method)
        try check(listener.accept().recv(Int.self) == 5, "accepted")
        try caller.join()
        try nagging.kill()
    },
    "wait": { method in
        let (one, two) = (try Pipe(), try Pipe())
        let first = try started(sleeper, one.second, method)
        let second = try started(sleeper, two.second, method)
        let things: [any Waitable] = [first, one.first, try second.sentinel]
        _ = try two.first.recv(Int32.self)
        try check(Connection.wait(for: things) == [1], "only the connection")
        try second.kill()
        try second.join()
        try check(Connection.wait(for: things) == [1, 2], "the process too")
        try first.kill()
        try first.join()
        try check(Connection.wait(for: things) == [0, 1, 2], "all three")
    },
    "inherited": { _ in
        let listener = try Listener()
        let child = ChildProcess(forking: {
            try listener.accept(timeout: .seconds(30)).send(5)
        })
        try child.start()
        listener.close()
        try check(Connection(to: listener.address).recv(Int.self) == 5, "the child listens on")
        try child.join()
    },
    "mixed": { method in
        // What is made for forks alone is refused where bytes are all that goes.
        let pipe = try Pipe()
        let error = try expectError { _ = try BinaryEncoder().encode(pipe.first) }
        try check(error.message.contains("holds a descriptor"), "\(error)")
        let full = (0..<PassedDescriptors.limit + 1).map { _ in pipe.first }
        let many = ChildEntry("many") { (_: [Connection]) in }
        _ = try expectError { try ChildProcess(many, full, method: .fork).join() }
        _ = try expectError { try pipe.first.send(full) }
        let child = try started(echo, pipe.second, method)
        try pipe.first.sendBytes([1])
        try check(pipe.first.recvBytes() == [1], "the pipe works")
        try child.kill()
    },
    "asyncJoin": { method in
        let pipe = try Pipe()
        let child = try started(sleeper, pipe.second, method)
        _ = try pipe.first.recv(Int32.self)
        let done = Parker()
        let box = Box(child)
        Task {
            do {
                try check(await box.child.join(timeout: .milliseconds(5)) == false, "it runs")
                let cancelled = Task { try await box.child.join() }
                cancelled.cancel()
                do {
                    _ = try await cancelled.value
                    throw Untrue(description: "a cancelled join returned")
                } catch is CancellationError {}
                let joins = (0..<20).map { _ in Task { try await box.child.join() } }
                try box.child.kill()
                for join in joins { try check(await join.value, "joined") }
                done.tell(1)
            } catch {
                print(error)
                done.tell(2)
            }
        }
        try check(done.wait() == 1 && child.exitStatus?.signal == SIGKILL, "awaited")
    },
]

struct Box: Sendable {
    let child: ChildProcess
    init(_ child: ChildProcess) { self.child = child }
}

/// Writes through what comes.
let writer = ChildEntry("writer") { (connection: Connection) in
    let descriptor = try connection.recvDescriptor()
    let text = Array("through the pipe".utf8)
    write(descriptor.number, text, text.count)
    try connection.recv(Connection.self).send("through the connection")
}

/// Polls, and never takes anything.
let poller = ChildEntry("poller") { (connection: Connection) in
    while true { _ = try connection.poll(timeout: .milliseconds(1)) }
}

/// Sends a signal as often as it can.
let nag = ChildEntry("nag") { (pid: Int32) in
    while kill(pid, SIGUSR1) == 0 { Pause.briefly(upTo: .microseconds(300)) }
}

/// Takes its time before it begins, and sends one message back.
let slowEcho = ChildEntry("slowEcho") { (connection: Connection) in
    Pause.briefly(upTo: .milliseconds(30))
    try connection.sendBytes(connection.recvBytes())
    Pause.briefly(upTo: .milliseconds(60))
}

/// Calls somebody, after a while.
let call = ChildEntry("call") { (address: String) in
    Pause.briefly(upTo: .milliseconds(30))
    try Connection(to: address).send(5)
}
