// GroupCommitTests.swift - what many threads want of one store, in as few transactions as can be.

import SpoolThreads
import Synchronization
import Testing

@testable import SpoolJobs

/// A store on a disk of its own for one leader at a time, and whatever else sees its file.
// `outside` is used inside transactions, one at a time.
private final class Shared: @unchecked Sendable {
    let scratch = Scratch()
    let commits: GroupCommit
    let outside: Store
    let errors = Mutex<[SpoolError]>([])

    init() throws {
        let store = try scratch.store()
        outside = try scratch.store(.readOnly)
        commits = GroupCommit(store)
    }

    /// What another connection can see now.
    var visible: Int { (try? outside.counts(queue: nil).ready) ?? -1 }

    /// Runs `body` in a thread that lines up, and returns when it has.
    func lineUp(_ body: @escaping @Sendable (Store) throws(SpoolError) -> Void) -> Thread {
        let before = commits.lined
        let thread = Thread {
            do throws(SpoolError) {
                try self.commits.perform(body)
            } catch {
                self.errors.withLock { $0.append(error) }
            }
        }
        try? thread.start()
        while commits.lined == before { Pause.briefly(upTo: .microseconds(200)) }
        return thread
    }
}

@Suite("A group commit", .timeLimit(.minutes(10))) struct GroupCommitTests {
    private let shared: Shared

    init() throws { shared = try Shared() }

    @Test("takes along what lines up while its transaction is open")
    func joins() throws {
        let seen = Mutex<[Int]>([])
        var late: Thread?
        try shared.commits.perform { [shared] store throws(SpoolError) in
            _ = try store.put([.command("first")], now: noon)
            late = shared.lineUp { store throws(SpoolError) in
                _ = try store.put([.command("second")], now: noon)
                seen.withLock { $0.append(shared.visible) }
            }
        }
        #expect(shared.visible == 2)
        try late?.join()
        // The first was not committed yet when the second was put.
        #expect(seen.withLock { $0 } == [0])
    }

    @Test("gives each its own error; what the others want happens all the same")
    func errors() throws {
        var late: [Thread] = []
        var tries = 0
        try shared.commits.perform { [shared] store throws(SpoolError) in
            _ = try store.put([.command("first")], now: noon)
            tries += 1
            guard tries == 1 else { return }
            late.append(shared.lineUp { _ throws(SpoolError) in throw .badInput("not this one.") })
            late.append(
                shared.lineUp { store throws(SpoolError) in
                    _ = try store.put([.command("third")], now: noon)
                })
        }
        for thread in late { try thread.join() }
        #expect(shared.errors.withLock { $0 } == [.badInput("not this one.")])
        #expect(shared.visible == 2)
        #expect(tries == 2)
    }

    @Test("lets what must be synced into no transaction that is not")
    func unsynced() throws {
        let seen = Mutex<[Int]>([])
        var late: Thread?
        try shared.commits.perform(syncing: .withTheNext) { [shared] store throws(SpoolError) in
            _ = try store.put([.command("first")], now: noon)
            late = shared.lineUp { _ throws(SpoolError) in
                seen.withLock { $0.append(shared.visible) }
            }
        }
        try late?.join()
        #expect(seen.withLock { $0 } == [1])
    }
}
