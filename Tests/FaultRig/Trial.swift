// Trial.swift - one operation under one fault, and everything that must then be true.
//
// What a store holds is compared as text with what it held before, and with what it holds when nothing fails. Success
// means after; an error means before (D4); "outcome unknown" may be either (D5). The same after a crash at that
// instant. Once the fault is over the same call does its work, and the file is sound (D3).

internal import SpoolJobs
internal import SpoolThreads

/// An operation, its beginning kept on a stage, and its end.
struct Trial {
    let operation: Operation
    let stage: Stage
    private let before: [String]?
    private let after: [String]?
    /// What went wrong although nothing was broken; then there is no more to try.
    let firstFailure: Failure?

    /// Why a try is bad: the kind of failure, and what was seen.
    typealias Failure = (kind: String, detail: String)

    init(_ operation: Operation, on stage: Stage) throws {
        self.operation = operation
        self.stage = stage
        stage.clear()
        try operation.build(stage)
        stage.keep()
        before = try stage.dump()
        let hands = try operation.prepare(stage)
        var failure: Failure?
        do throws(SpoolError) {
            try operation.perform(stage, hands)
        } catch {
            failure = ("it is wrong without any fault", error.message)
        }
        firstFailure = failure
        after = try stage.dump()
    }

    /// Sets the stage, and gives what `body` makes of the operation.
    func rehearse<Value>(_ body: (() throws(SpoolError) -> Void) throws -> Value) throws -> Value {
        stage.reset()
        let hands = try operation.prepare(stage)
        return try body { () throws(SpoolError) in try operation.perform(stage, hands) }
    }

    /// Tries it with a fault.
    /// - Parameters:
    ///   - locks: The fault leaves something locked until the store is used again.
    ///   - fault: Runs what it is given while the fault is there.
    func fail(
        locks: Bool = false, _ fault: (() throws(SpoolError) -> Void) throws(SpoolError) -> Void
    ) throws -> (failure: Failure?, error: SpoolError?) {
        stage.reset()
        let hands = try operation.prepare(stage)
        var error: SpoolError?
        do throws(SpoolError) {
            try fault { () throws(SpoolError) in try operation.perform(stage, hands) }
        } catch let thrown {
            error = thrown
        }
        if locks, let failure = use(hands) { return (failure, error) }
        if let failure = try judge(error) { return (failure, error) }
        return (try goOn(hands), error)
    }

    /// Whoever left something locked finds it out when they use the store.
    private func use(_ hands: Operation.Hands?) -> Failure? {
        guard let store = hands?.store else { return nil }
        // The first may be refused: the second says why.
        if (try? store.counts(queue: nil)) != nil { return nil }
        do throws(SpoolError) {
            _ = try store.counts(queue: nil)
            return nil
        } catch {
            return ("it is locked for ever", error.message)
        }
    }

    private func judge(_ error: SpoolError?) throws -> Failure? {
        if let error, error.exitCode < 64 || error.message.isEmpty {
            return ("no sentence or no exit code", "\(error)")
        }
        if case .storeCorrupt = error {
            return ("it takes a fault for damage", "\(error?.message ?? "")")
        }
        let crashed = try stage.dumpAfterCrash()
        if let failure = compare(try stage.dump(), error, "") { return failure }
        return compare(crashed, error, ", after a crash")
    }

    private func compare(_ seen: [String]?, _ error: SpoolError?, _ when: String) -> Failure? {
        let isBefore = seen == before
        let isAfter = seen == after
        guard isBefore || isAfter || operation.isOpening else {
            return ("D3: it was done in part" + when, difference(seen))
        }
        switch error {
        case nil:
            return isAfter ? nil : ("D1: it was acknowledged and not done" + when, difference(seen))
        case .outcomeUnknown: return nil
        case let error?:
            guard isBefore || operation.isOpening else {
                return ("D4: it was refused and done" + when, error.message)
            }
            return nil
        }
    }

    private func difference(_ seen: [String]?) -> String {
        let (seen, wanted) = (Set(seen ?? []), Set(after ?? []))
        return "more: \(seen.subtracting(wanted).sorted().prefix(2)),"
            + " less: \(wanted.subtracting(seen).sorted().prefix(2))"
    }

    /// The fault is over.
    private func goOn(_ hands: Operation.Hands?) throws -> Failure? {
        if try stage.dump() == before {
            do throws(SpoolError) {
                try operation.perform(stage, hands)
            } catch {
                return ("it does not go on when the fault is over", error.message)
            }
            let seen = try stage.dump()
            guard seen == after else { return ("it goes on, and wrongly", difference(seen)) }
        }
        let problems = try Store.open(stage.path, .existing).check()
        return problems.isEmpty ? nil : ("D3: the file is not sound", problems[0])
    }
}
