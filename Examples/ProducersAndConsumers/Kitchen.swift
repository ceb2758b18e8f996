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
        var eaters = [try fork(eat), try fork(eat)]
        var cooks = try fork(cook)
        var waiter: ChildProcess?
        while let (child, end) = try ChildProcess.waitForAny() {
            let isDone = end.exit == 0
            if let index = eaters.firstIndex(of: child) {
                eaters[index] = try fork(eat)
            } else if child == cooks {
                if isDone {
                    waiter = try fork(wait)
                } else {
                    cooks = try fork(cook)
                }
            } else if child == waiter {
                if isDone { break }
                waiter = try fork(wait)
            }
        }
        for eater in eaters { try eater.kill() }  // they hold nothing: every bun was eaten
        print("\(buns) buns were put on the counter, and all were eaten")
    }

    /// A child that ends with its parent.
    func fork(_ body: @escaping () throws -> Void) throws -> ChildProcess {
        let child = ChildProcess(forking: body, daemon: true)
        try child.start()
        return child
    }

    func counter() throws -> JobQueue { try JobQueue("counter", kind: "bun", in: JobStore(path)) }

    /// Producers: three threads, one queue. What is on the counter already, from a run before, counts.
    func cook() throws {
        let counter = try counter()
        let left = Share(buns - (try counter.counts().total))
        for name in ["Anna", "Bruno", "Carla"] {
            try Thread(name: name) {
                while left.take() { try counter.put("a bun of \(name)'s") }
            }.start()
        }
        Thread.joinAll()
        guard try counter.counts().total >= buns else { throw SpoolError.empty }
    }

    /// A consumer process: takes a bun, eats it, says so. What it throws would be a failure of the job, to be retried.
    func eat() throws {
        let counter = try counter()
        while true {
            try counter.work { bun in
                guard !bun.body.bytes.isEmpty else { throw SpoolError.badInput("an empty bun") }
                usleep(1000)  // chewing
            }
        }
    }

    /// Joins: returns when every bun was eaten, however often eaters died meanwhile.
    func wait() throws { try counter().join() }
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
}
