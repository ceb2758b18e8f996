// Producers.swift - rig K for puts: producers in processes of their own, killed at random instants and replaced.
//
// They put one job after the other, so that mostly one of them puts for all (Board). Half of the kills are aimed at
// that one, while it has others' jobs. Of every producer all that was acknowledged is there, in its order and once, and
// at most one job more: the one that it was killed over.

private import CSpool
internal import Dice
private import Glibc
internal import SpoolJobs
internal import SpoolThreads
private import Synchronization

struct Producers {
    private static let crew = 6
    /// The longest that one may take for a job.
    private static let patience = Duration.seconds(30)
    private let plan: Plan
    private let path: String
    /// How many jobs each producer was told to have put; of all processes.
    private let acknowledged: UnsafeMutablePointer<Int>
    private var dice: Dice

    init(_ plan: Plan) throws {
        self.plan = plan
        dice = Dice(seed: plan.seed)
        path = plan.directory + "/jobs.db"
        let size = (plan.rounds + Self.crew) * MemoryLayout<Int>.stride
        let memory = mmap(
            nil, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)
        guard let memory, memory != MAP_FAILED else { throw SpoolError.usage("no memory") }
        acknowledged = memory.bindMemory(to: Int.self, capacity: plan.rounds + Self.crew)
    }

    mutating func run() throws -> Report {
        var report = Report("kills of producers")
        _ = try Store.open(path, .create)
        var started = 0
        var crew = (0..<Self.crew).map { _ in start(&started) }
        while !crew.allSatisfy({ acknowledged[$0.number] > 0 }) { Pause.yield() }
        let board = try Words(path + "-spool/shared")
        for _ in 0..<plan.rounds {
            Pause.briefly(upTo: .milliseconds(3))
            let aimed = Bool.random(using: &dice) ? leader(board) : nil
            let victim =
                crew.firstIndex { $0.pid == aimed } ?? Int.random(in: 0..<crew.count, using: &dice)
            strike(crew[victim].pid)
            if Mutant.chosen == .forgottenBatch { board.batch = 0 }
            crew[victim] = start(&started)
            report.count()
        }
        for producer in crew where !goesOn(producer.number) {
            report.fail("R10: a producer hangs", "producer \(producer.number)")
        }
        for producer in crew { strike(producer.pid) }
        try judge(started, &report)
        return report
    }

    private func start(_ started: inout Int) -> (pid: Int32, number: Int) {
        let number = started
        started += 1
        let parent = getpid()
        let child = spool_fork()
        guard child == 0 else { return (child, number) }
        do {
            let queue = try JobQueue("rig", kind: "k", in: JobStore(path))
            while getppid() == parent {
                let job = acknowledged[number] + 1
                try queue.put(Array("\(number).\(job)".utf8))
                acknowledged[number] = job
            }
        } catch {
            print("producer \(number): \(error)")
            fflush(nil)
        }
        _exit(1)
    }

    private func strike(_ child: Int32) {
        kill(child, SIGKILL)
        var status: Int32 = 0
        waitpid(child, &status, 0)
    }

    /// Whether it puts one more.
    private func goesOn(_ producer: Int) -> Bool {
        let before = acknowledged[producer]
        let limit = Deadline(after: Self.patience)
        while acknowledged[producer] == before {
            guard !limit.isPast else { return false }
            Pause.briefly(upTo: .milliseconds(1))
        }
        return true
    }

    /// The process that has jobs of others in its transaction, at any instant of it.
    private mutating func leader(_ board: Words) -> Int32? {
        let limit = Deadline(after: .milliseconds(20))
        while board.taken == 0 {
            guard !limit.isPast else { return nil }
        }
        let until = Deadline(after: .microseconds(Int.random(in: 0..<150, using: &dice)))
        while !until.isPast {}
        return Int32(clamping: board.leader)
    }

    /// The words of the board (StoreMemory.Place.board, Board.Word).
    private struct Words {
        private let words: UnsafeMutablePointer<Atomic<UInt64>>

        init(_ path: String) throws {
            let file = open(path, O_RDWR)
            defer { close(file) }
            let memory = mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
            guard let memory, memory != MAP_FAILED else { throw SpoolError.usage("no board") }
            words = memory.bindMemory(to: Atomic<UInt64>.self, capacity: 512) + 64
        }

        private func look(_ index: Int) -> UInt64 {
            words[index].load(ordering: .sequentiallyConsistent)
        }
        var leader: UInt64 { look(0) }
        var taken: UInt64 { look(2) }
        /// With 0 whoever finds jobs that a dead one has taken believes that they were not put.
        var batch: UInt64 {
            get { look(3) }
            nonmutating set { words[3].store(newValue, ordering: .sequentiallyConsistent) }
        }
    }

    private func judge(_ producers: Int, _ report: inout Report) throws {
        let store = try Store.open(path, .existing)
        for problem in try store.check() { report.fail("D7: the file is damaged", "\(problem)") }
        let guest = try Guest(path, checkpoints: false)
        var found = [[Int]](repeating: [], count: producers)
        for row in guest.rows("SELECT CAST(body AS TEXT) FROM job ORDER BY id") {
            let parts = row.split(separator: ".").compactMap { Int($0) }
            guard parts.count == 2, found.indices.contains(parts[0]) else {
                report.fail("D1: a job that nobody put", row)
                continue
            }
            found[parts[0]].append(parts[1])
        }
        for (producer, jobs) in found.enumerated() {
            let told = acknowledged[producer]
            if jobs != Array(1..<told + 1), jobs != Array(1...told + 1) {
                let kind =
                    Set(jobs).count < jobs.count
                    ? "D1: a job was put twice"
                    : jobs.count < told ? "D1: an acknowledged job is lost" : "out of order"
                report.fail(kind, "producer \(producer), told \(told): \(jobs.suffix(5))")
            }
        }
        report.tell("jobs", found.reduce(0) { $0 + $1.count })
        report.tell("transactions for several", guest.number("SELECT batch FROM spool"))
    }
}
