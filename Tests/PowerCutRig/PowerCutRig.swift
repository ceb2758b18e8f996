// PowerCutRig.swift - rig P: cuts the power at every instant, and looks for what was acknowledged.
//
//     PowerCutRig DIRECTORY ROUNDS IMAGES SEED [forget|failing|killed|silent|careless|early]
//
// Puts, claims and finishes jobs on a disk that remembers; then, for every prefix of its writes, rebuilds what a disk
// may hold after a power cut there and opens that. Every job whose put was acknowledged must be there, every job whose
// end was acknowledged must have ended, and the file must be sound. Prints counts; exit status 1 if something was lost.
// With "forget" the log is never synced, as with synchronous=NORMAL: a rig that never went red proves nothing. With
// "failing" a sync fails in every second round, and what it should have written never reaches the disk; with "careless"
// somebody forgets besides that it failed. With "killed" all processes are killed before any could write down that it
// failed, and others go on; with "silent" without a word that a sync was running. With "early" a put that went into the
// transaction of somebody else is acknowledged when that is committed, on disk or not.

private import CFaultDisk
private import Glibc
@testable internal import SpoolJobs
internal import SpoolThreads

@main
struct PowerCutRig {
    static func main() throws {
        let words = CommandLine.arguments
        guard words.count >= 5, let rounds = Int(words[2]), let images = Int32(words[3]),
            let seed = UInt64(words[4]), let way = Way(rawValue: words.dropFirst(5).first ?? "")
        else {
            print(
                "usage: PowerCutRig DIRECTORY ROUNDS IMAGES SEED"
                    + " [forget|failing|killed|silent|careless|early]")
            return
        }
        let path = words[1] + "/jobs.db"
        _ = try Store.open(path, .create).put([job(0)], now: noon)
        guard fault_disk_begin(path) == 0 else { throw SpoolError.usage("no disk to break") }
        if way == .forget { fault_disk_forget_log_syncs() }
        var work: Work? = try Work(path, way, puts: 2, done: 0)
        for round in 0..<rounds {
            let luck = seed &+ UInt64(round) &* 2_654_435_761
            guard let told = try work?.round(round, luck: luck) else { continue }
            if round % 2 == 0 { way.failSync(after: Int32(luck % 3)) }
            work = nil
            fault_disk_heal()
            work = try Work(path, way, puts: told.puts + 1, done: told.done)
        }
        fault_disk_end()
        let verdict = Verdicts(words[1] + "/cut.db")
        let cuts = fault_disk_each_cut(
            verdict.path, images, seed,
            { context, puts, done in
                guard let context else { return 1 }
                Unmanaged<Verdicts>.fromOpaque(context).takeUnretainedValue().look(puts, done)
                return 0
            }, Unmanaged.passUnretained(verdict).toOpaque())
        print(
            "seed \(seed): \(cuts) power cuts, \(verdict.lostPuts) lost acknowledged puts,"
                + " \(verdict.lostEnds) lost acknowledged ends, \(verdict.unsound) unsound files")
        if let example = verdict.example { print(example) }
        fflush(nil)
        exit(verdict.lostPuts + verdict.lostEnds + verdict.unsound == 0 ? 0 : 1)
    }

    static let noon = UnixTime(microseconds: 1_800_000_000_000_000)

    static func job(_ size: Int) -> NewJob {
        NewJob(.kind(Job.noop), body: .bytes([UInt8](repeating: 7, count: size)))
    }
}

/// Rounds of a put and of "finish k, take n", each acknowledged when it returns, with frequent checkpoints; in some of
/// them the transaction takes along a put of somebody else, that of a claim too, which nobody syncs; in some, somebody
/// commits a transaction that changes nothing before a put is synced.
private struct Work {
    private let store: Store
    private let other: Poster
    private let idler: Store
    private let owner: Int64
    private let way: Way
    private var outcomes: [Outcome] = []
    private var (puts, done): (Int64, Int64)

    /// - Parameters:
    ///   - puts: The last job that was acknowledged, or is when this returns.
    ///   - done: So many ends were. What others had claimed stays so.
    init(_ path: String, _ way: Way, puts: Int64, done: Int64) throws {
        (self.puts, self.done) = (puts, done)
        store = try Store.open(path, .existing)
        store.checkpointPages = 24
        owner = try store.register(name: "rig", consumers: 1, queues: "", now: PowerCutRig.noon)
        other = try Poster(path, beside: store)
        idler = try Store.open(path, .existing)
        self.way = way
        acknowledge(nil)
    }

    /// - Returns: What was acknowledged, when other processes are to go on: all have closed the file, or were killed.
    mutating func round(_ number: Int, luck: UInt64) throws -> (puts: Int64, done: Int64)? {
        if number % 2 == 1 { way.failSync(after: Int32(luck % 4)) }
        if number % 3 == 1 { try other.post(PowerCutRig.job(20)) }
        let jobs = [PowerCutRig.job(Int(luck % 3000)), PowerCutRig.job(10)]
        // Between the commit of the put and its sync.
        store.surroundings.ring = { [idler] _ in
            if number % 4 == 2 { try? idler.write("doing nothing") {} }
        }
        let ids = try way.bear { try store.put(jobs, now: PowerCutRig.noon) }
        acknowledge(ids?.upperBound)
        acknowledge(try way.bear { try other.put(isEarly: way == .early) } ?? nil)
        if number % 3 == 2 {
            try other.post(PowerCutRig.job(30))
            outcomes += try exchange([], take: 1)?.map(ended) ?? []
            acknowledge(try way.bear { try other.put(isEarly: way == .early) } ?? nil)
        }
        if let claimed = try exchange(outcomes, take: 2) {
            done += Int64(outcomes.count)
            acknowledge(nil)
            outcomes = claimed.map(ended)
        }
        try store.tidyLog()
        if number % 5 == 4 { try store.tidyLog() }  // a short one, at rest
        let areKilled = way.healDisk(store.files.database, luck)
        store.completesAtClose = !areKilled
        other.completesAtClose(!areKilled)
        idler.completesAtClose = !areKilled
        return areKilled || number % 7 == 6 ? (puts, done) : nil
    }

    private mutating func acknowledge(_ put: Int64?) {
        puts = max(puts, put ?? 0)
        fault_disk_acknowledge(puts, done)
    }

    private func exchange(_ outcomes: [Outcome], take: Int) throws -> [ClaimedJob]? {
        try way.bear {
            try store.exchange(
                owner: owner, settle: outcomes, take: take, from: Selection(), now: PowerCutRig.noon
            ) { 0 }.claimed
        }
    }
}

private func ended(_ job: ClaimedJob) -> Outcome {
    Outcome(job.claim, .done, Run(started: PowerCutRig.noon, ended: PowerCutRig.noon))
}

/// Somebody else whose puts the one who works takes along: a process of its own, as far as the store knows.
private struct Poster {
    private let store: Store
    private let board: Board

    init(_ path: String, beside leader: Store) throws {
        store = try Store.open(path, .existing)
        // It meets somebody in the gate, and has a seat from then on.
        let gate = try leader.shared().board
        gate.enter(toPut: false)
        try store.put([PowerCutRig.job(1)], now: PowerCutRig.noon)
        gate.leave()
        board = try store.shared().board
    }

    func completesAtClose(_ completes: Bool) { store.completesAtClose = completes }

    func post(_ job: NewJob) throws {
        guard board.post([job], now: PowerCutRig.noon) else { throw SpoolError.usage("no seat") }
    }

    /// Its id, once it may be told. Nil: it was not put, or nothing was posted.
    func put(isEarly: Bool) throws -> Int64? {
        guard case .committed(let first, let number) = board.fate() else {
            board.withdraw()
            return nil
        }
        guard let log = store.connection.log else { throw SpoolError.usage("no log") }
        let ledger = try store.shared().ledger
        if !isEarly { try Unsynced(number, log, ledger, store.files.database, "putting").sync() }
        return first
    }
}

/// How the disk is, and who writes to it.
enum Way: String {
    case sound = ""
    case forget, failing, killed, silent, careless, early

    private var fails: Bool { ![.sound, .forget, .early].contains(self) }

    func failSync(after syncs: Int32) {
        if fails { fault_disk_fail(Int32(FAULT_DISK_SYNC), syncs, 1, Way.failedSync) }
    }

    /// SQLITE_IOERR_FSYNC.
    private static let failedSync: Int32 = 10 | (4 << 8)

    /// Nil: the disk failed, and it was refused, or nobody knows.
    func bear<Value>(_ body: () throws -> Value) throws -> Value? {
        do {
            return try body()
        } catch SpoolError.inputOutput where fails {
            return nil
        } catch SpoolError.outcomeUnknown where fails {
            return nil
        }
    }

    /// - Returns: All who had the log open have died.
    func healDisk(_ path: String, _ luck: UInt64) -> Bool {
        fault_disk_heal()
        guard fails, self != .failing else { return false }
        let file = open(path + "-spool/shared", O_RDWR)
        defer { close(file) }
        guard word(file, Way.failures) != word(file, Way.mended) else { return false }
        set(file, Way.failures, word(file, Way.mended))
        // The sync of one that had the lock, or that was in the gate.
        let sync = luck % 2 == 0 ? Way.running : Way.gated
        if self == .killed { set(file, sync, word(file, sync) | 1) }
        return self != .careless
    }

    /// Where the words of SyncLedger stand.
    private static let (failures, mended, running, gated) = (7, 8, 11, 12)

    private func word(_ file: Int32, _ index: Int) -> UInt64 {
        var word: UInt64 = 0
        pread(file, &word, 8, off_t(index * 8))
        return word
    }

    private func set(_ file: Int32, _ index: Int, _ value: UInt64) {
        var value = value
        pwrite(file, &value, 8, off_t(index * 8))
    }
}

/// What the images hold against what was acknowledged.
final class Verdicts {
    let path: String
    var lostPuts = 0
    var lostEnds = 0
    var unsound = 0
    var example: String?

    init(_ path: String) { self.path = path }

    func look(_ puts: Int64, _ done: Int64) {
        do {
            let store = try Store.open(path, .existing)
            let problems = try store.check()
            if !problems.isEmpty { note("\(problems)", &unsound) }
            let counts = try store.counts(queue: nil)
            if counts.total < Int(puts) { note("\(counts.total) jobs of \(puts)", &lostPuts) }
            if counts.done < Int(done) { note("\(counts.done) ends of \(done)", &lostEnds) }
        } catch {
            note("\(error)", &unsound)
        }
    }

    private func note(_ text: String, _ counter: inout Int) {
        counter += 1
        if example == nil { example = text }
    }
}
