// Futures.swift - the tutorial's pool and futures: work for a few threads, and what becomes of it.
//
//     swift run Futures [pool | callback | completed | ending]
//
// Without a word: the first three.

import Glibc
import Spool

@main
enum Futures {
    static func main() throws {
        switch CommandLine.arguments.dropFirst().first {
        case nil:
            try pool()
            try callback()
            try completed()
        case "pool": try pool()
        case "callback": try callback()
        case "completed": try completed()
        case "ending": try ending()
        case let word?:
            print("Futures: there is no '\(word)'; there are pool, callback, completed, ending.")
            exit(64)
        }
    }

    /// Ten tasks for eight threads, and one for each element of an array, with the results in order.
    static func pool() throws {
        try withThreadPool(maxWorkers: 8) { pool in
            let futures = try (0..<10).map { number in
                try pool.submit { "work-\(number) is done" }
            }
            for future in futures { print(try future.result()) }
            let doubled = try pool.map([1, 2, 3, 45], timeout: .seconds(60)) { 2 * $0 }
            while let number = try doubled.next() { print(number) }
        }
    }

    /// What a task returned or threw, told to a callback.
    static func callback() throws {
        let tell: @Sendable (Future<Int>) throws -> Void = { future in
            if let error = try future.exception() {
                print("exception \(error)")
            } else {
                print("result \(try future.result())")
            }
        }
        try withThreadPool(maxWorkers: 1) { pool in
            try pool.submit { try work("123") }.addDoneCallback(tell)
            try pool.submit { try work("one") }.addDoneCallback(tell)
            let last = try pool.submit { try work("3") }
            // A callback that throws is reported on stderr, and nobody else is troubled.
            last.addDoneCallback { _ in throw NotANumber(text: "callback") }
            last.addDoneCallback(tell)
        }
    }

    /// Whichever is done first comes first.
    static func completed() throws {
        let gate = Queue<String>()
        try withThreadPool(maxWorkers: 2) { pool in
            let slow = try pool.submit { try gate.get() }
            let quick = try pool.submit { "quick" }
            for future in Future.asCompleted([slow, quick]) {
                print(try future.result())
                if future == quick { try gate.put("slow") }
            }
        }
    }

    /// The program ends while tasks are left: they are still done, but nothing more is taken.
    static func ending() throws {
        let pool = ThreadPool(maxWorkers: 1)
        let hasEnded = try pool.submit {
            while true {
                do {
                    try pool.submit { () }.cancel()
                } catch {
                    return error
                }
            }
        }
        hasEnded.addDoneCallback { print("submit: \(try $0.result())") }
        try pool.submit { print("the last task is done") }
        print("main returns")
    }

    /// The tutorial's work: a number, or an error.
    static func work(_ text: String) throws -> Int {
        guard let number = Int(text) else { throw NotANumber(text: text) }
        return number
    }
}

struct NotANumber: Error, CustomStringConvertible {
    let text: String
    var description: String { "'\(text)' is not a number" }
}
