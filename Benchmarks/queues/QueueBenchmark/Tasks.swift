// Tasks.swift - the cases with tasks, and those with many that wait.

import SpoolQueues
import SpoolThreads

/// A consumer of an AsyncSequence beside a producer thread.
func items(_ count: Int) async throws {
    let queue = Queue<Int>()
    let meter = Meter()
    try Thread.detach("producer") {
        for item in 0..<count { expect { try queue.put(item) } }
        queue.shutdown()
    }
    var seen = 0
    for await _ in queue.items { seen += 1 }
    precondition(seen == count, "the benchmark lost items")
    meter.report(count)
}

/// The same with AsyncStream.
func stream(_ count: Int) async {
    let (stream, continuation) = AsyncStream.makeStream(of: Int.self)
    let meter = Meter()
    expect {
        try Thread.detach("producer") {
            for item in 0..<count { continuation.yield(item) }
            continuation.finish()
        }
    }
    var seen = 0
    for await _ in stream { seen += 1 }
    precondition(seen == count, "the benchmark lost items")
    meter.report(count)
}

/// CPU while many threads wait, and how often the process is woken by one put.
func idleThreads(_ count: Int) throws {
    let queue = Queue<Int>()
    let woken = Queue<Int>()
    let bodies: [@Sendable () -> Void] = (0..<count).map { _ in
        { expect { try woken.put(try queue.get()) } }
    }
    for body in bodies { try Thread.detach("waiter", body) }
    try observe(count, queue, woken)
}

/// As ``idleThreads(_:)`` with tasks.
func idleTasks(_ count: Int) async throws {
    let queue = Queue<Int>()
    let woken = Queue<Int>()
    let tasks = (0..<count).map { _ in
        Task { try await woken.put(try await queue.get()) }
    }
    try observe(count, queue, woken)
    for task in tasks { try await task.value }
}

/// All wait: looks for two seconds, then puts one item at a time, each of which must wake one.
private func observe(_ count: Int, _ queue: Queue<Int>, _ woken: Queue<Int>) throws {
    while queue.waiting < count { Pause.briefly(upTo: .milliseconds(1)) }
    let nothing = Queue<Void>()
    let before = Meter.cpu()
    _ = try? nothing.get(timeout: .seconds(2))  // its end is that the time is up
    let idle = Double(Meter.cpu() - before) / 2e9
    let puts = min(count, 1000)
    let meter = Meter()
    for item in 0..<puts {
        try queue.put(item)
        _ = try woken.get()
    }
    let wakes = Double(count - queue.waiting) / Double(puts)
    meter.report(puts, ",\"idleCPU\":\(idle),\"wakesPerPut\":\(wakes)")
    for item in puts..<count { try queue.put(item) }
    for _ in puts..<count { _ = try woken.get() }
}
