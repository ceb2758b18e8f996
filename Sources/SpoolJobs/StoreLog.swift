// StoreLog.swift - what becomes of the write-ahead log: it is synced, kept short, written again when a sync failed.

public import SpoolThreads

/// A commit that everybody can see, and that is not on disk yet.
struct Unsynced: Sendable {
    private let number: UInt64
    private let log: LogFile
    private let ledger: SyncLedger
    private let path: String
    private let doing: String
    private let others: Board.Calls?

    /// - Parameter others: Whose jobs are in it, too: they wait for the sync.
    init(
        _ number: UInt64, _ log: LogFile, _ ledger: SyncLedger, _ path: String, _ doing: String,
        _ others: Board.Calls? = nil
    ) {
        (self.number, self.log, self.ledger) = (number, log, ledger)
        (self.path, self.doing, self.others) = (path, doing, others)
    }

    /// Returns when it is on disk. From any thread, while its store is open.
    /// - Throws: `outcomeUnknown`: it can be seen, and may be gone after a power cut.
    func sync() throws(SpoolError) {
        defer { others?.call() }
        guard !ledger.sync(upTo: number, log) else { return }
        throw .outcomeUnknown(
            path: path, doing: doing, detail: SyncLedger.failure(path, doing).reason)
    }
}

extension Store {
    /// When a transaction reaches the disk. The later ones are the stricter ones.
    package enum Syncing: Int {
        /// With the next that is synced: for what may as well not have happened after a power cut, which ends all
        /// processes. A claim.
        case withTheNext
        /// Before ``write(_:_:_:)`` returns, when everybody can see it and the next may write: one sync serves all
        /// that committed meanwhile. A put, of which nothing was promised before.
        case afterwards
        /// Before anybody can see it.
        case first
    }

    /// Bytes of pages that a log may have while a worker lives and is busy.
    private static let longestLog = 16 << 20

    /// Runs something in which SQLite syncs the log. Whoever else writes, or says that something is on disk, must
    /// know when that failed.
    func syncing(_ body: () throws(SpoolError) -> Void) throws(SpoolError) {
        let ledger = try shared().ledger
        try ledger.alone { () throws(SpoolError) in
            defer {
                if connection.hasFailedToSync { ledger.fail() }
                connection.hasFailedToSync = false
            }
            try body()
        }
    }

    /// Writes the log again after a sync of it has failed. The caller holds the gate.
    /// - Throws: `inputOutput` when the disk fails still; nothing can be written then.
    func mendLog(_ ledger: SyncLedger) throws(SpoolError) {
        do throws(SpoolError) {
            try statement("BEGIN IMMEDIATE").run("writing its log again")
            defer { try? endTransaction() }  // nothing was written: there is nothing to lose
            guard let log = connection.log else {
                throw SyncLedger.failure(files.database, "writing its log again")
            }
            try ledger.mend(files.database, log)
        } catch {
            // Others may not know of it: they had the log open, or come later.
            ledger.fail()
            throw error
        }
    }

    /// While a worker lives, short logs are left to its quiet moments: a checkpoint takes as long as
    /// several commits, and a job that was just put would wait for it.
    func checkpointIfLong() {
        guard pages.pointee > nextCheckpoint else { return }
        let size = Int(pages.pointee) * (connection.pageSize ?? 1 << 16)
        if size <= Store.longestLog, isAnybodyAlive { return }
        tidy()
    }

    private var isAnybodyAlive: Bool {
        if livesProbe == nil { livesProbe = try? File.side(files.live) }
        guard let livesProbe else { return false }  // then nobody has locked it
        return Lives.isAnybodyAlive(livesProbe)
    }

    /// For owners, now and then while nothing is to be done: copies the log into the database if it is long, and a
    /// short one once nobody has committed since the call before. So a file at rest is nearly complete in itself,
    /// should somebody copy it though it is open.
    public func tidyLog() throws(SpoolError) {
        guard let gate else { return }
        let (ledger, board) = try shared()
        let commits = ledger.commits
        defer { atRest.seen = commits }
        let isLong = pages.pointee > nextCheckpoint
        guard isLong || (commits == atRest.seen && commits != atRest.copied) else { return }
        try gate.enter()
        isWriting = true
        defer {
            isWriting = false
            leave(gate, board)
        }
        atRest.copied = commits
        tidy()
    }

    private func tidy() {
        pages.pointee = 0
        // Of a log that is not on disk none may be made: a power cut in it would leave the database with a part of what
        // the log held.
        guard let ledger = try? shared().ledger, !ledger.isDoubtful else { return }
        // The commit stands: a checkpoint that fails is only put off until the next one.
        try? syncing { () throws(SpoolError) in
            guard !ledger.isBroken else { return }
            try checkpoint()
            if nextCheckpoint == checkpointPages { try restartLog() }
        }
    }

    /// Closes the connection, as the last one that has the file open with nothing left in the log: the database can be
    /// copied or moved without it. One after the other: of two at once each would find that the other has it open.
    func closing(_ close: () -> Void) {
        guard isOurs, completesAtClose, isInPlace,
            let lock = gate ?? (try? Gate(files)), lock.beginClosing()
        else { return close() }
        defer { lock.endClosing() }
        completeAtClose()
        close()
    }

    private func completeAtClose() {
        guard Path.size(files.database + "-wal") ?? 0 > 0,
            let ledger = openedMemory?.ledger ?? unwaitedLedger(), let log = connection.log,
            !ledger.isDoubtful || mendAtClose(ledger, log), ledger.syncAll(log)
        else { return }
        connection.copyLogAtClose(ledger.closing)
    }

    /// Whoever was killed as it synced has left the log in doubt, and who only looks has not mended it before. False:
    /// it stays so, as its disk has failed, or somebody is in the gate, who has the file open, too.
    private func mendAtClose(_ ledger: SyncLedger, _ log: LogFile) -> Bool {
        guard !ledger.isBroken, let gate = gate ?? (try? Gate(files)), gate.tryEnter() else {
            return false
        }
        defer { gate.leave() }
        do throws(SpoolError) {
            try connection.execute("BEGIN IMMEDIATE")
            defer { try? connection.execute("ROLLBACK") }  // nothing was written
            try ledger.mend(files.database, log)
            return true
        } catch {
            return false
        }
    }

    /// For who has only looked. Nil when somebody syncs: that one has the file open, too.
    private func unwaitedLedger() -> SyncLedger? {
        // Looked at before, too, but it may be that of the file which has the name now.
        guard let memory = try? StoreMemory(files, waits: false), isInPlace else { return nil }
        return SyncLedger(memory)
    }

    /// Once all of the log was copied, the next write begins it anew. Whoever opens the store while
    /// nobody else has reads the log up to its end: a write now keeps that short.
    func restartLog() throws(SpoolError) {
        try statement("BEGIN IMMEDIATE").run("restarting its log")
        try statement("UPDATE spool SET log_restarts = log_restarts + 1").run("restarting its log")
        try statement("COMMIT").run("restarting its log")
        pages.pointee = 0
    }

    /// The one checkpoint routine. Another connection holds the write lock meanwhile, so that no commit can race with
    /// it: see "The WAL Reset Bug", sqlite.org/wal.html. The caller holds the gate.
    private func checkpoint() throws(SpoolError) {
        if checkpointer == nil { checkpointer = try Connection(files.database, .existing) }
        guard let other = checkpointer else { return }
        try other.execute("BEGIN IMMEDIATE")
        defer { try? other.execute("ROLLBACK") }  // nothing was written: there is nothing to lose
        let (log, copied) = try connection.checkpointPassive()
        // A reader that holds on to an old snapshot stops the copying: try again when there is more to gain.
        nextCheckpoint = copied == log ? checkpointPages : Int32(clamping: log) + checkpointPages
    }
}
