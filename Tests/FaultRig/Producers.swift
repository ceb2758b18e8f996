// Producers.swift - rig K for puts: producers in processes of their own, killed at random instants and replaced.
//
// They put one job after the other, so that mostly one of them puts for all (Board), and is killed doing it. Of every
// producer all that was acknowledged is there, in its order and once, and at most one job more: the one that it was
// killed over.

private import CSpool
private import Glibc
internal import SpoolJobs
internal import SpoolThreads

struct Producers {
    private static let crew = 6
    /// The longest that one may take for a job.
    private static let patience = Duration.seconds(30)
    private let plan: Plan
    private let path: String
    /// How many jobs each producer was told to have put; of all processes.
    private let acknowledged: UnsafeMutablePointer<Int>

    init(_ plan: Plan) throws {
        self.plan = plan
        path = plan.directory + "/jobs.db"
        let size = (plan.rounds + Self.crew) * MemoryLayout<Int>.stride
        let memory = mmap(
            nil, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)
        guard let memory, memory != MAP_FAILED else { throw SpoolError.usage("no memory") }
        acknowledged = memory.bindMemory(to: Int.self, capacity: plan.rounds + Self.crew)
    }

    func run() throws -> Report {
        var report = Report("kills of producers")
        var dice = Dice(seed: plan.seed)
        _ = try Store.open(path, .create)
        var started = 0
        var crew = (0..<Self.crew).map { _ in start(&started) }
        for _ in 0..<plan.rounds {
            Pause.briefly(upTo: .milliseconds(3))
            let victim = Int.random(in: 0..<crew.count, using: &dice)
            strike(crew[victim].pid)
            if Mutant.chosen == .forgottenBatch { forgetBatch() }
            crew[victim] = start(&started)
            report.count()
        }
        for producer in crew where !goesOn(producer.number) {
            report.fail("R4: a producer hangs", "producer \(producer.number)")
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

    /// Whoever finds jobs that were taken by a dead one believes that they were not put.
    private func forgetBatch() {
        let file = open(path + "-spool/shared", O_RDWR)
        defer { close(file) }
        var none: UInt64 = 0
        pwrite(file, &none, 8, (64 + 3) * 8)  // StoreMemory.Place.board, Board.Word.batch
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
                    : jobs.count < told ? "D1: an acknowledged job is lost" : "O1: out of order"
                report.fail(kind, "producer \(producer), told \(told): \(jobs.suffix(5))")
            }
        }
        report.tell("jobs", found.reduce(0) { $0 + $1.count })
        report.tell("transactions for several", guest.number("SELECT batch FROM spool"))
    }
}
