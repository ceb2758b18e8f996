// ChildBenchmark.swift - what child processes, pipes and pools cost; one case each time it runs, as a line of JSON.
//
//     ChildBenchmark start METHOD COUNT    from start() until the child's word has arrived
//     ChildBenchmark idle METHOD COUNT     memory that an idle child has for itself alone
//     ChildBenchmark pipe SIZE COUNT       a message to a child and back
//     ChildBenchmark submit COUNT          a task of a pool and its result, one after the other
//     ChildBenchmark map CHUNK COUNT       as many tasks as can be

import Glibc
import SpoolProcesses
import SpoolQueues
import SpoolThreads

let hello = ChildEntry("hello") { (answer: Connection) in try answer.sendBytes([1]) }

let idle = ChildEntry("idle") { (answer: Connection) in
    try answer.sendBytes([1])
    while true { pause() }
}

let echo = ChildEntry("echo") { (connection: Connection) in
    while true { try connection.sendBytes(connection.recvBytes()) }
}

let square = ChildEntry("square") { (number: Int) -> Int in number * number }

@main
enum ChildBenchmark {
    static func main() throws {
        ChildProcess.serveIfAsked(hello, idle, echo, square)
        let words = CommandLine.arguments.dropFirst().map { $0 }
        switch (words.first, words.count) {
        case ("start", 3): try start(method(words[1]), number(words[2]))
        case ("idle", 3): try idling(method(words[1]), number(words[2]))
        case ("pipe", 3): try roundTrips(number(words[1]), number(words[2]))
        case ("submit", 2): try submit(number(words[1]))
        case ("map", 3): try map(number(words[1]), number(words[2]))
        default: throw SpoolError.usage("see the head of ChildBenchmark.swift.")
        }
    }

    static func number(_ text: String) throws -> Int {
        guard let number = Int(text), number > 0 else {
            throw SpoolError.usage("'\(text)' is no count.")
        }
        return number
    }

    static func method(_ text: String) throws -> StartMethod {
        guard let method = StartMethod(rawValue: text) else {
            throw SpoolError.usage("'\(text)' is no start method.")
        }
        return method
    }

    static func measure(_ count: Int, _ body: () throws -> Void) rethrows {
        let begin = Deadline.now().nanoseconds
        try body()
        let seconds = Double(Deadline.now().nanoseconds - begin) / 1e9
        print("{\"items\": \(count), \"seconds\": \(seconds)}")
    }

    static func start(_ method: StartMethod, _ count: Int) throws {
        _ = try one(method)  // the fork server is there from now on
        let nanoseconds = try (0..<count).reduce(0) { sum, _ in sum + (try one(method)) }
        print("{\"items\": \(count), \"seconds\": \(Double(nanoseconds) / 1e9)}")
    }

    /// Nanoseconds until the child's word.
    private static func one(_ method: StartMethod) throws -> UInt64 {
        let begin = Deadline.now().nanoseconds
        let pipe = try Pipe(duplex: false)
        let child = ChildProcess(hello, pipe.second, method: method)
        try child.start()
        _ = try pipe.first.recvBytes()
        let end = Deadline.now().nanoseconds
        try child.join()
        try child.close()
        return end - begin
    }

    static func idling(_ method: StartMethod, _ count: Int) throws {
        let pipe = try Pipe(duplex: false)
        let children = try (0..<count).map { _ in
            let child = ChildProcess(idle, pipe.second, daemon: true, method: method)
            try child.start()
            return child
        }
        for _ in children { _ = try pipe.first.recvBytes() }
        let kibibytes = children.reduce(0) { $0 + privateKibibytes($1.pid ?? 0) } / count
        print("{\"items\": 1, \"kib\": \(kibibytes)}")
        for child in children { try child.kill() }
    }

    /// Pages of no other process. See Private_ in proc_pid_smaps_rollup(5).
    private static func privateKibibytes(_ pid: Int32) -> Int {
        guard let file = fopen("/proc/\(pid)/smaps_rollup", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 200)
        var sum = 0
        while fgets(&line, Int32(line.count), file) != nil {
            let text = String(
                decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            guard text.hasPrefix("Private_") else { continue }
            sum += text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        }
        return sum
    }

    static func roundTrips(_ size: Int, _ count: Int) throws {
        let pipe = try Pipe()
        let child = ChildProcess(echo, pipe.second, daemon: true)
        try child.start()
        let message = [UInt8](repeating: 1, count: size)
        func there() throws {
            try pipe.first.sendBytes(message)
            _ = try pipe.first.recvBytes()
        }
        try there()
        try measure(count) { for _ in 0..<count { try there() } }
    }

    static func submit(_ count: Int) throws {
        try ProcessPool.with(maxWorkers: 2) { pool in
            for number in 0..<10 { _ = try pool.submit(square, number).result() }
            try measure(count) {
                for number in 0..<count { _ = try pool.submit(square, number).result() }
            }
        }
    }

    static func map(_ chunk: Int, _ count: Int) throws {
        try ProcessPool.with(maxWorkers: 2) { pool in
            _ = try pool.map(square, 0..<10).all()
            try measure(count) { _ = try pool.map(square, 0..<count, chunk: chunk).all() }
        }
    }
}
