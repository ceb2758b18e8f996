// GroupCommit.swift - many threads, one transaction: whoever finds no leader leads, and commits what all of them want.
//
// While a leader waits for the disk the others line up; the next leader takes them all. So the disk's latency is shared
// and nobody needs a thread of their own to write. See "Group Commit", Gawlick and Kinkade, Varieties of Concurrency
// Control in IMS/VS Fast Path, 1985.

internal import SpoolThreads

/// Work on a store, asked for by any thread and done by whichever thread leads.
final class GroupCommit: @unchecked Sendable {  // behind its lock; the store is the leader's
    private let lock = Lock()
    private let changed: Condition
    private let store: Store
    private var waiting: [Request] = []
    private var isLed = false
    private var hasCommitter = false

    init(_ store: Store) {
        self.store = store
        changed = Condition(lock)
    }

    /// What one caller wants done, and how it ended.
    private final class Request: @unchecked Sendable {  // one thread has it at a time
        let isReading: Bool
        let perform: (Store) throws(SpoolError) -> Void
        let finish: ((SpoolError?) -> Void)?
        var error: SpoolError?
        var isDone = false

        init(
            _ isReading: Bool, _ perform: @escaping (Store) throws(SpoolError) -> Void,
            finish: ((SpoolError?) -> Void)?
        ) {
            self.isReading = isReading
            self.perform = perform
            self.finish = finish
        }
    }

    /// Runs `body` in a transaction shared with what other threads want at the moment, and returns when it is on disk.
    /// An error undoes the whole transaction, so that `body` checks what can be checked before it writes.
    /// - Parameter reading: It writes nothing, and needs no transaction of its own.
    func perform<Value>(
        reading: Bool = false, _ body: @escaping (Store) throws(SpoolError) -> Value
    ) throws(SpoolError) -> Value {
        let box = Box<Value>()
        let request = Request(
            reading, { store throws(SpoolError) in box.value = try body(store) }, finish: nil)
        lock.withLock {
            waiting.append(request)
            while !request.isDone, isLed { changed.wait() }
            if !request.isDone { isLed = true }
        }
        // Only the thread that made itself leader gets here with its request undone.
        if !request.isDone { lead() }
        if let error = request.error { throw error }
        guard let value = box.value else {
            preconditionFailure("a request that was done has a value")
        }
        return value
    }

    /// As ``perform(_:)`` for tasks: no thread of the cooperative pool is blocked.
    func perform<Value: Sendable>(
        reading: Bool = false, _ body: @escaping @Sendable (Store) throws(SpoolError) -> Value
    ) async throws(SpoolError) -> Value {
        try startCommitter()
        let box = Box<Value>()
        let error = await withCheckedContinuation { continuation in
            let request = Request(
                reading, { store throws(SpoolError) in box.value = try body(store) },
                finish: { continuation.resume(returning: $0) })
            lock.withLock {
                waiting.append(request)
                changed.notifyAll()
            }
        }
        if let error { throw error }
        guard let value = box.value else {
            preconditionFailure("a request that was done has a value")
        }
        return value
    }

    private final class Box<Value>: @unchecked Sendable {  // read after the leader is done
        var value: Value?
    }

    /// Tasks have no thread that could lead: one of ours waits for their requests.
    private func startCommitter() throws(SpoolError) {
        let isFirst = lock.withLock {
            defer { hasCommitter = true }
            return !hasCommitter
        }
        guard isFirst else { return }
        try Thread.detach("spool commit") { [weak self] in
            while let self { self.leadWhenNeeded() }
        }
    }

    private func leadWhenNeeded() {
        let isLeader = lock.withLock {
            if waiting.isEmpty || isLed { changed.wait(until: Deadline(after: .seconds(1))) }
            guard !waiting.isEmpty, !isLed else { return false }
            isLed = true
            return true
        }
        if isLeader { lead() }
    }

    /// Commits everything that waits, then lets another thread lead.
    private func lead() {
        let batch = lock.withLock {
            defer { waiting.removeAll(keepingCapacity: true) }
            return waiting
        }
        commit(batch)
        lock.withLock {
            for request in batch { request.isDone = true }
            isLed = false
            changed.notifyAll()
        }
        for request in batch { request.finish?(request.error) }
    }

    private func commit(_ batch: [Request]) {
        do throws(SpoolError) {
            let performAll = { () throws(SpoolError) in
                for request in batch { try request.perform(self.store) }
            }
            if batch.allSatisfy(\.isReading) {
                try performAll()
            } else {
                try store.write("committing", performAll)
            }
        } catch  where batch.count == 1 {
            batch[0].error = error
        } catch {
            // One of them spoiled the transaction for all: each gets its own, and its own error.
            for request in batch { commit([request]) }
        }
    }
}
