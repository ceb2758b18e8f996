// Errors.swift - rig E: every call that SQLite makes of the system fails, once or from then on.

internal import CFaultDisk
internal import CSQLite
internal import SpoolJobs
internal import SpoolThreads

struct Errors {
    private let plan: Plan

    init(_ plan: Plan) { self.plan = plan }

    /// A result code that SQLite makes of an errno, and how it comes.
    private struct Fault {
        let name: String
        let code: Int32
        /// The call is made, and is said to have failed.
        var isMade = false
        var isForever = false
    }

    private struct Point {
        let operation: Int
        let number: Int
        let call: Call
        let fault: Fault
    }

    func run() throws -> Report {
        var report = Report("errors at calls of SQLite's")
        var points: [Point] = []
        let stage = Stage(plan.directory)
        let operations = Operation.chosen
        for (index, operation) in operations.enumerated() {
            let trial = try Trial(operation, on: stage)
            if let failure = trial.firstFailure {
                report.fail(failure.kind, failure.detail)
                continue
            }
            let calls = try trial.rehearse { body in try Gatekeeper.calls(of: body) }
            for (number, call) in calls.enumerated() {
                points += Self.faults(call).map {
                    Point(operation: index, number: number, call: call, fault: $0)
                }
            }
        }
        report.tell("points in all", points.count)
        let chosen = Dictionary(grouping: plan.thinned(points), by: \.operation)
        var errors = 0
        var unknown = 0
        for (index, points) in chosen.sorted(by: { $0.key < $1.key }) {
            let trial = try Trial(operations[index], on: stage)
            for point in points {
                let (failure, error) = try strike(point, trial)
                if error != nil { errors += 1 }
                if case .outcomeUnknown = error { unknown += 1 }
                report.count()
                guard let failure else { continue }
                let place = "\(point.fault.name) at call \(point.number), \(point.call)"
                report.fail(failure.kind, "\(trial.operation.name): \(place): \(failure.detail)")
            }
        }
        report.tell("refused", errors)
        report.tell("unknown", unknown)
        return report
    }

    private func strike(_ point: Point, _ trial: Trial) throws -> (Trial.Failure?, SpoolError?) {
        let isUnlock = point.call.kind == FAULT_SHM_UNLOCK
        let result = try trial.fail(locks: isUnlock) { body throws(SpoolError) in
            do {
                try Gatekeeper.watch(
                    { number, call in
                        let isHit =
                            number == point.number
                            || point.fault.isForever && number > point.number
                                && Self.isLike(call, point.call)
                        guard isHit else { return 0 }
                        return point.fault.isMade ? -point.fault.code : point.fault.code
                    }, body)
            } catch let error as SpoolError {
                throw error
            } catch {
                preconditionFailure("only SpoolErrors are thrown")
            }
        }
        return (result.failure, result.error)
    }

    /// A disk that is full refuses writes and goes on reading.
    private static func isLike(_ call: Call, _ first: Call) -> Bool {
        call.kind.rawValue == first.kind.rawValue
    }

    private static func ioError(_ detail: Int32) -> Int32 { SQLITE_IOERR | detail << 8 }

    /// What can go wrong at a call. To close cannot fail: the kernel does what it is told.
    private static func faults(_ call: Call) -> [Fault] {
        switch call.kind {
        case FAULT_OPEN: both("EACCES", SQLITE_CANTOPEN) + both("EMFILE", SQLITE_CANTOPEN)
        case FAULT_DELETE: both("EIO", ioError(10))
        case FAULT_ACCESS: both("EIO", ioError(13))
        case FAULT_READ: both("EIO", ioError(1)) + both("ENOMEM", SQLITE_NOMEM)
        case FAULT_WRITE:
            both("ENOSPC", SQLITE_FULL) + both("EIO", ioError(3))
                + [Fault(name: "EIO after all was written", code: ioError(3), isMade: true)]
        case FAULT_TRUNCATE: both("EIO", ioError(6))
        case FAULT_SYNC:
            both("EIO", ioError(4))
                + [Fault(name: "EIO after all was synced", code: ioError(4), isMade: true)]
        case FAULT_SIZE: both("EIO", ioError(7))
        case FAULT_LOCK: both("EIO", ioError(15)) + [Fault(name: "EAGAIN", code: SQLITE_BUSY)]
        case FAULT_SHM_LOCK: both("EIO", ioError(20)) + [Fault(name: "EAGAIN", code: SQLITE_BUSY)]
        // SQLite does not look whether it could unlock. Once: what can never be unlocked is locked.
        case FAULT_SHM_UNLOCK: [Fault(name: "ENOLCK", code: ioError(20))]
        case FAULT_SHM_MAP: both("ENOSPC", ioError(19)) + both("ENOMEM", SQLITE_NOMEM)
        default: []
        }
    }

    private static func both(_ name: String, _ code: Int32) -> [Fault] {
        [
            Fault(name: name, code: code),
            Fault(name: name + " from then on", code: code, isForever: true),
        ]
    }
}
