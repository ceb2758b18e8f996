// Storm.swift - SIGKILL at random instants: producers, consumers that wait or hold, joiners; each is replaced.
//
// Of every item whose put returned, at least one delivery must be finished; a join may return only when all that had
// been put before it is; nobody may hold what another living process holds.

import CSpool
import Dice
import Glibc
import SpoolQueues
import SpoolThreads

@testable import SpoolProcesses

/// What a put waits for, and so how large items are and how long they are held.
enum Bound {
    case places, bytes

    func queue() throws(SpoolError) -> SharedQueue<[UInt8]> {
        SharedQueue(try RecordQueue(limit: self == .places ? 40 : 0, bytes: 32 << 10))
    }

    /// Bound by bytes, a few are so large that there is often no room for them in one piece.
    func size(_ dice: inout Dice) -> Int {
        let isLarge = self == .bytes && dice.next() % 4 == 0
        return Int.random(in: isLarge ? 4096...12 << 10 : 8...1500, using: &dice)
    }
}

struct Storm {
    /// How long the slowest process may take to end.
    private let patience: Duration
    private static let killsPerQueue = 25
    private let kills: Int
    private let seed: UInt64
    private let neglect: Neglect?
    private var dice: Dice
    private var struck = [Int](repeating: 0, count: Ledger.Doing.allCases.count)
    private var (put, again, repairs, givenBack, found) = (0, 0, UInt64(0), UInt64(0), UInt64(0))

    init(kills: Int, seed: UInt64, neglect: Neglect?) {
        self.kills = kills
        self.seed = seed
        self.neglect = neglect
        dice = Dice(seed: seed)
        patience = .seconds(neglect == nil ? 60 : 3)
    }

    mutating func run() throws(SpoolError) {
        var left = kills
        var bound = Bound.places
        while left > 0 {
            try batch(min(left, Self.killsPerQueue), bound)
            left -= Self.killsPerQueue
            bound = bound == .places ? .bytes : .places
        }
        let kinds = Ledger.Doing.allCases.map { "\(struck[Int($0.rawValue)]) \($0)" }
        print(
            "seed \(seed): \(kills) kills (\(kinds.joined(separator: ", "))) of \(put) items: 0 lost, 0 hangs,"
                + " 0 with two living holders, 0 joins too early, 0 damaged; \(again) run again,"
                + " \(givenBack) given back, \(repairs) deaths with the lock, \(found) found by looking"
        )
    }

    /// One queue, its users, and so many kills.
    private mutating func batch(_ kills: Int, _ bound: Bound) throws(SpoolError) {
        let ledger = try Ledger()
        let queue = try bound.queue()
        queue.records.neglect = neglect
        var users = (0..<Ledger.processes).map { start($0, queue, ledger, bound) }
        for _ in 0..<kills {
            Pause.briefly(upTo: .microseconds(1500))
            let victim = Int.random(in: 0..<users.count, using: &dice)
            let doing = ledger.doing(victim)
            strike(users[victim])
            struck[Int(doing.rawValue)] += 1
            users[victim] = start(victim, queue, ledger, bound)
        }
        try end(users, queue, ledger)
    }

    private mutating func end(
        _ users: [Int32], _ queue: SharedQueue<[UInt8]>, _ ledger: Ledger
    ) throws(SpoolError) {
        ledger.stop()
        for user in users[..<2] { awaitEnd(of: user, "a producer") }
        guard try queue.join(timeout: patience) else { fail("seed \(seed): join hangs") }
        queue.shutdown()
        for user in users[2...] { awaitEnd(of: user, "a consumer or joiner") }
        if let why = queue.records.inconsistency() { fail("seed \(seed): inconsistent: \(why)") }
        for fault in Ledger.Fault.allCases where ledger.faults(fault) > 0 {
            fail("seed \(seed): \(ledger.faults(fault)) \(fault)")
        }
        for item in 0..<Ledger.items where ledger.isAcknowledged(item) {
            put += 1
            guard ledger.processed(item) > 0 else { fail("seed \(seed): item \(item) is lost") }
            again += ledger.processed(item) - 1
        }
        let header = queue.records.look { $0 }
        repairs += header.repairs
        givenBack += header.givenBack
        found += header.foundByLooking
    }

    private func awaitEnd(of child: Int32, _ who: String) {
        guard let status = ended(child, within: patience) else {
            fail("seed \(seed): \(who) hangs")
        }
        guard status == 0 else { fail("seed \(seed): \(who) ended with status \(status)") }
    }

    private mutating func start(
        _ process: Int, _ queue: SharedQueue<[UInt8]>, _ ledger: Ledger, _ bound: Bound
    ) -> Int32 {
        ledger.say(.other, process)
        var dice = Dice(seed: dice.next())
        return forked {
            let user = User(process: process, queue: queue, ledger: ledger, bound: bound)
            do throws(SpoolError) {
                switch process {
                case 0..<2: try user.produce(&dice)
                case 2..<6: try user.consume(&dice)
                default: try user.join()
                }
            } catch .shutDown {
            } catch {
                print("\(error)")
                _exit(3)
            }
        }
    }
}

/// What one process of the storm does until it is killed or the storm ends.
private struct User {
    let process: Int
    let queue: SharedQueue<[UInt8]>
    let ledger: Ledger
    let bound: Bound

    /// In bursts, so that the queue is full at times, and empty at times.
    func produce(_ dice: inout Dice) throws(SpoolError) {
        while !ledger.isStopped {
            for _ in 0..<Int.random(in: 1...60, using: &dice) {
                guard let number = ledger.takeNumber(process) else { return }
                let item = Stamped.item(UInt64(number), size: bound.size(&dice))
                ledger.say(.putting, process)
                try queue.put(item)
                ledger.acknowledge(number)
                ledger.say(.other, process)
            }
            Pause.briefly(upTo: .microseconds(700))
        }
    }

    /// Half of them look out for the next item before they sleep. Bound by bytes, they keep an item now and then until
    /// they have the next one, or there is none.
    func consume(_ dice: inout Dice) throws(SpoolError) {
        var spin = Spin()
        var kept: Delivery<[UInt8]>?
        while true {
            ledger.say(kept == nil ? .waiting : .holding, process)
            let delivery: Delivery<[UInt8]>
            do throws(SpoolError) {
                let timeout = kept == nil ? nil : Duration.zero
                delivery =
                    process % 2 == 0
                    ? try queue.getDelivery(timeout: timeout, &spin)
                    : try queue.getDelivery(timeout: timeout)
            } catch .empty {
                if let last = kept { try finish(last) }
                kept = nil
                continue
            }
            ledger.say(.holding, process)
            guard take(delivery) else { return }
            if dice.next() % 8 == 0 { Pause.briefly(upTo: .microseconds(50)) }
            let last = kept
            kept = bound == .bytes && dice.next() % 4 == 0 ? delivery : nil
            if let last { try finish(last) }
            if kept == nil { try finish(delivery) }
        }
    }

    /// - Returns: False when it is damaged.
    private func take(_ delivery: Delivery<[UInt8]>) -> Bool {
        guard let stamp = Stamped.number(delivery.item), stamp < Ledger.items else {
            ledger.count(.damaged)
            return false
        }
        let number = Int(stamp)
        let before = ledger.hold(number, getpid())
        if before != 0, spool_process_lives(before) == 1 { ledger.count(.twoLivingHolders) }
        if delivery.number < ledger.deliver(number) { ledger.count(.miscounted) }
        return true
    }

    private func finish(_ delivery: Delivery<[UInt8]>) throws(SpoolError) {
        let number = Int(Stamped.number(delivery.item) ?? 0)
        ledger.process(number)
        _ = ledger.hold(number, 0)
        ledger.say(.finishing, process)
        try queue.taskDone(delivery)
        ledger.say(.holding, process)
    }

    func join() throws(SpoolError) {
        var checked = [0, 0]
        while !ledger.isStopped {
            let acknowledged = (0..<2).map { producer in
                (checked[producer]..<ledger.used(producer)).map { $0 * 2 + producer }
                    .filter(ledger.isAcknowledged)
            }
            let used = (0..<2).map { ledger.used($0) - 1 }
            ledger.say(.joining, process)
            try queue.join()
            ledger.say(.other, process)
            for item in acknowledged.joined() where ledger.processed(item) == 0 {
                ledger.count(.joinedTooEarly)
            }
            checked = zip(checked, used).map { max($0, $1) }
            Pause.briefly(upTo: .microseconds(300))
        }
    }
}
