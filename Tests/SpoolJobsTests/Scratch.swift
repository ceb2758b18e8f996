// Scratch.swift - a fresh directory with a store in it, removed with its owner.

import Foundation
import Patience
import SpoolThreads

@testable import SpoolJobs

/// A directory of a test's own.
final class Scratch: Sendable {
    let directory: String
    var path: String { directory + "/jobs.db" }

    init() {
        directory = NSTemporaryDirectory() + "spool-test-" + UUID().uuidString
        try? FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    func store(_ mode: OpenMode = .create) throws -> Store { try Store.open(path, mode) }

    /// What the sqlite3 shell prints: a foreign program on the same file.
    @discardableResult
    func shell(_ sql: String, in file: String? = nil) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/sqlite3")
        process.arguments = [file ?? path, "PRAGMA wal_autocheckpoint=0", sql]
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        var lines = try process.end(reading: pipe).split(separator: "\n")
        if lines.first == "0" { lines.removeFirst() }  // the pragma answers with its value
        return lines.joined(separator: "\n")
    }
}

let noon = UnixTime(microseconds: 1_800_000_000_000_000)

extension NewJob {
    static func command(_ words: String..., queue: String = "default") -> NewJob {
        NewJob(.command(words.map { Array($0.utf8) }), queue: queue)
    }
}

extension Store {
    /// Claims as `spool work` does.
    func take(
        _ count: Int, _ owner: Int64, from selection: Selection = Selection(), now: UnixTime = noon
    ) throws -> [ClaimedJob] {
        try exchange(owner: owner, settle: [], take: count, from: selection, now: now) { 0 }.claimed
    }

    func settle(
        _ claim: Claim, _ verdict: Verdict, now: UnixTime = noon, error: String? = nil
    ) throws -> Move? {
        let run = Run(
            started: now, ended: now, pid: 7, exit: verdict == .done ? 0 : 1, error: error)
        let outcome = Outcome(claim, verdict, run)
        return try exchange(
            owner: claim.owner, settle: [outcome], take: 0, from: Selection(), now: now
        ) { 0 }.settled[0]
    }

    func owner(_ name: String = "test:1") throws -> Int64 {
        try register(name: name, consumers: 1, queues: "", now: noon)
    }
}
