// Journal.swift - what killed and restarted jobs wrote, and the history that it makes together with the store.

import Foundation
import History
import SpoolJobs

/// What the jobs wrote: "s ID ATTEMPT" and "e ID ATTEMPT", in the order of time.
struct Journal {
    private var events: [Int64: [(isStart: Bool, attempt: Int, line: Int)]] = [:]
    private(set) var count = 0

    init(_ path: String) throws {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return }
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 3, let id = Int64(words[1]), let attempt = Int(words[2]) else {
                continue
            }
            count += 1
            events[id, default: []].append((words[0] == "s", attempt, count))
        }
    }

    func starts(_ id: Int64) -> Int { events[id, default: []].filter(\.isStart).count }
    func ends(_ id: Int64) -> Int { events[id, default: []].filter { !$0.isStart }.count }

    /// The lives of the jobs 1 ... `count`, for the history checkers. A run is held from its first line to its last;
    /// how it ended is what the store says of it. So a run of which anything is heard after the next one has begun is
    /// an overlap, and one that the store knows nothing of has no end and no reason.
    func history(of store: Store, _ count: Int) throws -> [HistoryEvent] {
        var history: [HistoryEvent] = []
        for id in 1...Int64(count) {
            let put = HistoryEvent(time: 0, process: id, .invoke, .put, item: id)
            history += [put, HistoryEvent(time: 1, process: id, .return, .put)]
            let row = try store.job(id)
            if row.state.isUnfinished {
                history.append(HistoryEvent(time: 2, process: id, .info, .left, item: id))
            }
            let attempts = try store.attempts(of: id)
            for event in events[id, default: []] where event.isStart {
                history += Self.span(.get, id, event.attempt, at: event.line * 10)
            }
            for attempt in attempts {
                guard let verdict = attempt.verdict else { continue }
                let lines = events[id, default: []].filter { $0.attempt == attempt.number }
                let isLast = attempt.number == row.attempt && !row.state.isUnfinished
                // A run of which nothing was written never began, unless its job ended with it: one that kills its
                // consumer three times may have died before its command could write.
                let before = isLast ? events[id, default: []].map(\.line).max() ?? 0 : nil
                guard let last = lines.map(\.line).max() ?? before else { continue }
                let end = Self.end(verdict, isLast ? row.state : .ready)
                let time = last * 10 + (lines.isEmpty ? 7 : 5)  // after the end of the run before
                history += Self.span(end, id, attempt.number, at: time)
            }
        }
        return history
    }

    private static func end(_ verdict: Verdict, _ state: State) -> HistoryEvent.Operation {
        if verdict == .done { return .done }
        return switch state {
        case .dead: .dead
        case .cancelled: .cancel
        case .done, .scheduled, .retrying, .ready, .running: .back
        }
    }

    /// An operation of a job's run: the lines of the journal are the clock.
    private static func span(
        _ operation: HistoryEvent.Operation, _ id: Int64, _ attempt: Int, at time: Int
    ) -> [HistoryEvent] {
        let process = id * 1000 + Int64(time % 10)
        return [HistoryEvent.Kind.invoke, .return].enumerated().map { index, kind in
            HistoryEvent(
                time: Int64(time + 2 * index), process: process, kind, operation, item: id,
                attempt: Int64(attempt))
        }
    }
}
