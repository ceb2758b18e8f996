// PoolWaitCases.swift - cases about threads that wait for a pool's futures: one of them reads the answers itself.

import Glibc
import SpoolProcesses
import SpoolQueues
import SpoolThreads
import Synchronization

private let patience = Duration.seconds(30)

/// The calling thread reads the pool's answers when it waits for one: it had to sleep for another before.
private func becomeReader(_ pool: ProcessPool) throws {
    for number in 0..<20 {
        try check(pool.submit(square, number).result(timeout: patience) == number * number, "value")
    }
}

/// Why a future has no result.
private func error<Value>(of future: Future<Value>, _ timeout: Duration = patience) -> SpoolError? {
    do { _ = try future.result(timeout: timeout) } catch { return error as? SpoolError }
    return nil
}

/// How often the pool's own thread has gone to sleep.
private func sleeps() throws -> Int {
    guard let number = Thread.enumerate().first(where: { $0.name == "pool answers" })?.ident else {
        throw Untrue(description: "the pool has no thread")
    }
    guard let file = fopen("/proc/self/task/\(number)/status", "r") else {
        throw Untrue(description: "its status cannot be read")
    }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, Int32(line.count), file) != nil {
        let words = String(
            decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self
        )
        .split { $0.isWhitespace }
        if words.first == "voluntary_ctxt_switches:" { return words.last.flatMap { Int($0) } ?? 0 }
    }
    throw Untrue(description: "its status tells no switches")
}

/// Looks until the pool's thread sleeps on from one look to the next, a hundred times.
private func checkRest(line: Int = #line) throws {
    let deadline = Deadline(after: patience)
    var (count, same) = (try sleeps(), 0)
    while same < 100 {
        try check(!deadline.isPast, "the pool's thread wakes up for nothing", line: line)
        Pause.briefly(upTo: .milliseconds(1))
        let now = try sleeps()
        (count, same) = (now, now == count ? same + 1 : 0)
    }
}

/// A task that runs until its connection is told, and a thread that reads while it waits for it.
private func read(
    _ pool: ProcessPool, _ listener: Listener,
    _ wait: @escaping @Sendable (Future<Int32>) throws -> Void
) throws -> (Connection, Thread) {
    let thread = Thread(onUncaught: { fatalError("\($0)") }) {
        try becomeReader(pool)
        try wait(pool.submit(gate, listener.address))
    }
    try thread.start()
    let connection = try listener.accept(timeout: patience)
    let _: Int32 = try connection.recv()
    return (connection, thread)
}

let poolWaits: [String: Case] = [
    "callbacks": { method in
        let pool = try ProcessPool(maxWorkers: 2, method: method)
        let own = UInt(pthread_self())
        let caller = Atomic<UInt>(0)
        for _ in 0..<10 {
            let (listener, waiting) = try held(pool, 1)
            try becomeReader(pool)
            // While the first future is waited for here, the callback of the second lets its task go on.
            let connection = waiting[0].connection
            let other = Thread {
                Pause.briefly(upTo: .milliseconds(2))
                try pool.submit(square, 3).addDoneCallback { _ in
                    caller.store(UInt(pthread_self()), ordering: .relaxed)
                    try connection.sendBytes([])
                }
            }
            try other.start()
            try check(waiting[0].future.result(timeout: patience) == waiting[0].pid, "it goes on")
            try other.join()
            try check(caller.load(ordering: .relaxed) != own, "callbacks run in the pool's thread")
            listener.close()
        }
        try becomeReader(pool)
        let called = Event()
        try pool.submit(square, 3).addDoneCallback { _ in called.set() }
        try check(called.wait(timeout: patience), "a callback that nobody waits beside is called")
        pool.shutdown()
    },
    "cancelled": { method in
        let pool = try ProcessPool(maxWorkers: 1, method: method)
        for _ in 0..<20 {
            try becomeReader(pool)
            let (listener, waiting) = try held(pool, 1)
            let next = try pool.submit(square, 1)
            let pending = try pool.submit(square, 2)
            let thread = Thread {
                Pause.briefly(upTo: .milliseconds(2))
                pending.cancel()
            }
            try thread.start()
            do {
                _ = try pending.result(timeout: patience)
                throw Untrue(description: "a cancelled future has a result")
            } catch is CancellationError {}
            try thread.join()
            try waiting[0].connection.sendBytes([])
            try check(next.result(timeout: patience) == 1, "the others go on")
            listener.close()
        }
        pool.shutdown()
    },
    "limits": { method in
        let pool = try ProcessPool(maxWorkers: 1, method: method)
        try becomeReader(pool)
        let (listener, waiting) = try held(pool, 1)
        guard case .timedOut = error(of: waiting[0].future, .milliseconds(5)) else {
            throw Untrue(description: "the time is up")
        }
        try waiting[0].connection.sendBytes([])
        try check(waiting[0].future.result(timeout: patience) == waiting[0].pid, "ends well")
        listener.close()
        pool.shutdown()
    },
    "rests": { method in
        let pool = try ProcessPool(maxWorkers: 1, method: method)
        let listener = try Listener()
        for _ in 0..<5 {
            let (connection, reader) = try read(pool, listener) { future in
                _ = try future.result(timeout: patience)
            }
            try checkRest()
            try connection.sendBytes([])
            try check(reader.join(timeout: patience), "the one that reads has its result")
            try checkRest()
        }
        pool.shutdown()
    },
    "rings": { method in
        let pool = try ProcessPool(maxWorkers: 2, method: method)
        let listener = try Listener()
        for _ in 0..<3 {
            let late = Event()
            let (connection, reader) = try read(pool, listener) { future in
                guard case .timedOut = error(of: future, .milliseconds(500)) else {
                    throw Untrue(description: "the time is up")
                }
                late.set()
                while !future.done { Pause.briefly(upTo: .milliseconds(1)) }
            }
            try checkRest()
            let called = Event()
            try pool.submit(square, 3).addDoneCallback { _ in called.set() }
            try check(called.wait(timeout: patience), "a callback is called beside")
            try check(late.wait(timeout: patience), "the time is up")
            try connection.sendBytes([])
            try check(reader.join(timeout: patience), "what nobody waits for any more is read")
        }
        let (connection, reader) = try read(pool, listener) { future in
            guard case .noWorker = error(of: future) else {
                throw Untrue(description: "a pool that is killed ends the wait")
            }
        }
        try checkRest()
        pool.kill()
        pool.shutdown()
        try check(reader.join(timeout: patience), "the wait has ended")
        connection.close()
    },
    "dies": { method in
        let pool = try ProcessPool(maxWorkers: 1, method: method)
        try becomeReader(pool)
        let (listener, waiting) = try held(pool, 1)
        kill(waiting[0].pid, SIGKILL)
        guard case .noWorker = error(of: waiting[0].future) else {
            throw Untrue(description: "it fails")
        }
        let (other, more) = try held(pool, 1)
        let killer = Thread {
            Pause.briefly(upTo: .milliseconds(5))
            pool.kill()
        }
        try killer.start()
        guard case .noWorker = error(of: more[0].future) else {
            throw Untrue(description: "a pool that is killed ends the wait")
        }
        try killer.join()
        listener.close()
        other.close()
    },
    "many": { method in
        let pool = try ProcessPool(maxWorkers: 2, method: method)
        try becomeReader(pool)
        let wrong = Atomic<Int>(0)
        let threads = (0..<6).map { first in
            Thread {
                for number in first..<(first + 300) {
                    let value = try? pool.submit(square, number).result(timeout: patience)
                    if value != number * number { wrong.add(1, ordering: .relaxed) }
                }
            }
        }
        for thread in threads { try thread.start() }
        for thread in threads { try thread.join() }
        try check(wrong.load(ordering: .relaxed) == 0, "each thread gets its values")
        try becomeReader(pool)
        pool.shutdown()
    },
]
