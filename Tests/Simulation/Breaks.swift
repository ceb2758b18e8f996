// Breaks.swift - deliberate faults in the simulation's own wiring: a rig that never went red proves nothing.

internal import CSQLite
internal import SpoolJobs
internal import SpoolThreads

/// What a run breaks on purpose.
public enum Break: String, CaseIterable, Sendable {
    /// An outcome is applied to whoever holds the job now, as if the fence named only the job.
    case noFence
    /// A counter is not moved with its row.
    case counter
    /// What a dead worker held is given back a second time, later.
    case twice
    /// A put is acknowledged whatever became of its commit.
    case earlyReply
    /// Some rings of the doorbell are not heard.
    case deafBell
    /// A dead worker's lock is free while its consumers still run, and nobody hunts for what they run.
    case noLifeline
    /// What is left of a dead worker's commands is not ended before its jobs run again.
    case leftovers
    /// The death of a consumer counts as nothing.
    case noPoison
    /// A join does not wait for what runs.
    case hastyJoin
    /// The supervisor takes its time from the wall clock.
    case wallClock
    /// Of what was called back some is forgotten.
    case lostRecall
    /// A consumer that may begin nothing begins what it has.
    case noBar
    /// A worker does not hear that it is to end, as all that it started was told.
    case deafWorker
}

/// Performs a break; without one it changes nothing.
final class Breaks {
    let broken: Break?
    private let path: String
    private var count = 0
    private var remembered: [Claim] = []

    init(_ broken: Break?, _ path: String) {
        self.broken = broken
        self.path = path
    }

    /// True for every `period`-th time that it is asked, if this is what is broken.
    func strikes(_ kind: Break, every period: Int) -> Bool {
        guard broken == kind else { return false }
        count += 1
        return count % period == 0
    }

    /// Outcomes as a store without the fence would take them.
    func bent(_ outcomes: [Outcome], _ model: Model) -> [Outcome] {
        outcomes.map { outcome in
            var outcome = outcome
            if broken == .noFence, let job = model.jobs[outcome.claim.job], let owner = job.owner {
                outcome.claim = Claim(job: outcome.claim.job, attempt: job.attempt, owner: owner)
            }
            if broken == .noPoison, outcome.verdict == .consumerDied { outcome.verdict = .released }
            return outcome
        }
    }

    /// After a transaction.
    func bend(_ store: Store) {
        if strikes(.counter, every: 20) {
            execute("UPDATE lane SET done = done - 1 WHERE done > 0")
        }
    }

    /// Claims of a dead worker, as they are given back.
    func remember(_ claims: [Claim]) { if broken == .twice { remembered += claims } }

    /// Gives back again what dead workers held, from whoever has it by now.
    func giveBackAgain() {
        guard broken == .twice else { return }
        for claim in remembered {
            execute(
                """
                UPDATE lane SET ready = ready + 1, running = running - 1
                  WHERE id = (SELECT lane FROM running WHERE id = \(claim.job));
                INSERT INTO ready SELECT r.lane, j.priority, r.id, r.attempt, r.failures, r.deaths
                  FROM running r JOIN job j ON j.id = r.id WHERE r.id = \(claim.job);
                DELETE FROM running WHERE id = \(claim.job)
                """)
        }
    }

    private func execute(_ sql: String) {
        var handle: OpaquePointer?
        guard sqlite3_open(path, &handle) == SQLITE_OK else { return }
        sqlite3_exec(handle, sql, nil, nil, nil)
        sqlite3_close(handle)
    }
}
