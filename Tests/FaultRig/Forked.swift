// Forked.swift - a process that dies with a claim, and leaves a child that it has forked.

private import CSpool
private import Glibc
private import SpoolJobs
private import SpoolThreads

enum Forked {
    /// Prints the child's process id and ends.
    static func live(in directory: String) throws -> Never {
        let given = (0..<Int32(1024)).filter { fcntl($0, F_GETFD) >= 0 }
        let store = try Store.open(directory + "/jobs.db", .create)
        try store.put([NewJob(.kind("a"), body: .none)], now: .now())
        let owner = try store.register(name: "forks", consumers: 1, queues: "", now: .now())
        _ = try store.exchange(
            owner: owner, settle: [], take: 1, from: Selection(kinds: .all), now: .now()
        ) { 0 }
        let child = spool_fork()
        if child == 0 {
            // Whoever started us waits for the end of what it gave us.
            for number in given { close(number) }
            while true { pause() }
        }
        print(child)
        fflush(nil)
        _exit(0)
    }
}
