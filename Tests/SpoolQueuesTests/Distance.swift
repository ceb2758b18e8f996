// Distance.swift - every queue that speaks the contract, so that one suite runs over all of them.

import Foundation
import SpoolJobs
import SpoolThreads
import Testing

@testable import SpoolProcesses
@testable import SpoolQueues

/// A kind of queue.
enum Distance: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case queue = "Queue"
    case lifo = "LifoQueue"
    case priority = "PriorityQueue"
    case shared = "SharedQueue"
    case disk = "JobQueue"

    /// Those that have a bound and can be shut down. A durable queue has neither yet: its file outlives its
    /// handles, and a bound over processes is a matter of the store.
    static let inMemory: [Distance] = [.queue, .lifo, .priority, .shared]

    var testDescription: String { rawValue }

    func make(maxsize: Int = 0) throws -> Subject {
        switch self {
        case .queue: Subject(Queue<Int>(maxsize: maxsize))
        case .lifo: Subject(LifoQueue<Int>(maxsize: maxsize))
        case .priority: Subject(PriorityQueue<Int>(maxsize: maxsize))
        case .shared: Subject(try Self.shared(maxsize))
        case .disk: Subject(try DiskQueue())
        }
    }

    /// It does not look for deaths, which would find what a lost wake-up leaves lying.
    private static func shared(_ maxsize: Int) throws -> SharedQueue<Int> {
        let queue = try SharedQueue<Int>(maxsize: maxsize)
        queue.records.pace = LookingPace(shortest: .seconds(3600), longest: .seconds(3600))
        return queue
    }

    /// In which order 111, 333, 222 come out.
    var order: [Int] {
        switch self {
        case .queue, .shared, .disk: [111, 333, 222]
        case .lifo: [222, 333, 111]
        case .priority: [111, 222, 333]
        }
    }
}

/// A queue under test, with its verbs for tasks: those are no requirements of the protocol.
struct Subject: Sendable {
    let queue: any JoinableQueue<Int>
    let put: @Sendable (Int, Duration?) async throws -> Void
    let get: @Sendable (Duration?) async throws -> Int
    let join: @Sendable (Duration?) async throws -> Bool
    /// How many getters and putters wait; nil where nobody can tell.
    let waiting: @Sendable (QueueLine) -> Int?

    init<Storage: QueueStorage & ~Copyable>(_ queue: MemoryQueue<Storage>)
    where Storage.Item == Int {
        self.queue = queue
        put = { try await queue.put($0, timeout: $1) }
        get = { try await queue.get(timeout: $0) }
        join = { try await queue.join(timeout: $0) }
        waiting = { queue.waiting(in: $0) }
    }

    init(_ queue: SharedQueue<Int>) {
        self.queue = queue
        put = { try await queue.put($0, timeout: $1) }
        get = { try await queue.get(timeout: $0) }
        join = { try await queue.join(timeout: $0) }
        waiting = { line in
            switch line {
            case .getters: queue.records.waiting[.arrived]
            case .putters: queue.records.waiting[.freed]
            case .joiners: queue.records.waiting[.settled]
            }
        }
    }

    init(_ disk: DiskQueue) {
        queue = disk
        put = { item, _ in try await disk.jobs.put("\(item)") }
        get = { timeout in try disk.hold(try await disk.jobs.get(timeout: timeout)) }
        join = { try await disk.jobs.join(timeout: $0) }
        waiting = { _ in nil }
    }

    /// Waits until so many wait in the line.
    func settle(_ count: Int, in line: QueueLine) throws {
        #expect(try eventually { (waiting(line) ?? count) == count }, "\(count) wait")
    }

    func settle(_ count: Int, in line: QueueLine) async throws {
        let haveCome = try await eventually { (waiting(line) ?? count) == count }
        #expect(haveCome, "\(count) wait")
    }
}

/// The durable queue behind the contract of the queues in memory: `taskDone()` finishes the job that was got first.
final class DiskQueue: JoinableQueue, @unchecked Sendable {  // touched with the lock held only
    let jobs: JobQueue
    private let directory: String
    private let lock = Lock()
    private var held: [ClaimedJob] = []

    init() throws {
        directory = NSTemporaryDirectory() + "spool-queues-" + UUID().uuidString
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        jobs = try JobQueue("numbers", in: JobStore(directory + "/jobs.db"))
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    func hold(_ job: ClaimedJob) throws(SpoolError) -> Int {
        lock.withLock { held.append(job) }
        guard let item = Int(String(decoding: job.body.bytes, as: UTF8.self)) else {
            throw .badInput("not a number")
        }
        return item
    }

    func put(_ item: Int, timeout: Duration?) throws(SpoolError) { _ = try jobs.put("\(item)") }

    func get(timeout: Duration?) throws(SpoolError) -> Int {
        try hold(try jobs.get(timeout: timeout))
    }

    func taskDone() throws(SpoolError) {
        let job = lock.withLock { held.isEmpty ? nil : held.removeFirst() }
        guard let job else { throw .taskDoneTooOften }
        try jobs.taskDone(job)
    }

    func join(timeout: Duration?) throws(SpoolError) -> Bool { try jobs.join(timeout: timeout) }

    var count: Int { (try? jobs.count()) ?? -1 }
    var unfinished: Int { (try? jobs.unfinished()) ?? -1 }
    var isFull: Bool { false }
    func shutdown(immediate: Bool) {}
}
