// Tally.swift - how the counters of the lanes change while a transaction moves rows, gathered to be written once.
//
// Nearly all moves of a transaction are in one lane: the last one is found without a search.

/// Changes of the counters of lanes.
struct Tally {
    private(set) var changes: [(lane: Int64, change: Counts)] = []
    private var places: [Int64: Int] = [:]
    private var last = -1

    /// Adds `amount` to the counter of a state of a lane.
    mutating func add(_ amount: Int, _ state: State, in lane: Int64) {
        if last < 0 || changes[last].lane != lane { find(lane) }
        changes[last].change.add(amount, state)
    }

    /// What changed in a lane.
    subscript(lane: Int64) -> Counts { places[lane].map { changes[$0].change } ?? Counts() }

    private mutating func find(_ lane: Int64) {
        if let known = places[lane] {
            last = known
        } else {
            last = changes.count
            places[lane] = last
            changes.append((lane, Counts()))
        }
    }
}

extension Counts {
    /// Adds `change` to the counter of a state.
    fileprivate mutating func add(_ change: Int, _ state: State) {
        switch state {
        case .ready: ready += change
        case .scheduled: scheduled += change
        case .retrying: retrying += change
        case .running: running += change
        case .done: done += change
        case .dead: dead += change
        case .cancelled: cancelled += change
        }
    }
}
