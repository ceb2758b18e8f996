// Example.swift - a program of Examples/ as the tests start it.

import Foundation
import SpoolThreads

/// An example that runs, or has run. It is killed with its test.
final class Example {
    private let process = Process()
    private let output = Pipe()
    private var read: [UInt8] = []

    /// Programs of this package stand beside the test's own.
    private static let folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent()

    /// - Parameter descriptors: How many it may open; nil leaves it as it is.
    init(_ name: String, _ arguments: [String] = [], descriptors: Int? = nil) throws {
        let path = Self.folder.appendingPathComponent(name)
        if let descriptors {
            process.executableURL = URL(fileURLWithPath: "/bin/sh")
            process.arguments =
                ["-c", "ulimit -n \(descriptors) && exec \"$0\" \"$@\"", path.path] + arguments
        } else {
            process.executableURL = path
            process.arguments = arguments
        }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = output
        try process.run()
    }

    deinit {
        guard process.isRunning else { return }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// Its next line, which it must print within a minute; nil when it has ended.
    func nextLine() throws -> String? {
        let deadline = Deadline(after: .seconds(60))
        while true {
            if let end = read.firstIndex(of: 10) {
                defer { read.removeFirst(end + 1) }
                return String(decoding: read[..<end], as: UTF8.self)
            }
            guard try readMore(until: deadline) else { return nil }
        }
    }

    /// All that it prints, until it ends with status 0, within a minute.
    func lines() throws -> [String] {
        let deadline = Deadline(after: .seconds(60))
        while try readMore(until: deadline) {}
        process.waitUntilExit()
        let text = String(decoding: read, as: UTF8.self)
        guard process.terminationReason == .exit, process.terminationStatus == 0 else {
            throw SpoolError.badInput("ended with \(process.terminationStatus): \(text)")
        }
        return text.split(separator: "\n").map(String.init)
    }

    private func readMore(until deadline: Deadline) throws -> Bool {
        let descriptor = output.fileHandleForReading.fileDescriptor
        var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&polled, 1, deadline.pollTimeout()) > 0 else {
            throw SpoolError.timedOut("the example hangs: \(String(decoding: read, as: UTF8.self))")
        }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        read += bytes.prefix(max(0, count))
        return count > 0
    }
}
