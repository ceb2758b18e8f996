// StoreBenchmark.swift - what a job costs in the store alone: put, claim, finish, in one thread without processes.
//
//   StoreBenchmark FILE JOBS BATCH [only-put]
//   StoreBenchmark FILE JOBS THREADS threads
//   StoreBenchmark FILE JOBS THREADS put|bulk|paced      see Producer.swift
//   StoreBenchmark FILE JOBS THREADS waiting             see Waiters.swift; also waiting-tasks
//
// With `threads` that many threads put one job after the other through a JobQueue, and the jobs per second are printed.
// Else, per batch: puts BATCH jobs of 100 bytes in one transaction; then finishes the batch before and claims the next
// in one. With `only-put` it only puts.

import Glibc
import SpoolJobs
import SpoolThreads

@main struct StoreBenchmark {
    static func main() throws {
        let words = CommandLine.arguments
        guard words.count >= 4, let jobs = Int(words[2]), let batch = Int(words[3]), jobs > 0,
            batch > 0
        else {
            print("StoreBenchmark FILE JOBS BATCH [only-put]   or   FILE JOBS THREADS threads")
            exit(64)
        }
        if words.count > 4, words[4] == "threads" { return try putFrom(batch, jobs, words[1]) }
        if words.count > 4, words[4].hasPrefix("waiting") {
            let areTasks = words[4] == "waiting-tasks"
            return try Waiters(file: words[1], jobs: jobs, count: batch, areTasks: areTasks).run()
        }
        if words.count > 4, words[4] != "only-put" {
            return try Producer(words[1], jobs: jobs, threads: batch).run(words[4])
        }
        let store = try Store.open(words[1], .create)
        let owner = try store.register(name: "benchmark", consumers: 1, queues: "", now: .now())
        let body = Body.bytes([UInt8](repeating: 97, count: 100))
        let batchOfJobs = [NewJob](repeating: NewJob(.kind("work"), body: body), count: batch)
        let selection = Selection(queues: [], kinds: .all)
        var held: [Outcome] = []
        for _ in 0..<jobs / batch {
            try store.put(batchOfJobs, now: .now())
            if words.count > 4 { continue }
            held = try exchange(store, owner, held, batch, selection)
        }
        _ = try exchange(store, owner, held, 0, selection)
        try store.retire(owner: owner, now: .now())
    }

    private static func putFrom(_ threads: Int, _ jobs: Int, _ file: String) throws {
        let queue = try JobQueue("work", in: JobStore(file))
        let body = [UInt8](repeating: 97, count: 100)
        let begin = Deadline.now()
        let crew = (0..<threads).map { _ in
            Thread { for _ in 0..<jobs / threads { try queue.put(body) } }
        }
        for thread in crew { try thread.start() }
        for thread in crew { try thread.join() }
        let took = Double((Deadline.now() - begin).nanoseconds) / 1e9
        print("\(Int(Double(jobs / threads * threads) / took)) puts/s from \(threads) threads")
    }

    private static func exchange(
        _ store: Store, _ owner: Int64, _ held: [Outcome], _ take: Int, _ selection: Selection
    ) throws -> [Outcome] {
        let now = UnixTime.now()
        let result = try store.exchange(
            owner: owner, settle: held, take: take, from: selection, now: now
        ) { 0.5 }
        precondition(result.claimed.count == take, "the store gave \(result.claimed.count) jobs")
        return result.claimed.map {
            Outcome($0.claim, .done, Run(started: now, ended: now, pid: 1))
        }
    }
}
