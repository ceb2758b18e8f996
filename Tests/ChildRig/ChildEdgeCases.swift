// ChildEdgeCases.swift - cases about what a process leaves behind at its end, and what several threads ask of children.

import Glibc
import SpoolProcesses
import SpoolQueues
import SpoolThreads
import Synchronization

private let patience = Duration.seconds(30)

let childEdges: [String: Case] = [
    "poolsAtEnd": { method in
        // The child ends without a word to its pools: what was submitted is done first.
        let path = "/tmp/spool-rig-\(getpid())"
        let child = try started(leaveWork, path, method, daemon: false)
        try child.join()
        try check(child.exitStatus?.exit == 0, "\(String(describing: child.exitStatus))")
        let size = lseek(open(path, O_RDONLY), 0, SEEK_END)
        unlink(path)
        try check(size == 4 * 10, "\(size) of 40 tasks were done")
    },
    "anyOnce": { method in
        // Several threads wait for any: each end is told to one of them.
        for _ in 0..<10 {
            let told = Queue<ObjectIdentifier>()
            let children = try (0..<12).map { _ in try started(exits, "", method) }
            let crew = (0..<4).map { _ in
                Thread(onUncaught: { fatalError("\($0)") }) {
                    while let found = try ChildProcess.waitForAny() {
                        try told.put(ObjectIdentifier(found.child))
                    }
                }
            }
            for thread in crew { try thread.start() }
            for thread in crew { try thread.join() }
            try check(told.count == children.count, "\(told.count) of 12 ends were told")
        }
        let closed = try started(exits, "", method)
        _ = try Connection.wait(for: [closed])
        try check(ChildProcess.active.isEmpty, "its end was taken")
        try closed.close()
        try check(ChildProcess.waitForAny() == nil, "one that was closed is not told")
    },
    "watchedStart": { method in
        // Another thread asks about children while they start, and sees their end before the start has returned.
        let next = Mutex<Box?>(nil)
        let over = Event()
        let watching = Thread {
            while !over.isSet {
                if let box = next.withLock({ $0 }) { _ = try? box.child.isAlive }
            }
        }
        try watching.start()
        for _ in 0..<150 {
            let child = ChildProcess(exits, "", method: method)
            next.withLock { $0 = Box(child) }
            try child.start()
            try check(child.join(timeout: patience), "it ends")
        }
        over.set()
        try watching.join()
        try check(ChildProcess.active.isEmpty, "none that has ended is on the list")
    },
    "locksLeft": { _ in
        // A thread that goes on and on uses one lock after the other, each of which another thread lets go.
        let (locks, used) = (Queue<SharedSemaphore>(), Queue<Void>())
        let user = Thread(daemon: true) {
            while true {
                try locks.get().withAcquired {}
                try used.put(())
            }
        }
        try user.start()
        let before = openDescriptors()
        for _ in 0..<200 {
            let lock = try SharedSemaphore(1)
            try locks.put(lock)
            try used.get()
            withExtendedLifetime(lock) {}
        }
        let more = openDescriptors() - before
        try check(more < 40, "\(more) descriptors of 200 locks that are gone are still open")
    },
]

/// Leaves behind what it has submitted to pools of all kinds: dropped, and kept.
let leaveWork = ChildEntry("leaveWork") { (path: String) in
    for isKept in [false, true] {
        let (threads, processes) = (ThreadPool(maxWorkers: 2), try ProcessPool(maxWorkers: 2))
        for _ in 0..<10 {
            try threads.submit { append(path) }
            try processes.submit(appending, path)
        }
        if isKept {
            leftThreads.withLock { $0 = threads }
            leftProcesses.withLock { $0 = processes }
        }
    }
}

private let leftThreads = Mutex<ThreadPool?>(nil)
private let leftProcesses = Mutex<ProcessPool?>(nil)

let appending = ChildEntry("appending") { (path: String) in append(path) }

/// Adds a byte to a file, after a while.
private func append(_ path: String) {
    Pause.briefly(upTo: .milliseconds(5))
    let file = open(path, O_WRONLY | O_APPEND | O_CREAT, 0o600)
    write(file, "x", 1)
    close(file)
}
