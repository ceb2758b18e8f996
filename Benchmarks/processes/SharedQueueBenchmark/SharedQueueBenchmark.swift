// SharedQueueBenchmark.swift - a shared queue at work between processes; prints one line of JSON.
//
//     SharedQueueBenchmark queue PRODUCERS CONSUMERS BYTES COUNT     items of bytes: put, got, done, joined
//     SharedQueueBenchmark values PRODUCERS CONSUMERS COUNT          the same with a struct of 64 bytes
//     SharedQueueBenchmark alone BYTES COUNT                         in one process
//     SharedQueueBenchmark handoff COUNT                             to a process that sleeps in get, and back
//
// Benchmarks/processes/run runs it beside its yardsticks.

import CSpool
import Glibc
import SpoolProcesses
import SpoolThreads

/// 64 bytes without references.
struct Block: SharedItem, BitwiseCopyable {
    var words: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) =
        (1, 2, 3, 4, 5, 6, 7, 8)
}

@main
struct SharedQueueBenchmark {
    static func main() throws {
        let words = CommandLine.arguments
        let numbers = words.dropFirst(2).compactMap { Int($0) }
        switch (words.dropFirst().first ?? "", numbers.count) {
        case ("queue", 4):
            try between(
                numbers[0], numbers[1], numbers[3], [UInt8](repeating: 7, count: numbers[2]))
        case ("values", 3): try between(numbers[0], numbers[1], numbers[2], Block())
        case ("alone", 2): try alone(numbers[1], [UInt8](repeating: 7, count: numbers[0]))
        case ("handoff", 1): try handoff(numbers[0])
        default: print("see the head of SharedQueueBenchmark.swift")
        }
    }

    /// Room for 1,000 items of any size here, four times over.
    static let room = 1 << 24

    static func between<Item: SharedItem>(
        _ producers: Int, _ consumers: Int, _ count: Int, _ item: Item
    ) throws {
        let queue = try SharedQueue<Item>(maxsize: 1000, bytes: room)
        let start = try SharedQueue<Int>()
        let getters = try (0..<consumers).map { _ in
            try forked {
                while let _ = try? queue.get() { try queue.taskDone() }
            }
        }
        let putters = try (0..<producers).map { _ in
            try forked {
                _ = try start.get()
                for _ in 0..<count / producers { try queue.put(item) }
            }
        }
        let begin = Deadline.now().nanoseconds
        for _ in putters { try start.put(1) }
        for putter in putters { reap(putter) }
        try queue.join()
        let end = Deadline.now().nanoseconds
        queue.shutdown()
        for getter in getters { reap(getter) }
        report(count / producers * producers, end - begin, who: RUSAGE_CHILDREN.rawValue)
    }

    static func alone<Item: SharedItem>(_ count: Int, _ item: Item) throws {
        let queue = try SharedQueue<Item>(maxsize: 1000, bytes: room)
        let begin = Deadline.now().nanoseconds
        for _ in 0..<count {
            try queue.put(item)
            _ = try queue.get()
            try queue.taskDone()
        }
        report(count, Deadline.now().nanoseconds - begin, who: RUSAGE_SELF.rawValue)
    }

    static func handoff(_ count: Int) throws {
        let (there, back) = (try SharedQueue<Int>(), try SharedQueue<Int>())
        let echo = try forked {
            for _ in 0..<count {
                try back.put(try there.get())
                try there.taskDone()
            }
        }
        let begin = Deadline.now().nanoseconds
        for item in 0..<count {
            try there.put(item)
            _ = try back.get()
            try back.taskDone()
        }
        let end = Deadline.now().nanoseconds
        reap(echo)
        report(2 * count, end - begin, who: RUSAGE_CHILDREN.rawValue)
    }

    /// Runs `body` in a child; this process has one thread.
    static func forked(_ body: () throws -> Void) throws -> Int32 {
        let child = spool_fork()
        guard child == 0 else { return child }
        do { try body() } catch { _exit(1) }
        _exit(0)
    }

    static func reap(_ child: Int32) {
        var status: Int32 = 0
        waitpid(child, &status, 0)
        if status != 0 { print("a process failed: \(status)") }
    }

    static func report(_ items: Int, _ nanoseconds: UInt64, who: __rusage_who_t) {
        var usage = rusage()
        getrusage(who, &usage)
        let times = [usage.ru_utime, usage.ru_stime]
        let cpu = times.reduce(0) { $0 + Double($1.tv_sec) + Double($1.tv_usec) / 1e6 }
        print(#"{"items":\#(items),"seconds":\#(Double(nanoseconds) / 1e9),"cpu":\#(cpu)}"#)
    }
}
