// SharedLockBenchmark.swift - the shared locks, measured: one line of JSON. Benchmarks/sharedlocks/run drives it.
//
//   SharedLockBenchmark alone|crowd COUNT    acquire and release of a SharedLock, by one process or by four
//   SharedLockBenchmark units COUNT          the same of a SharedSemaphore, by one process
//   SharedLockBenchmark dead COUNT           from the SIGKILL of a holder to its lock in the hands of one that sleeps

import Glibc
import SpoolProcesses
import SpoolThreads

@main struct SharedLockBenchmark {
    static let processes = 4

    static func main() throws {
        let words = CommandLine.arguments
        guard words.count == 3, let count = Int(words[2]) else { exit(64) }
        switch words[1] {
        case "alone": try alone(count)
        case "crowd": try crowd(count)
        case "units": try units(count)
        case "dead": try dead(count)
        default: exit(64)
        }
    }

    static func alone(_ count: Int) throws {
        let lock = try SharedLock()
        try measure(count) { try use(lock, count) }
    }

    static func use(_ lock: SharedLock, _ count: Int) throws {
        for _ in 0..<count {
            try lock.acquire()
            lock.release()
        }
    }

    static func crowd(_ count: Int) throws {
        let lock = try SharedLock()
        try measure(count) {
            let users = (0..<processes).map { _ in
                ChildProcess(forking: { try use(lock, count / processes) })
            }
            for user in users { try user.start() }
            for user in users { try user.join() }
        }
    }

    static func units(_ count: Int) throws {
        let units = try SharedSemaphore(1)
        try measure(count) {
            for _ in 0..<count {
                try units.acquire()
                try units.release()
            }
        }
    }

    static func dead(_ count: Int) throws {
        var times: [Int64] = []
        let (lock, ready) = (try SharedLock(), try SharedSemaphore(0))
        for _ in 0..<count {
            let holder = ChildProcess(
                forking: {
                    try lock.acquire()
                    try ready.release()
                    while true { pause() }
                }, daemon: true)
            try holder.start()
            let number = holder.pid ?? 0
            try ready.acquire()
            // The one that kills is not the one that sleeps.
            let begin = Shared.page
            let killer = ChildProcess(forking: {
                letItSleep()
                begin.pointee = Int64(clamping: Deadline.now().nanoseconds)
                kill(number, SIGKILL)
            })
            try killer.start()
            try lock.acquire()
            times.append(Int64(clamping: Deadline.now().nanoseconds) - begin.pointee)
            lock.release()
            for child in [holder, killer] { try child.join() }
        }
        times.sort()
        print(
            "{\"items\": \(count), \"median\": \(times[count / 2]), \"worst\": \(times[count - 1])}"
        )
    }

    /// Long enough for the other one to fall asleep.
    static func letItSleep() { for _ in 0..<4 { Pause.briefly(upTo: .milliseconds(4)) } }

    static func measure(_ count: Int, _ body: () throws -> Void) rethrows {
        let (begin, cpu) = (Deadline.now().nanoseconds, processor())
        try body()
        let seconds = Double(Deadline.now().nanoseconds - begin) / 1e9
        print("{\"items\": \(count), \"seconds\": \(seconds), \"cpu\": \(processor() - cpu)}")
    }

    static func processor() -> Double {
        [RUSAGE_SELF, RUSAGE_CHILDREN].reduce(0) { sum, who in
            var usage = rusage()
            getrusage(__rusage_who_t(who.rawValue), &usage)
            let times = [usage.ru_utime, usage.ru_stime]
            return times.reduce(sum) { $0 + Double($1.tv_sec) + Double($1.tv_usec) / 1e6 }
        }
    }
}

/// A number that the forked processes share.
enum Shared {
    static let memory = try? SharedMemory.make(bytes: 4096)
    static var page: UnsafeMutablePointer<Int64> {
        guard let memory else { fatalError("no memory for one number") }
        return memory.base.assumingMemoryBound(to: Int64.self)
    }
}
