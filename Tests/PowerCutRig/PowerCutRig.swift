// PowerCutRig.swift - rig P: cuts the power at every instant, and looks for what was acknowledged.
//
//     PowerCutRig DIRECTORY ROUNDS IMAGES SEED [forget|failing|careless]
//
// Puts, claims and finishes jobs on a disk that remembers; then, for every prefix of its writes, rebuilds what a disk
// may hold after a power cut there and opens that. Every job whose put was acknowledged must be there, every job whose
// end was acknowledged must have ended, and the file must be sound. Prints counts; exit status 1 if something was lost.
// With "forget" the log is never synced, as with synchronous=NORMAL: a rig that never went red proves nothing. With
// "failing" a sync fails in every second round, and what it should have written never reaches the disk; with "careless"
// somebody forgets besides that it failed.

private import CFaultDisk
private import Glibc
internal import SpoolJobs
internal import SpoolThreads

@main
struct PowerCutRig {
    static func main() throws {
        let words = CommandLine.arguments
        guard words.count >= 5, let rounds = Int(words[2]), let images = Int32(words[3]),
            let seed = UInt64(words[4]), let way = Way(rawValue: words.dropFirst(5).first ?? "")
        else {
            print("usage: PowerCutRig DIRECTORY ROUNDS IMAGES SEED [forget|failing|careless]")
            return
        }
        let path = words[1] + "/jobs.db"
        _ = try Store.open(path, .create).put([job(0)], now: noon)
        guard fault_disk_begin(path) == 0 else { throw SpoolError.usage("no disk to break") }
        if way == .forget { fault_disk_forget_log_syncs() }
        try work(path, rounds, seed, way)
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

    /// Rounds of a put and of "finish k, take n", each acknowledged when it returns, with frequent checkpoints.
    static func work(_ path: String, _ rounds: Int, _ seed: UInt64, _ way: Way) throws {
        let store = try Store.open(path, .existing)
        store.checkpointPages = 24
        let owner = try store.register(name: "rig", consumers: 1, queues: "", now: noon)
        var outcomes: [Outcome] = []
        var (puts, done) = (Int64(1), Int64(0))
        for round in 0..<rounds {
            let luck = seed &+ UInt64(round) &* 2_654_435_761
            if round % 2 == 1 { way.failSync(after: Int32(luck % 4)) }
            let jobs = [job(Int(luck % 3000)), job(10)]
            if let ids = try way.bear({ try store.put(jobs, now: noon) }) {
                puts = ids.upperBound
                fault_disk_acknowledge(puts, done)
            }
            let exchange = try way.bear {
                try store.exchange(
                    owner: owner, settle: outcomes, take: 2, from: Selection(), now: noon
                ) { 0 }
            }
            if let exchange {
                done += Int64(outcomes.count)
                fault_disk_acknowledge(puts, done)
                outcomes = exchange.claimed.map {
                    Outcome($0.claim, .done, SpoolJobs.Run(started: noon, ended: noon))
                }
            }
            try store.tidyLog()
            way.healDisk(path)
        }
    }
}

/// How the disk is, and who writes to it.
enum Way: String {
    case sound = ""
    case forget, failing, careless

    private var fails: Bool { self == .failing || self == .careless }

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

    func healDisk(_ path: String) {
        fault_disk_heal()
        if self == .careless { Way.forgetFailures(path + "-spool/shared") }
    }

    /// The eighth word counts failures, the ninth those that were mended (SyncLedger.swift).
    private static func forgetFailures(_ path: String) {
        let file = open(path, O_RDWR)
        defer { close(file) }
        var failures: UInt64 = 0
        pread(file, &failures, 8, 7 * 8)
        pwrite(file, &failures, 8, 8 * 8)
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
