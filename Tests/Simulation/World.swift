// World.swift - a simulated run: its clock, its agenda, its processes, and the acts that befall them.
//
// One thread; everything that happens is an entry of the agenda with a time of its own. Two runs of one scenario are
// the same to the last step. The stores are real, on a file in memory, and so are the locks on the file live; what is
// simulated is processes, sockets, doorbells and time.

private import CFaultDisk
private import Glibc
internal import SpoolJobs
internal import SpoolThreads
internal import SpoolWorker

/// One run.
final class World {
    let dice: Dice
    let scenario: Scenario
    let files: StoreFiles
    let judge: Judge
    let breaks: Breaks
    let selectionOfGuests = Selection(
        queues: [.init(queue: "guest")], kinds: .some(["guest"]), commands: false)

    /// Nanoseconds on the monotonic clock.
    private(set) var now: Int64 = 1_000_000_000_000
    /// What the wall clock was moved by, in microseconds.
    var wallShift: Int64 = 0
    private var agenda = Agenda()
    private(set) var operations = 0

    var workers: [SimulatedWorker] = []
    var clients: Clients?
    /// What each owner is: alive until the last copy of its lock is closed.
    var dead: Set<Int64> = []
    /// Commands that run, by their number.
    var commands: [Int64: SimulatedCommand] = [:]
    private(set) var commandsBegun: Int64 = 0
    var isQuiet = false
    /// A commit was not rung for: its process died. The watch on the log covers that, the bell does not.
    var silences = 0
    /// Of the bell of work that arrived. A store rings its bells in any order: each has a count of its own.
    private var rings: Int64 = 0
    var log: ((String) -> Void)?

    init(_ scenario: Scenario, _ path: String, log: ((String) -> Void)? = nil) throws {
        self.scenario = scenario
        self.log = log
        dice = Dice(seed: scenario.seed)
        files = StoreFiles(path)
        breaks = Breaks(scenario.broken, path)
        judge = Judge(breaks)
        clients = nil
        clients = try Clients(self)
    }

    // MARK: - Time

    var deadline: Deadline { Deadline(nanoseconds: UInt64(now)) }
    var wall: UnixTime {
        UnixTime(microseconds: 1_800_000_000_000_000 + now / 1000 + wallShift)
    }

    /// Has `body` done after so many nanoseconds.
    func after(_ wait: Int64, _ body: @escaping () throws -> Void) {
        agenda.add(now + max(1, wait), body)
    }

    func say(_ text: @autoclosure () -> String) {
        guard let log else { return }
        let milliseconds = Double(now - 1_000_000_000_000) / 1e6
        log("\((milliseconds * 1000).rounded() / 1000) ms: \(text())")
    }

    // MARK: - The run

    /// Runs all of it.
    /// - Throws: The first violation.
    func run() throws {
        let plan = Plan(dice)
        for _ in 0..<plan.workers { startWorker(consumers: plan.consumers) }
        for (number, act) in plan.acts.enumerated() where scenario.keep?.contains(number) ?? true {
            after(Int64(act.at) * 1_000_000) { [unowned self] in
                self.say("act \(number): \(act.kind)")
                try Acts.perform(act, Int64(number), self)
            }
        }
        try run(until: now + 11_000_000_000)
        try quieten(plan)
        let end = now + 300_000_000_000
        while now < end, try !isSettled() { try run(until: now + 200_000_000) }
        try EndChecks.check(self)
    }

    private func run(until time: Int64) throws {
        while let next = agenda.next(until: time) {
            now = max(now, next.time)
            operations += 1
            try next.body()
        }
        now = max(now, time)
    }

    /// From now on nothing goes wrong any more, and somebody works.
    private func quieten(_ plan: Plan) throws {
        say("quiet")
        isQuiet = true
        // Clocks are set right forwards: what was put for later is then due.
        wallShift = max(wallShift, furthestShift)
        for worker in workers where worker.isAlive { worker.recoverFromFaults() }
        try clients?.resumeAll()
        if !workers.contains(where: { $0.isTakingAll }) {
            startWorker(consumers: plan.consumers, takingAll: true)
        }
    }

    private(set) var furthestShift: Int64 = 0

    func moveWall(by microseconds: Int64) {
        wallShift += microseconds
        furthestShift = max(furthestShift, wallShift)
    }

    /// Lets go of its files.
    func close() {
        log = nil
        for worker in workers { worker.vanish() }
        clients?.vanish()
        clients = nil
        workers = []
        agenda = Agenda()
    }

    private func isSettled() throws -> Bool {
        judge.model.counts().unfinished == 0 && clients?.isIdle ?? true
    }

    // MARK: - Processes

    func startWorker(consumers: Int, takingAll: Bool = false) {
        let number = Int64(workers.count + 1)
        do {
            workers.append(
                try SimulatedWorker(self, number, consumers: consumers, takingAll: takingAll))
        } catch {
            say("a worker cannot start: \(error)")
        }
    }

    /// A store of a process of this world.
    func openStore(_ mode: OpenMode = .existing) throws(SpoolError) -> Store {
        let store = try Store.open(files.database, mode)
        store.checkpointPages = 64
        store.surroundings.ring = { [unowned self] bell in self.ring(bell) }
        store.surroundings.endLeftovers = { [unowned self] claims, _ in self.endLeftovers(claims) }
        return store
    }

    private func endLeftovers(_ claims: [Claim]) {
        breaks.remember(claims)
        for wait in 1...6 { after(Int64(wait) * 30_000_000) { self.breaks.giveBackAgain() } }
        guard breaks.broken != .leftovers, breaks.broken != .noLifeline else { return }
        let left = commands.values.filter { claims.contains($0.claim) }
        for command in left.sorted(by: { $0.number < $1.number }) {
            // Its consumer, if one still lives, hears of it.
            after(1) { try command.onEnd?() }
            command.end()
        }
    }

    func command(of claim: Claim) -> SimulatedCommand {
        commandsBegun += 1
        let command = SimulatedCommand(claim, commandsBegun, self)
        commands[commandsBegun] = command
        return command
    }

    // MARK: - Bells

    private var isRinging = true

    /// Rings of what `body` does are not heard: its process dies before it rings.
    func silently(_ body: () throws -> Void) rethrows {
        isRinging = false
        defer { isRinging = true }
        try body()
    }

    private func ring(_ bell: Store.Bell) {
        guard isRinging else {
            silences += 1
            return
        }
        switch bell {
        case .arrived:
            rings += 1
            if breaks.strikes(.deafBell, every: 3) { return }
            for worker in workers where worker.isAlive {
                after(dice.time(upTo: .milliseconds(8), .bell, rings, worker.number)) {
                    worker.hear(.rang)
                }
            }
            clients?.hearArrived()
        case .settled: clients?.hearSettled()
        }
    }

    // MARK: - Faults of the disk

    /// Makes calls of the disk fail while `body` runs.
    func failing(_ fault: DiskFault?, _ body: () throws -> Void) throws {
        guard let fault else { return try body() }
        if fault.isLocked {
            say("the store is locked")
            throw SpoolError.locked(path: files.database)
        }
        fault_disk_fail(fault.kinds, fault.after, fault.times, fault.code)
        defer { fault_disk_heal() }
        try body()
    }

    /// All processes end at once, and what the kernel knew of the file's log: the next one recovers it.
    func losePower() throws {
        say("power is lost")
        for worker in workers where worker.isAlive { worker.vanish() }
        for command in commands.values { command.end() }
        clients?.vanish()
        unlink(files.database + "-shm")
        try clients?.begin()
        if let store = clients?.store { try judge.resolve(store) }
        startWorker(consumers: Plan(dice).consumers)
    }
}

/// A fault that a store's next transaction meets.
struct DiskFault {
    var kinds: Int32 = 0
    var after: Int32 = 0
    var times: Int32 = 1
    var code: Int32 = 0
    var isLocked = false
}

/// What is to happen, the earliest first; of two at one time the one that was added first. A binary heap.
private struct Agenda {
    struct Entry {
        var time: Int64
        var number: Int64
        var body: () throws -> Void

        static func < (a: Entry, b: Entry) -> Bool { (a.time, a.number) < (b.time, b.number) }
    }

    private var heap: [Entry] = []
    private var count: Int64 = 0

    mutating func add(_ time: Int64, _ body: @escaping () throws -> Void) {
        count += 1
        heap.append(Entry(time: time, number: count, body: body))
        var at = heap.count - 1
        while at > 0, heap[at] < heap[(at - 1) / 2] {
            heap.swapAt(at, (at - 1) / 2)
            at = (at - 1) / 2
        }
    }

    mutating func next(until time: Int64) -> Entry? {
        guard let first = heap.first, first.time <= time else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var at = 0
        while 2 * at + 1 < heap.count {
            var child = 2 * at + 1
            if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
            guard heap[child] < heap[at] else { break }
            heap.swapAt(at, child)
            at = child
        }
        return first
    }
}
