// Closes.swift - rig K for the end of a use: processes that open the file, do a little, and close it together.
//
// When the last of them has closed it, the database alone is moved away, as people do with mv: what was acknowledged is
// in it, once, and nothing more than the one put that a killed process was at. A process that was killed closes
// nothing; the next one that looks does. SQLite's calls of each are held up at random: the closes meet at all of them.

private import CSpool
internal import Dice
private import Glibc
internal import SpoolJobs
internal import SpoolThreads

struct Closes {
    private static let most = 4
    private let plan: Plan
    private let stage: Stage
    private let apart: String
    /// How many jobs each process of a round was told to have put; of all processes.
    private let acknowledged: UnsafeMutablePointer<Int>
    private var dice: Dice
    private var jobs = 0
    private var killed = 0

    init(_ plan: Plan) throws {
        self.plan = plan
        dice = Dice(seed: plan.seed)
        stage = Stage(plan.directory)
        apart = plan.directory + "/apart.db"
        let size = Self.most * MemoryLayout<Int>.stride
        let memory = mmap(
            nil, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)
        guard let memory, memory != MAP_FAILED else { throw SpoolError.usage("no memory") }
        acknowledged = memory.bindMemory(to: Int.self, capacity: Self.most)
    }

    mutating func run() throws -> Report {
        var report = Report("rounds of processes that close the file")
        stage.clear()
        _ = try Store.open(stage.path, .create)
        stage.keep()
        // Who waits to close it waits for a second at most, and then leaves it as it is.
        let gate = Mutant.chosen == .heldClosing ? open(stage.path + "-spool/gate", O_RDWR) : -1
        if gate >= 0 { _ = spool_lock_byte(gate, 0, Int32(F_WRLCK)) }
        for round in 0..<plan.rounds {
            report.count()
            let problem = try play(round)
            if let problem { report.fail(problem, "round \(round)") }
            if problem != nil, Mutant.chosen != nil { break }
        }
        report.tell("jobs", jobs)
        report.tell("killed", killed)
        return report
    }

    /// What is wrong afterwards.
    private mutating func play(_ round: Int) throws -> String? {
        stage.reset()
        for number in 0..<Self.most { acknowledged[number] = 0 }
        // Where the calls take longer whoever is killed is more likely to be in a sync.
        let pace = Int.random(in: 0..<4, using: &dice) == 0 ? 10 : 1
        let crew = (0..<Int.random(in: 2...Self.most, using: &dice)).map { number in
            start(number, seed: dice.next(), pace: pace)
        }
        var victim: Int?
        if Int.random(in: 0..<4, using: &dice) == 0 {
            Pause.briefly(upTo: .microseconds(Int.random(in: 0..<5000 * pace, using: &dice)))
            victim = Int.random(in: 0..<crew.count, using: &dice)
            kill(crew[victim ?? 0], SIGKILL)
        }
        var problem: String?
        for (number, child) in crew.enumerated() {
            let status = end(of: child)
            let isKilled = number == victim && status == SIGKILL
            if isKilled { killed += 1 }
            if !isKilled, status != 0 { problem = "D1: a process could not do what it is for" }
        }
        if victim != nil { _ = end(of: start(nil, seed: dice.next())) }
        return try problem ?? judge(victim)
    }

    private func end(of child: Int32) -> Int32 {
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        return status
    }

    // MARK: - In a process of its own

    /// - Parameter number: Nil: it only looks.
    private func start(_ number: Int?, seed: UInt64, pace: Int = 1) -> Int32 {
        let child = spool_fork()
        guard child == 0 else { return child }
        do {
            var dice = Dice(seed: seed)
            guard let number else {
                _ = try Store.open(stage.path, .existing).counts(queue: nil)
                _exit(0)
            }
            // The queue of a program has a thread that waits for it: there nobody stands between.
            let isProgram = Int.random(in: 0..<5, using: &dice) == 0
            if !isProgram { try holdUp(&dice, pace) }
            for _ in 0..<Int.random(in: 1...3, using: &dice) {
                if isProgram { try use(number) } else { try use(number, &dice) }
            }
            _exit(0)
        } catch {
            print("process \(number ?? -1): \(error)")
            fflush(nil)
            _exit(1)
        }
    }

    /// From now on one call in ten of SQLite's takes up to a third of a millisecond longer, or ten times as long.
    private func holdUp(_ dice: inout Dice, _ pace: Int) throws {
        try Gatekeeper.standInBetween(isAlone: false)
        var own = Dice(seed: dice.next())
        Gatekeeper.decide = { _, _ in
            if Int.random(in: 0..<10, using: &own) == 0 {
                Pause.briefly(upTo: .microseconds(Int.random(in: 0..<300 * pace, using: &own)))
            }
            return 0
        }
    }

    /// A store, from its opening to its close.
    private func use(_ number: Int, _ dice: inout Dice) throws {
        let deed = Int.random(in: 0..<6, using: &dice)
        let store = try Store.open(stage.path, deed == 0 ? .readOnly : .existing)
        switch deed {
        case 0, 1: _ = try store.counts(queue: nil)
        case 2: try store.tidyLog()
        default:
            for _ in 0..<Int.random(in: 1...3, using: &dice) {
                try store.put([Self.job(number, acknowledged[number] + 1)], now: .now())
                acknowledged[number] += 1
            }
        }
    }

    /// As programs with the library do.
    private func use(_ number: Int) throws {
        let jobs = try JobStore(stage.path)
        try JobQueue("rig", kind: "k", in: jobs).put(
            Array("\(number).\(acknowledged[number] + 1)".utf8))
        acknowledged[number] += 1
    }

    private static func job(_ number: Int, _ count: Int) -> NewJob {
        NewJob(.kind("k"), body: .bytes(Array("\(number).\(count)".utf8)), queue: "rig")
    }

    // MARK: - Afterwards

    private mutating func judge(_ victim: Int?) throws -> String? {
        rename(stage.path, apart)
        defer {
            rename(apart, stage.path)
            for suffix in ["-wal", "-shm"] { unlink(apart + suffix) }
        }
        let guest = try Guest(apart, checkpoints: false)
        guard guest.rows("PRAGMA quick_check") == ["ok"] else { return "D3: the file is damaged" }
        var found = [[Int]](repeating: [], count: Self.most)
        for row in guest.rows("SELECT CAST(body AS TEXT) FROM job ORDER BY id") {
            let parts = row.split(separator: ".").compactMap { Int($0) }
            guard parts.count == 2, found.indices.contains(parts[0]) else {
                return "D1: a job that nobody put"
            }
            found[parts[0]].append(parts[1])
        }
        let ready = guest.number("SELECT coalesce(sum(ready), 0) FROM lane")
        for (number, numbers) in found.enumerated() {
            let told = acknowledged[number]
            let most = told + (number == victim ? 1 : 0)
            guard numbers == Array(1..<told + 1) || numbers == Array(1..<most + 1) else {
                return "D3: what was acknowledged is not in the file that was moved"
            }
        }
        jobs += ready
        return ready == found.reduce(0) { $0 + $1.count } ? nil : "J5: the counters differ"
    }
}
