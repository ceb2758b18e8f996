// StoreBenchmark.swift - what a job costs in the store alone: put, claim, finish, in one thread without processes.
//
//   StoreBenchmark FILE JOBS BATCH [put]
//
// Per batch: puts BATCH jobs of 100 bytes in one transaction; then finishes the batch before and claims the next in
// one. With `put` it only puts.

import Glibc
import SpoolJobs
import SpoolThreads

@main struct StoreBenchmark {
    static func main() throws {
        let words = CommandLine.arguments
        guard words.count >= 4, let jobs = Int(words[2]), let batch = Int(words[3]), jobs > 0,
            batch > 0
        else {
            print("StoreBenchmark FILE JOBS BATCH [put]")
            exit(64)
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
