// WaitTests.swift - waiting for several things at once.

import Glibc
import SpoolProcesses
import SpoolThreads
import Testing

@Suite("Waiting for several things", .timeLimit(.minutes(10))) struct WaitTests {
    /// Nil: the end.
    private func next(_ reader: Connection) throws -> [Int]? {
        do {
            let message: [Int] = try reader.recv()
            return message
        } catch SpoolError.endOfFile {
            return nil
        }
    }

    @Test("cW1: ten messages of each of four senders arrive; ends are told and taken out")
    func writers() throws {
        var readers: [Connection] = []
        for number in 0..<4 {
            let pipe = try Pipe(duplex: false)
            readers.append(pipe.first)
            try Thread(daemon: true) {
                for message in 0..<10 { try pipe.second.send([number, message]) }
                pipe.second.close()
            }.start()
        }
        var messages: [[Int]] = []
        while !readers.isEmpty {
            for place in try Connection.wait(for: readers).reversed() {
                if let message = try next(readers[place]) {
                    messages.append(message)
                } else {
                    readers.remove(at: place)
                }
            }
        }
        #expect(messages.count == 40)
        for number in 0..<4 {
            #expect(messages.filter { $0[0] == number }.map { $0[1] } == Array(0..<10))
        }
    }

    @Test("cW3: the same over plain sockets, their stream put together again")
    func sockets() throws {
        let ends = try Descriptor.sockets(packets: false).release()
        let text = Array(String(repeating: "a line\n", count: 10_000).utf8)
        try Thread(daemon: true) {
            var sent = 0
            while sent < text.count {
                sent += text[sent...].withUnsafeBytes {
                    write(ends.second, $0.baseAddress, $0.count)
                }
            }
            close(ends.second)
        }.start()
        var received: [UInt8] = []
        var bytes = [UInt8](repeating: 0, count: 1000)
        while true {
            #expect(try Connection.wait(for: [ends.first]) == [0])
            let count = read(ends.first, &bytes, bytes.count)
            if count == 0 { break }
            received += bytes.prefix(count)
        }
        #expect(received == text)
        close(ends.first)
    }

    @Test(
        "cW4, cW6: nothing is ready when the time is up, at once for zero and less; then what is ready"
    )
    func timeouts() throws {
        let (one, two) = (try Pipe(), try Pipe())
        let ends = [one.first, two.first]
        for timeout in [Duration.zero, .seconds(-5), .milliseconds(3)] {
            #expect(try Connection.wait(for: ends, timeout: timeout) == [])
        }
        try two.second.send(1)
        #expect(try Connection.wait(for: ends, timeout: .seconds(60)) == [1])
        #expect(try Connection.wait(for: [], timeout: .zero) == [])
    }

    @Test("cW5: connections and descriptors mix, and exactly the ready ones are told")
    func mixed() throws {
        let (one, two) = (try Pipe(), try Pipe())
        let pipe = try Descriptor.pipe()
        let things: [any Waitable] = [one.first, pipe.first.number, two.first, one.first]
        var byte: UInt8 = 1
        write(pipe.second.number, &byte, 1)
        #expect(try Connection.wait(for: things) == [1])
        try one.second.send(1)
        #expect(try Connection.wait(for: things) == [0, 1, 3])
        two.second.close()
        #expect(try Connection.wait(for: things) == [0, 1, 2, 3])
        #expect(throws: SpoolError.self) { try Connection.wait(for: [Int32(1_000_000)]) }
    }

    @Test("tasks wait as threads do, and a cancelled one is told so")
    func tasks() async throws {
        let (one, two) = (try Pipe(), try Pipe())
        #expect(
            try await Connection.wait(for: [one.first, two.first], timeout: .milliseconds(3)) == [])
        let waiting = Task { try await Connection.wait(for: [one.first, two.first]) }
        try await two.second.send(1)
        #expect(try await waiting.value == [1])
        let cancelled = Task { try await Connection.wait(for: [one.first]) }
        cancelled.cancel()
        await #expect(throws: CancellationError.self) { try await cancelled.value }
        // A file is always ready.
        let file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC)
        defer { close(file) }
        #expect(try await Connection.wait(for: [file, one.first]) == [0])
    }

    @Test("a task that receives loses nothing when its time is up or it is cancelled")
    func receivingTasks() async throws {
        let pipe = try Pipe()
        let error = await #expect(throws: SpoolError.self) {
            try await pipe.first.recvBytes(timeout: .milliseconds(3))
        }
        #expect(error?.code == "timed_out")
        let cancelled = Task { try await pipe.first.recv(Int.self) }
        cancelled.cancel()
        await #expect(throws: CancellationError.self) { try await cancelled.value }
        // Many more receivers than the pool of tasks has threads, and messages that must wait for room.
        let receivers = (0..<20).map { _ in Task { try await pipe.first.recvBytes() } }
        for number in UInt8(0)..<20 {
            try await pipe.second.sendBytes([UInt8](repeating: number, count: 300_000))
        }
        var numbers: Set<UInt8> = []
        for receiver in receivers {
            let bytes = try await receiver.value
            #expect(bytes.count == 300_000 && Set(bytes).count == 1)
            numbers.insert(bytes[0])
        }
        #expect(numbers.count == 20)
    }

    @Test("a task that waits is told when the connection is closed")
    func closedMeanwhile() async throws {
        let pipe = try Pipe()
        let receiver = Task { try await pipe.first.recvBytes() }
        Pause.briefly(upTo: .milliseconds(3))  // either side of the beginning of its wait is right
        pipe.first.close()
        await #expect(throws: SpoolError.closed("connection")) { try await receiver.value }
    }
}

@Suite("A listener", .timeLimit(.minutes(10))) struct ListenerTests {
    private func path() -> String {
        "/tmp/spool-listener-\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
    }

    /// A child that another test starts right now has a copy of the listener until it executes its program.
    private func isRefused(by address: String) -> Bool {
        let deadline = Deadline(after: .seconds(60))
        while (try? Connection(to: address)) != nil {  // an error is what is waited for
            guard !deadline.isPast else { return false }
            Pause.briefly(upTo: .milliseconds(1))
        }
        return true
    }

    @Test("cPI9, cSM12: an address in use, too long or without a listener is an error")
    func addresses() throws {
        let path = path()
        let listener = try Listener(path)
        #expect(throws: SpoolError.badInput("the address '\(path)' is in use.")) {
            try Listener(path)
        }
        listener.close()
        #expect(access(path, F_OK) != 0)
        #expect(throws: SpoolError.badInput("nobody listens at '\(path)'.")) {
            try Connection(to: path)
        }
        for call: (String) throws -> Void in [
            { _ = try Listener($0) }, { _ = try Connection(to: $0) },
        ] {
            let error = #expect(throws: SpoolError.self) {
                try call(String(repeating: "x", count: 108))
            }
            #expect(error?.message.contains("too long") == true)
        }
    }

    @Test(
        "cPI10, cPI11, cPI14: accepts under a path and under abstract names; after close it is an error"
    )
    func accepts() throws {
        for address in [path(), "@spool-test-\(UInt64.random(in: 0...UInt64.max))", nil] {
            let listener = try Listener(address)
            #expect(throws: SpoolError.self) { try listener.accept(timeout: .milliseconds(2)) }
            let client = try Connection(to: listener.address)
            #expect(try Connection.wait(for: [listener]) == [0])
            let server = try listener.accept()
            try server.send("hello")
            #expect(try client.poll(timeout: .seconds(60)))
            #expect(try client.recv() == "hello")
            listener.close()
            listener.close()
            #expect(throws: SpoolError.closed("listener")) { try listener.accept() }
            #expect(isRefused(by: listener.address))
            try client.send(1)
            #expect(try server.recv() == 1)
        }
    }

    @Test("cPI13: a message of a client that has gone is still received")
    func gone() async throws {
        let listener = try Listener()
        let client = try Connection(to: listener.address)
        try await client.sendBytes([5])
        client.close()
        let server = try await listener.accept()
        #expect(try await server.recvBytes() == [5])
        await #expect(throws: SpoolError.endOfFile) { try await server.recvBytes() }
    }
}
