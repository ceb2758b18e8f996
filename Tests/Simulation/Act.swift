// Act.swift - what a simulated run is made of: things that clients do, and things that go wrong, each at its time.

/// One thing that happens from outside.
public struct Act: Hashable, Sendable {
    /// What it is.
    public enum Kind: String, CaseIterable, Sendable {
        // What clients do.
        case put, putMany, cancel, retry, remove, pause, join, take, together, stale
        // Workers come and go.
        case start, stop, quit
        // What goes wrong.
        case crash, crashWithServer, crashBeforeRing, killConsumer, killAtBegin, killAfterOutcome
        case killBeforeFlush, freezeConsumer, freezeWorker, loseServer, refuseForks
        case storeFull, storeWriteError, storeReadError, storeSyncError, storeLocked
        case clockBack, clockForward, powerLoss

        /// How often it comes, beside the others.
        var weight: Int {
            switch self {
            case .put: 30
            case .putMany, .together: 6
            case .cancel, .take, .join: 8
            case .retry, .remove, .pause, .stale: 3
            case .start: 4
            case .stop, .quit: 2
            case .killConsumer, .freezeConsumer: 6
            case .killAtBegin, .killAfterOutcome, .killBeforeFlush: 4
            case .crash, .crashWithServer, .crashBeforeRing, .freezeWorker: 3
            case .loseServer, .refuseForks: 3
            case .storeFull, .storeWriteError, .storeReadError, .storeSyncError, .storeLocked: 3
            case .clockBack, .clockForward: 2
            case .powerLoss: 1
            }
        }

        var isFault: Bool {
            switch self {
            case .put, .putMany, .cancel, .retry, .remove, .pause, .join, .take, .together, .stale,
                .start, .stop, .quit:
                false
            default: true
            }
        }
    }

    /// What happens.
    public var kind: Kind
    /// Milliseconds from the beginning of the run.
    public var at: Int
    /// What it chooses by.
    var luck: UInt64
}

/// What a seed stands for: the acts of a run, and how many workers it begins with.
struct Plan {
    var acts: [Act] = []
    var workers: Int
    var consumers: Int

    /// One seed of four has no faults: then every job starts exactly once.
    init(_ dice: Dice) {
        workers = 1 + dice.below(3, .plan, 1)
        consumers = 1 + dice.below(3, .plan, 2)
        let isCalm = dice.below(4, .plan, 3) == 0
        let count = 20 + dice.below(100, .plan, 4)
        let length = 2000 + dice.below(8000, .plan, 5)
        let kinds = Act.Kind.allCases.filter { !isCalm || !$0.isFault }
        let weights = kinds.reduce(0) { $0 + $1.weight }
        for number in 0..<Int64(count) {
            var ticket = dice.below(weights, .act, number, 1)
            let kind = kinds.first {
                ticket -= $0.weight
                return ticket < 0
            }
            guard let kind else { continue }
            acts.append(
                Act(
                    kind: kind, at: dice.below(length, .act, number, 2),
                    luck: dice.number(.act, number, 3)))
        }
    }
}
