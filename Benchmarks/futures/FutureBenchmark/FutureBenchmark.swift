// FutureBenchmark.swift - runs one case once and prints one line of JSON; ../run compares.

import Glibc
import SpoolQueues
import SpoolThreads

@main enum FutureBenchmark {
    static func main() async throws {
        let words = CommandLine.arguments.dropFirst()
        let numbers = words.dropFirst().compactMap(Int.init)
        guard let count = numbers.last, let workers = numbers.first, numbers.count == 2 else {
            print("FutureBenchmark CASE WORKERS COUNT; the cases stand in FutureBenchmark.swift")
            exit(64)
        }
        switch words.first {
        case "submit": try submit(workers, count)
        case "results": try results(workers, count)
        case "roundtrip": try roundtrip(workers, count)
        case "map": try map(workers, count, chunk: 1)
        case "chunks": try map(workers, count, chunk: 100)
        case "completed": try completed(workers, count)
        case "await": try await tasks(workers, count)
        default: exit(64)
        }
    }
}

/// A pool whose threads are there, and the begin of the time.
private func warm(_ workers: Int) throws -> (ThreadPool, Meter) {
    let pool = ThreadPool(maxWorkers: workers)
    _ = try pool.submit { 0 }.result()
    return (pool, Meter())
}

/// Submits all, then waits for all at once.
private func submit(_ workers: Int, _ count: Int) throws {
    let (pool, meter) = try warm(workers)
    let futures = try (0..<count).map { number in try pool.submit { number } }
    try Future.wait(futures)
    meter.report(count)
}

/// Submits all, then asks each for its result.
private func results(_ workers: Int, _ count: Int) throws {
    let (pool, meter) = try warm(workers)
    let futures = try (0..<count).map { number in try pool.submit { number } }
    var sum = 0
    for future in futures { sum += try future.result() }
    meter.report(count, ",\"sum\":\(sum)")
}

/// One at a time.
private func roundtrip(_ workers: Int, _ count: Int) throws {
    let (pool, meter) = try warm(workers)
    var sum = 0
    for number in 0..<count { sum += try pool.submit { number }.result() }
    meter.report(count, ",\"sum\":\(sum)")
}

private func map(_ workers: Int, _ count: Int, chunk: Int) throws {
    let (pool, meter) = try warm(workers)
    let sum = try pool.map(0..<count, chunk: chunk) { $0 }.all().reduce(0, +)
    meter.report(count, ",\"sum\":\(sum)")
}

private func completed(_ workers: Int, _ count: Int) throws {
    let (pool, meter) = try warm(workers)
    let futures = try (0..<count).map { number in try pool.submit { number } }
    var sum = 0
    for future in Future.asCompleted(futures) { sum += try future.result() }
    meter.report(count, ",\"sum\":\(sum)")
}

private func tasks(_ workers: Int, _ count: Int) async throws {
    let (pool, meter) = try warm(workers)
    let futures = try (0..<count).map { number in try pool.submit { number } }
    var sum = 0
    for future in futures { sum += try await future.value }
    meter.report(count, ",\"sum\":\(sum)")
}

/// What was spent since it was made.
private struct Meter {
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
