// Producer.swift - a producer of empty jobs in a process of its own, as Benchmarks/peers/client.py is for others.
//
//   StoreBenchmark FILE JOBS THREADS put|bulk|paced
//
// Says "ready" when the file is open, begins at the first byte on standard input, and prints the seconds it took. A job
// is `spool.noop` with 100 bytes, so that `spool work` drains it. put: one by one, from each thread. bulk: 10,000 in a
// call. paced: one at a time, the next some milliseconds after it has run.

import Glibc
import SpoolJobs
import SpoolThreads

struct Producer {
    let queue: JobQueue
    let jobs: Int
    let threads: Int
    private let body = [UInt8](repeating: 97, count: 100)

    init(_ file: String, jobs: Int, threads: Int) throws {
        queue = try JobQueue("bench", kind: "spool.noop", in: JobStore(file))
        _ = try queue.counts()
        self.jobs = jobs
        self.threads = threads
    }

    func run(_ way: String) throws {
        print("ready")
        fflush(nil)
        guard getchar() != EOF else { exit(1) }
        let begin = Deadline.now()
        switch way {
        case "bulk": try bulk()
        case "paced": try paced()
        default: try put()
        }
        print(Double((Deadline.now() - begin).nanoseconds) / 1e9)
    }

    private func put() throws {
        let crew = (0..<threads).map { _ in
            Thread { for _ in 0..<jobs / threads { try queue.put(body) } }
        }
        for thread in crew { try thread.start() }
        for thread in crew { try thread.join() }
    }

    private func bulk() throws {
        let many = [NewJob](repeating: NewJob(.kind(queue.kind), body: .bytes(body)), count: 10_000)
        for begin in stride(from: 0, to: jobs, by: many.count) {
            try queue.put(contentsOf: Array(many.prefix(jobs - begin)))
        }
    }

    private func paced() throws {
        for _ in 0..<jobs {
            usleep(UInt32.random(in: 2_000..<15_000))
            try queue.put(body)
            _ = try queue.join()
        }
    }
}
