// Store.swift - the durable job store: opening it, its transactions, and its checkpoints.
//
// Every write is one transaction between the gate and the doorbells: enter the gate, BEGIN IMMEDIATE, move rows and
// counters, COMMIT (synced: what was acknowledged survives a power cut; claims are not), leave the gate, ring, and sync
// what was put. The verbs are in StorePut, StoreExchange and so on; what becomes of the log is in StoreLog.

private import Glibc
public import SpoolThreads

/// A store of jobs in a SQLite file.
///
/// Not for two threads at once, and not across a fork: open one per thread or process. Any number may be open on one
/// file. ``JobQueue`` is the form that many threads can share.
public final class Store {
    /// Where its files are.
    public let files: StoreFiles
    /// Where the log is now that a file which had this name before has left: its last jobs may stand there only. Nil:
    /// there was none.
    private(set) var setAside: String?
    let connection: Connection
    var gate: Gate?
    var openedMemory: (ledger: SyncLedger, board: Board)?
    private let process = getpid()
    var isOurs: Bool { process == getpid() }
    /// Not if it is to end as a process that is killed, nor where something is wrong with the file.
    package var completesAtClose = true
    let identity: Path.Identity?
    let pages: UnsafeMutablePointer<Int32>
    var checkpointer: Connection?
    /// How many commits there were when ``tidyLog()`` was called last, and when it copied the log last.
    var atRest: (seen: UInt64, copied: UInt64) = (0, 0)
    /// What a store does to the world besides its file; a simulation has a world of its own.
    package struct Surroundings {
        /// Tells the processes that wait. Nil: through the doorbells beside the file.
        package var ring: ((Bell) -> Void)?
        /// Ends what is left of attempts whose worker died, before they count as given back.
        package var endLeftovers: ([Claim], String) -> Void = Leftovers.end
    }
    package var surroundings = Surroundings()
    var bells: [Bell: File] = [:]
    private var wanted: Set<Bell> = []
    var isWriting = false
    private var isLooking = false
    /// The statements of lists are in use.
    var isListing = false
    private var statements = StatementTable()
    var lives: Lives?
    /// For looking whether anybody lives, without holding a lock.
    var livesProbe: File?
    var places: [Place: Int64] = [:]
    /// A put mostly goes where the one before went.
    var lastLane: (queue: String, kind: String, id: Int64)?
    /// The rows in `running` of what was claimed here and is not settled yet: they are not read again.
    var claims: [Int64: Held] = [:]

    /// A commit that leaves more pages than this in the WAL is followed by a checkpoint, unless a worker
    /// lives that will see to it: 1 MiB.
    public var checkpointPages: Int32 = 256 { didSet { nextCheckpoint = checkpointPages } }
    var nextCheckpoint: Int32 = 256

    private init(
        _ files: StoreFiles, _ identity: Path.Identity?, _ connection: Connection, _ gate: Gate?
    ) {
        self.files = files
        self.identity = identity
        self.connection = connection
        self.gate = gate
        pages = .allocate(capacity: 1)
        pages.initialize(to: 0)
        connection.countPages(into: pages)
        connection.keepWAL()
    }

    deinit {
        close()
        pages.deallocate()
    }

    /// Ends its use. Whoever is the last one that has the file open leaves it complete in itself.
    func close() {
        guard !connection.isClosed else { return }
        statements = StatementTable()
        checkpointer = nil
        closing { connection.close() }
    }

    /// Opens the store at `path`.
    /// - Throws: `noStore` when it is missing, `notAStore` for other files, `storeTooNew`, `storeCorrupt`, `readOnly`,
    ///   `cannotCreate`, `diskFull`. The file is untouched by every refusal.
    public static func open(_ path: String, _ mode: OpenMode) throws(SpoolError) -> Store {
        let files = StoreFiles(try Path.canonical(path))
        try inspect(files.database, mode)
        do throws(SpoolError) {
            return mode == .readOnly ? try look(files) : try prepare(files, mode)
        } catch .notAStore(_, "is not a SQLite database") {
            let start = Path.beginning(files.database)
            throw .notAStore(
                path: files.database, why: "is not a SQLite database (first bytes '\(start)')")
        }
    }

    /// Says yes to a store on a network file system: everybody who uses it is on this machine.
    private static let networkVariable = "SPOOL_NETWORK_FS"

    private static func inspect(_ path: String, _ mode: OpenMode) throws(SpoolError) {
        if let system = Path.networkFileSystem(of: path), getenv(networkVariable) == nil {
            throw .notAStore(
                path: path,
                why: "is on \(system), where neither locks nor shared memory reach other machines;"
                    + " put it on a disk of this one (or set \(networkVariable)=1 if nobody else uses it)"
            )
        }
        switch Path.entry(path) {
        case .missing where Path.isLink(path):
            throw .notAStore(path: path, why: "is a symbolic link to a file that is not there")
        case .missing:
            guard mode == .create else { throw .noStore(path: path) }
        case .directory: throw .notAStore(path: path, why: "is a directory, not a spool file")
        case .other: throw .notAStore(path: path, why: "is not a regular file")
        case .unreachable(let number) where number == EACCES: throw .readOnly(path: path)
        case .unreachable(let number):
            throw .inputOutput(path: path, doing: "opening it", detail: SpoolError.reason(number))
        case .file(_, let links) where links > 1:
            throw .notAStore(
                path: path, why: "has \(links) hard links; a database must have one name only")
        case .file where Path.isMount(path):
            throw .notAStore(path: path, why: Path.mountedAlone)
        case .file(0, _):
            guard mode == .create, Schema.isUnmade(StoreFiles(path)) else {
                throw .notAStore(path: path, why: "is empty, not a spool file")
            }
        case .file: break
        }
    }

    private static func prepare(_ files: StoreFiles, _ mode: OpenMode) throws(SpoolError) -> Store {
        // Nothing is made beside a file that is none of ours.
        if Path.size(files.database) ?? 0 > 0, Path.entry(files.directory) == .missing {
            _ = try Schema.isCurrent(Connection(files.database, .existing))
        }
        try Path.makeDirectory(files.directory, of: files.database)
        try Path.checkPrivate(files.directory, of: files.database)
        var setAside: String?
        if mode == .create, Path.size(files.database) ?? 0 == 0 {
            let gate = try Gate(files)
            try gate.enter()
            defer { gate.leave() }
            if Path.size(files.database) ?? 0 == 0 { setAside = try Schema.create(files) }
        }
        // Before it is opened, and all that is beside it: what is replaced meanwhile is then not taken for its own.
        guard let identity = Path.identity(files.database) else { throw removed(files.database) }
        let gate = try Gate(files)
        let (connection, isCurrent) = try LogOwner.open(files, gate)
        if !isCurrent {
            try gate.enter()
            defer { gate.leave() }
            try Schema.migrate(connection, files)
        }
        if try !Schema.hasLog(connection) {
            try gate.enter()
            defer { gate.leave() }
            try Schema.makeLog(connection)
            LogOwner.keep(files)
        }
        let store = Store(files, identity, connection, gate)
        store.setAside = setAside
        return store
    }

    /// A file on a read-only file system has no writer, so it can be read without the shared memory of the WAL.
    private static func look(_ files: StoreFiles) throws(SpoolError) -> Store {
        let isFrozen =
            Path.isOnReadOnlyFileSystem(files.database)
            && (Path.size(files.database + "-wal") ?? 0) == 0
        let identity = Path.identity(files.database)
        let (connection, isCurrent) =
            try LogOwner.open(files, nil, isFrozen ? .immutable : .existing)
        guard isCurrent else {
            throw .notAStore(
                path: files.database,
                why: "was written by an older spool; any writing command brings it up to date")
        }
        return Store(files, identity, connection, nil)
    }

    /// A statement, prepared once per store.
    func statement(_ sql: StaticString) throws(SpoolError) -> Statement {
        if !isWriting, !isLooking {
            try endTransaction()
            unlockLog()
        }
        return try prepared(sql)
    }

    /// Runs looks that see one moment: what is committed meanwhile they do not see. A long one keeps the log from being
    /// copied.
    func looking(_ body: () throws(SpoolError) -> Void) throws(SpoolError) {
        guard !isWriting, !isLooking else { return try body() }
        try statement("BEGIN").run("looking")
        isLooking = true
        defer {
            isLooking = false
            try? endTransaction()  // it only looked
        }
        try body()
    }

    private func unlockLog() {
        guard connection.isLockedOut || checkpointer?.isLockedOut ?? false else { return }
        connection.unlockLog()
        checkpointer?.unlockLog()
    }

    private func prepared(_ sql: StaticString) throws(SpoolError) -> Statement {
        if let known = statements[sql] { return known }
        let made = try connection.prepare(sql)
        statements[sql] = made
        return made
    }

    // MARK: - Transactions

    /// Runs `body` in one transaction; an error undoes it all. Inside another one it becomes a part of it.
    /// - Throws: What `body` throws; `outcomeUnknown` when nobody can tell whether the commit happened, or whether it
    ///   will outlive a power cut.
    func write<Value>(
        _ doing: String, _ syncing: Syncing = .first, _ body: () throws(SpoolError) -> Value
    ) throws(SpoolError) -> Value {
        guard !isWriting else { return try body() }
        let (value, unsynced) = try commit(doing, syncing, body)
        try unsynced?.sync()
        return value
    }

    /// Opened at the first write: opening it waits for a sync that runs, which may hang, and who only looks need not.
    /// The connection has opened the log before, so that its descriptor hears of each sync that fails from now on, and
    /// the ledger knows of those before.
    func shared() throws(SpoolError) -> (ledger: SyncLedger, board: Board) {
        if let openedMemory { return openedMemory }
        let memory = try StoreMemory(files)
        try checkInPlace()  // else it may be that of the file which has the name now
        connection.gatherLog()
        let opened = (ledger: SyncLedger(memory), board: Board(memory))
        openedMemory = opened
        return opened
    }

    /// As ``write(_:_:_:)``, not inside another one. What is to be synced afterwards is left to the caller, who may do
    /// it in any thread while the store is used for more.
    /// - Parameter isInside: The caller has entered the gate.
    func commit<Value>(
        _ doing: String, _ syncing: Syncing, isInside: Bool = false,
        _ body: () throws(SpoolError) -> Value
    ) throws(SpoolError) -> (Value, Unsynced?) {
        checkProcess()
        // What is looked at would not stand still any more, and others may have written since it began.
        guard !isLooking else { throw Store.busyLooking("cannot write while it looks") }
        let gate = try isInside ? writersGate : enterGate()
        isWriting = true
        defer {
            isWriting = false
            ringAll()
        }
        let (ledger, board) = try shared()
        board.enter(toPut: syncing == .afterwards)
        var carried: Board.Calls?
        defer {
            board.leave()
            leave(gate, board)
            carried?.call()
        }
        let (value, number) = try transact(doing, syncing, body)
        let others = board.end(.committed(first: 0, number: number))
        checkpointIfLong()
        guard syncing == .afterwards else {
            carried = others
            return (value, nil)
        }
        guard let log = connection.log else {
            throw .outcomeUnknown(path: files.database, doing: doing, detail: "the log is not open")
        }
        return (value, Unsynced(number, log, ledger, files.database, doing, others))
    }

    /// - Returns: What `body` returns, and the number of the commit.
    private func transact<Value>(
        _ doing: String, _ syncing: Syncing, _ body: () throws(SpoolError) -> Value
    ) throws(SpoolError) -> (Value, UInt64) {
        let (ledger, board) = try shared()
        try endTransaction()
        if ledger.isDoubtful { try mendLog(ledger) }
        try checkSchema(ledger.memory)
        try finishBatch()
        try begin(doing)
        do throws(SpoolError) {
            let value = try body()
            try putPosts(syncing == .withTheNext ? nil : board.gathering())
            try checkInPlace()
            return (value, try commit(doing, ledger, syncing))
        } catch {
            places.removeAll()
            claims.removeAll()
            lastLane = nil
            wanted.removeAll(keepingCapacity: true)
            // One that cannot be undone now is undone before the next one begins. The first error says more.
            try? endTransaction()
            if case .outcomeUnknown = error {
                board.end(.unknown).call()
            } else {
                board.end(.refused).call()
            }
            throw error
        }
    }

    private func begin(_ doing: String) throws(SpoolError) {
        do throws(SpoolError) {
            try statement("BEGIN IMMEDIATE").run(doing)
        } catch {
            // SQLite has tried for ten seconds. If the lock was one of ours that had stayed it is free now.
            guard connection.isKeptFromReading else { throw error }
            unlockLog()
            try statement("BEGIN IMMEDIATE").run(doing)
        }
    }

    /// One that could not be undone when it failed (no memory) would swallow the next one, and show its rows
    /// to readers.
    func endTransaction() throws(SpoolError) {
        guard !connection.isAutocommit else { return }
        try prepared("ROLLBACK").run("undoing a transaction")
    }

    /// A COMMIT that failed did not happen for anybody who has the file open. But its pages may stand in the
    /// log, whole: a crash would make them count. A small commit in their place makes it certain that they
    /// never do.
    private func commit(
        _ doing: String, _ ledger: SyncLedger, _ syncing: Syncing
    ) throws(SpoolError) -> UInt64 {
        do throws(SpoolError) {
            if syncing == .first { return try commitSynced(doing, ledger) }
            try runCommit(doing, syncing)
            return ledger.commit()
        } catch {
            // Of a full disk it is known whether the last page did not fit.
            if case .diskFull = error, !connection.failedCommitMayStand { throw error }
            guard (try? takeBack()) == nil else { throw error }
            throw .outcomeUnknown(path: files.database, doing: doing, detail: error.reason)
        }
    }

    private func commitSynced(
        _ doing: String, _ ledger: SyncLedger
    ) throws(SpoolError) -> UInt64 {
        var number: UInt64 = 0
        try syncing { () throws(SpoolError) in
            guard !ledger.isBroken else { throw SyncLedger.failure(files.database, doing) }
            try runCommit(doing, .first)
            // One that changed nothing has synced nothing, neither what others have committed.
            number = connection.commitHasSynced ? ledger.commitSynced() : ledger.commit()
        }
        return number
    }

    private func runCommit(_ doing: String, _ syncing: Syncing) throws(SpoolError) {
        let commit = try statement("COMMIT")
        try connection.committing(syncing) { () throws(SpoolError) in
            try commit.run(doing)
        }
    }

    func takeBack() throws(SpoolError) {
        try endTransaction()
        unlockLog()  // a lock of our own that has stayed may be why it failed
        try syncing { () throws(SpoolError) in try restartLog() }
    }

    // MARK: - Doorbells

    package enum Bell: CaseIterable { case arrived, settled }

    /// Tells the processes that wait, once the transaction is on disk and the gate is open. A process that dies before
    /// it rings is found out by the watch on the log.
    func ring(_ bell: Bell) { wanted.insert(bell) }

    private func ringAll() {
        for bell in wanted { strike(bell) }
        wanted.removeAll(keepingCapacity: true)
    }

    private func strike(_ bell: Bell) {
        if let ring = surroundings.ring { return ring(bell) }
        if let known = bells[bell] { return known.ring() }
        let path = bell == .arrived ? files.arrived : files.settled
        // Without the file the safety poll of the waiters covers it.
        guard let file = try? File.side(path) else { return }
        bells[bell] = file
        file.ring()
    }
}
