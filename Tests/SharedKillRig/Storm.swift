// Storm.swift - SIGKILL at random instants: producers, consumers that wait or hold, joiners; each is replaced.
//
// Of every item whose put returned, at least one delivery must be finished; a join may return only when all that had
// been put before it is; nobody may hold what another living process holds.

import CSpool
import Glibc
import SpoolQueues
import SpoolThreads

@testable import SpoolProcesses

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
        while left > 0 {
            try batch(min(left, Self.killsPerQueue))
            left -= Self.killsPerQueue
        }
        let kinds = Ledger.Doing.allCases.map { "\(struck[Int($0.rawValue)]) \($0)" }
        print(
            "seed \(seed): \(kills) kills (\(kinds.joined(separator: ", "))) of \(put) items: 0 lost, 0 hangs,"
                + " 0 with two living holders, 0 joins too early, 0 damaged; \(again) run again,"
                + " \(givenBack) given back, \(repairs) deaths with the lock, \(found) found by looking"
        )
    }

    /// One queue, its users, and so many kills.
    private mutating func batch(_ kills: Int) throws(SpoolError) {
        let ledger = try Ledger()
        let queue = SharedQueue<[UInt8]>(try RecordQueue(limit: 40, bytes: 32 << 10))
        queue.records.neglect = neglect
        var users = (0..<Ledger.processes).map { start($0, queue, ledger) }
        for _ in 0..<kills {
            Pause.briefly(upTo: .microseconds(1500))
            let victim = Int.random(in: 0..<users.count, using: &dice)
            let doing = ledger.doing(victim)
            strike(users[victim])
            struck[Int(doing.rawValue)] += 1
            users[victim] = start(victim, queue, ledger)
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
        _ process: Int, _ queue: SharedQueue<[UInt8]>, _ ledger: Ledger
    ) -> Int32 {
        ledger.say(.other, process)
        var dice = Dice(seed: dice.next())
        return forked {
            let user = User(process: process, queue: queue, ledger: ledger)
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

    /// In bursts, so that the queue is full at times, and empty at times.
    func produce(_ dice: inout Dice) throws(SpoolError) {
        while !ledger.isStopped {
            for _ in 0..<Int.random(in: 1...60, using: &dice) {
                guard let number = ledger.takeNumber(process) else { return }
                let item = Stamped.item(
                    UInt64(number), size: Int.random(in: 8...1500, using: &dice))
                ledger.say(.putting, process)
                try queue.put(item)
                ledger.acknowledge(number)
                ledger.say(.other, process)
            }
            Pause.briefly(upTo: .microseconds(700))
        }
    }

    /// Half of them look out for the next item before they sleep.
    func consume(_ dice: inout Dice) throws(SpoolError) {
        var spin = Spin()
        while true {
            ledger.say(.waiting, process)
            let delivery =
                process % 2 == 0 ? try queue.getDelivery(&spin) : try queue.getDelivery()
            ledger.say(.holding, process)
            guard let stamp = Stamped.number(delivery.item) else {
                ledger.count(.damaged)
                return
            }
            let number = Int(stamp)
            let before = ledger.hold(number, getpid())
            if before != 0, spool_process_lives(before) == 1 { ledger.count(.twoLivingHolders) }
            if delivery.number < ledger.deliver(number) { ledger.count(.miscounted) }
            if dice.next() % 8 == 0 { Pause.briefly(upTo: .microseconds(50)) }
            ledger.process(number)
            _ = ledger.hold(number, 0)
            ledger.say(.finishing, process)
            try queue.taskDone(delivery)
        }
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
