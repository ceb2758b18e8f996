// Waiters.swift - what it costs to have many threads or tasks wait for a job of a file.
//
//   StoreBenchmark FILE JOBS THREADS waiting
//   StoreBenchmark FILE JOBS TASKS waiting-tasks
//
// So many threads or tasks wait in `get`. Prints what the process costs while nothing happens for ten seconds, then, for jobs
// that are put one at a time, how often its threads went to sleep per job, and the memory of each waiter.

import Glibc
import SpoolJobs
import SpoolThreads

struct Waiters {
    let file: String
    let jobs: Int
    let count: Int
    let areTasks: Bool

    func run() throws {
        let store = try JobStore(file)
        let queue = try JobQueue("work", in: store)
        let before = memory()
        let (arrived, taken) = (Semaphore(0), Semaphore(0))
        for _ in 0..<count { try start(queue, arrived, taken) }
        for _ in 0..<count { arrived.acquire() }
        sleep(3)
        let each = (memory() - before) / count
        let idle = usage()
        sleep(10)
        let used = usage().microseconds - idle.microseconds
        let begin = usage()
        for _ in 0..<jobs {
            try queue.put("x")
            taken.acquire()
        }
        let slept = usage().switches - begin.switches
        print("\(count) waiting: \(Double(used) / 100_000) % of a core, \(each) bytes each;")
        print("\(Double(slept) / Double(jobs)) sleeps of all threads per job that was put")
    }

    private func start(
        _ queue: JobQueue, _ arrived: SpoolThreads.Semaphore, _ taken: SpoolThreads.Semaphore
    ) throws {
        if areTasks {
            Task {
                arrived.release()
                while true {
                    try await queue.taskDone(queue.get())
                    taken.release()
                }
            }
            return
        }
        try Thread(daemon: true, stackSize: 64 << 10) {
            arrived.release()
            while true {
                try queue.taskDone(queue.get())
                taken.release()
            }
        }.start()
    }

    private func usage() -> (microseconds: Int, switches: Int) {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        let times = [usage.ru_utime, usage.ru_stime]
        return (
            times.reduce(0) { $0 + $1.tv_sec * 1_000_000 + Int($1.tv_usec) }, usage.ru_nvcsw
        )
    }

    /// Bytes that are in memory; 0 where /proc cannot be read.
    private func memory() -> Int {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 128)
        guard fgets(&line, 128, file) != nil else { return 0 }
        let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self)
        return (Int(text.split(separator: " ").dropFirst().first ?? "0") ?? 0) * 4096
    }
}
