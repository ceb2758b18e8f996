// Kitchen.swift - Spool in one page: cooks put buns on a counter, eaters take them, and nothing is lost.
//
//     swift run ProducersAndConsumers [FILE] [BUNS]
//
// One process with three producer threads, two forked consumer processes, one that joins, and a parent that does
// nothing but replace the dead. Kill any of them, or all, at any instant and start it again: it goes on where it was.

import Glibc
import Spool

@main
struct Kitchen {
    let path: String
    let buns: Int

    static func main() throws {
        let arguments = CommandLine.arguments
        let kitchen = Kitchen(
            path: arguments.count > 1 ? arguments[1] : "kitchen.db",
            buns: arguments.count > 2 ? Int(arguments[2]) ?? 300 : 300)
        try kitchen.run()
    }

    /// The parent forks and waits; it has one thread and opens nothing, so that it may fork at any time.
    func run() throws {
        var eaters = [try ChildProcess.fork(eat), try ChildProcess.fork(eat)]
        var cooks = try ChildProcess.fork(cook)
        var waiter: ChildProcess?
        while let (child, end) = ChildProcess.waitForAny() {
            let isDone = end.exit == 0
            if let index = eaters.firstIndex(of: child) {
                eaters[index] = try ChildProcess.fork(eat)
            } else if child == cooks {
                if isDone {
                    waiter = try ChildProcess.fork(wait)
                } else {
                    cooks = try ChildProcess.fork(cook)
                }
            } else if child == waiter {
                if isDone { break }
                waiter = try ChildProcess.fork(wait)
            }
        }
        for eater in eaters { eater.kill() }  // they hold nothing: every bun was eaten
        print("\(buns) buns were put on the counter, and all were eaten")
    }

    func counter() throws -> JobQueue { try JobQueue("counter", kind: "bun", in: JobStore(path)) }

    /// Producers: three threads, one queue. What is on the counter already, from a run before, counts.
    func cook() -> Int32 {
        attempt {
            let counter = try counter()
            let left = Share(buns - (try counter.counts().total))
            let atWork = Share(3)
            let finished = Lock()
            let changed = Condition(finished)
            for name in ["Anna", "Bruno", "Carla"] {
                try Thread.detach(name) {
                    _ = attempt { while left.take() { try counter.put("a bun of \(name)'s") } }
                    finished.withLock {
                        _ = atWork.take()
                        changed.notify()
                    }
                }
            }
            finished.withLock { while !atWork.isEmpty { changed.wait() } }
            guard try counter.counts().total >= buns else { throw SpoolError.empty }
        }
    }

    /// A consumer process: takes a bun, eats it, says so. What it throws would be a failure of the job, to be retried.
    func eat() -> Int32 {
        attempt {
            let counter = try counter()
            while true {
                try counter.work { bun in
                    guard !bun.body.bytes.isEmpty else { throw SpoolError.badInput("an empty bun") }
                    usleep(1000)  // chewing
                }
            }
        }
    }

    /// Joins: returns when every bun was eaten, however often eaters died meanwhile.
    func wait() -> Int32 {
        attempt { _ = try counter().join() }
    }

    private func attempt(_ body: () throws -> Void) -> Int32 {
        do {
            try body()
            return 0
        } catch {
            print("kitchen: \(error)")
            return 1
        }
    }
}

/// A number that threads count down together.
final class Share: @unchecked Sendable {  // touched with the lock held only
    private let lock = Lock()
    private var left: Int

    init(_ left: Int) { self.left = left }

    /// Takes one; false when nothing is left.
    func take() -> Bool {
        lock.withLock {
            left -= 1
            return left >= 0
        }
    }

    var isEmpty: Bool { lock.withLock { left <= 0 } }
}
