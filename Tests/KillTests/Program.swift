// Program.swift - real programs as tests start them: the built ones, and shells.

import Foundation
import SpoolThreads

/// A program that runs, or has run.
final class Program {
    let process = Process()
    private let output: URL

    /// Programs of this package stand beside the test's own.
    static let folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent()

    init(_ name: String, _ arguments: [String], in directory: String) throws {
        output = URL(fileURLWithPath: directory + "/output-" + UUID().uuidString)
        try Data().write(to: output)
        let file = try FileHandle(forWritingTo: output)
        process.executableURL =
            name.contains("/")
            ? URL(fileURLWithPath: name) : Self.folder.appendingPathComponent(name)
        process.arguments = arguments
        process.currentDirectoryURL = URL(fileURLWithPath: directory)
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = file
        process.standardError = file
        try process.run()
    }

    var pid: Int32 { process.processIdentifier }
    var isRunning: Bool { process.isRunning }

    /// What it has printed so far.
    var printed: String { (try? String(contentsOf: output, encoding: .utf8)) ?? "" }

    /// Ends it as nothing can refuse: SIGKILL.
    func kill() {
        Glibc.kill(pid, SIGKILL)
        process.waitUntilExit()
    }

    /// Waits for its end, at most so long. Returns the exit status, or minus the signal.
    func wait(minutes: Int = 2) throws -> Int32 {
        let deadline = Deadline(after: .seconds(60 * minutes))
        while process.isRunning {
            guard !deadline.isPast else {
                kill()
                throw SpoolError.timedOut("\(process.executableURL?.lastPathComponent ?? "") hangs")
            }
            Pause.briefly(upTo: .milliseconds(4))
        }
        return process.terminationReason == .exit
            ? process.terminationStatus : -process.terminationStatus
    }
}

/// A directory of a test's own.
final class Scratch: Sendable {
    let directory: String
    var path: String { directory + "/jobs.db" }

    /// - Parameter inMemory: Where nothing has to survive, if the system has such a place.
    init(inMemory: Bool = false) throws {
        let memory = "/dev/shm"
        let isThere = FileManager.default.isWritableFile(atPath: memory)
        let parent = inMemory && isThere ? memory + "/" : NSTemporaryDirectory()
        directory = parent + "spool-kill-" + UUID().uuidString
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }
}

enum Rounds {
    /// How often a rig strikes: few in CI, as many as SPOOL_ROUNDS says otherwise.
    static func count(_ few: Int) -> Int {
        ProcessInfo.processInfo.environment["SPOOL_ROUNDS"].flatMap(Int.init) ?? few
    }

    /// What a rig draws its luck from: SPOOL_SEED, to have a run again, or any number.
    static let seed =
        ProcessInfo.processInfo.environment["SPOOL_SEED"].flatMap(UInt64.init)
        ?? (isFull ? UInt64.random(in: 1...UInt64.max) : 7)

    /// What is run by default must be as green tomorrow as today: luck is for those who ask for many rounds.
    private static let isFull = ProcessInfo.processInfo.environment["SPOOL_ROUNDS"] != nil
}

/// Lets time pass while something else runs; a rig strikes at random instants.
func elapse(_ time: Duration) {
    let deadline = Deadline(after: time)
    while !deadline.isPast { Pause.briefly(upTo: min(.milliseconds(1), time)) }
}
