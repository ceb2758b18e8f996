// QueueHistoryTests.swift - rig H on queues under load: threads write down what they did, the checkers judge it.

import Foundation
import History
import Patience
import SpoolJobs
import SpoolQueues
import SpoolThreads
import Testing

@Suite("The history of a queue under load", .timeLimit(.minutes(20)), .serialized)
struct QueueHistoryTests {
    /// Items of a run: few in CI, as many as SPOOL_ROUNDS says otherwise.
    static let rounds = ProcessInfo.processInfo.environment["SPOOL_ROUNDS"].flatMap(Int.init) ?? 1

    /// What the threads of a run do, on whichever queue.
    struct Load {
        var producers = 4
        var consumers = 4
        var items = 1000 * rounds
        /// Of an item; its number stands for it.
        var priority: @Sendable (Int64) -> Int64 = { _ in 0 }
        var put: @Sendable (Int64) throws -> Void
        /// Runs the body with the item; nil when none came.
        var work: @Sendable (_ holding: (Int64, Int64) -> Void, _ ending: () -> Void) throws -> Void
        var join: @Sendable () throws -> Void

        /// Runs it, and gives the history.
        func run() throws -> [HistoryEvent] {
            let recorder = HistoryRecorder()
            let errors = Failures()
            var threads: [SpoolThreads.Thread] = []
            func start(_ name: String, _ body: @escaping @Sendable (HistoryClient) throws -> Void)
                throws
            {
                let thread = SpoolThreads.Thread(name: name, daemon: true) {
                    let client = recorder.client()
                    do { try body(client) } catch { errors.add("\(name): \(error)") }
                    client.close()
                }
                try thread.start()
                threads.append(thread)
            }
            for producer in 0..<producers {
                try start("producer") { client in
                    for index in 0..<(items / producers) {
                        let item = Int64(index * producers + producer)
                        client.begin(.put, item: item, priority: priority(item))
                        try put(item)
                        client.end(.put)
                        if index % 100 == 50 { try joinOnce(client) }
                    }
                }
            }
            for _ in 0..<consumers {
                try start("consumer") { client in
                    for _ in 0..<(items / consumers) { try take(client) }
                }
            }
            try start("joiner") { client in for _ in 0..<5 { try joinOnce(client) } }
            for thread in threads {
                let hasEnded = try thread.join(timeout: Patience.longest * rounds)
                #expect(errors.texts == [])
                guard hasEnded else { throw Patience.over("a \(thread.name) did not end") }
            }
            return recorder.events
        }

        private func joinOnce(_ client: HistoryClient) throws {
            client.begin(.join)
            try join()
            client.end(.join)
        }

        private func take(_ client: HistoryClient) throws {
            var held: (item: Int64, attempt: Int64) = (0, 0)
            client.begin(.get)
            try work { item, attempt in
                held = (item, attempt)
                client.end(.get, item: item, attempt: attempt)
            } _: {
                client.begin(.done, item: held.item, attempt: held.attempt)
            }
            client.end(.done)
        }
    }

    @Test("H, J1: Queue loses, invents and doubles nothing, keeps the order, and join waits")
    func queue() throws {
        let queue = Queue<Int64>(maxsize: 64)
        let events = try Load(
            put: { try queue.put($0) },
            work: { holding, ending in
                holding(try queue.get(), 1)
                ending()
                try queue.taskDone()
            }, join: { try queue.join() }
        ).run()
        #expect(events.count > 4000)
        #expect(History(events).findings(.fifo) == [])
    }

    @Test("H: PriorityQueue gives what is more urgent first, whatever the threads do")
    func priorities() throws {
        let queue = PriorityQueue<Ranked>()
        let events = try Load(
            priority: { $0 % 7 }, put: { try queue.put(Ranked(rank: $0 % 7, item: $0)) },
            work: { holding, ending in
                holding(try queue.get().item, 1)
                ending()
                try queue.taskDone()
            }, join: { try queue.join() }
        ).run()
        #expect(events.count > 4000)
        #expect(History(events).findings(.priority) == [])
    }

    @Test("H, D1, X1, X3, J1: JobQueue on disk under threads: nothing lost, doubled or overtaken")
    func durable() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "spool-history-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let store = try JobStore(folder.path + "/jobs.db")
        let queue = try JobQueue("numbers", in: store)
        let events = try Load(
            items: 400 * Self.rounds, priority: { 1000 + $0 % 3 },
            put: { try queue.put(String($0), priority: Int(1000 + $0 % 3)) },
            work: { holding, ending in
                let job = try queue.get()
                let item = Int64(String(decoding: job.body.bytes, as: UTF8.self)) ?? -1
                holding(item, Int64(job.claim.attempt))
                ending()
                try queue.taskDone(job)
            }, join: { try queue.join() }
        ).run()
        #expect(events.count > 1600)
        #expect(History(events).findings([.fifo, .priority]) == [])
        #expect(try queue.counts().done == 400 * Self.rounds)
    }
}

/// An item with its rank.
struct Ranked: Comparable, Sendable {
    var rank: Int64
    var item: Int64

    static func < (a: Ranked, b: Ranked) -> Bool { a.rank < b.rank }
}

/// What went wrong in threads.
final class Failures: @unchecked Sendable {  // touched with the lock held only
    private let lock = Lock()
    private var lines: [String] = []

    func add(_ text: String) { lock.withLock { lines.append(text) } }
    var texts: [String] { lock.withLock { lines } }
}
