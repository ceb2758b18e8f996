// ConnectionTests.swift - messages, descriptors and their limits, between threads of one process.

import Glibc
import SpoolProcesses
import SpoolThreads
import Testing

@Suite("A connection", .timeLimit(.minutes(10))) struct ConnectionTests {
    struct Point: Codable, Equatable {
        var x = 1
        var y = -2.5
    }

    @Test("cPI1: carries values and runs of bytes in order, both ways")
    func both() throws {
        let pipe = try Pipe()
        try pipe.first.send(Point())
        try pipe.first.sendBytes([1, 2])
        try pipe.second.send(["a": [Int?.none, 3]])
        #expect(try pipe.second.recv(Point.self) == Point())
        #expect(try pipe.second.recvBytes() == [1, 2])
        #expect(try pipe.first.recv() == ["a": [Int?.none, 3]])
    }

    @Test("I4: takes no memory for bytes that were only announced")
    func announced() throws {
        let ends = try Descriptor.sockets(packets: false).release()
        let connection = try Connection(owning: ends.second)
        let before = try memory()
        let message: [UInt8] = [0, 0, 0, 0x40, 0, 0, 0x70, 0x53, 1]  // a byte of a GiB
        #expect(write(ends.first, message, message.count) == message.count)
        #expect(throws: SpoolError.timedOut("nothing came in time.")) {
            try connection.recvBytes(timeout: .zero)
        }
        #expect(try memory() - before < 512 << 20)
        Glibc.close(ends.first)
    }

    @Test("an end in the midst of a message is no ordinary end, nor is the next look")
    func brokenOff() throws {
        let whole: [UInt8] = [3, 0, 0, 0, 0, 0, 0x70, 0x53, 9, 9, 9]
        for message in [1, 8, 9].map({ Array(whole.prefix($0)) }) {
            let ends = try Descriptor.sockets(packets: false).release()
            let connection = try Connection(owning: ends.second)
            #expect(write(ends.first, message, message.count) == message.count)
            Glibc.close(ends.first)
            for _ in 0..<2 {
                let error = #expect(throws: SpoolError.self) { try connection.recvBytes() }
                let came = "in the midst of a message: \(max(0, message.count - 8)) bytes"
                #expect(error?.message.contains(came) == true)
            }
        }
    }

    @Test("brings a message back that is larger than what its length is trusted for")
    func grown() throws {
        let pipe = try Pipe()
        let message = (0..<(5 << 20) + 3).map { UInt8(truncatingIfNeeded: $0 ^ $0 >> 8) }
        let sender = Thread { try? pipe.first.sendBytes(message) }  // what comes is looked at below
        try sender.start()
        #expect(try pipe.second.recvBytes() == message)
        #expect(try sender.join())
    }

    /// Bytes of address space of this process.
    private func memory() throws -> Int {
        let file = try #require(fopen("/proc/self/statm", "r"))
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        fgets(&line, 256, file)
        let text = String(decoding: line.prefix { $0 > 0x20 }.map(UInt8.init), as: UTF8.self)
        return try #require(Int(text)) * sysconf(Int32(_SC_PAGESIZE))
    }

    @Test(
        "cPI1: receives into a buffer from an offset; one that is too small says how much is needed"
    )
    func buffers() throws {
        let pipe = try Pipe()
        try pipe.first.sendBytes([1, 2, 3])
        try pipe.first.sendBytes([4, 5, 6])
        var buffer: [UInt8] = [9, 9, 9, 9, 9]
        #expect(try pipe.second.recvBytes(into: &buffer, offset: 1) == 3)
        #expect(buffer == [9, 1, 2, 3, 9])
        let tooLarge = SpoolError.tooLarge(what: "the message", bytes: 3, limit: 2)
        #expect(throws: tooLarge) { try pipe.second.recvBytes(into: &buffer, offset: 3) }
        #expect(throws: tooLarge) { try pipe.second.recvBytes(limit: 2) }
        #expect(buffer == [9, 1, 2, 3, 9])
        for offset in [-1, 6] {
            #expect(throws: SpoolError.self) {
                try pipe.second.recvBytes(into: &buffer, offset: offset)
            }
        }
        #expect(throws: SpoolError.self) { try pipe.second.recvBytes(limit: -1) }
        // It was not lost.
        #expect(try pipe.second.recvBytes(limit: 3) == [4, 5, 6])
    }

    @Test("cPI1: poll tells whether something can be received, and takes nothing")
    func poll() throws {
        let pipe = try Pipe()
        #expect(try !pipe.first.poll())
        #expect(try !pipe.first.poll(timeout: .seconds(-1)))
        #expect(try !pipe.first.poll(timeout: .milliseconds(2)))
        try pipe.second.sendBytes([7])
        #expect(try pipe.first.poll(timeout: nil) && pipe.first.poll())
        #expect(try pipe.first.recvBytes() == [7])
        pipe.second.close()
        #expect(try pipe.first.poll())
    }

    @Test("cPI1: the end is an error of its own, after everything was received")
    func end() throws {
        let pipe = try Pipe()
        try pipe.first.sendBytes([1])
        pipe.first.close()
        #expect(try pipe.second.recvBytes() == [1])
        #expect(throws: SpoolError.endOfFile) { try pipe.second.recvBytes() }
        #expect(throws: SpoolError.endOfFile) { try pipe.second.recv(Int.self) }
        #expect(throws: SpoolError.closed("other end of the connection")) {
            try pipe.second.sendBytes([1])
        }
    }

    @Test("cPI2: of a one-way pipe the first end cannot send, the second neither receive nor poll")
    func oneWay() throws {
        let pipe = try Pipe(duplex: false)
        try pipe.second.send(5)
        #expect(try pipe.first.poll() && pipe.first.recv() == 5)
        #expect(pipe.first.readable && !pipe.first.writable && pipe.second.writable)
        #expect(throws: SpoolError.self) { try pipe.first.send(1) }
        #expect(throws: SpoolError.self) { try pipe.second.recvBytes() }
        #expect(throws: SpoolError.self) { try pipe.second.poll() }
        #expect(throws: SpoolError.self) { try Connection.wait(for: [pipe.second], timeout: .zero) }
    }

    @Test("cPI4: a slice is sent as it was asked for, or refused at each boundary")
    func slices() throws {
        let pipe = try Pipe()
        let bytes = Array(UInt8(0)..<10)
        func sent(_ offset: Int, _ count: Int? = nil) throws -> [UInt8] {
            try pipe.first.sendBytes(bytes, offset: offset, count: count)
            return try pipe.second.recvBytes()
        }
        #expect(try sent(0) == bytes)
        #expect(try sent(7) == [7, 8, 9])
        #expect(try sent(7, 2) == [7, 8])
        #expect(try sent(10) == [] && sent(10, 0) == [] && sent(3, 0) == [])
        for (offset, count) in [
            (11, nil), (-1, nil), (11, 0), (0, 11), (7, 4), (0, -1), (.max, .max),
        ] {
            #expect(throws: SpoolError.self, "\(offset), \(String(describing: count))") {
                try pipe.first.sendBytes(bytes, offset: offset, count: count)
            }
        }
        #expect(try !pipe.second.poll())
    }

    @Test("cPI7: a descriptor that is expected and does not come is an error")
    func missingDescriptor() throws {
        let pipe = try Pipe()
        try pipe.first.sendBytes([1])
        #expect(throws: SpoolError.self) {
            try pipe.second.recvDescriptor().release()
        }
        #expect(throws: SpoolError.self) { try pipe.first.sendDescriptor(-1) }
        try pipe.first.sendDescriptor(1)
        let number = try pipe.second.recvDescriptor().number
        #expect(number > 2)
    }

    @Test("cPI8: leaving the scope closes both ends; every use afterwards is an error")
    func scope() throws {
        var ends: [Connection] = []
        try Pipe.with { first, second in
            ends = [first, second]
            try first.send(1)
            #expect(try second.recv() == 1)
        }
        for end in ends {
            end.close()
            #expect(end.closed)
            let uses: [() throws -> Void] = [
                { try end.send(1) }, { try end.sendBytes([]) }, { _ = try end.recvBytes() },
                { _ = try end.recv(Int.self) }, { _ = try end.poll() }, { _ = try end.fileno() },
                { try end.sendDescriptor(1) }, { _ = try end.recvDescriptor() },
                { _ = try Connection.wait(for: [end]) },
            ]
            for use in uses {
                #expect(throws: SpoolError.closed("connection")) { try use() }
            }
        }
    }

    @Test("cPI15, cPI16: empty messages count, one by one")
    func empty() throws {
        let pipe = try Pipe()
        let messages: [[UInt8]] = [[], [], [1], [], [2, 3], []]
        for message in messages { try pipe.first.sendBytes(message) }
        for message in messages {
            #expect(try pipe.second.poll() && pipe.second.poll())
            #expect(try pipe.second.recvBytes() == message)
        }
        #expect(try !pipe.second.poll())
    }

    @Test("cPI21: what is no connection cannot become one, and is not closed")
    func invalid() throws {
        for number in [Int32(-1), 1_000_000] {
            #expect(throws: SpoolError.self) { try Connection(owning: number) }
        }
        let pipe = try Descriptor.pipe()
        #expect(throws: SpoolError.self) { try Connection(owning: pipe.first.number) }
        #expect(fcntl(pipe.first.number, F_GETFD) >= 0)
        let ends = try Descriptor.sockets(packets: false).release()
        let connection = try Connection(owning: ends.first)
        // Bytes that no connection sent, from the other end.
        var noise = [UInt8](repeating: 0xAA, count: 64)
        #expect(write(ends.second, &noise, noise.count) == 64)
        #expect(throws: SpoolError.self) { try connection.recvBytes() }
        #expect(connection.closed)
        close(ends.second)
    }

    @Test("bytes that are no value are an error, and the next message can be received")
    func noValue() throws {
        let pipe = try Pipe()
        try pipe.first.sendBytes([1, 2, 3])
        try pipe.first.send("text")
        try pipe.first.send(8)
        #expect(throws: SpoolError.self) { try pipe.second.recv(Int.self) }
        #expect(throws: SpoolError.self) { try pipe.second.recv(Int.self) }
        #expect(try pipe.second.recv() == 8)
    }

    @Test("a message of 16 MB passes while two threads send and one receives")
    func large() throws {
        let pipe = try Pipe(duplex: false)
        for value in [UInt8(1), 2] {
            try Thread(daemon: true) {
                try pipe.second.sendBytes([UInt8](repeating: value, count: 16 << 20))
            }.start()
        }
        let messages = [try pipe.first.recvBytes(), try pipe.first.recvBytes()]
        #expect(messages.allSatisfy { $0.count == 16 << 20 })
        #expect(
            messages.allSatisfy { Set([$0[0], $0[$0.count / 2], $0[$0.count - 1]]).count == 1 })
        #expect(Set(messages.map { $0[0] }) == [1, 2])
    }

    @Test("a receiver's time runs out, and nothing is lost")
    func timeout() throws {
        let pipe = try Pipe()
        for timeout in [Duration.zero, .milliseconds(3)] {
            let error = #expect(throws: SpoolError.self) {
                try pipe.first.recvBytes(timeout: timeout)
            }
            #expect(error?.code == "timed_out")
        }
        #expect(throws: SpoolError.self) { try pipe.first.recvBytes(timeout: .seconds(-1)) }
        try pipe.second.send(1)
        #expect(try pipe.first.recv(timeout: .zero) == 1)
    }

    @Test("a thread that waits is told when another one closes the connection")
    func closedMeanwhile() throws {
        let pipe = try Pipe()
        let (begun, ended) = (Parker(), Parker())
        try Thread(daemon: true) {
            begun.tell(1)
            do {
                _ = try pipe.first.recvBytes()
            } catch SpoolError.closed("connection") {
                ended.tell(1)
            }
        }.start()
        _ = begun.wait()
        Pause.briefly(upTo: .milliseconds(3))  // either side of the beginning of its wait is right
        pipe.first.close()
        #expect(ended.wait(until: Deadline(after: .seconds(60))) == 1)
    }

    @Test("cPI19, cPI20: an end can be sent over another connection, and keeps its direction")
    func ends() throws {
        let (carrier, cargo) = (try Pipe(), try Pipe(duplex: false))
        try carrier.first.send([cargo.first, cargo.second])
        cargo.close()
        let arrived = try carrier.second.recv([Connection].self)
        #expect(arrived.map(\.readable) == [true, false])
        #expect(arrived.map(\.writable) == [false, true])
        try arrived[1].send(3)
        #expect(try arrived[0].recv() == 3)
        #expect(throws: SpoolError.self) { try arrived[0].send(3) }
        #expect(throws: SpoolError.self) { try BinaryEncoder().encode(arrived[0]) }
    }
}
