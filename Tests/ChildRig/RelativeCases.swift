// RelativeCases.swift - cases about parents, siblings, grandchildren, and the process that forks them.

import CFaultZygote
import CSpool
import Glibc
import SpoolProcesses
import SpoolThreads

let relatives: [String: Case] = [
    "family": { method in
        try check(
            ChildProcess.parent == nil && ChildProcess.current.name == "MainProcess", "no parent")
        chdir("/usr")
        let pipe = try Pipe()
        let child = try started(family, pipe.second, method, name: "Anna", daemon: false)
        let told = try pipe.first.recv(Family.self)
        try check(told.parent == getpid() && told.parentName == "MainProcess", "\(told)")
        try check(told.name == "Anna" && !told.daemon && told.method == method, "\(told)")
        try check(told.isAlive && told.directory == "/usr", "\(told)")
        try child.kill()
        try child.join()
    },
    "orphan": { method in
        // The parent of the grandchild is killed; the test waits for the word of the grandchild.
        let pipe = try Pipe()
        let middle = ChildProcess(
            forking: {
                let child = ChildProcess(family, pipe.second, daemon: false, method: method)
                try child.start()
                pipe.second.close()
                while true { pause() }
            })
        try middle.start()
        pipe.second.close()
        _ = try pipe.first.recv(Family.self)
        try middle.kill()
        try check(pipe.first.recv(String.self) == "gone", "the grandchild sees its parent's end")
    },
    "daemons": { method in
        // As above, but a daemon ends with its parent however that dies.
        let (pipe, word) = (try Pipe(), try Pipe(duplex: false))
        let middle = ChildProcess(
            forking: {
                let begin: @Sendable () throws -> Void = {
                    try ChildProcess(talker, pipe.second, daemon: true, method: method).start()
                    try word.second.send(pipe.first.recv(Int32.self))
                }
                // Started by a thread that ends while the daemon works: the daemon does not end with it.
                if method == .fork { try begin() } else { try inPassingThread(begin) }
                pipe.second.close()
                try word.second.send("the thread has ended")
                while true { pause() }
            })
        try middle.start()
        pipe.second.close()
        let daemon = try word.first.recv(Int32.self)
        let _: String = try word.first.recv()
        try? pipe.first.sendBytes([7])
        try check((try? pipe.first.recvBytes()) == [7], "the daemon outlives its starter's thread")
        try middle.kill()
        // It held the last copy of the other end.
        try check(expectError { _ = try pipe.first.recvBytes() } == .endOfFile, "the daemon ended")
        try check(spool_wait_gone(daemon, 30_000) == 1, "the daemon ended")
    },
    "atExit": { method in
        let pipe = try Pipe(duplex: false)
        let middle = ChildProcess(
            forking: {
                try ChildProcess(sleeper, pipe.second, daemon: true, method: method).start()
                try ChildProcess(
                    work, Errand(order: Order(), answer: pipe.second), daemon: false, method: method
                ).start()
                pipe.second.close()
            })
        try middle.start()
        pipe.second.close()
        try middle.join()
        try check(middle.exitStatus?.exit == 0, "the middle one ends by itself")
        // Both have ended: the messages are here, and then the end.
        var messages = 0
        while case .some = try? pipe.first.recvBytes(timeout: .zero) { messages += 1 }
        try check(messages >= 1, "the child that is no daemon was waited for")
        try check(
            expectError { _ = try pipe.first.recvBytes(timeout: .zero) } == .endOfFile, "all ended")
    },
    "daemonChildren": { method in
        let pipe = try Pipe()
        let child = try started(inspect, pipe.second, method, daemon: true)
        try check(pipe.first.recv(String.self).contains("a daemon may have no children"), "refused")
        try child.join()
    },
    "nested": { method in
        let pipe = try Pipe()
        let order = Order(number: 7)
        let child = try started(passOn, Errand(order: order, answer: pipe.second), method)
        pipe.second.close()
        try check(
            pipe.first.recv(Order.self) == order && pipe.first.recv(Order.self) == order, "both")
        try child.join()
        try check(child.exitStatus?.exit == 0, "\(String(describing: child.exitStatus))")
    },
    "siblings": { method in
        let high = dup2(1, 250)
        try check(fcntl(high, F_GETFD) == 0, "a descriptor that exec would hand on")
        var counts: [Int] = []
        var children: [ChildProcess] = []
        for _ in 0..<8 {
            let pipe = try Pipe()
            children.append(try started(sleeper, pipe.second, method))
            let answer = try Pipe()
            let child = try started(count, answer.second, method)
            answer.second.close()
            counts.append(try answer.first.recv(Int.self))
            let ids = try answer.first.recv([Int32].self)
            try check(ids[0] != getpid() && ids[1] == child.pid, "threads of its own")
            answer.close()
            pipe.close()
        }
        // A fork has what is open here, but nothing of its siblings.
        let isClean = method == .fork || counts[0] <= 8
        try check(isClean && counts.last == counts.first, "descriptors in the children: \(counts)")
        for child in children { try child.kill() }
    },
    "interrupted": { method in try replaced(SIGINT) },
    "killed": { method in try replaced(SIGKILL) },
    "unheard": { _ in
        fault_zygote_arm()
        for number in 0..<8 {
            let child = try started(exits, "status", .forkServer)
            try child.join()
            let end = try child.exitStatus
            try check(end?.exit == 9, "child \(number): \(String(describing: end))")
        }
    },
    "stranger": { method in
        let pipe = try Pipe()
        let first = try started(sleeper, pipe.second, method)
        let child = ChildProcess(
            forking: {
                try check(ChildProcess.active.isEmpty, "a child has no siblings")
                let error = try expectError { try first.join() }
                try check(error.message.contains("no child of this process"), "\(error)")
                _ = try expectError { try first.kill() }
            })
        try child.start()
        try child.join()
        try check(child.exitStatus?.exit == 0 && first.isAlive, "the sibling is unharmed")
        try first.kill()
    },
    "forkAsking": { _ in
        let over = Event()
        let asking = Thread {
            while !over.isSet { try started(exits, "status", .forkServer).join() }
        }
        try asking.start()
        for number in 0..<20 {
            let ending = forked {
                let child = try started(exits, "status", .forkServer)
                try child.join()
                return try child.exitStatus?.exit == 9
            }
            try check(ending == 0, "a child of forked child \(number): \(ending)")
        }
        over.set()
        try asking.join()
    },
    "forkWatching": { _ in
        let (pipe, over) = (try Pipe(), Event())
        let child = try started(sleeper, pipe.second, .forkServer)
        let watching = Thread { while !over.isSet { _ = try child.isAlive } }
        try watching.start()
        for number in 0..<200 {
            let ending = forked { ChildProcess.active.isEmpty }
            try check(ending == 0, "forked child \(number): \(ending)")
        }
        over.set()
        try watching.join()
        try child.kill()
    },
    "any": { method in
        let pipe = try Pipe()
        let children = try (0..<3).map { _ in try started(sleeper, pipe.second, method) }
        for child in [2, 0, 1].map({ children[$0] }) {
            try child.kill()
            let found = try ChildProcess.waitForAny()
            try check(found?.child == child && found?.end.signal == SIGKILL, "the one that ended")
        }
        try check(ChildProcess.waitForAny() == nil, "there is none left")
        // The start of another one takes the end of those that have ended, and must not hide it.
        let early = try started(sleeper, pipe.second, method)
        try early.kill()
        _ = try Connection.wait(for: [early])
        let late = try started(sleeper, pipe.second, method)
        try check(ChildProcess.active == [late], "its end was taken")
        try check(ChildProcess.waitForAny()?.child == early, "and is told all the same")
        try late.kill()
        try check(ChildProcess.waitForAny()?.child == late, "as the other's")
    },
    "names": { method in
        let first = try started(exits, "", method)
        try check(first.name == "Process-1" && !first.daemon, first.name)
        try check(ChildProcess(exits, "", daemon: true).daemon, "as it was told")
        try check(ChildProcess(exits, "").method == .forkServer, "the ordinary method")
        let child = ChildProcess(
            forking: {
                let grandchild = ChildProcess(exits, "")
                try check(grandchild.name == "Process-3:1", grandchild.name)
            }, name: "Process-3")
        try child.start()
        try child.join()
        try check(child.exitStatus?.exit == 0, "names of grandchildren")
    },
]

/// The zygote is this process's only other child. It gets a signal; children can still be started, and live on.
private func replaced(_ signal: Int32) throws {
    let pipe = try Pipe()
    let before = try started(sleeper, pipe.second, .forkServer)
    let zygote = children().filter { $0 != before.pid }
    try check(zygote.count == 1, "one zygote: \(zygote)")
    kill(zygote[0], signal)
    for _ in 0..<3 {
        let child = try started(exits, "status", .forkServer)
        try child.join()
        try check(child.exitStatus?.exit == 9, "a new child after the signal")
    }
    try check(before.isAlive, "an old child lives on")
    let now = children().filter { $0 != before.pid }
    try check(now.count == 1 && (now == zygote) == (signal == SIGINT), "\(zygote) became \(now)")
    try before.kill()
}

/// Runs `body` in a thread that has ended when this returns, for the kernel too: it has told the thread's children.
func inPassingThread(_ body: @escaping @Sendable () throws -> Void) throws {
    let thread = Thread(onUncaught: { fatalError("\($0)") }, body)
    try thread.start()
    let number = thread.ident ?? 0
    try thread.join()
    let deadline = Deadline(after: .seconds(30))
    while access("/proc/self/task/\(number)", F_OK) == 0 {
        try check(!deadline.isPast, "the thread ends")
        Pause.briefly(upTo: .milliseconds(1))
    }
}

/// Runs `body` in a child by fork(2), and gives its wait status: 0 if it is true. It has ten seconds, then an alarm.
private func forked(_ body: () throws -> Bool) -> Int32 {
    let child = spool_fork()
    if child == 0 {
        alarm(10)
        _exit((try? body()) == true ? 0 : 1)  // an error is as bad as a false one
    }
    let deadline = Deadline(after: .seconds(20))
    var status: Int32 = -1
    while waitpid(child, &status, WNOHANG) == 0 {
        // It may hang before it can set its alarm.
        if deadline.isPast { kill(child, SIGKILL) }
        Pause.briefly(upTo: .milliseconds(1))
    }
    return status
}

/// The children of this process, from /proc.
func children() -> [Int32] {
    guard let file = fopen("/proc/self/task/\(getpid())/children", "r") else { return [] }
    defer { fclose(file) }
    var text = [CChar](repeating: 0, count: 4096)
    guard fgets(&text, Int32(text.count), file) != nil else { return [] }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        .split(separator: " ").compactMap { Int32($0) }
}
