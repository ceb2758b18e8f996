// PoolWorker.swift - the life of a pool's process: takes calls, answers them, until the queue of calls is shut down.
//
// The answer is put before the call is finished. So a process that dies at any instant has answered or leaves the call
// to the next one, who sees by the count of deliveries that somebody has died with it.

internal import SpoolQueues
internal import SpoolThreads

/// What a process of a pool is told.
struct PoolWorker: Codable, Sendable {
    let calls: SharedQueue<[UInt8]>
    let answers: SharedQueue<[UInt8]>
    /// How often a call is tried again after the death of the process that ran it.
    let retries: Int
    let maxTasks: Int?
    /// The name of the entry that runs first, and its input.
    let initializer: String?
    let initialInput: [UInt8]

    /// Every program that has entries has this one.
    static let entry = ChildEntry("spool.pool-worker") { (worker: PoolWorker) in
        try worker.live()
    }

    private func live() throws(SpoolError) {
        guard try initialize() else { return }
        var left = maxTasks ?? .max
        var spin = Spin()
        while left > 0 {
            do throws(SpoolError) {
                let delivery = try calls.getDelivery(&spin)
                try answer(delivery)
                try calls.taskDone(delivery)
            } catch .shutDown {
                return
            }
            left -= 1
        }
    }

    private func initialize() throws(SpoolError) -> Bool {
        guard let initializer else { return true }
        do {
            _ = try EntryRegistry.shared.find(initializer).run(initialInput, nil)
            return true
        } catch {
            let error = RemoteError(error)
            do throws(SpoolError) {
                try answers.put(PoolAnswer(0, .broken(error)).bytes)
            } catch .tooLarge {
                // Without an answer the pool would make one process after the other, and not know why they end.
                try answers.put(PoolAnswer(0, .broken(error.shortened)).bytes)
            }
            return false
        }
    }

    private func answer(_ delivery: Delivery<[UInt8]>) throws(SpoolError) {
        let call = try PoolCall(delivery.item)
        guard delivery.number - 1 <= retries else {
            return try answers.put(PoolAnswer(call.number, .died).bytes)
        }
        let results = call.inputs.map { run(call.entry, $0) }
        do throws(SpoolError) {
            try answers.put(PoolAnswer(call.number, .results(results)).bytes)
        } catch .tooLarge(_, let bytes, let limit) {
            // One error for all of a chunk: as many might have no room either, and the task would seem to kill us.
            let refused = refusal(of: results, call.entry, bytes, limit)
            try answers.put(PoolAnswer(call.number, .results([.failure(refused)])).bytes)
        }
    }

    /// What is said in place of results for which the queue of answers has no room.
    private func refusal(
        of results: [Result<[UInt8], RemoteError>], _ entry: String, _ bytes: Int, _ limit: Int
    ) -> RemoteError {
        if results.count == 1, case .failure(let error) = results[0] { return error.shortened }
        let what = results.count == 1 ? "the result" : "a chunk of \(results.count) results"
        let error = SpoolError.tooLarge(what: "\(what) of '\(entry)'", bytes: bytes, limit: limit)
        return RemoteError(error, "\(error.message) Give the pool more bytes, or smaller chunks.")
    }

    private func run(_ entry: String, _ input: [UInt8]) -> Result<[UInt8], RemoteError> {
        do {
            // No descriptors travel through a queue: values that hold one say so themselves.
            let output = try EntryRegistry.shared.find(entry).run(input, nil)
            return .success(try output(nil))
        } catch {
            return .failure(RemoteError(error))
        }
    }
}
