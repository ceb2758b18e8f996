// SupervisorState+Turn.swift - what is to be done now, and when to look again.

internal import SpoolJobs
package import SpoolThreads

private import Glibc

extension SupervisorState {
    var isWorking: Bool { phase == .working }

    mutating func turn(_ now: Deadline) -> [Action] {
        guard phase != .over else { return [] }
        if suspect <= now { countMissedWakeup() }
        settleDoubted(now)
        var actions = forks(now) + recalls(now) + bars(now) + stops(now) + kills(now)
        if held > 0 || !unsettled.isEmpty || !doubted.isEmpty { idleSince = now }
        if isFinished(now) {
            phase = .over
            actions.append(.finish)
            return actions
        }
        if let exchange = exchange(now) { actions.append(exchange) }
        return actions
    }

    private mutating func forks(_ now: Deadline) -> [Action] {
        guard isWorking else { return [] }
        var actions: [Action] = []
        for slot in consumers.indices {
            guard case .absent(let until) = consumers[slot].phase, until <= now else { continue }
            consumers[slot].phase = .starting(until: now + Self.birth)
            actions.append(.fork(slot: slot))
        }
        let isLate = consumers.contains {
            if case .starting(let until) = $0.phase { until <= now } else { false }
        }
        // After the forks: those that were asked for now are asked for again, too.
        return isLate ? actions + [.endServer] : actions
    }

    private mutating func recalls(_ now: Deadline) -> [Action] {
        consumers.indices.filter { consumers[$0].recallAt <= now }.map { recall($0, now) }
    }

    private mutating func recall(_ slot: Int, _ now: Deadline) -> Action {
        consumers[slot].recall(now)
        return .recall(slot: slot)
    }

    mutating func drain(_ now: Deadline) -> [Action] {
        phase = .draining(until: now + settings.grace)
        believe()
        return consumers.indices.filter { consumers[$0].held.count > 1 }.map { recall($0, now) }
    }

    mutating func stopNow(_ now: Deadline) -> [Action] {
        phase = .stopping(until: now + .seconds(2))
        believe()
        return stopOrders(SIGKILL, grace: .zero, now)
    }

    private mutating func stops(_ now: Deadline) -> [Action] {
        switch phase {
        case .working, .over: return []
        case .draining(let until):
            guard until <= now else { return [] }
            phase = .stopping(until: now + settings.killAfter + .seconds(2))
            return stopOrders(SIGTERM, grace: settings.killAfter, now)
        case .stopping(let until):
            guard until <= now else { return [] }
            phase = .stopping(until: .never)
            return consumers.indices.filter { !consumers[$0].held.isEmpty }.map { .kill(slot: $0) }
        }
    }

    private mutating func stopOrders(
        _ signal: Int32, grace: Duration, _ now: Deadline
    ) -> [Action] {
        var actions: [Action] = []
        for slot in consumers.indices where !consumers[slot].held.isEmpty {
            if !consumers[slot].isRecalled { actions.append(recall(slot, now)) }
            actions += consumers[slot].held.map { claim in
                let order = StopOrder(
                    job: claim.job, attempt: claim.attempt, signal: signal, grace: grace,
                    verdict: .released)
                return .stop(slot: slot, order)
            }
        }
        return actions
    }

    private func isFinished(_ now: Deadline) -> Bool {
        guard held == 0, doubted.isEmpty else { return false }
        // It is going and cannot write now: what it holds is settled with its end, which is tried once.
        if isStopping, exchangeFailures > 0 { return true }
        guard unsettled.isEmpty else { return false }
        guard isWorking else { return true }
        if let most = settings.maxJobs, taken >= most { return true }
        if settings.untilEmpty, isEmpty, lookAt > now { return true }
        guard let idleExit = settings.idleExit else { return false }
        return idleSince + idleExit <= now && lookAt > now
    }

    /// How many claims the consumers have room for.
    private func room(_ now: Deadline) -> Int {
        guard isWorking else { return 0 }
        let room = consumers.reduce(0) { $0 + $1.room(prefetching: isWorking, now: now) }
        let allowed = settings.maxJobs.map { $0 - taken } ?? .max
        return min(room, Self.maximumTake, allowed)
    }

    /// Some consumer soon has nothing to do.
    private func isHungry(_ now: Deadline) -> Bool {
        consumers.contains { $0.isHungry(prefetching: isWorking, now: now) }
    }

    private mutating func exchange(_ now: Deadline) -> Action? {
        guard notBefore <= now else { return nil }
        let isTick = tickAt <= now
        if isTick { tickAt = now + (now < earlyUntil ? Self.earlyTick : Self.safetyPoll) }
        if dueAt <= now { isDry = false }
        let room = room(now)
        let isHungry = isHungry(now)
        let wantsMore = room > 0 && isHungry && mayFind(now)
        let isFree = isHungry || (isDry && !hasRung)
        let mustSettle =
            !unsettled.isEmpty && (!isWorking || settleBy <= now || (isFree && !isPaced(now)))
        guard isTick || lookAt <= now || wantsMore || mustSettle else { return nil }
        if pacedUntil + Self.flowGap < now { flow = 0 }
        askedAt = now
        expectsJobs = hasRung && ringsForUs && room > 0
        return .exchange(settle: unsettled, take: room, recover: isTick)
    }

    /// Gives each claim to the consumer that has least to do, so that the first ones start first.
    mutating func deal(_ claims: [Claim], _ now: Deadline) -> [Action] {
        guard !claims.isEmpty else { return [] }
        // The store may have taken so long that nobody has room any more: still only to those that are there.
        let present = consumers.indices.filter {
            consumers[$0].phase == .ready && !consumers[$0].isBarred
        }
        var shares = [[Int]](repeating: [], count: consumers.count)
        var rooms = consumers.map { $0.room(prefetching: isWorking, now: now) }
        for index in claims.indices {
            let slot = present.max {
                (rooms[$0] > 0 ? 1 : 0, -load($0, shares), rooms[$0])
                    < (rooms[$1] > 0 ? 1 : 0, -load($1, shares), rooms[$1])
            }
            guard let slot else { preconditionFailure("claimed without a consumer to claim for") }
            rooms[slot] -= 1
            shares[slot].append(index)
        }
        return shares.indices.filter { !shares[$0].isEmpty }.map { slot in
            consumers[slot].give(shares[slot].map { claims[$0] }, now: now)
            return .send(slot: slot, shares[slot])
        }
    }

    private func load(_ slot: Int, _ shares: [[Int]]) -> Int {
        consumers[slot].held.count + shares[slot].count
    }

    /// When the loop must turn again though nothing happens.
    package func wakeTime(_ now: Deadline) -> Deadline {
        var wake = min(tickAt, lookAt, suspect)
        if !unsettled.isEmpty { wake = min(wake, settleBy) }
        if let first = doubted.first { wake = min(wake, first.until) }
        // Room alone is no reason to wake: a consumer that has enough to do takes no more yet.
        if room(now) > 0, isHungry(now) { wake = min(wake, dueAt) }
        if isPaced(now) { wake = min(wake, pacedUntil) }
        wake = max(wake, notBefore)
        switch phase {
        case .draining(let until), .stopping(let until): wake = min(wake, until)
        case .working:
            for consumer in consumers {
                switch consumer.phase {
                case .absent(let until), .starting(let until): wake = min(wake, until)
                case .ready: break
                }
            }
            if held == 0, let idleExit = settings.idleExit {
                wake = min(wake, idleSince + idleExit)
            }
        case .over: break
        }
        wake = consumers.reduce(wake) { min($0, $1.recallAt, $1.barAt) }
        return min(wake, nextOverdue)
    }
}
