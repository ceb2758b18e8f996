// Cast.swift - who acts on a store in a schedule, and what each was told that it had done.

internal import CSQLite
private import Glibc
internal import SpoolJobs
internal import SpoolThreads

/// Two stores of Spool's, a guest and a reader on one file, all in one thread.
final class Cast {
    /// Whose calls are interrupted.
    let leader: Store
    private let other: Store
    private let guest: Guest
    private let careless: Guest
    private let reader: Guest
    private let stage: Stage
    private let locks: [Int32]
    private(set) var put = 0
    private(set) var claimed: [Int64] = []
    private(set) var problems: [String] = []

    static let noon = Stage.noon
    static let owner: Int64 = 1

    init(_ stage: Stage) throws {
        self.stage = stage
        leader = try Store.open(stage.path, .existing)
        other = try Store.open(stage.path, .existing)
        guest = try Guest(stage.path, checkpoints: false)
        careless = try Guest(stage.path, checkpoints: true)
        reader = try Guest(stage.path, checkpoints: false)
        locks = [stage.path + "-spool/gate", stage.path + "-spool/shared"].map { (path: String) in
            open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        }
        for store in [leader, other] {
            store.checkpointPages = .max
            _ = try store.counts(queue: nil)
        }
        for guest in [guest, careless, reader] { guest.run("SELECT count(*) FROM job") }
    }

    deinit { for lock in locks { close(lock) } }

    /// What one of them does.
    enum Deed: String, CaseIterable {
        case put, putAndTidy, claim, finishAndClaim, due, join, tidy, recover
        case guestPut, carelessPut, readerBegins, readerEnds, copyLog

        /// What Spool does, and what may interrupt it. A guest that checkpoints by itself is a mutant.
        static let ofSpool: [Deed] = [
            .put, .putAndTidy, .claim, .finishAndClaim, .due, .join, .tidy, .recover,
        ]
        static let interrupting: [Deed] = [
            .put, .putAndTidy, .claim, .tidy, .guestPut, .readerBegins, .readerEnds,
        ]
    }

    /// The deed whose calls are interrupted.
    func lead(_ deed: Deed) throws {
        try perform(deed, leader)
    }

    /// A deed of another one, now. Whoever would wait for the gate, or for another's sync, comes later.
    func interrupt(_ deed: Deed) {
        switch deed {
        case .guestPut, .carelessPut, .readerBegins, .readerEnds, .copyLog: break
        default:
            for lock in locks {
                guard flock(lock, LOCK_EX | LOCK_NB) == 0 else { return }
                flock(lock, LOCK_UN)
            }
        }
        do {
            try perform(deed, other)
        } catch {
            // It met a lock that is held for a moment only, which here does not pass.
            if let error = error as? SpoolError, Self.isMomentary(error) { return }
            problems.append("\(deed.rawValue) was refused: \(error)")
        }
    }

    private static func isMomentary(_ error: SpoolError) -> Bool {
        if case .locked = error { return true }
        return error.reason.contains("locking protocol")
    }

    private func perform(_ deed: Deed, _ store: Store) throws {
        switch deed {
        case .put: try puts(store)
        case .putAndTidy:
            store.checkpointPages = 0
            try puts(store)
            store.checkpointPages = .max
        case .claim: try exchange(store, [], 2, at: Self.noon)
        case .finishAndClaim: try exchange(store, [Operation.outcome(1, .done)], 1, at: Self.noon)
        case .due: try exchange(store, [], 0, at: Self.noon + .seconds(61))
        case .join: try look(store)
        case .tidy:
            store.checkpointPages = 0
            try store.tidyLog()
            store.checkpointPages = .max
        case .recover: try store.recover(now: Self.noon)
        case .guestPut: put(by: guest)
        case .carelessPut: put(by: store === leader ? careless : otherCareless())
        case .readerBegins: reader.run("BEGIN; SELECT count(*) FROM job")
        case .readerEnds: reader.run("COMMIT")
        case .copyLog: guest.run("PRAGMA wal_checkpoint(PASSIVE)")
        }
    }

    private var secondCareless: Guest?
    private func otherCareless() -> Guest {
        if let secondCareless { return secondCareless }
        let made = try? Guest(stage.path, checkpoints: true)  // nil: the guest below does it
        secondCareless = made
        return made ?? guest
    }

    /// Opens what is opened at the first use otherwise, so that the calls of a deed are only its own.
    func warmUp() { _ = otherCareless() }

    private func puts(_ store: Store) throws {
        try store.put([Operation.job(8), Operation.job(9)], now: Self.noon)
        put += 2
    }

    /// As the sqlite3 shell does it. One that is busy has done nothing.
    private func put(by guest: Guest) {
        guest.run("PRAGMA wal_autocheckpoint=\(guest === self.guest ? 0 : 1)")
        if guest.run("INSERT INTO jobs(command) VALUES ('true')") == SQLITE_OK { put += 1 }
    }

    private func exchange(
        _ store: Store, _ outcomes: [Outcome], _ take: Int, at now: UnixTime
    ) throws {
        let result = try store.exchange(
            owner: Self.owner, settle: outcomes, take: take, from: Selection(), now: now
        ) { 0 }
        claimed += result.claimed.map(\.claim.job)
    }

    private func look(_ store: Store) throws {
        let progress = try Joiner(.all, of: store).look()
        if progress.isFinished { problems.append("J1: join saw no unfinished job: \(progress)") }
    }

    /// Whatever was damaged in silence shows when the log is filled, copied and begun again.
    func goOn() throws {
        reader.run("COMMIT")
        for _ in 0..<25 { try puts(other) }
        try perform(.tidy, other)
        for _ in 0..<2 { try puts(leader) }
    }
}
