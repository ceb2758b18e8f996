// FramesTests.swift - messages over a stream socket, however it cuts them.

import Glibc
import SpoolThreads
import Testing

@testable import SpoolProcesses

@Suite("Frames") struct FramesTests {
    @Test("arrive whole and in order although the socket gives single bytes")
    func cut() throws {
        let (ours, theirs) = try Descriptor.sockets(packets: false).release()
        defer { for end in [ours, theirs] { close(end) } }
        var writer = FrameWriter()
        for number in UInt8(1)...3 {
            writer.begin(number)
            writer.put(Int64(number) * -5)
            writer.put(text: "text \(number)")
            writer.put(bytes: [0, 255, number])
            writer.end()
        }
        var copy: [UInt8] = []
        let pipe = try Descriptor.sockets(packets: false).release()
        defer { for end in [pipe.first, pipe.second] { close(end) } }
        #expect(try writer.flush(to: pipe.first, waiting: true))
        var buffer = [UInt8](repeating: 0, count: 4096)
        copy += buffer[..<recv(pipe.second, &buffer, buffer.count, 0)]

        var reader = FrameReader()
        var seen: [String] = []
        for byte in copy {
            _ = withUnsafeBytes(of: byte) { send(ours, $0.baseAddress, 1, 0) }
            #expect(try reader.fill(from: theirs, waiting: true) == .some)
            try reader.forEach { (kind, payload) throws(SpoolError) in
                let number: Int64 = try payload.integer()
                seen.append("\(kind) \(number) \(try payload.text()) \(try payload.run())")
            }
        }
        #expect(
            seen == [
                "1 -5 text 1 [0, 255, 1]", "2 -10 text 2 [0, 255, 2]", "3 -15 text 3 [0, 255, 3]",
            ])
    }

    @Test("larger than the socket's buffer are sent piece by piece, without waiting for the reader")
    func large() throws {
        let (ours, theirs) = try Descriptor.sockets(packets: false).release()
        defer { for end in [ours, theirs] { close(end) } }
        var writer = FrameWriter()
        writer.begin(9)
        writer.put(bytes: [UInt8](repeating: 7, count: 3 << 20))
        writer.end()
        var reader = FrameReader()
        var size = 0
        while size == 0 {
            #expect(try writer.flush(to: ours, waiting: false))
            _ = try reader.fill(from: theirs, waiting: true)
            try reader.forEach { (_, payload) throws(SpoolError) in size = try payload.run().count }
        }
        #expect(size == 3 << 20 && writer.isEmpty)
    }

    @Test(
        "I4: of an impossible length, or shorter than they say, are refused",
        arguments: [
            [0, 0, 0, 0], [255, 255, 255, 255], [5, 0, 0, 0, 1, 99, 0, 0, 0],
        ] as [[UInt8]])
    func malformed(_ bytes: [UInt8]) throws {
        let (ours, theirs) = try Descriptor.sockets(packets: false).release()
        defer { for end in [ours, theirs] { close(end) } }
        send(ours, bytes, bytes.count, 0)
        var reader = FrameReader()
        _ = try reader.fill(from: theirs, waiting: true)
        #expect(throws: SpoolError.self) {
            try reader.forEach { (_, payload) throws(SpoolError) in _ = try payload.run() }
        }
    }

    @Test("end with the other end")
    func end() throws {
        let (ours, theirs) = try Descriptor.sockets(packets: false).release()
        defer { close(theirs) }
        close(ours)
        var reader = FrameReader()
        #expect(try reader.fill(from: theirs, waiting: true) == .end)
        var writer = FrameWriter()
        writer.begin(1)
        writer.end()
        #expect(try !writer.flush(to: theirs, waiting: true))
    }
}
