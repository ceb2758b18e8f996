// Operation.swift - the operations of a store that the rigs strike at, each from the same beginning to the same end.

@testable internal import SpoolJobs
internal import SpoolThreads

/// One call of a store, and what must have been done before it.
struct Operation {
    let name: String
    /// Makes the store on an empty stage.
    var build: (Stage) throws -> Void = Operation.busy
    /// What the caller has in hand when the call begins; nil: it opens the store itself.
    var prepare: (Stage) throws -> Hands? = { try Hands($0) }
    /// The call.
    let perform: (Stage, Hands?) throws(SpoolError) -> Void
    /// It makes or opens a file: that is done or not, and neither is an error's fault.
    var isOpening = false

    /// A store in use, and who uses it.
    final class Hands {
        let store: Store
        let owner: Int64

        init(_ stage: Stage) throws {
            store = try Store.open(stage.path, .existing)
            // Registered when the stage was built; the lock of that life is gone, and nobody asks for it here.
            owner = 1
        }
    }

    static let noon = Stage.noon

    static func job(_ number: Int) -> NewJob {
        var job = NewJob(.command([Array("run".utf8), Array("job \(number)".utf8)]), queue: "q")
        job.body = .bytes([UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 600))
        job.place = Place(directory: Array("/".utf8), environment: Array("A=1\0".utf8))
        return job
    }

    /// Jobs in every state, and one claim that is held.
    static func busy(_ stage: Stage) throws {
        let store = try Store.open(stage.path, .create)
        store.checkpointPages = .max
        let owner = try store.register(name: "rig", consumers: 1, queues: "", now: noon)
        try store.put((1...6).map(job), now: noon)
        var later = job(7)
        later.due = noon + .seconds(60)
        try store.put([later], now: noon)
        _ = try store.exchange(
            owner: owner, settle: [], take: 2, from: Selection(), now: noon
        ) { 0 }
        _ = try store.exchange(
            owner: owner, settle: [outcome(2, .done)], take: 0, from: Selection(), now: noon
        ) { 0 }
        try store.cancel([6], signal: 15, grace: .seconds(1), now: noon)
    }

    static func outcome(_ job: Int64, _ verdict: Verdict, attempt: Int = 1) -> Outcome {
        let run = Run(started: noon, ended: noon, pid: 7, exit: verdict == .done ? 0 : 1)
        return Outcome(Claim(job: job, attempt: attempt, owner: 1), verdict, run)
    }

    private static func exchange(
        _ hands: Hands?, _ outcomes: [Outcome], _ take: Int, at now: UnixTime = noon
    ) throws(SpoolError) {
        guard let hands else { return }
        let result = try hands.store.exchange(
            owner: hands.owner, settle: outcomes, take: take, from: Selection(), now: now
        ) { 0 }
        for job in result.claimed where job.body.bytes.isEmpty {
            throw .storeCorrupt(
                path: "", detail: "job \(job.claim.job) was claimed without its body")
        }
        for case .command(let words) in result.claimed.map(\.work) where words.count != 2 {
            throw .storeCorrupt(path: "", detail: "a job was claimed without its words")
        }
    }

    static var all: [Operation] { opening + putting + consuming + byHand + looking }

    private static var opening: [Operation] {
        [
            Operation(
                name: "create", build: { _ in }, prepare: { _ in nil },
                perform: { (stage, _) throws(SpoolError) in _ = try Store.open(stage.path, .create)
                },
                isOpening: true),
            Operation(
                name: "open", prepare: { _ in nil },
                perform: { (stage, _) throws(SpoolError) in
                    _ = try Store.open(stage.path, .existing)
                },
                isOpening: true),
            Operation(
                name: "migrate", build: Operation.old, prepare: { _ in nil },
                perform: { (stage, _) throws(SpoolError) in
                    _ = try Store.open(stage.path, .existing)
                },
                isOpening: true),
        ]
    }

    private static var putting: [Operation] {
        [
            Operation(name: "put") { (_, hands) throws(SpoolError) in
                try hands?.store.put([job(8), job(9)], now: noon)
            },
            Operation(name: "put into a new queue, and tidy") { (_, hands) throws(SpoolError) in
                var other = job(10)
                other.queue = "new"
                hands?.store.checkpointPages = 0
                try hands?.store.put([other], now: noon)
            },
        ]
    }

    private static var consuming: [Operation] {
        [
            Operation(name: "claim") { (_, hands) throws(SpoolError) in try exchange(hands, [], 2)
            },
            Operation(name: "finish and claim") { (_, hands) throws(SpoolError) in
                try exchange(hands, [outcome(1, .done)], 1)
            },
            Operation(name: "verdict of an attempt that is over") { (_, hands) throws(SpoolError) in
                let stale = outcome(1, .done, attempt: 0)
                let result = try hands?.store.exchange(
                    owner: 1, settle: [stale], take: 0, from: Selection(), now: noon
                ) { 0 }
                guard let moves = result?.settled, moves == [nil] else {
                    throw .storeCorrupt(path: "", detail: "X2: a verdict came too late and counted")
                }
            },
            Operation(name: "fail") { (_, hands) throws(SpoolError) in
                try exchange(hands, [outcome(1, .failed)], 0)
            },
            Operation(name: "due") { (_, hands) throws(SpoolError) in
                try exchange(hands, [], 0, at: noon + .seconds(61))
            },
            Operation(name: "register") { (_, hands) throws(SpoolError) in
                _ = try hands?.store.register(name: "new", consumers: 1, queues: "", now: noon)
            },
            Operation(name: "recover") { (_, hands) throws(SpoolError) in
                try hands?.store.recover(now: noon)
            },
            Operation(name: "retire") { (_, hands) throws(SpoolError) in
                try hands?.store.retire(owner: 1, now: noon)
            },
        ]
    }

    private static var byHand: [Operation] {
        [
            Operation(name: "retry") { (_, hands) throws(SpoolError) in
                try hands?.store.retry([2, 6], now: noon)
            },
            Operation(name: "cancel") { (_, hands) throws(SpoolError) in
                try hands?.store.cancel([1, 3], signal: 15, grace: .seconds(1), now: noon)
            },
            Operation(name: "remove") { (_, hands) throws(SpoolError) in
                try hands?.store.remove([2, 3])
            },
            Operation(name: "pause") { (_, hands) throws(SpoolError) in
                try hands?.store.pause(queue: "q", now: noon)
            },
        ]
    }

    private static var looking: [Operation] {
        [
            Operation(name: "join") { (_, hands) throws(SpoolError) in
                guard let hands else { return }
                let joiner = try Joiner(.upTo(queue: "q", last: 7), of: hands.store)
                let progress = try joiner.look()
                guard !progress.isFinished, progress.running == 1 else {
                    throw .storeCorrupt(path: "", detail: "join saw \(progress)")
                }
            },
            Operation(
                name: "look at what another has written", prepare: Operation.overtaken
            ) { (_, hands) throws(SpoolError) in
                guard let counts = try hands?.store.counts(queue: nil), counts.total == 7 else {
                    throw .storeCorrupt(path: "", detail: "there are not 7 jobs")
                }
            },
            Operation(name: "list") { (_, hands) throws(SpoolError) in
                guard let row = try hands?.store.job(3) else { return }
                guard row.command == "run 'job 3'", row.queue == "q", !row.body.bytes.isEmpty else {
                    throw .storeCorrupt(path: "", detail: "list saw \(row)")
                }
            },
        ]
    }

    /// Somebody else has written since the store was opened. What it was counts as nothing.
    private static func overtaken(_ stage: Stage) throws -> Hands? {
        let hands = try Hands(stage)
        let guest = try Guest(stage.path, checkpoints: false)
        guest.run("UPDATE spool SET log_restarts = log_restarts + 1")
        return hands
    }

    /// A file of the first schema.
    private static func old(_ stage: Stage) throws {
        let files = StoreFiles(stage.path)
        try Path.makeDirectory(files.directory)
        try Schema.create(files, Array(Migration.all.prefix(1)))
    }
}
