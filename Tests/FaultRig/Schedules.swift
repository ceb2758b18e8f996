// Schedules.swift - rig S: commit, checkpoint and claim interleaved at every call that SQLite makes.
//
// One leads: at chosen calls of its deed others act, to their end. Afterwards every job that anybody was told to have
// put is there, none was claimed twice, and the file is sound. This is how SQLite's WAL-reset bug was found (up to
// 3.51.2; sqlite.org/wal.html), and the same schedules find it in files whose connections checkpoint by themselves.

internal import CFaultDisk
internal import Dice
private import Glibc
internal import SpoolJobs
internal import SpoolThreads

struct Schedules {
    private let plan: Plan
    private let stage: Stage

    init(_ plan: Plan) {
        self.plan = plan
        stage = Stage(plan.directory)
    }

    /// Who acts at which calls of whose deed.
    private struct Schedule {
        let leader: Cast.Deed
        /// The whole log was copied before, and not begun anew.
        let isCopied: Bool
        var steps: [(call: Int, deed: Cast.Deed)]

        func text(_ calls: [Call]) -> String {
            let steps = steps.map { "\($0.deed.rawValue) at call \($0.call), \(calls[$0.call])" }
            return "\(leader.rawValue)\(isCopied ? ", log copied" : ""): "
                + steps.joined(separator: ", ")
        }
    }

    func run() throws -> Report {
        if Mutant.chosen == .automaticCheckpoints { return try Naive(plan).run() }
        var report = Report("schedules")
        try build()
        for (schedule, calls) in try plan.thinned(schedules()) {
            report.count()
            let problems = try play(schedule)
            for problem in problems { report.fail(problem, schedule.text(calls)) }
            if !problems.isEmpty, Mutant.chosen != nil { break }
        }
        return report
    }

    /// A store whose log has some hundred pages.
    private func build() throws {
        stage.clear()
        try Operation.busy(stage)
        let store = try Store.open(stage.path, .existing)
        store.checkpointPages = .max
        for _ in 0..<20 { try store.put([Operation.job(1)], now: Stage.noon) }
        stage.keep()
    }

    /// Every step at every call; and pairs of steps, four for each single one, drawn by the seed.
    private func schedules() throws -> [(Schedule, [Call])] {
        var all: [(Schedule, [Call])] = []
        var dice = Dice(seed: plan.seed)
        let isCareless = Mutant.chosen == .carelessGuest
        for leader in isCareless ? [.carelessPut] : Cast.Deed.ofSpool {
            for isCopied in [false, true] {
                let empty = Schedule(leader: leader, isCopied: isCopied, steps: [])
                let calls = try calls(of: empty)
                guard !isCareless else {
                    all += carelessPairs(empty, calls)
                    continue
                }
                for call in calls.indices {
                    for deed in Cast.Deed.interrupting {
                        var schedule = empty
                        schedule.steps = [(call, deed)]
                        all.append((schedule, calls))
                        all += pairs(schedule, calls, &dice)
                    }
                }
            }
        }
        return all
    }

    private func pairs(
        _ single: Schedule, _ calls: [Call], _ dice: inout Dice
    ) -> [(Schedule, [Call])] {
        (0..<4).compactMap { _ in
            guard let deed = Cast.Deed.interrupting.randomElement(using: &dice) else { return nil }
            var pair = single
            pair.steps.append(
                (Int.random(in: single.steps[0].call..<calls.count, using: &dice), deed))
            return (pair, calls)
        }
    }

    /// Two that checkpoint by themselves, and a third one that puts.
    private func carelessPairs(_ empty: Schedule, _ calls: [Call]) -> [(Schedule, [Call])] {
        let kinds = [FAULT_SHM_LOCK.rawValue, FAULT_UNFETCH.rawValue]
        let points = calls.indices.filter { kinds.contains(calls[$0].kind.rawValue) }
        return points.flatMap { first in
            points.filter { $0 >= first }.map { second in
                var pair = empty
                pair.steps = [(first, .carelessPut), (second, .guestPut)]
                return (pair, calls)
            }
        }
    }

    private func calls(of schedule: Schedule) throws -> [Call] {
        let cast = try enter(schedule)
        return try Gatekeeper.calls(of: { try cast.lead(schedule.leader) })
    }

    private func enter(_ schedule: Schedule) throws -> Cast {
        stage.reset()
        let cast = try Cast(stage)
        cast.warmUp()
        cast.interrupt(.put)
        if schedule.isCopied { cast.interrupt(.copyLog) }
        return cast
    }

    /// What is wrong afterwards.
    private func play(_ schedule: Schedule) throws -> [String] {
        var problems: [String] = []
        var put = 0
        do {
            let cast = try enter(schedule)
            do {
                try Gatekeeper.watch(
                    { number, _ in
                        for step in schedule.steps where step.call == number {
                            cast.interrupt(step.deed)
                        }
                        return 0
                    }, { try cast.lead(schedule.leader) })
                try cast.goOn()
            } catch let error as SpoolError {
                problems.append("refused: \(error.message)")
            }
            problems += cast.problems
            if Set(cast.claimed).count < cast.claimed.count {
                problems.append("X1: a job was claimed twice")
            }
            put = cast.put
        }
        return problems + (try look(27 + put))
    }

    /// What the file holds when everybody has left it.
    private func look(_ jobs: Int) throws -> [String] {
        do throws(SpoolError) {
            let store = try Store.open(stage.path, .existing)
            var problems = try store.check().map { _ in "D7: the file is damaged" }
            let found = try store.counts(queue: nil).total
            if found != jobs { problems.append("D1: jobs that were acknowledged are lost") }
            return problems
        } catch {
            return ["D7: the file cannot be opened: \(error.code)"]
        }
    }
}
