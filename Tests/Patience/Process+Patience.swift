// Process+Patience.swift - programs that Foundation has started, and that must end.

public import Foundation
internal import SpoolThreads

extension Process {
    private var line: String {
        let name = executableURL?.lastPathComponent ?? ""
        return ([name] + (arguments ?? [])).joined(separator: " ")
    }

    /// Waits for its end; one that does not end is killed.
    /// - Throws: `timedOut`.
    public func end(atMost longest: Duration = Patience.longest) throws {
        let hasEnded = Patience.eventually(atMost: longest) { !isRunning }
        if !hasEnded { kill(processIdentifier, SIGKILL) }
        waitUntilExit()
        guard hasEnded else { throw Patience.over("'\(line)' did not end", after: longest) }
    }

    /// All that it writes into a pipe, and its end; one that does not end is killed.
    /// - Throws: `timedOut`.
    public func end(
        reading pipe: Pipe, atMost longest: Duration = Patience.longest
    ) throws -> String {
        do {
            let bytes = try Patience.readAll(
                pipe.fileHandleForReading.fileDescriptor, of: "'\(line)'", atMost: longest)
            try end(atMost: longest)
            return String(decoding: bytes, as: UTF8.self)
        } catch {
            if isRunning { kill(processIdentifier, SIGKILL) }
            throw error
        }
    }
}
