// Joiner.swift - waiting until jobs are finished: woken by the doorbell, at the cost of a few counters per look.

public import SpoolThreads

/// What `join` waits for.
public enum JoinTarget: Hashable, Sendable {
    /// Nothing is unfinished in any queue.
    case all
    /// Nothing is unfinished in one queue; jobs put meanwhile count too, as in Python's Queue.join.
    case queue(String)
    /// Of the jobs up to an id, of one queue or of all, none is unfinished: what came later does not count.
    case upTo(queue: String?, last: Int64)
    case jobs([Int64])
}

/// How far a join has come.
public struct JoinProgress: Hashable, Sendable {
    /// Jobs that were unfinished when it began and, unless it is a snapshot, those put since.
    public var total: Int
    /// Ended well since it began.
    public var done: Int
    /// Ended dead or cancelled, or were removed while they were waited for.
    public var failed: Int
    /// In the hands of consumers.
    public var running: Int
    /// Wait for their time, or for another attempt.
    public var scheduled: Int
    /// When the next scheduled or retrying one becomes ready.
    public var nextDue: UnixTime?
    /// Nothing is left to wait for.
    public var isFinished: Bool
}

/// One wait for jobs to be finished. Belongs to the thread that uses its store.
public final class Joiner {
    private let store: Store
    private let target: JoinTarget
    private var bell: Doorbell?
    private var base = Counts()
    /// Of a snapshot: how many of its jobs had ended badly when it began.
    private var baseDead = 0
    private var baseCancelled = 0
    private var left: [Int64] = []
    private var finishedBadly: [Int64] = []
    /// Jobs that were waited for by their ids and are not there any more.
    public private(set) var removed: [Int64] = []
    private var witness: Int64?
    /// How often only the safety poll found a change: 0 on a healthy system.
    public private(set) var missedWakeups = 0

    /// - Throws: `noSuchQueue`, `noSuchJob`.
    public init(_ target: JoinTarget, of store: Store) throws(SpoolError) {
        self.store = store
        self.target = if case .jobs(let ids) = target { .jobs(ids.onceEach) } else { target }
        // One moment: what ends between two looks would be missing in both.
        try store.looking { () throws(SpoolError) in try begin() }
    }

    private func begin() throws(SpoolError) {
        switch target {
        case .all: base = try store.counts(queue: nil)
        case .queue(let queue): base = try store.counts(queue: queue)
        case .upTo(let queue, let last):
            base = try store.counts(queue: queue)
            baseDead = try store.count(.dead, queue: queue, upTo: last)
            baseCancelled = try store.count(.cancelled, queue: queue, upTo: last)
        case .jobs(let ids):
            for id in ids { _ = try store.standing(of: id) }
            left = ids
        }
    }

    /// One of the unfinished jobs at the last look, where they are jobs of their own and not all of a queue.
    public var awaited: Int64? { left.first ?? witness }

    /// Looks once, without waiting.
    public func look() throws(SpoolError) -> JoinProgress {
        switch target {
        case .all: return try lookAtQueue(nil)
        case .queue(let queue): return try lookAtQueue(queue)
        case .upTo(let queue, let last): return try lookAtSnapshot(queue, last)
        case .jobs(let ids): return try lookAtJobs(ids)
        }
    }

    private func lookAtQueue(_ queue: String?) throws(SpoolError) -> JoinProgress {
        let now = try store.counts(queue: queue)
        let waiting = now.scheduled + now.retrying
        let done = max(0, now.done - base.done)
        let failed = max(0, now.dead + now.cancelled - base.dead - base.cancelled)
        return JoinProgress(
            total: done + failed + now.unfinished, done: done, failed: failed, running: now.running,
            scheduled: waiting, nextDue: waiting > 0 ? try store.nextDue() : nil,
            isFinished: now.unfinished == 0)
    }

    /// The counters count what came later, too: until the end, when the jobs themselves are counted, they only say
    /// about how far it is.
    private func lookAtSnapshot(
        _ queue: String?, _ last: Int64
    ) throws(SpoolError) -> JoinProgress {
        var progress = try lookAtQueue(queue)
        progress.total = base.unfinished
        progress.isFinished = try !hasUnfinished(queue, last)
        if progress.isFinished {
            let bad = try store.count(.dead, queue: queue, upTo: last) - baseDead
            progress.failed = max(0, min(bad + (try cancelled(queue, last)), progress.total))
            progress.done = progress.total - progress.failed
        } else {
            let most = max(0, progress.total - 1)
            progress.failed = min(progress.failed, most)
            progress.done = min(progress.done, most - progress.failed)
        }
        return progress
    }

    /// How many of a snapshot were cancelled while it waited.
    private func cancelled(_ queue: String?, _ last: Int64) throws(SpoolError) -> Int {
        max(0, try store.count(.cancelled, queue: queue, upTo: last) - baseCancelled)
    }

    /// A snapshot follows one unfinished job at a time: while that one is unfinished there is nothing more to find out.
    private func hasUnfinished(_ queue: String?, _ last: Int64) throws(SpoolError) -> Bool {
        if let witness, try store.isUnfinished(witness) { return true }
        witness = try store.unfinishedJob(queue: queue, upTo: last)
        return witness != nil
    }

    private func lookAtJobs(_ ids: [Int64]) throws(SpoolError) -> JoinProgress {
        var progress = JoinProgress(
            total: ids.count, done: 0, failed: 0, running: 0, scheduled: 0, nextDue: nil,
            isFinished: false)
        var unfinished: [Int64] = []
        var endedBadly: [Int64] = []
        for id in left {
            // Not waited for any more. Nobody can say how it ended, if it did: it is not told as done.
            guard let standing = try standing(of: id) else {
                removed.append(id)
                continue
            }
            switch standing.state {
            case .running: progress.running += 1
            case .scheduled, .retrying:
                progress.scheduled += 1
                progress.nextDue = min(progress.nextDue ?? .far, standing.due ?? .far)
            case .ready: break
            case .done: continue
            case .dead, .cancelled:
                endedBadly.append(id)
                continue
            }
            unfinished.append(id)
        }
        left = unfinished
        finishedBadly += endedBadly
        progress.failed = finishedBadly.count + removed.count
        progress.done = ids.count - unfinished.count - progress.failed
        progress.isFinished = unfinished.isEmpty
        return progress
    }

    /// Nil: there is no such job. One that cannot be read is another matter: it may well be unfinished.
    private func standing(of id: Int64) throws(SpoolError) -> Standing? {
        do throws(SpoolError) {
            return try store.standing(of: id)
        } catch .noSuchJob {
            return nil
        } catch {
            throw error
        }
    }

    private func openBell() throws(SpoolError) -> Doorbell {
        if let bell { return bell }
        let opened = try Doorbell(.settled, of: store)
        bell = opened
        return opened
    }

    /// Blocks until all are finished or the deadline is past; tells `progress` what it sees at each look.
    public func wait(
        until deadline: Deadline, progress: (JoinProgress) -> Void = { _ in }
    ) throws(SpoolError) -> JoinProgress {
        // Before the first look: a job that ends after it is heard.
        let bell = try openBell()
        var before: JoinProgress?
        var rang = true
        while true {
            let again = bell.answer()
            if try bell.goRounds() > 0 { rang = true }
            let now = try look()
            if !rang, again == nil, let before, before != now { missedWakeups += 1 }
            progress(now)
            if now.isFinished || deadline.isPast { return now }
            before = now
            restFrom(now, until: deadline)
            rang = bell.wait(until: deadline, again: again) || again != nil
        }
    }

    /// A worker rings some hundred times a second, and many that join would keep a processor busy with looking. While
    /// a thousand are unfinished the end cannot come within a microsecond for each.
    private func restFrom(_ progress: JoinProgress, until deadline: Deadline) {
        let unfinished = progress.total - progress.done - progress.failed
        guard unfinished >= 1000 else { return }
        let rest = Duration.microseconds(min(unfinished, 50_000))
        Pause.briefly(upTo: min(rest, deadline.remaining() ?? rest))
    }

    /// Ends its use by a command that is about to end: see ``Doorbell/closeElsewhere()``.
    public func closeElsewhere() { bell?.closeElsewhere() }

    /// Jobs among those joined that ended dead, or were cancelled while it waited; newest first, at most `limit`.
    /// For queues these are the dead ones that the queue still holds, whenever they died.
    public func failures(limit: Int) throws(SpoolError) -> [Int64] {
        switch target {
        case .jobs: return Array(finishedBadly.prefix(limit))
        case .all: return try failures(in: nil, limit)
        case .queue(let queue): return try failures(in: queue, limit)
        case .upTo(let queue, let last):
            return try failures(in: queue, limit, upTo: last, cancelled: cancelled(queue, last))
        }
    }

    private func failures(in queue: String?, _ limit: Int) throws(SpoolError) -> [Int64] {
        let now = try store.counts(queue: queue)
        // Nearly always: then nothing is looked for.
        guard now.dead > 0 || now.cancelled > base.cancelled else { return [] }
        return try failures(in: queue, limit, cancelled: max(0, now.cancelled - base.cancelled))
    }

    private func failures(
        in queue: String?, _ limit: Int, upTo last: Int64 = .max, cancelled: Int
    ) throws(SpoolError) -> [Int64] {
        var ids = try store.failed(queue: queue, states: [.dead], upTo: last, limit: limit)
        if cancelled > 0 {
            ids += try store.failed(
                queue: queue, states: [.cancelled], upTo: last, limit: min(limit, cancelled))
        }
        return Array(ids.prefix(limit))
    }
}

extension UnixTime {
    fileprivate static let far = UnixTime(microseconds: .max)
}
