// GroupCommit.swift - many threads, one transaction: who finds no leader leads, and commits what all of them want.
//
// While one leader waits for the disk the next one works on its transaction: disk and processors are busy at the same
// time, and nobody needs a thread of their own to write. Those of the batch before come back a moment later: the leader
// lets them run first, half a commit at most, or they would make a second line that is always one commit behind;
// those that come while it works join. Jobs that several put at once go in as one batch: most of what a put costs is
// the same for one job and for many. See "Group Commit", Gawlick and Kinkade, Varieties of Concurrency Control in
// IMS/VS Fast Path, 1985.

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
    /// A commit that took long, as it waited for another process, says nothing about how soon threads come back.
    private static let longestGathering = Duration.microseconds(200)
    /// Tasks may come without an end.
    private static let mostTogether = 256

    package init(_ store: Store) { self.store = store }

    /// Closes the store. Nobody wants anything of it any more; a thread that has led may still be about to end.
    func close() { store.close() }

    /// What one caller wants done, and how it ended.
    package final class Request: @unchecked Sendable {  // one thread has it at a time
        /// What is wanted, inside a transaction.
        package enum Wish {
            case read((Store) throws(SpoolError) -> Void)
            case perform(Store.Syncing, (Store) throws(SpoolError) -> Void)
            /// Jobs that were checked.
            case put([NewJob], now: UnixTime)
        }

        let wish: Wish
        /// Whoever waits: a thread of its own, or a task.
        let parker = Parker()
        let resume: (@Sendable (SpoolError?) -> Void)?
        package var error: SpoolError?
        /// Of jobs that were put.
        package var ids: ClosedRange<Int64>?

        package init(_ wish: Wish, resume: (@Sendable (SpoolError?) -> Void)? = nil) {
            self.wish = wish
            self.resume = resume
        }

        /// Nil: it writes nothing.
        var syncing: Store.Syncing? {
            switch wish {
            case .read: nil
            case .perform(let syncing, _): syncing
            case .put: .afterwards
            }
        }

        func putIDs() throws(SpoolError) -> ClosedRange<Int64> {
            if let error { throw error }
            guard let ids else { preconditionFailure("a put that was done has ids") }
            return ids
        }
    }

    private enum Word {
        static let done: UInt32 = 1
        static let lead: UInt32 = 2
    }

    /// Puts jobs that were checked, in a transaction shared with what other threads want at the moment; they are on
    /// disk when it returns.
    func put(_ jobs: [NewJob], now: UnixTime) throws(SpoolError) -> ClosedRange<Int64> {
        let request = Request(.put(jobs, now: now))
        wait(for: request)
        return try request.putIDs()
    }

    /// As ``put(_:now:)`` for tasks.
    func put(_ jobs: [NewJob], now: UnixTime) async throws(SpoolError) -> ClosedRange<Int64> {
        try await wait(for: .put(jobs, now: now)).putIDs()
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
        let run = { (store: Store) throws(SpoolError) in box.value = try body(store) }
        let request = Request(reading ? .read(run) : .perform(syncing, run))
        wait(for: request)
        return try box.take(request.error)
    }

    /// As ``perform(reading:_:)`` for tasks: no thread of the cooperative pool is blocked.
    func perform<Value: Sendable>(
        reading: Bool = false, syncing: Store.Syncing = .first,
        _ body: @escaping @Sendable (Store) throws(SpoolError) -> Value
    ) async throws(SpoolError) -> Value {
        let box = Box<Value>()
        let run = { (store: Store) throws(SpoolError) in box.value = try body(store) }
        let request = await wait(for: reading ? .read(run) : .perform(syncing, run))
        return try box.take(request.error)
    }

    private func wait(for request: Request) {
        if enlist(request) || request.parker.wait() == Word.lead { lead() }
    }

    private func wait(for wish: sending Request.Wish) async -> Request {
        var made: Request?
        _ = await withCheckedContinuation { continuation in
            let request = Request(wish, resume: { continuation.resume(returning: $0) })
            made = request
            if enlist(request) { leadElsewhere() }
        }
        guard let made else { preconditionFailure("a continuation runs its body") }
        // ThreadSanitizer does not see that a continuation orders things when it is resumed before it waits.
        _ = made.parker.look()
        return made
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
            defer { isLed = true }
            return !isLed
        }
    }

    /// Lets others run until three in four of those have lined up that are expected, for half a commit at most.
    private func gather() {
        let (wanted, longest) = lock.withLock { (expected - expected / 4, lastCommit / 2) }
        guard wanted > 1 else { return }
        let limit = Deadline(after: min(longest, Self.longestGathering))
        while lined < wanted, !limit.isPast { Pause.yield() }
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

    /// Commits everything that waits, and lets another one lead, a thread that waits if there is one, while the disk
    /// syncs.
    private func lead() {
        gather()
        let begin = Deadline.now()
        let batch = perform(takeAll(), more: takeAll(upTo:))
        let next = lock.withLock { () -> Request? in
            expected = batch.requests.count + waiting.count
            isLed = !waiting.isEmpty
            return waiting.first { $0.resume == nil } ?? waiting.first
        }
        if let next {
            if next.resume == nil { next.parker.tell(Word.lead) } else { leadElsewhere() }
        }
        batch.sync()
        let took = Deadline.now() - begin
        lock.withLock { lastCommit = took }
        for request in batch.requests { finish(request) }
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
            let strictest = Self.strictest(waiting) ?? .withTheNext
            guard strictest.rawValue <= syncing.rawValue else { return [] }
            defer { waiting.removeAll(keepingCapacity: true) }
            return waiting
        }
    }

    private func finish(_ request: Request) {
        request.parker.tell(Word.done)
        request.resume?(request.error)
    }

    /// Requests of one transaction, which was committed.
    private struct Batch {
        var requests: [Request]
        var unsynced: Unsynced?

        /// Returns when they are on disk; a claim need not be.
        func sync() {
            do throws(SpoolError) {
                try unsynced?.sync()
            } catch {
                for request in requests where request.syncing.map({ $0 != .withTheNext }) ?? false {
                    request.error = error
                }
            }
        }
    }

    /// Performs requests in one transaction, or says of each why not. Whoever leads calls it.
    package func commit(_ batch: [Request]) { perform(batch, more: { _ in [] }).sync() }

    /// As ``commit(_:)``, and does not sync; while a transaction that will be synced is open, those that came meanwhile
    /// join it, unless they must be synced earlier than it.
    /// - Parameter more: Gives them, none to end it.
    private func perform(_ first: [Request], more: (Store.Syncing) -> [Request]) -> Batch {
        var batch = Batch(requests: first)
        do throws(SpoolError) {
            guard let syncing = Self.strictest(first) else {
                try perform(first)
                return batch
            }
            var isInside = false
            if try store.meetsOthers, let puts = Puts(first[...], all: true) {
                switch try store.post(puts.jobs, now: puts.latest) {
                case .here(let isThere): isInside = isThere
                case .elsewhere(let ids, let unsynced):
                    puts.deal(ids.lowerBound)
                    batch.unsynced = unsynced
                    return batch
                }
            }
            (_, batch.unsynced) = try store.commit("committing", syncing, isInside: isInside) {
                () throws(SpoolError) in
                var next = first
                while !next.isEmpty {
                    try perform(next)
                    next = batch.requests.count < Self.mostTogether ? more(syncing) : []
                    batch.requests += next
                }
            }
        } catch  where batch.requests.count == 1 {
            batch.requests[0].error = error
        } catch {
            for request in batch.requests { bear(error, request) }
        }
        return batch
    }

    /// A transaction for several has failed.
    private func bear(_ error: SpoolError, _ request: Request) {
        switch error {
        // Nobody may do again what may have happened.
        case .outcomeUnknown: request.error = error
        // Each would wait as long once more, one after the other. Who only looks need not wait for a turn.
        case .locked where request.syncing != nil: request.error = error
        // One of them spoiled it for all: each gets its own, and its own error.
        default: commit([request])
        }
    }

    private func perform(_ requests: [Request]) throws(SpoolError) {
        var rest = requests[...]
        while let request = rest.first {
            switch request.wish {
            case .read(let body), .perform(_, let body):
                try body(store)
                rest = rest.dropFirst()
            case .put:
                guard let puts = Puts(rest) else { preconditionFailure("this one is a put") }
                puts.deal(try store.putValid(puts.jobs, now: puts.latest).lowerBound)
                rest = rest.dropFirst(puts.count)
            }
        }
    }

    /// What several put, as one batch.
    private struct Puts {
        private let requests: ArraySlice<Request>
        var jobs: [NewJob] = []
        var latest = UnixTime(microseconds: 0)

        /// Those at the beginning. Nil: there are none, or with `all` there are others.
        init?(_ requests: ArraySlice<Request>, all: Bool = false) {
            self.requests = requests.prefix { if case .put = $0.wish { true } else { false } }
            guard !self.requests.isEmpty, !all || self.requests.count == requests.count else {
                return nil
            }
            for case .put(let some, let now) in self.requests.lazy.map(\.wish) {
                if jobs.isEmpty { jobs = some } else { jobs += some }
                latest = max(latest, now)
            }
        }

        var count: Int { requests.count }

        func deal(_ first: Int64) {
            var first = first
            for request in requests {
                guard case .put(let some, _) = request.wish else { continue }
                request.ids = first...(first + Int64(some.count) - 1)
                first += Int64(some.count)
            }
        }
    }

    private static func strictest(_ requests: [Request]) -> Store.Syncing? {
        requests.lazy.compactMap(\.syncing).max { $0.rawValue < $1.rawValue }
    }
}
