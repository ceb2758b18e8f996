// Exchange.swift - what a worker asks of the store in one transaction, and what it is told.

public import SpoolThreads

/// Which jobs a worker takes.
public struct Selection: Hashable, Sendable {
    /// A queue and its share.
    public struct Choice: Hashable, Sendable {
        /// Its name.
        public var queue: String
        /// How often its turn comes before the others': 1 ... 1000.
        public var weight: Int

        /// Made from its parts.
        public init(queue: String, weight: Int = 1) {
            self.queue = queue
            self.weight = weight
        }
    }

    /// Which typed jobs it can do. ``Job/noop`` is done by every worker.
    public enum Kinds: Hashable, Sendable {
        case none, all
        case some(Set<String>)
    }

    /// Empty: all queues as if they were one. With weights of 1: strictly in this order. Otherwise the first of each
    /// claim is drawn by weight.
    public var queues: [Choice]
    /// Which typed jobs it can do.
    public var kinds: Kinds
    /// Whether it runs commands.
    public var commands: Bool

    /// Made from its parts.
    public init(queues: [Choice] = [], kinds: Kinds = .none, commands: Bool = true) {
        self.queues = queues
        self.kinds = kinds
        self.commands = commands
    }

    func canDo(_ kind: String) -> Bool {
        if kind.isEmpty { return commands }
        if kind == Job.noop { return true }
        switch kinds {
        case .none: return false
        case .all: return true
        case .some(let names): return names.contains(kind)
        }
    }

    func includes(_ queue: String) -> Bool {
        queues.isEmpty || queues.contains { $0.queue == queue }
    }

    /// The queues in the order in which a claim tries them.
    func order(_ random: () -> Double) -> [String] {
        guard queues.contains(where: { $0.weight > 1 }) else { return queues.map(\.queue) }
        var left = queues
        var order: [String] = []
        while !left.isEmpty {
            var ticket = random() * Double(left.reduce(0) { $0 + $1.weight })
            var index = 0
            while index < left.count - 1, ticket >= Double(left[index].weight) {
                ticket -= Double(left[index].weight)
                index += 1
            }
            order.append(left.remove(at: index).queue)
        }
        return order
    }
}

/// A running job that somebody wants stopped.
public struct Cancellation: Hashable, Sendable {
    /// The id of the job.
    public var job: Int64
    /// The number of the start, from 1.
    public var attempt: Int
    /// What it is sent first.
    public var signal: Int32
    /// From the signal to SIGKILL.
    public var grace: Duration
}

/// What one "finish k, take n" transaction gave.
public struct Exchange: Sendable {
    /// For each outcome given, in order: where the job went; nil if the claim was lost and nothing changed.
    public var settled: [Move?] = []
    /// The jobs that were taken.
    public var claimed: [ClaimedJob] = []
    /// Told on each exchange until they settle.
    public var cancellations: [Cancellation] = []
    /// When the next scheduled or retrying job, of any queue, becomes ready.
    public var nextDue: UnixTime?
    /// What the selected queues hold after the exchange, of the kinds that the worker can do. Only if that was asked
    /// for, and nothing can be taken.
    public var counts: Counts?
    /// Jobs that this worker could take now: ready, of its kinds, in a queue that is not paused.
    public var takeable = 0
    /// Jobs that are ready in queues that are paused, by queue: nobody takes them. With `counts` the retrying ones,
    /// too.
    public var paused: [String: Int] = [:]
    /// What was committed by others when it looked, for ``Doorbell/saw(_:)``.
    public var version: Int64 = 0
}
