// PoolCases.swift - cases about pools of processes.

import CSpool
import Glibc
import SpoolProcesses
import SpoolQueues
import SpoolThreads

let pools: [String: Case] = [
    "submit": { method in
        let pool = try ProcessPool(maxWorkers: 2, method: method)
        try check(pool.workers.isEmpty, "no process before the first task")
        try check(pool.submit(square, 7).result() == 49, "the value comes back")
        let first = try pool.submit(whoami).result()
        try check(first != getpid() && pool.workers == [first], "in another process")
        for _ in 0..<5 { try check(pool.submit(whoami).result() == first, "an idle one is reused") }
        pool.shutdown()
        try check(
            pool.workers.isEmpty && spool_wait_gone(first, 0) == 1, "the processes have ended")
        try check(expectError { try pool.submit(whoami) } == .shutDown, "it takes no more")
        pool.shutdown()
        var escaped: ProcessPool?
        try ProcessPool.with(maxWorkers: 1) { escaped = $0 }
        _ = try expectError { try escaped?.submit(whoami) }
    },
    "map": { method in
        let pool = try ProcessPool(maxWorkers: 3, method: method)
        let wanted = (0..<500).map { $0 * $0 }
        for chunk in [1, 7, 500, 1000] {
            try check(pool.map(square, 0..<500, chunk: chunk).all() == wanted, "chunks of \(chunk)")
        }
        for chunk in [1, 9] { try check(pool.map(square, [], chunk: chunk).all() == [], "nothing") }
        _ = try expectError { _ = try pool.map(square, 0..<3, chunk: 0) }
        _ = try expectError { _ = try pool.map(square, 0..<3, timeout: .seconds(-1)) }
        pool.shutdown()
    },
    "errors": { method in
        try ProcessPool.with(maxWorkers: 2) { pool in
            // An input that cannot be encoded is the caller's error.
            let pipe = try Pipe()
            _ = try expectError { try pool.submit(connected, pipe.first) }
            _ = try expectError { try pool.submit(ChildEntry("stranger") { (_: Int) in }, 1) }
            for moment in [Trouble.Moment.decoding, .running, .encoding] {
                for _ in 0..<20 {
                    let future = try pool.submit(troubled, Trouble(moment, .error))
                    let error = try future.exception() as? RemoteError
                    let text = "trouble while \(moment.rawValue)"
                    try check(
                        error?.type == "SpoolError" && error?.text == text,
                        "\(String(describing: error))")
                }
            }
            let results = try pool.map(
                troubled, [Trouble(.never, .error), Trouble(.running, .error)])
            try check(results.next() != nil, "results before the error are given")
            do {
                _ = try results.next()
                throw Untrue(description: "no error")
            } catch is RemoteError {}
            try check(pool.submit(square, 3).result() == 9, "the pool is as before")
        }
    },
    "deaths": { method in
        let pool = try ProcessPool(maxWorkers: 2, method: method)
        let (listener, waiting) = try held(pool, 1)
        for way in [Trouble.Way.exit, .crash] {
            for moment in [Trouble.Moment.decoding, .running, .encoding] {
                let error = try pool.submit(troubled, Trouble(moment, way)).exception()
                guard case .noWorker(let text) = error as? SpoolError else {
                    throw Untrue(description: "\(String(describing: error))")
                }
                try check(text.contains("has died"), text)
                try check(pool.submit(square, 4).result() == 16, "the pool goes on")
            }
        }
        // The one in the other process was not harmed by six deaths.
        try waiting[0].connection.sendBytes([])
        try check(waiting[0].future.result() == waiting[0].pid, "other tasks are not concerned")
        listener.close()
        pool.shutdown()
    },
    "submitter": { method in
        // The process is made for the first task, by the thread that submits it, which ends while the task runs.
        let pool = try ProcessPool(maxWorkers: 1, method: method)
        let made = Queue<(Listener, [Waiting])>()
        try inPassingThread { try made.put(held(pool, 1)) }
        let (listener, waiting) = try made.get()
        try? waiting[0].connection.sendBytes([])
        try check(waiting[0].future.exception() == nil, "the process does not end with the thread")
        listener.close()
        pool.shutdown()
    },
    "killed": { method in
        let pool = try ProcessPool(maxWorkers: 2, method: method)
        let (listener, waiting) = try held(pool, 2)
        let later = try (0..<10).map { try pool.submit(square, $0) }
        kill(waiting[0].pid, SIGKILL)
        guard case .noWorker = try waiting[0].future.exception() as? SpoolError else {
            throw Untrue(description: "the task of the killed process fails")
        }
        for (number, future) in later.enumerated() {
            try check(future.result() == number * number, "the replacement does the rest")
        }
        try check(!waiting[1].future.done, "the other one goes on")
        try waiting[1].connection.sendBytes([])
        try check(waiting[1].future.result() == waiting[1].pid, "the other one ends well")
        listener.close()
        pool.shutdown()
    },
    "retries": { method in
        let pool = try ProcessPool(maxWorkers: 2, retries: 1, method: method)
        let path = "/tmp/spool-fragile-\(getpid())"
        try check(pool.submit(fragile, path).result() == 5, "the second try succeeds")
        unlink(path)
        let error = try pool.submit(troubled, Trouble(.running, .crash)).exception()
        guard case .noWorker = error as? SpoolError else {
            throw Untrue(description: "\(String(describing: error))")
        }
        pool.shutdown()
    },
    "storm": { method in
        // Processes are killed at random instants; every future ends, with its value or the death.
        let pool = try ProcessPool(maxWorkers: 3, retries: 2, method: method)
        var (values, deaths) = (0, 0)
        for _ in 0..<15 {
            let futures = try (0..<40).map { try pool.submit(square, $0) }
            for _ in 0..<3 {
                Pause.briefly(upTo: .microseconds(500))
                if let pid = pool.workers.randomElement() { kill(pid, SIGKILL) }
            }
            for (number, future) in futures.enumerated() {
                switch try future.exception(timeout: .seconds(30)) {
                case nil:
                    try check(future.result() == number * number, "the right value")
                    values += 1
                case SpoolError.noWorker?: deaths += 1
                case let error?: throw error
                }
            }
        }
        try check(values > deaths, "\(values) values, \(deaths) deaths")
        pool.shutdown()
        try check(children().count <= 1, "only the zygote is left")
    },
    "saturation": { method in
        let pool = try ProcessPool(maxWorkers: 3, method: method)
        let listener = try Listener()
        let futures = try (0..<45).map { _ in try pool.submit(gate, listener.address) }
        // Three wait at the gate, and nobody else comes until one of them may go on.
        var atGate = try (0..<3).map { _ in try listener.accept(timeout: .seconds(30)) }
        let pids = Set(try atGate.map { try $0.recv(Int32.self) })
        try check(pids.count == 3 && Set(pool.workers) == pids, "\(pids) of \(pool.workers)")
        for _ in 3..<45 {
            try atGate.removeFirst().sendBytes([])
            let next = try listener.accept(timeout: .seconds(30))
            try check(pids.contains(next.recv(Int32.self)), "no more than these three")
            atGate.append(next)
        }
        for connection in atGate { try connection.sendBytes([]) }
        for future in futures { _ = try future.result() }
        try check(Set(pool.workers) == pids, "no more than these three")
        pool.shutdown()
    },
    "lifetime": { method in
        let pool = try ProcessPool(maxWorkers: 2, maxTasksPerWorker: 10, method: method)
        var pids: [Int32: Int] = [:]
        for _ in 0..<60 { pids[try pool.submit(whoami).result(), default: 0] += 1 }
        try check(pids.values.allSatisfy { $0 <= 10 } && pids.count >= 6, "\(pids)")
        pool.shutdown()
        let short = try ProcessPool(maxWorkers: 2, maxTasksPerWorker: 1, method: method)
        let futures = try (0..<6).map { try short.submit(square, $0) }
        short.shutdown(wait: false)
        for (number, future) in futures.enumerated() {
            try check(future.result() == number * number, "all complete")
        }
        short.shutdown()
    },
    "limits": { method in
        for count in [0, -1] {
            _ = try expectError { _ = try ProcessPool(maxWorkers: count) }
            _ = try expectError { _ = try ProcessPool(maxTasksPerWorker: count) }
        }
        _ = try expectError { _ = try ProcessPool(retries: -1) }
        _ = try expectError { _ = try ProcessPool(method: .fork) }
        let pool = try ProcessPool(maxWorkers: 1, bytes: 8192)
        let text = ChildEntry("environment") { (name: String) -> String in name }
        _ = try expectError {
            _ = try pool.submit(text, String(repeating: "x", count: 20_000)).result()
        }
        try check(pool.submit(square, 2).result() == 4, "the pool is as before")
        pool.shutdown()
    },
    "noWait": { method in
        let pool = try ProcessPool(maxWorkers: 2, method: method)
        let (listener, waiting) = try held(pool, 2)
        let later = try (0..<5).map { try pool.submit(square, $0) }
        pool.shutdown(wait: false)
        for task in waiting { try task.connection.sendBytes([]) }
        try check(later.map { try $0.result() } == [0, 1, 4, 9, 16], "all is done")
        pool.shutdown()
        listener.close()
        try check(pool.workers.isEmpty, "and all have ended")
    },
    "ends": { method in
        let pool = try ProcessPool(maxWorkers: 2, method: method)
        let lost = try (0..<4).map { _ in try pool.submit(troubled, Trouble(.running, .crash)) }
        pool.shutdown()
        for future in lost {
            guard case .noWorker = try future.exception(timeout: .zero) as? SpoolError else {
                throw Untrue(description: "shutdown returns when the dead are known")
            }
        }
        let other = try ProcessPool(maxWorkers: 2, method: method)
        let pipe = try Pipe()
        _ = try expectError { try other.submit(connected, pipe.first) }
        let last = try other.submit(square, 5)
        other.shutdown(wait: false)
        try check(last.result() == 25, "the error of another task is not in the way")
    },
    "cancel": { method in
        let pool = try ProcessPool(maxWorkers: 1, method: method)
        let (listener, waiting) = try held(pool, 1)
        let later = try (0..<10).map { try pool.submit(square, $0) }
        try check(!waiting[0].future.cancel() && waiting[0].future.running, "it runs")
        try check(later[9].cancel() && later[9].cancelled, "what waits can be cancelled")
        pool.shutdown(wait: false, cancelFutures: true)
        try waiting[0].connection.sendBytes([])
        try check(waiting[0].future.result() == waiting[0].pid, "what runs ends well")
        pool.shutdown()
        let cancelled = later.filter(\.cancelled).count
        try check(cancelled >= 9 && later.allSatisfy(\.done), "\(cancelled) were cancelled")
        listener.close()
    },
    "kill": { method in
        let pool = try ProcessPool(maxWorkers: 2, method: method)
        let (listener, waiting) = try held(pool, 2)
        let later = try (0..<10_000).map { _ in try pool.submit(gate, listener.address) }
        pool.kill()
        try check(pool.workers.isEmpty, "the processes have ended")
        for task in waiting {
            guard case .noWorker = try task.future.exception() as? SpoolError else {
                throw Untrue(description: "what ran fails")
            }
        }
        try check(later.allSatisfy(\.done), "nothing is left to wait for")
        _ = try expectError { try pool.submit(whoami) }
        listener.close()
    },
    "initializer": { method in
        let pool = try ProcessPool(maxWorkers: 2, method: method, initializer: setUp, "kitchen")
        for _ in 0..<5 {
            try check(pool.submit(environment, "SPOOL_RIG").result() == "kitchen", "it ran before")
        }
        pool.shutdown()
        let broken = try ProcessPool(maxWorkers: 2, method: method, initializer: setUp, "")
        let error = try broken.submit(square, 1).exception() as? SpoolError
        try check(
            error?.message.contains("no name for the pool") == true, "\(String(describing: error))")
        try check(
            expectError { try broken.submit(square, 1) }.code == "no_worker", "it takes no more")
        broken.shutdown()
    },
    "nested": { method in
        let pipe = try Pipe()
        let child = try started(poolInside, pipe.second, method, daemon: false)
        pipe.second.close()
        try check(pipe.first.recv(Int.self) == 385, "a pool in a child works")
        try child.join()
        try check(child.exitStatus?.exit == 0, "\(String(describing: child.exitStatus))")
    },
    "threads": { method in
        // Pools are made by threads while others submit to them.
        let sums = Queue<Int>()
        let crew = (0..<6).map { _ in
            Thread {
                for _ in 0..<3 {
                    try ProcessPool.with(maxWorkers: 2) { pool in
                        try sums.put(pool.map(square, 1...4).all().reduce(0, +))
                    }
                }
            }
        }
        for thread in crew { try thread.start() }
        for thread in crew { try thread.join() }
        for _ in 0..<18 { try check(sums.get(timeout: .zero) == 30, "each pool did its work") }
    },
    "forgotten": { method in
        let pool = try ProcessPool(maxWorkers: 2, method: method)
        for number in 0..<20 { try pool.submit(speak, "task \(number)") }
        forgotten.append(pool)
    },
    "dropped": { method in
        var futures: [Future<Int>] = []
        do {
            let pool = try ProcessPool(maxWorkers: 2, method: method)
            futures = try (0..<20).map { try pool.submit(square, $0) }
        }
        try check(futures.map { try $0.result() } == (0..<20).map { $0 * $0 }, "all is done")
    },
    "tasks": { method in
        let done = Parker()
        Task {
            do {
                let pool = try ProcessPool(maxWorkers: 2, method: method)
                try check(await pool.submit(square, 6).value == 36, "awaited")
                try check(await pool.map(square, 1...3).all() == [1, 4, 9], "awaited")
                try await pool.shutdown()
                done.tell(1)
            } catch {
                print(error)
                done.tell(2)
            }
        }
        try check(done.wait() == 1, "for tasks")
    },
]

nonisolated(unsafe) private var forgotten: [ProcessPool] = []

/// A task that waits in a process of a pool.
struct Waiting {
    let future: Future<Int32>
    let connection: Connection
    let pid: Int32
}

func held(_ pool: ProcessPool, _ count: Int) throws -> (Listener, [Waiting]) {
    let listener = try Listener()
    let waiting = try (0..<count).map { _ in
        let future = try pool.submit(gate, listener.address)
        let connection = try listener.accept(timeout: .seconds(30))
        return Waiting(future: future, connection: connection, pid: try connection.recv())
    }
    return (listener, waiting)
}
