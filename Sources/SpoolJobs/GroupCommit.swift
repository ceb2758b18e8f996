// GroupCommit.swift - many threads, one transaction: whoever finds no leader leads, and commits what all of them want.
//
// While a leader waits for the disk the others line up; the next leader takes them all. So the disk's latency is shared
// and nobody needs a thread of their own to write. Those of the batch before come back a moment later: the leader waits
// for half of them, half a commit at most, or they would make a second line that is always one commit behind; the other
// half comes while it works for the first, and joins. See "Group Commit", Gawlick and Kinkade, Varieties of Concurrency
// Control in IMS/VS Fast Path, 1985.

package import SpoolThreads

/// Work on a store, asked for by any thread and done by whichever thread leads.
// Behind its lock; the store is the leader's.
package final class GroupCommit: @unchecked Sendable {
    private let lock = Lock()
    private let store: Store
    private var waiting: [Request] = []
    private var isLed = false
    /// How many wanted something lately: those of the last batch, and those that waited when it was done.
    private var expected = 1
    private var lastCommit = Duration.zero
    /// How many the leader waits for; 0: it does not.
    private var wanted = 0
    private let gathered = Parker()
    /// A commit that took long, as it waited for another process, says nothing about how soon threads come back.
    private static let longestGathering = Duration.milliseconds(2)

    /// Tasks may come without an end.
    private static let mostTogether = 256

    package init(_ store: Store) { self.store = store }

    /// What one caller wants done, and how it ended.
    package final class Request: @unchecked Sendable {  // one thread has it at a time
        let isReading: Bool
        let syncing: Store.Syncing
        let perform: (Store) throws(SpoolError) -> Void
        /// Whoever waits: a thread of its own, or a task.
        let parker = Parker()
        let resume: (@Sendable (SpoolError?) -> Void)?
        package var error: SpoolError?

        package init(
            _ isReading: Bool, _ syncing: Store.Syncing = .first,
            resume: (@Sendable (SpoolError?) -> Void)?,
            _ perform: @escaping (Store) throws(SpoolError) -> Void
        ) {
            self.isReading = isReading
            self.syncing = syncing
            self.resume = resume
            self.perform = perform
        }
    }

    private enum Word {
        static let done: UInt32 = 1
        static let lead: UInt32 = 2
    }

    /// Runs `body` in a transaction shared with what other threads want at the moment, and returns when
    /// it is on disk. An error undoes the whole transaction, so that `body` checks what can be checked
    /// before it writes.
    /// - Parameters:
    ///   - reading: It writes nothing, and needs no transaction of its own.
    ///   - syncing: When it must be on disk. All in one transaction go by the strictest.
    func perform<Value>(
        reading: Bool = false, syncing: Store.Syncing = .first,
        _ body: @escaping (Store) throws(SpoolError) -> Value
    ) throws(SpoolError) -> Value {
        let box = Box<Value>()
        let request = Request(reading, syncing, resume: nil) { store throws(SpoolError) in
            box.value = try body(store)
        }
        if enlist(request) || request.parker.wait() == Word.lead { lead() }
        return try box.take(request.error)
    }

    /// As ``perform(reading:_:)`` for tasks: no thread of the cooperative pool is blocked.
    func perform<Value: Sendable>(
        reading: Bool = false, syncing: Store.Syncing = .first,
        _ body: @escaping @Sendable (Store) throws(SpoolError) -> Value
    ) async throws(SpoolError) -> Value {
        let box = Box<Value>()
        let error = await withCheckedContinuation { continuation in
            let request = Request(
                reading, syncing, resume: { continuation.resume(returning: $0) }
            ) {
                store throws(SpoolError) in box.value = try body(store)
            }
            if enlist(request) { leadElsewhere() }
        }
        return try box.take(error)
    }

    private final class Box<Value>: @unchecked Sendable {  // read after the leader is done
        var value: Value?

        func take(_ error: SpoolError?) throws(SpoolError) -> Value {
            if let error { throw error }
            guard let value else { preconditionFailure("a request that was done has a value") }
            return value
        }
    }

    /// Lines up. True: nobody leads, so the caller must.
    private func enlist(_ request: Request) -> Bool {
        lock.withLock {
            waiting.append(request)
            if wanted > 0, waiting.count >= wanted {
                wanted = 0
                gathered.tell(Word.done)
            }
            guard !isLed else { return false }
            isLed = true
            return true
        }
    }

    /// Waits until half of those have lined up that are expected, for half a commit at most.
    private func gather() {
        let limit = lock.withLock { () -> Duration? in
            let half = expected / 2 + 1
            guard waiting.count < half else { return nil }
            wanted = half
            return min(lastCommit / 2, Self.longestGathering)
        }
        guard let limit, gathered.wait(until: Deadline(after: limit)) == nil else { return }
        let wasTold = lock.withLock { () -> Bool in
            defer { wanted = 0 }
            return wanted == 0
        }
        if wasTold { _ = gathered.wait() }
    }

    /// Leads on a thread of our own. Without one the tasks that wait are told why.
    private func leadElsewhere() {
        do throws(SpoolError) {
            try Thread.detach("spool commit") { self.lead() }
        } catch {
            let batch = lock.withLock {
                isLed = false
                defer { waiting.removeAll() }
                return waiting
            }
            for request in batch {
                request.error = error
                finish(request)
            }
        }
    }

    /// Commits everything that waits, then lets another one lead: a thread that waits, if there is one.
    private func lead() {
        gather()
        let begin = Deadline.now()
        let batch = commit(takeAll(), more: takeAll(upTo:))
        let took = Deadline.now() - begin
        let next = lock.withLock { () -> Request? in
            (expected, lastCommit) = (batch.count + waiting.count, took)
            isLed = !waiting.isEmpty
            return waiting.first { $0.resume == nil } ?? waiting.first
        }
        for request in batch { finish(request) }
        guard let next else { return }
        if next.resume == nil { next.parker.tell(Word.lead) } else { leadElsewhere() }
    }

    /// How many wait for the next transaction.
    var lined: Int { lock.withLock { waiting.count } }

    private func takeAll() -> [Request] {
        lock.withLock {
            defer { waiting.removeAll(keepingCapacity: true) }
            return waiting
        }
    }

    /// Those that an open transaction can take along: all, or none if one of them is stricter.
    private func takeAll(upTo syncing: Store.Syncing) -> [Request] {
        guard syncing != .withTheNext else { return [] }
        return lock.withLock {
            guard Self.strictest(waiting).rawValue <= syncing.rawValue else { return [] }
            defer { waiting.removeAll(keepingCapacity: true) }
            return waiting
        }
    }

    private func finish(_ request: Request) {
        if let resume = request.resume {
            resume(request.error)
        } else {
            request.parker.tell(Word.done)
        }
    }

    /// Performs requests in one transaction, or says of each why not. Whoever leads calls it.
    package func commit(_ batch: [Request]) { _ = commit(batch, more: { _ in [] }) }

    /// As ``commit(_:)``; while a transaction that will be synced is open, those that came meanwhile join it, unless
    /// they must be synced earlier than it.
    /// - Parameter more: Gives them, none to end it.
    /// - Returns: All that were performed.
    private func commit(_ first: [Request], more: (Store.Syncing) -> [Request]) -> [Request] {
        var batch = first
        do throws(SpoolError) {
            let perform = { (requests: [Request]) throws(SpoolError) in
                for request in requests { try request.perform(self.store) }
            }
            if first.allSatisfy(\.isReading) {
                try perform(first)
            } else {
                let syncing = Self.strictest(first)
                try store.write("committing", syncing) { () throws(SpoolError) in
                    var next = first
                    while !next.isEmpty {
                        try perform(next)
                        next = batch.count < Self.mostTogether ? more(syncing) : []
                        batch += next
                    }
                }
            }
        } catch  where batch.count == 1 {
            batch[0].error = error
        } catch .outcomeUnknown(let path, let doing, let detail) {
            // Nobody may do again what may have happened.
            for request in batch {
                request.error = .outcomeUnknown(path: path, doing: doing, detail: detail)
            }
        } catch {
            // One of them spoiled the transaction for all: each gets its own, and its own error.
            for request in batch { commit([request]) }
        }
        return batch
    }

    private static func strictest(_ requests: [Request]) -> Store.Syncing {
        requests.lazy.filter { !$0.isReading }.map(\.syncing).max { $0.rawValue < $1.rawValue }
            ?? .withTheNext
    }
}
