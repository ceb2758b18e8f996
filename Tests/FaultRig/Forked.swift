// Forked.swift - processes with a store that fork, as programs with the library do.

private import CSpool
private import Glibc
@testable private import SpoolJobs
private import SpoolThreads

enum Forked {
    /// What was open when the program began.
    private static let given = (0..<Int32(1024)).filter { fcntl($0, F_GETFD) >= 0 }

    /// Forks with a claim, prints the child's process id and ends; the child lives on.
    static func live(in directory: String) throws -> Never {
        _ = given
        let store = try claiming(directory)
        try take(store)
        end(leaving: fork())
    }

    /// The same, but another thread forks while the file of the claim's lock is being opened. For strace(1), which
    /// keeps that open(2) from returning for so long that the other thread sees what it has opened.
    static func meanwhile(in directory: String) throws -> Never {
        _ = given
        let store = try claiming(directory)
        let child = Child()
        let forker = Thread { [path = store.files.live] in
            while !isOpen(path) { Pause.yield() }
            child.pid = fork()
        }
        try forker.start()
        try take(store)
        try forker.join()
        end(leaving: child.pid)
    }

    /// Written by one thread, and read when it has ended.
    private final class Child: @unchecked Sendable {
        var pid: Int32 = 0
    }

    private static func claiming(_ directory: String) throws -> Store {
        let store = try Store.open(directory + "/jobs.db", .create)
        try store.put([NewJob(.kind("a"), body: .none)], now: .now())
        return store
    }

    private static func take(_ store: Store) throws {
        let owner = try store.register(name: "forks", consumers: 1, queues: "", now: .now())
        _ = try store.exchange(
            owner: owner, settle: [], take: 1, from: Selection(kinds: .all), now: .now()
        ) { 0 }
    }

    private static func fork() -> Int32 {
        let child = spool_fork()
        guard child == 0 else { return child }
        // Whoever started us waits for the end of what it gave us.
        for number in given { close(number) }
        while true { pause() }
    }

    private static func end(leaving child: Int32) -> Never {
        print(child)
        fflush(nil)
        _exit(0)
    }

    private static func isOpen(_ path: String) -> Bool {
        (0..<Int32(64)).contains { descriptor in
            var found = [CChar](repeating: 0, count: 4096)
            let count = readlink("/proc/self/fd/\(descriptor)", &found, found.count)
            guard count > 0 else { return false }
            return path.utf8.elementsEqual(found[..<count].map(UInt8.init(bitPattern:)))
        }
    }

    /// Forks in a transaction, a part of which has reached the log already, and the child lets go of the connection.
    /// Says what is wrong with the file then.
    static func inTransaction(in directory: String) throws -> Never {
        let store = try claiming(directory)
        var connection: Connection? = try Connection(store.files.database, .existing)
        try connection?.execute("PRAGMA cache_size=1; PRAGMA cache_spill=1; BEGIN IMMEDIATE")
        try connection?.execute(
            """
            WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
            INSERT INTO jobs(command) SELECT 'true' FROM n
            """)
        let child = spool_fork()
        if child == 0 {
            connection = nil
            _exit(0)
        }
        while waitpid(child, nil, 0) < 0, errno == EINTR {}
        try connection?.execute("COMMIT")
        let found = try store.check().count + (store.counts(queue: nil).ready == 5001 ? 0 : 1)
        print(found)
        fflush(nil)
        _exit(found == 0 ? 0 : 1)
    }
}
