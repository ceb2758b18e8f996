// Working.swift - workers that run beside a test, and what they did.

import Foundation
import Patience
import SpoolThreads
import Testing

extension Bench {
    /// What the sqlite3 shell answers.
    func rows(_ sql: String) -> String {
        shell("sqlite3 '\(file)' \"\(sql)\"").text
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// A worker that runs until it is told to end.
    func start(_ more: String...) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Program.spool)
        process.arguments = ["work", "--file", file, "--quiet", "--json"] + more
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = Pipe()
        try process.run()
        return process
    }

    /// Asks a worker to end and gives what it says at last.
    func end(_ worker: Process) throws -> (status: Int32, said: String) {
        worker.terminate()
        try worker.end()
        return (worker.terminationStatus, try said(worker))
    }

    /// What a worker that has ended said.
    func said(_ worker: Process) throws -> String {
        let pipe = try #require(worker.standardOutput as? Pipe)
        return try worker.end(reading: pipe)
    }

    /// Looks until it holds.
    func eventually(_ holds: () -> Bool) -> Bool { Patience.eventually(holds) }

    /// Shell text that looks until a command succeeds, at most a minute.
    static func waiting(_ command: String) -> String {
        "for n in $(seq 1200); do \(command) && break; read -t 0.05 <> <(:); done"
    }

    /// Waits until a worker has registered.
    func hasWorker() -> Bool { eventually { spool("workers", "--json").text.contains("pid") } }
}
