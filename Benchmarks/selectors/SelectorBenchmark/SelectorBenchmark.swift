// SelectorBenchmark.swift - what an event costs over each selector. Benchmarks/selectors/run calls it.
//
//     SelectorBenchmark EVENTS        one line of JSON: nanoseconds of processor time per event, by selector

import CSpool
import Glibc
import SpoolSelectors
import SpoolThreads

@main
enum SelectorBenchmark {
    /// How many pairs of sockets; each round makes one of each readable.
    static let width = 64

    static func main() throws {
        let events = CommandLine.arguments.dropFirst().first.flatMap(Int.init) ?? 1_000_000
        let rounds = max(1, events / width)
        let figures = [
            "epoll": try measure(try EpollSelector(), rounds),
            "epoll, edge": try measure(try EpollSelector(), rounds, .edge),
            "poll": try measure(try PollSelector(), rounds),
            "select": try measure(try SelectSelector(), rounds),
            "no selector": try withoutSelector(rounds),
        ]
        let fields = figures.sorted { $0.key < $1.key }.map { "\"\($0.key)\": \($0.value)" }
        print("{\(fields.joined(separator: ", "))}")
    }

    static func measure(
        _ selector: Selector, _ rounds: Int, _ how: Events = []
    ) throws -> Double {
        let pairs = try pairs()
        defer { close(pairs) }
        for pair in pairs { try selector.register(pair.reader, how.union(.read)) }
        var byte: UInt8 = 1
        let begin = processorTime()
        for _ in 0..<rounds {
            for pair in pairs { write(pair.writer, &byte, 1) }
            var left = pairs.count
            while left > 0 {
                left -= try selector.select(until: .never) { (key, _) throws(SpoolError) in
                    read(key.descriptor, &byte, 1)
                }
            }
        }
        return perEvent(begin, rounds)
    }

    /// The writes and reads alone.
    static func withoutSelector(_ rounds: Int) throws -> Double {
        let pairs = try pairs()
        defer { close(pairs) }
        var byte: UInt8 = 1
        let begin = processorTime()
        for _ in 0..<rounds {
            for pair in pairs { write(pair.writer, &byte, 1) }
            for pair in pairs { read(pair.reader, &byte, 1) }
        }
        return perEvent(begin, rounds)
    }

    static func pairs() throws -> [(writer: Int32, reader: Int32)] {
        try (0..<width).map { _ in
            var ends: [Int32] = [0, 0]
            let status = spool_socket_pair(Int32(SOCK_STREAM.rawValue), &ends)
            guard status == 0 else { throw SpoolError.system(call: "socketpair", errno: -status) }
            return (ends[0], ends[1])
        }
    }

    static func close(_ pairs: [(writer: Int32, reader: Int32)]) {
        for pair in pairs {
            Glibc.close(pair.writer)
            Glibc.close(pair.reader)
        }
    }

    static func perEvent(_ begin: Double, _ rounds: Int) -> Double {
        ((processorTime() - begin) / Double(rounds * width)).rounded()
    }

    /// Nanoseconds that this process has used.
    static func processorTime() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
    }
}
