// Rig.swift - runs a case of the program ChildRig, a fresh process.

import Glibc
import SpoolProcesses
import SpoolThreads
import Testing

enum Rig {
    /// The built program stands beside the test's own.
    private static let path: String = {
        var path = [CChar](repeating: 0, count: 4096)
        let length = readlink("/proc/self/exe", &path, path.count)
        let own = String(
            decoding: path.prefix(max(0, length)).map(UInt8.init(bitPattern:)), as: UTF8.self)
        return own.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 } + "/ChildRig"
    }()

    /// Runs a case, which must end with status 0 within a minute, and gives what it wrote.
    @discardableResult
    static func run(_ words: String...) throws -> String {
        let output = try Descriptor.pipe()
        let (reading, writing) = output.release()
        let null = try Descriptor.null()
        let command = Command(
            ([path] + words).map { Array($0.utf8) }, environment: Command.currentEnvironment())
        let running = try command.start(
            .init(input: null.number, output: writing, error: writing))
        close(writing)
        let text = read(reading, until: Deadline(after: .seconds(60)))
        if text == nil { running.signal(SIGKILL) }
        close(reading)
        let end = running.reap()
        #expect(
            text != nil && end.reason == nil,
            "\(words): \(text == nil ? "hangs" : end.reason ?? ""): \(text ?? "")")
        return text ?? ""
    }

    /// Everything, until all who could write it have ended; nil: the time is up.
    private static func read(_ descriptor: Int32, until deadline: Deadline) -> String? {
        var all: [UInt8] = []
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&ready, 1, deadline.pollTimeout()) > 0 else { return nil }
            let count = Glibc.read(descriptor, &bytes, bytes.count)
            guard count > 0 else { return String(decoding: all, as: UTF8.self) }
            all += bytes[..<count]
        }
    }
}
