// LifeCases.swift - cases about one child: its start, its life and its end.

import CSpool
import Glibc
import SpoolProcesses
import SpoolThreads

let life: [String: Case] = [
    "arguments": { method in
        let pipe = try Pipe()
        let order = Order(number: -5, name: "包子")
        let child = try started(work, Errand(order: order, answer: pipe.second), method)
        pipe.second.close()
        try check(pipe.first.recv(Order.self) == order, "the input arrives unchanged")
        try child.join()
        try check(child.exitStatus?.code == 0 && child.exitStatus?.reason == nil, "it ended well")
    },
    "large": { method in
        let order = Order(name: String(repeating: "x", count: 5 << 20))
        let pipe = try Pipe()
        let child = try started(work, Errand(order: order, answer: pipe.second), method)
        try check(pipe.first.recv(Order.self) == order, "five megabytes arrive")
        try child.join()
    },
    "terminate": { method in try ends(by: SIGTERM, method) { try $0.terminate() } },
    "kill": { method in try ends(by: SIGKILL, method) { try $0.kill() } },
    "sentinel": { method in
        let pipe = try Pipe()
        let child = ChildProcess(sleeper, pipe.second, method: method)
        _ = try expectError { _ = try child.sentinel }
        try child.start()
        let sentinel = try child.sentinel
        _ = try pipe.first.recv(Int32.self)
        try check(Connection.wait(for: [sentinel], timeout: .zero).isEmpty, "it runs")
        try child.kill()
        try check(Connection.wait(for: [child, sentinel]) == [0, 1], "ready after the end")
        try child.join()
        try check(Connection.wait(for: [sentinel], timeout: .zero) == [0], "and it stays ready")
    },
    "active": { method in
        let pipe = try Pipe()
        let child = ChildProcess(sleeper, pipe.second, method: method)
        try check(ChildProcess.active.isEmpty, "it is not listed before the start")
        try child.start()
        try check(ChildProcess.active == [child], "it is listed while it runs")
        try child.kill()
        try child.join()
        try check(ChildProcess.active.isEmpty, "it is not listed after the join")
    },
    "close": { method in
        let pipe = try Pipe()
        let child = try started(sleeper, pipe.second, method)
        let running = try expectError { try child.close() }
        try check(running.message.contains("still runs"), running.message)
        try child.kill()
        try child.join()
        try child.close()
        try child.close()
        let uses: [() throws -> Void] = [
            { try child.join() }, { try child.kill() }, { try child.terminate() },
            { _ = try child.isAlive }, { _ = try child.exitStatus }, { _ = try child.sentinel },
            { _ = try Connection.wait(for: [child]) },
        ]
        for use in uses {
            let error = try expectError { try use() }
            try check(error.code == "closed", "\(error)")
        }
        try check(expectError { try child.start() }.code == "usage", "it cannot start again")
    },
    "released": { method in
        final class Token: @unchecked Sendable {}
        weak var token: Token?
        var child: ChildProcess?
        do {
            let strong = Token()
            token = strong
            child = ChildProcess(forking: { withExtendedLifetime(strong) {} })
        }
        try check(token != nil, "it is held until the start")
        try child?.start()
        try check(token == nil, "it is released at the start")
        try child?.join()
        weak var gone = child
        child = nil
        try check(gone == nil, "nothing holds a child that was joined")
    },
    "errors": { method in
        let child = try started(fail, "the oven is cold", method, name: "baker")
        try child.join()
        try check(child.exitStatus?.reason == "exit 1", "\(String(describing: child.exitStatus))")
    },
    "exits": { method in
        let statuses: [(String, Int32)] = [
            ("", 0), ("exit", 8), ("status", 9), ("text", 1), ("closed", 0), ("thread", 0),
        ]
        for (way, status) in statuses {
            let child = try started(exits, way, method)
            try child.join()
            try check(
                child.exitStatus?.exit == status, "\(way): \(String(describing: child.exitStatus))")
        }
    },
    "streams": { method in
        for number in Int32(0)..<3 { close(number) }
        let child = try started(noise, "nobody reads", method)
        try child.join()
        guard try child.exitStatus?.exit == 0 else { exit(7) }
    },
    "output": { method in
        print("once", terminator: "")
        let child = try started(noise, " child", method)
        try child.join()
        print(" parent")
    },
    "server": { method in
        let pipe = try Pipe()
        let child = try started(server, pipe.second, method)
        pipe.second.close()
        for number in 1...5 {
            try pipe.first.send(Int?.some(number))
            try check(pipe.first.recv(Int.self) == number * number, "it answers")
        }
        try pipe.first.send(Int?.none)
        try child.join()
        try check(child.exitStatus?.exit == 0, "it stops when it is told")
    },
    "many": { method in try many(method, short: 100, long: 100) },
    "few": { method in try many(method, short: 12, long: 12) },
    "unregistered": { method in
        let stranger = ChildEntry("stranger") { (_: Int) in }
        let error = try expectError { try ChildProcess(stranger, 1, method: method).start() }
        try check(error.description.contains("'stranger' is not registered"), "\(error)")
        try check(ChildProcess.active.isEmpty, "nothing was started")
    },
    "twice": { method in
        let child = try started(noise, "", method)
        try check(expectError { try child.start() }.message.contains("already"), "it runs once")
        try check(expectError { try ChildProcess(noise, "").join() }.code == "usage", "not started")
        try child.join()
    },
    "threads": { method in
        let (hold, parked) = (Parker(), Parker())
        try Thread(daemon: true) {
            parked.tell(1)
            _ = hold.wait()
        }.start()
        _ = parked.wait()
        if method == .fork {
            let error = try expectError { try ChildProcess(noise, "", method: method).start() }
            try check(error.message.contains("2 threads"), "\(error)")
        } else {
            let child = try started(noise, "", method)
            try child.join()
            try check(child.exitStatus?.exit == 0, "other threads are not in the way")
        }
    },
    "descriptors": { method in
        _ = try started(noise, "", method).join()  // what is made once is made now
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(7), &limit)
        limit.rlim_cur = 64
        setrlimit(__rlimit_resource_t(7), &limit)
        var taken: [Int32] = []
        while case let number = dup(0), number >= 0 { taken.append(number) }
        let error = try expectError { _ = try started(noise, "", method) }
        try check(error.description.contains("Too many open files"), "\(error)")
        _ = try expectError { _ = try Pipe() }
        for number in taken { close(number) }
        let child = try started(noise, "", method)
        try child.join()
        try check(child.exitStatus?.exit == 0, "it works again")
        try check(ChildProcess.active.isEmpty, "what could not start is not listed")
    },
]

private func ends(
    by signal: Int32, _ method: StartMethod, _ end: (ChildProcess) throws -> Void
) throws {
    let pipe = try Pipe()
    let child = try started(sleeper, pipe.second, method)
    try check(pipe.first.recv(Int32.self) == child.pid, "it knows its process id")
    try check(child.isAlive && child.exitStatus == nil, "it lives")
    try check(
        !child.join(timeout: .zero) && !child.join(timeout: .seconds(-1)), "a look ends at once")
    try end(child)
    try check(child.join(timeout: .seconds(30)), "join returns after the end")
    try check(!child.isAlive, "it lives no more")
    try check(
        child.exitStatus?.signal == signal && child.exitStatus?.code == -signal, "by the signal")
    try end(child)
    try check(kill(child.pid ?? 0, 0) != 0, "no zombie is left")
}

private func many(_ method: StartMethod, short: Int, long: Int) throws {
    let before = openDescriptors()
    var children: [ChildProcess] = []
    for _ in 0..<short { children.append(try started(exits, "", method)) }
    for child in children { try child.join() }
    try check(children.allSatisfy { (try? $0.exitStatus)??.exit == 0 }, "short ones end well")
    let pipe = try Pipe()
    let sleepers = try (0..<long).map { _ in try started(sleeper, pipe.second, method) }
    for _ in sleepers { _ = try pipe.first.recv(Int32.self) }
    try check(ChildProcess.active.count == long, "all are listed")
    for child in sleepers { try child.terminate() }
    for child in sleepers { try child.join() }
    try check(
        sleepers.allSatisfy { (try? $0.exitStatus)??.signal == SIGTERM }, "long ones are ended")
    for child in children + sleepers { try child.close() }
    pipe.close()
    // The zygote's two stay.
    try check(openDescriptors() <= before + 2, "\(before) descriptors became \(openDescriptors())")
}
