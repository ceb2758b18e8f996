// QueueBenchmark.swift - runs one case once and prints one line of JSON; ../run compares.

import Glibc
import SpoolQueues
import SpoolThreads

@main enum QueueBenchmark {
    static func main() async throws {
        let words = CommandLine.arguments.dropFirst()
        let numbers = words.dropFirst().compactMap(Int.init)
        let producers = numbers.first ?? 1
        let count = numbers.last ?? 1_000_000
        switch words.first {
        case "queue": try threads(Queue<Int>(maxsize: 1024), producers, count)
        case "lifo": try threads(LifoQueue<Int>(maxsize: 1024), producers, count)
        case "priority": try threads(PriorityQueue<Int>(maxsize: 1024), producers, count)
        case "unbounded": try threads(Queue<Int>(), producers, count)
        case "alone": try alone(count)
        case "handoff": try handoff(count)
        case "idle-threads": try idleThreads(count)
        case "idle-tasks": try await idleTasks(count)
        case "items": try await items(count)
        case "stream": await stream(count)
        default:
            print("QueueBenchmark CASE [PRODUCERS] COUNT; the cases stand in QueueBenchmark.swift")
            exit(64)
        }
    }
}

/// What was spent between two moments.
struct Meter {
    let wall = Deadline.now().nanoseconds
    let cpu = Meter.cpu()

    /// CPU nanoseconds of the process, all threads.
    static func cpu() -> UInt64 {
        var usage = rusage()
        getrusage(__rusage_who_t(0), &usage)
        let seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec
        let micros = usage.ru_utime.tv_usec + usage.ru_stime.tv_usec
        return UInt64(seconds) * 1_000_000_000 + UInt64(micros) * 1000
    }

    func report(_ count: Int, _ more: String = "") {
        let spent = Double(Deadline.now().nanoseconds - wall) / 1e9
        let cpu = Double(Meter.cpu() - cpu) / 1e9
        print("{\"items\":\(count),\"seconds\":\(spent),\"cpu\":\(cpu)\(more)}")
    }
}

/// Counts down to the end of some threads.
func together(_ bodies: [@Sendable () -> Void]) throws {
    let ended = Queue<Void>()
    for body in bodies {
        try Thread.detach("bench") {
            body()
            try? ended.put(())  // an unbounded queue that is open takes it
        }
    }
    for _ in bodies { try ended.get() }
}

/// As many producers as consumers.
func threads(_ queue: some JoinableQueue<Int>, _ producers: Int, _ count: Int) throws {
    let share = count / producers
    let meter = Meter()
    let produce: @Sendable () -> Void = {
        for item in 0..<share { expect { try queue.put(item) } }
    }
    let consume: @Sendable () -> Void = {
        for _ in 0..<share {
            expect {
                _ = try queue.get()
                try queue.taskDone()
            }
        }
    }
    try together((0..<producers).flatMap { _ in [produce, consume] })
    try queue.join()
    meter.report(count)
}

func alone(_ count: Int) throws {
    let queue = Queue<Int>(maxsize: 1024)
    let meter = Meter()
    for item in 0..<count {
        try queue.put(item)
        _ = try queue.get()
        try queue.taskDone()
    }
    meter.report(count)
}

/// There and back: two hand-offs to a thread that sleeps.
func handoff(_ count: Int) throws {
    let there = Queue<Int>()
    let back = Queue<Int>()
    let meter = Meter()
    try Thread.detach("echo") {
        for _ in 0..<count { expect { try back.put(try there.get()) } }
    }
    for item in 0..<count {
        try there.put(item)
        _ = try back.get()
    }
    meter.report(2 * count)
}

/// A failure would make the figures worthless.
func expect(_ body: () throws -> Void) {
    do { try body() } catch { preconditionFailure("the benchmark failed: \(error)") }
}
