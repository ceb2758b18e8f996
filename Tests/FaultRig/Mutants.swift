// Mutants.swift - deliberate breaks: each is a promise that is not kept, and a rig that must say so.

internal import CSQLite
internal import SpoolJobs
internal import SpoolThreads

/// What is broken on purpose. None of it is in the product: a mutant changes the test's file, the disk below SQLite, or
/// what stands beside the store.
enum Mutant: String, CaseIterable {
    /// Connections as SQLite makes them, with automatic checkpoints, instead of Spool's.
    case automaticCheckpoints = "automatic-checkpoints"
    /// A guest that puts into Spool's own file with automatic checkpoints.
    case carelessGuest = "careless-guest"
    /// A put counts its job after the transaction that puts it.
    case lateCounters = "late-counters"
    /// The rows of running jobs do not tell one attempt from another.
    case noFence = "no-fence"
    /// A put says that it is done whatever the commit says.
    case earlyReply = "early-reply"
    /// Jobs that were taken along by a process that died count as not put, whatever it had committed.
    case forgottenBatch = "forgotten-batch"
    /// Somebody who was stopped holds what lets one close the file after the other.
    case heldClosing = "held-closing"

    nonisolated(unsafe) static var chosen: Mutant?  // set once, before anything runs
}

extension Operation {
    /// What rigs E and M strike at: all operations, or the one that a mutant breaks.
    static var chosen: [Operation] {
        switch Mutant.chosen {
        case nil, .automaticCheckpoints, .carelessGuest, .forgottenBatch, .heldClosing: all
        case .lateCounters: [brokenPut(countsLate: true)]
        case .earlyReply: [brokenPut(countsLate: false)]
        case .noFence:
            all.filter { $0.name.hasPrefix("verdict") }.map { operation in
                var broken = operation
                broken.build = { stage in
                    try busy(stage)
                    try Guest(stage.path, checkpoints: false).run("UPDATE running SET attempt = 0")
                }
                return broken
            }
        }
    }

    /// A put of somebody who does not know how.
    private static func brokenPut(countsLate: Bool) -> Operation {
        let insert = """
            BEGIN IMMEDIATE; UPDATE spool SET next_job = next_job + 1;
            INSERT INTO job(id, lane, priority, put_at, retries) VALUES (8, 1, 0, 0, 0);
            INSERT INTO ready VALUES (1, 0, 8, 0, 0, 0)
            """
        let count = "UPDATE lane SET ready = ready + 1 WHERE id = 1"
        return Operation(name: "broken put", prepare: { _ in nil }) {
            (stage, _) throws(SpoolError) in
            let failed = SpoolError.inputOutput(path: stage.path, doing: "putting", detail: "")
            guard let guest = try? Guest(stage.path, checkpoints: false),
                guest.run(insert) == SQLITE_OK
            else { throw failed }
            if countsLate {
                guard guest.run("COMMIT") == SQLITE_OK, guest.run(count) == SQLITE_OK else {
                    throw failed
                }
            } else {
                guard guest.run(count) == SQLITE_OK else { throw failed }
                guest.run("COMMIT")
            }
        }
    }
}
