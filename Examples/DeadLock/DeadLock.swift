// DeadLock.swift - two threads that take two locks in opposite order, and what helps.
//
//     swift run DeadLock

import Spool

@main
enum DeadLock {
    static func main() throws {
        try deadLock()
        try recursion()
    }

    /// Each holds what the other wants. A time limit ends it: the first gives up, and the second can go on.
    static func deadLock() throws {
        let (lockA, lockB) = (Lock(), Lock())
        let (hasA, hasB) = (Event(), Event())
        let first = Thread(name: "first") {
            try lockA.withLock {
                print("first: has lock A")
                hasA.set()
                hasB.wait()
                if try !lockB.acquire(timeout: .milliseconds(200)) {
                    print("first: dead lock, gives up lock A")
                }
            }
        }
        let second = Thread(name: "second") {
            hasA.wait()
            lockB.withLock {
                print("second: has lock B")
                hasB.set()
                lockA.withLock { print("second: has both locks") }
            }
        }
        for thread in [first, second] { try thread.start() }
        for thread in [first, second] { try thread.join() }
    }

    /// One lock for both, and one that its holder may take again: the tutorial's cure.
    static func recursion() throws {
        let lockA = RLock()
        let lockB = lockA
        let threads = (0..<10).map { number in
            Thread(name: "thread \(number)") {
                lockA.withLock { lockB.withLock {} }
                lockB.withLock { lockA.withLock {} }
            }
        }
        for thread in threads { try thread.start() }
        for thread in threads { try thread.join() }
        print("RLock: \(threads.count) threads took it twice over, none is stuck")
    }
}
