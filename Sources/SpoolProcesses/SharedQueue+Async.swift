// SharedQueue+Async.swift - the same verbs for tasks: they never block a thread of the cooperative pool, and a task
// that is cancelled while it waits has neither put nor taken anything. How: StandIn.swift.

internal import SpoolThreads

extension SharedQueue {
    /// Puts an item, suspending the task while the queue has no room for it.
    /// - Parameter timeout: Longest wait; nil waits for ever, zero only looks.
    /// - Throws: as the blocking form, and `CancellationError` when the task is cancelled before there is room: then
    ///   nothing was put.
    public func put(_ item: Item, timeout: Duration? = nil) async throws {
        try records.check(timeout)
        try Task.checkCancellation()
        let isPut = try item.withSharedBytes { bytes throws(SpoolError) in
            var sleep = Sleep()
            return try records.tryPut(bytes, &sleep, enlists: false)
        }
        if isPut { return }
        let bytes = try item.withSharedBytes { Array($0) }
        let isPutNow = try await records.waitAsync(.freed, timeout) { () throws(SpoolError) in
            try bytes.withSharedBytes { bytes throws(SpoolError) in
                var sleep = Sleep()
                return try records.tryPut(bytes, &sleep, enlists: false) ? true : nil
            }
        }
        guard isPutNow != nil else { throw SpoolError.full }
    }

    /// Takes the next item, suspending the task while the queue is empty.
    /// - Parameter timeout: Longest wait; nil waits for ever, zero only looks.
    /// - Throws: as the blocking form, and `CancellationError` when the task is cancelled before there is an item: then
    ///   none was taken.
    public func get(timeout: Duration? = nil) async throws -> Item {
        try read(await takeAsync(timeout: timeout))
    }

    /// As ``get(timeout:)``, and tells which delivery it is. Tasks change threads: say ``taskDone(_:)`` for it.
    public func getDelivery(timeout: Duration? = nil) async throws -> Delivery<Item> {
        let held = try await takeAsync(timeout: timeout)
        return Delivery(try read(held), held)
    }

    private func takeAsync(timeout: Duration?) async throws -> HeldRecord {
        try records.check(timeout)
        try Task.checkCancellation()
        let look = { [records] () throws(SpoolError) -> HeldRecord? in
            var sleep = Sleep()
            return try records.tryGet(&sleep, enlists: false)
        }
        if let held = try look() {
            if held.isTimeToLook { records.lookNowAndThen() }
            return held
        }
        guard let held = try await records.waitAsync(.arrived, timeout, look) else {
            throw SpoolError.empty
        }
        return held
    }

    /// Waits until everything that was put is finished, by whichever process.
    /// - Parameter timeout: Longest wait; nil waits for ever, zero only looks.
    /// - Returns: False when the time was up before.
    /// - Throws: `badInput` for a negative time, `closed`, `CancellationError` when the task is cancelled while it
    ///   waits.
    @discardableResult
    public func join(timeout: Duration? = nil) async throws -> Bool {
        try records.check(timeout)
        try Task.checkCancellation()
        let look = { [records] () throws(SpoolError) -> Bool? in
            var sleep = Sleep()
            return try records.trySettled(&sleep, enlists: false) ? true : nil
        }
        if try look() != nil { return true }
        return try await records.waitAsync(.settled, timeout, look) ?? false
    }

    /// Takes the next item, runs `body` on it, and says that it is finished, also when `body` throws.
    /// - Returns: What `body` returns.
    /// - Throws: as the async ``get(timeout:)``, and what `body` throws.
    @discardableResult
    public nonisolated(nonsending) func work<Value>(
        timeout: Duration? = nil, _ body: nonisolated(nonsending) (Item) async throws -> Value
    ) async throws -> Value {
        let delivery = try await getDelivery(timeout: timeout)
        do {
            let value = try await body(delivery.item)
            try taskDone(delivery)
            return value
        } catch {
            try taskDone(delivery)
            throw error
        }
    }
}
