// Stopped.swift - puts of a program that has bounded its waits, beside a process that is stopped in its turn to write.

private import CSpool
private import Glibc
@testable private import SpoolJobs
private import SpoolThreads
private import Synchronization

/// The process that is stopped, and puts beside it.
struct Stopped {
    private let path: String
    private let leader: Int32

    /// Prints how each put ended, and the jobs that are there.
    static func live(in directory: String) throws -> Never {
        let path = directory + "/jobs.db"
        let child = spool_fork()
        if child == 0 {
            spool_die_with_parent()
            try? lead(path)
            _exit(0)
        }
        let rig = Stopped(path: path, leader: child)
        try rig.watch()
        try rig.put()
        let guest = try Guest(path, checkpoints: false)
        print(guest.rows("SELECT kind FROM jobs ORDER BY id").joined(separator: " "))
        fflush(nil)
        _exit(0)
    }

    private func put() throws {
        awaitStop()
        Store.boundGate(.milliseconds(300))
        let store = try Store.open(path, .existing)
        tell("seat", store)
        goOn()
        awaitStop()
        tell("late", store)
        try tellMany()
        // Should it be too slow to take the job in time it is posted again.
        try goOnOncePosted()
        while tell("taken", store, unless: "locked") == "locked" {}
        tell("late", store)
        goOn()
        awaitStop()
        tell("after", store)
    }

    @discardableResult
    private func tell(_ kind: String, _ store: Store, unless silent: String = "") -> String {
        var outcome = "put"
        do throws(SpoolError) {
            try store.put([NewJob(.kind(kind))], now: .now())
        } catch {
            outcome = error.code
        }
        if outcome != silent { print("\(kind): \(outcome)") }
        return outcome
    }

    /// Threads of one program that put at once.
    private func tellMany() throws {
        let queue = try JobQueue("rig", kind: "many", in: JobStore(path))
        let locked = Atomic(0)
        let threads = (0..<100).map { _ in
            Thread {
                do throws(SpoolError) {
                    try queue.put("")
                } catch  where error.code == "locked" {
                    locked.add(1, ordering: .relaxed)
                }
            }
        }
        for thread in threads { try thread.start() }
        for thread in threads { try thread.join() }
        print("many: \(locked.load(ordering: .relaxed)) locked")
    }

    // MARK: - The process that is stopped

    private static func lead(_ path: String) throws {
        let store = try Store.open(path, .create)
        let (ledger, board) = try store.shared()
        // Who meets somebody in the gate asks for a seat, and has it the next time.
        board.enter(toPut: false)
        raise(SIGSTOP)
        try store.gate?.enter()
        board.enter(toPut: false)
        raise(SIGSTOP)
        store.isWriting = true
        try store.statement("BEGIN IMMEDIATE").run()
        while !board.isUnfinished { try store.putPosts() }
        raise(SIGSTOP)
        try store.statement("COMMIT").run()
        board.end(.committed(first: 0, number: ledger.commit())).call()
        store.isWriting = false
        board.leave()
        store.gate?.leave()
    }

    /// Returns when it stands still, or has ended.
    private func awaitStop() {
        var status: Int32 = 0
        waitpid(leader, &status, WUNTRACED)
    }

    private func goOn() { kill(leader, SIGCONT) }

    /// A put that waits for ever ends all the same.
    private func watch() throws {
        let (leader, limit) = (leader, Deadline(after: .seconds(20)))
        try Thread.detach("watch") {
            while !limit.isPast { Pause.briefly(upTo: .milliseconds(10)) }
            kill(leader, SIGKILL)
        }
    }

    private func goOnOncePosted() throws {
        let (leader, path) = (leader, path)
        try Thread.detach("go on") {
            guard let board = try? Store.open(path, .existing).shared().board else { return }
            while !board.hasPosts { Pause.yield() }
            kill(leader, SIGCONT)
        }
    }
}
