// Acts.swift - how each act befalls the world.

private import CSQLite
internal import SpoolJobs
internal import SpoolThreads

enum Acts {
    static func perform(_ act: Act, _ number: Int64, _ world: World) throws {
        var luck = Portions(act.luck)
        guard let clients = world.clients else { return }
        switch act.kind {
        case .put: try clients.put(&luck, count: 1)
        case .putMany: try clients.put(&luck, count: 2 + luck.next(12))
        case .cancel: try clients.byHand(.cancel, &luck)
        case .retry: try clients.byHand(.retry, &luck)
        case .remove: try clients.byHand(.remove, &luck)
        case .pause: try clients.pause(&luck)
        case .join: try clients.join(&luck)
        case .take: try clients.take(fault: nil)
        case .together:
            try clients.together(&luck, fault: luck.chance(30) ? fault(.storeFull, &luck) : nil)
        case .stale: try clients.settleStale(&luck)
        case .start: world.startWorker(consumers: 1 + luck.next(3))
        case .stop:
            guard let worker = worker(world, &luck) else { return }
            if luck.chance(50) { worker.stopEverybody(&luck) } else { worker.stop(atOnce: false) }
        case .quit: worker(world, &luck)?.stop(atOnce: true)
        default: try goWrong(act.kind, &luck, world, clients)
        }
    }

    private static func goWrong(
        _ kind: Act.Kind, _ luck: inout Portions, _ world: World, _ clients: Clients
    ) throws {
        switch kind {
        case .crash: worker(world, &luck)?.crash(withServer: false)
        case .crashWithServer: worker(world, &luck)?.crash(withServer: true)
        case .crashBeforeRing: worker(world, &luck)?.dieBeforeRinging()
        case .killConsumer: consumer(world, &luck)?.die("killed")
        case .killAtBegin: consumer(world, &luck)?.trap = .atBegin
        case .killAfterOutcome: consumer(world, &luck)?.trap = .afterOutcome
        case .killBeforeFlush: consumer(world, &luck)?.trap = .beforeFlush
        case .freezeConsumer:
            let time = Int64(luck.next(6000)) * 1_000_000
            guard luck.chance(50) else { return consumer(world, &luck)?.freeze(for: time) ?? () }
            // One that has others to do behind what it is at.
            try clients.put(&luck, count: 24)
            world.after(30_000_000) { busiest(world)?.freeze(for: time) }
        case .freezeWorker:
            worker(world, &luck)?.freeze(for: Int64(luck.next(4000)) * 1_000_000)
        case .loseServer: worker(world, &luck)?.loseServer()
        case .refuseForks: worker(world, &luck)?.refuseForks(1 + luck.next(6))
        case .clockBack: world.moveWall(by: -3_600_000_000)
        case .clockForward: world.moveWall(by: 315_576_000_000_000)
        case .powerLoss: try world.losePower()
        default:
            let fault = fault(kind, &luck)
            if luck.chance(40) {
                try clients.put(&luck, count: 1 + luck.next(3), fault: fault)
            } else if let worker = worker(world, &luck) {
                for _ in 0...luck.next(3) { worker.fail(fault) }
            }
        }
    }

    /// A fault of the disk that the next transactions meet.
    private static func fault(_ kind: Act.Kind, _ luck: inout Portions) -> DiskFault {
        let after = Int32(luck.next(6))
        let often: Int32 = luck.chance(30) ? 1000 : 1
        let error = SQLITE_IOERR
        return switch kind {
        case .storeFull: DiskFault(kinds: 2, after: after, times: often, code: SQLITE_FULL)
        case .storeWriteError:
            DiskFault(kinds: 2, after: after, times: often, code: error | (3 << 8))
        case .storeReadError:
            DiskFault(kinds: 1, after: after, times: often, code: error | (1 << 8))
        case .storeSyncError: DiskFault(kinds: 4, after: 0, times: 1, code: error | (4 << 8))
        default: DiskFault(isLocked: true)
        }
    }

    private static func worker(_ world: World, _ luck: inout Portions) -> SimulatedWorker? {
        let alive = world.workers.filter(\.isAlive)
        return alive.isEmpty ? nil : alive[luck.next(alive.count)]
    }

    private static func busiest(_ world: World) -> SimulatedConsumer? {
        let alive = world.workers.flatMap(\.links).compactMap { $0 }.filter(\.isAlive)
        return alive.max { $0.held < $1.held }
    }

    private static func consumer(_ world: World, _ luck: inout Portions) -> SimulatedConsumer? {
        let alive = world.workers.flatMap(\.links).compactMap { $0 }.filter(\.isAlive)
        return alive.isEmpty ? nil : alive[luck.next(alive.count)]
    }
}
