// Memory.swift - rig M: SQLite's allocations fail, one of them or all from there on.

internal import CFaultDisk
internal import SpoolJobs
internal import SpoolThreads

struct Memory {
    private let plan: Plan

    init(_ plan: Plan) { self.plan = plan }

    private struct Point {
        let operation: Int
        let allocation: Int64
        let isForever: Bool
    }

    func run() throws -> Report {
        var report = Report("allocations that failed")
        let stage = Stage(plan.directory)
        let operations = Operation.chosen
        var points: [Point] = []
        for (index, operation) in operations.enumerated() {
            let trial = try Trial(operation, on: stage)
            if let failure = trial.firstFailure {
                report.fail(failure.kind, failure.detail)
                continue
            }
            let count = try trial.rehearse { body in
                fault_memory_fail(0, 0)
                try body()
                return fault_memory_count()
            }
            guard count > 0 else { continue }
            for allocation in 1...count {
                points.append(Point(operation: index, allocation: allocation, isForever: false))
                points.append(Point(operation: index, allocation: allocation, isForever: true))
            }
        }
        report.tell("points in all", points.count)
        let chosen = Dictionary(grouping: plan.thinned(points), by: \.operation)
        for (index, points) in chosen.sorted(by: { $0.key < $1.key }) {
            let trial = try Trial(operations[index], on: stage)
            for point in points {
                report.count()
                guard let failure = try strike(point, trial) else { continue }
                let place = "allocation \(point.allocation)" + (point.isForever ? " and on" : "")
                report.fail(failure.kind, "\(trial.operation.name): \(place): \(failure.detail)")
            }
        }
        return report
    }

    private func strike(_ point: Point, _ trial: Trial) throws -> Trial.Failure? {
        try trial.fail { body throws(SpoolError) in
            fault_memory_fail(point.allocation, point.isForever ? 1 : 0)
            defer { fault_memory_fail(0, 0) }
            try body()
        }.failure
    }
}
