// Crew.swift - threads of a test: started together, awaited with a deadline, their errors kept.

import Patience
import SpoolQueues
import SpoolThreads
import Testing

/// The longest that anything in these tests may take.
let patience = Patience.longest

/// Looks until it holds.
func eventually(_ holds: () throws -> Bool) throws -> Bool {
    let deadline = Deadline(after: patience)
    while try !holds() {
        guard !deadline.isPast else { return false }
        Pause.briefly(upTo: .milliseconds(1))
    }
    return true
}

/// The same in a task: the pool's few threads are left to the other tasks meanwhile.
func eventually(_ holds: () throws -> Bool) async throws -> Bool {
    let deadline = Deadline(after: patience)
    while try !holds() {
        guard !deadline.isPast else { return false }
        await Task.yield()
    }
    return true
}

/// Threads, and how they ended.
final class Crew: @unchecked Sendable {  // touched with the lock held only
    private let lock = Lock()
    private var running = 0
    private var errors: [SpoolError] = []
    private var seen: [Int] = []

    /// Starts threads; what `body` returns is collected.
    func collect(_ count: Int = 1, _ body: @escaping @Sendable () throws -> [Int]) throws {
        for _ in 0..<count {
            lock.withLock { running += 1 }
            try Thread.detach("crew") { [self] in
                let outcome = Result { try body() }
                lock.withLock {
                    running -= 1
                    switch outcome {
                    case .success(let items): seen += items
                    case .failure(let error as SpoolError): errors.append(error)
                    case .failure(let error): errors.append(.badInput("\(error)"))
                    }
                }
            }
        }
    }

    func start(_ count: Int = 1, _ body: @escaping @Sendable () throws -> Void) throws {
        try collect(count) {
            try body()
            return [Int]()
        }
    }

    /// Waits for all; gives back what they returned, in the order in which they ended.
    @discardableResult
    func end(_ location: SourceLocation = #_sourceLocation) throws -> [Int] {
        let haveEnded = try eventually { lock.withLock { running == 0 } }
        #expect(haveEnded, "threads hang", sourceLocation: location)
        return lock.withLock { seen }
    }

    /// The same in a task.
    @discardableResult
    func end(_ location: SourceLocation = #_sourceLocation) async throws -> [Int] {
        let haveEnded = try await eventually { lock.withLock { running == 0 } }
        #expect(haveEnded, "threads hang", sourceLocation: location)
        return lock.withLock { seen }
    }

    var failures: [SpoolError] { lock.withLock { errors } }
    var isRunning: Bool { lock.withLock { running > 0 } }
}
