// Judge+People.swift - what people ask of the store, compared with the model.

internal import History
internal import SpoolJobs
internal import SpoolThreads

extension Judge {
    enum Verb { case cancel, retry, remove }

    /// A call that is refused if one of the jobs is not where it must be.
    func byHand(_ store: Store, _ verb: Verb, _ ids: [Int64], now: UnixTime) throws {
        let begun = chronicle.tick()
        var next = model
        var isRefused = false
        for id in ids {
            guard let state = next.jobs[id]?.state, Self.allows(verb, state) else {
                isRefused = true
                continue
            }
            switch verb {
            case .cancel: next.cancel(id)
            case .retry: next.retry(id)
            case .remove: next.jobs[id] = nil
            }
        }
        do {
            try judged(store, next) { () throws(SpoolError) in
                try Self.call(store, verb, ids, now)
            } _: { end in
                self.noteByHand(verb, ids, begun, end)
            }
        } catch let error as SpoolError {
            let isRefusal = error.code == "wrong_state" || error.code == "no_such_job"
            if isRefusal, !isRefused {
                throw Violation("\(verb) \(ids) was refused: \(error.message)")
            }
            throw error
        }
        guard !isRefused else { throw Violation("\(verb) \(ids) was not refused") }
        noteByHand(verb, ids, begun, .return)
        if verb == .retry { for id in ids { retries[id, default: 0] += 1 } }
        try settled(store, next)
    }

    private func noteByHand(_ verb: Verb, _ ids: [Int64], _ begun: Int64, _ end: HistoryEvent.Kind)
    {
        for id in ids {
            guard let job = model.jobs[id] else { continue }
            if verb == .retry { chronicle.note(.retry, job, begun: begun, end) }
            let isWaiting = job.state.isUnfinished && job.state != .running
            if verb != .retry, isWaiting { chronicle.note(.cancel, job, begun: begun, end) }
        }
    }

    private static func allows(_ verb: Verb, _ state: State) -> Bool {
        switch verb {
        case .cancel: state.isUnfinished
        case .retry: state != .ready && state != .running
        case .remove: state != .running
        }
    }

    private static func call(
        _ store: Store, _ verb: Verb, _ ids: [Int64], _ now: UnixTime
    ) throws(SpoolError) {
        switch verb {
        case .cancel: try store.cancel(ids, signal: 15, grace: .milliseconds(500), now: now)
        case .retry: try store.retry(ids, now: now)
        case .remove: try store.remove(ids)
        }
    }

    func pause(_ store: Store, _ queue: String, _ isPaused: Bool, now: UnixTime) throws {
        var next = model
        if isPaused { next.paused.insert(queue) } else { next.paused.remove(queue) }
        try judged(store, next) { () throws(SpoolError) in
            if isPaused {
                try store.pause(queue: queue, now: now)
            } else {
                try store.resume(queue: queue)
            }
        } _: { _ in
        }
        try settled(store, next)
    }
}
