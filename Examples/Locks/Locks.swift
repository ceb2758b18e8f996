// Locks.swift - a hundred threads that each take one from a hundred: without a lock, and with one.
//
//     swift run Locks

import Spool
import Synchronization

@main
enum Locks {
    static func main() throws {
        print("without a lock: \(try race()) of 100 are left")
        print("with a lock: \(try cure()) of 100 are left")
    }

    /// Everybody reads before anybody writes: what the others took is lost. A barrier makes the worst case sure.
    static func race() throws -> Int {
        let left = Atomic(100)
        let everybodyHasRead = Barrier(100)
        try run(100) {
            let seen = left.load(ordering: .relaxed)
            try everybodyHasRead.wait()
            left.store(seen - 1, ordering: .relaxed)
        }
        return left.load(ordering: .relaxed)
    }

    /// One at a time reads and writes.
    static func cure() throws -> Int {
        let left = Atomic(100)
        let lock = Lock()
        try run(100) {
            lock.withLock {
                let seen = left.load(ordering: .relaxed)
                Pause.briefly(upTo: .microseconds(100))
                left.store(seen - 1, ordering: .relaxed)
            }
        }
        return left.load(ordering: .relaxed)
    }

    static func run(_ count: Int, _ body: @escaping @Sendable () throws -> Void) throws {
        let threads = (0..<count).map { _ in Thread(body) }
        for thread in threads { try thread.start() }
        for thread in threads { try thread.join() }
    }
}
