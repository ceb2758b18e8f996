// PoolEdgeCases.swift - cases about pools in which something else goes wrong than a task.

import CSpool
import Glibc
import SpoolProcesses
import SpoolQueues
import SpoolThreads

private let patience = Duration.seconds(20)

private func remote(_ body: () throws -> Void) throws -> RemoteError {
    do {
        try body()
    } catch let error as RemoteError {
        return error
    }
    throw Untrue(description: "nothing was thrown")
}

let poolEdges: [String: Case] = [
    "numbers": { method in
        let pool = try ProcessPool(maxWorkers: .max, retries: .max, method: method)
        try check(pool.submit(square, 3).result(timeout: patience) == 9, "any number will do")
        let path = "/tmp/spool-fragile-\(getpid())"
        try check(pool.submit(fragile, path).result(timeout: patience) == 5, "it is tried again")
        unlink(path)
        pool.shutdown()
    },
    "answers": { method in
        // Whatever has no room in the queue of answers, its task is told so; nobody dies of it.
        let pool = try ProcessPool(maxWorkers: 1, method: method, bytes: 4096)
        let worker = try pool.submit(whoami).result(timeout: patience)
        let one = try remote { _ = try pool.submit(longText, 5000).result(timeout: patience) }
        try check(one.text.contains("the result of 'longText' has"), "\(one)")
        let chunk = try remote { _ = try pool.map(longText, 0..<200, chunk: 200).all() }
        try check(chunk.text.contains("a chunk of 200 results of 'longText' has"), "\(chunk)")
        let error = try remote { _ = try pool.submit(longError, 5000).result(timeout: patience) }
        try check(error.type == "LongError" && error.text.hasPrefix("begins"), "\(error)")
        try check(pool.submit(whoami).result(timeout: patience) == worker, "it is the same process")
        pool.shutdown()
    },
    "longInitializer": { method in
        let pool = try ProcessPool(
            maxWorkers: 1, method: method, bytes: 4096, initializer: longError, 5000)
        let error = try expectError { _ = try pool.submit(square, 1).result(timeout: patience) }
        try check(error.message.contains("initializer of the pool has thrown"), "\(error)")
        try check(error.message.contains("LongError"), "\(error)")
        pool.shutdown()
    },
    "forked": { method in
        // A process that is forked while there is a pool, and has one of its own, ends its own and no other.
        let pool = try ProcessPool(maxWorkers: 1, method: method)
        try check(pool.submit(square, 2).result(timeout: patience) == 4, "it works before")
        let child = spool_fork()
        if child == 0 {
            let own = try? ProcessPool(maxWorkers: 1)
            exit((try? own?.submit(square, 3).result(timeout: patience)) == 9 ? 0 : 1)
        }
        let limit = Deadline(after: patience)
        var status: Int32 = -1
        while waitpid(child, &status, WNOHANG) == 0, !limit.isPast {
            Pause.briefly(upTo: .milliseconds(1))
        }
        kill(child, SIGKILL)
        try check(status == 0, "it ended with \(status)")
        try check(pool.submit(square, 4).result(timeout: patience) == 16, "it works afterwards")
        pool.shutdown()
    },
    "inCallback": { method in
        // A callback may wait for another task of the pool, and for one that has a callback of its own.
        let pool = try ProcessPool(maxWorkers: 2, method: method)
        let found = Queue<Int>()
        let (listener, waiting) = try held(pool, 1)
        waiting[0].future.addDoneCallback { _ in
            let plain = try pool.submit(square, 5)
            try found.put(plain.result(timeout: patience))
            let watched = try pool.submit(square, 6)
            watched.addDoneCallback { try found.put($0.result()) }
            try found.put(watched.result(timeout: patience))
        }
        try waiting[0].connection.sendBytes([])
        let sum = try (0..<3).map { _ in try found.get(timeout: patience) }.reduce(0, +)
        try check(sum == 25 + 36 + 36, "\(sum)")
        listener.close()
        pool.shutdown()
    },
    "hiring": { method in
        // Threads submit at once to a new pool while its first process cannot be made: each is told, or has a future
        // that ends.
        try check(ProcessPool.with { try $0.submit(square, 2).result() } == 4, "all is made once")
        for round in 0..<160 {
            let pool = try ProcessPool(maxWorkers: 2, method: method)
            let (futures, start) = (Queue<Future<Int>>(), Barrier(8))
            let crew = (0..<8).map { number in
                Thread(onUncaught: { _ in }) {
                    try start.wait()
                    try futures.put(pool.submit(square, number))
                }
            }
            for thread in crew.dropLast() { try thread.start() }
            try withoutDescriptors(but: round % 16) {
                try crew[7].start()
                for thread in crew { try thread.join() }
            }
            while let future = try? futures.getNowait() {
                _ = try future.exception(timeout: patience)
            }
            // With descriptors again it works, unless it was given up.
            do {
                try check(pool.submit(square, 9).result(timeout: patience) == 81, "it works")
            } catch SpoolError.noWorker {
            } catch SpoolError.system {}
            pool.shutdown()
        }
    },
    "threads": { method in
        // There is memory for one thread more, and a pool of processes has two: the one that was started ends again.
        let before = Thread.countInKernel
        let pool = try ProcessPool(maxWorkers: 1, method: method)
        try withLittleMemory(12 << 20) {
            _ = try expectError { _ = try pool.submit(square, 1) }
        }
        let limit = Deadline(after: patience)
        while Thread.countInKernel > before, !limit.isPast { Pause.briefly(upTo: .milliseconds(1)) }
        try check(Thread.countInKernel == before, "\(Thread.countInKernel - before) were left")
        try check(pool.submit(square, 3).result(timeout: patience) == 9, "it works")
        pool.shutdown()
    },
    "noThread": { _ in
        // A pool of threads that never had one is gone with its handle.
        final class Token: Sendable {}
        weak var seen: Token?
        func tryIt() throws {
            let token = Token()
            seen = token
            let pool = ThreadPool(initializer: { _ = token })
            try withLittleMemory(1 << 20) { _ = try expectError { _ = try pool.submit {} } }
        }
        try tryIt()
        try check(seen == nil, "something holds it")
    },
    "stopped": { method in
        // The processes are stopped at random instants, in the midst of taking and answering too: the pool ends.
        for round in 0..<40 {
            let pool = try ProcessPool(maxWorkers: 2, method: method)
            try check(pool.submit(square, 2).result(timeout: patience) == 4, "it works")
            let pids = pool.workers
            for number in 0..<200 { _ = try pool.submit(square, number) }
            Pause.briefly(upTo: .microseconds(Int64.random(in: 0..<600)))
            for pid in pids { kill(pid, SIGSTOP) }
            let ending = Thread { pool.kill() }
            try ending.start()
            guard try ending.join(timeout: patience) else {
                for pid in pids { kill(pid, SIGKILL) }
                throw Untrue(description: "round \(round): the pool cannot be killed")
            }
        }
    },
]
