// Crew.swift - threads of a test, and conditions that are awaited with a deadline.

import Glibc
import Patience
import SpoolThreads
import Synchronization
import Testing

/// The longest that anything in these tests may take.
let patience = Patience.longest

/// Looks until it holds.
func eventually(_ holds: () -> Bool) -> Bool {
    let deadline = Deadline(after: patience)
    while !holds() {
        guard !deadline.isPast else { return false }
        Pause.briefly(upTo: .milliseconds(1))
    }
    return true
}

/// The same in a task: the pool's few threads are left to the other tasks meanwhile.
func eventually(_ holds: () -> Bool) async -> Bool {
    let deadline = Deadline(after: patience)
    while !holds() {
        guard !deadline.isPast else { return false }
        await Task.yield()
    }
    return true
}

/// Threads that run the same closure. They are daemons, so that one that hangs fails its test and not the whole run.
struct Crew {
    let threads: [Thread]

    init(
        _ count: Int = 1, stackSize: Int? = nil, _ body: @escaping @Sendable (Int) throws -> Void
    ) throws {
        threads = (0..<count).map { number in
            Thread(name: "crew-\(number)", daemon: true, stackSize: stackSize) { try body(number) }
        }
        for thread in threads { try thread.start() }
    }

    /// Waits for all.
    func join(_ location: SourceLocation = #_sourceLocation) throws {
        for thread in threads {
            let hasEnded: Bool = try thread.join(timeout: patience)
            #expect(hasEnded, "\(thread.name) hangs", sourceLocation: location)
        }
    }
}

/// A number that many threads count up.
final class Tally: Sendable {
    private let number = Atomic(0)
    private let highest = Atomic(0)

    var value: Int { number.load(ordering: .sequentiallyConsistent) }
    /// The highest value that there was.
    var peak: Int { highest.load(ordering: .sequentiallyConsistent) }

    @discardableResult
    func add(_ amount: Int = 1) -> Int {
        let new = number.add(amount, ordering: .sequentiallyConsistent).newValue
        highest.max(new, ordering: .sequentiallyConsistent)
        return new
    }
}

/// What threads saw, in order.
///
/// Guarded by the system's mutex: not by what is under test, and not by `Mutex` of Synchronization, in which
/// ThreadSanitizer sees a race when two threads want it.
final class Notes<Note: Sendable>: @unchecked Sendable {  // touched with the mutex held only
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private var notes: [Note] = []

    init() { pthread_mutex_init(mutex, nil) }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    func add(_ note: Note) {
        pthread_mutex_lock(mutex)
        notes.append(note)
        pthread_mutex_unlock(mutex)
    }

    var all: [Note] {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return notes
    }
}

/// A number that only a lock protects.
final class Unguarded: @unchecked Sendable {  // that is what the test is about
    var value = 0
}
