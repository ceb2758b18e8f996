// Sitters.swift - threads that sit in shared memory for tasks.
//
// What the kernel marks at a death is a thread, and a task has none of its own: so each task that waits, or holds a
// lock, has a thread to itself meanwhile, which sleeps. Invariants: a sitter serves one call at a time; it is idle and
// on the bench, or its user's; a forked child has none of its parent's.

private import CSpool
internal import SpoolThreads
internal import Synchronization

/// One thread with its seat.
final class Sitter: @unchecked Sendable {  // its work is handed over by the parker
    let name: SeatName
    private let seats: Seats
    private let parker: Parker
    private let work: Mailbox

    /// What the thread is to do next; written before it is told, read after.
    private final class Mailbox: @unchecked Sendable {  // ordered by the parker
        var work: (@Sendable () -> Void)?
        var found: Result<SeatName, SpoolError>?
    }

    /// Starts the thread, and waits until it sits: some microseconds.
    init(_ seats: Seats) throws(SpoolError) {
        let (parker, started, work) = (Parker(), Parker(), Mailbox())
        (self.seats, self.parker, self.work) = (seats, parker, work)
        let thread = Thread(name: "spool-sitter", daemon: true, stackSize: 131_072) {
            do throws(SpoolError) {
                work.found = .success(try seats.me())
            } catch {
                work.found = .failure(error)
            }
            started.tell(1)
            while parker.wait() == 1 {
                let next = work.work
                work.work = nil
                next?()
            }
        }
        try thread.start()
        _ = started.wait()
        guard let found = work.found else { preconditionFailure("a sitter says where it sits") }
        do throws(SpoolError) {
            name = try found.get()
        } catch {
            parker.tell(2)
            throw error
        }
    }

    deinit { parker.tell(2) }

    /// Runs `work` in the thread.
    func perform(_ work: @escaping @Sendable () -> Void) {
        self.work.work = work
        parker.tell(1)
    }

    /// Makes the thread look again, wherever it sleeps.
    func ring() {
        let bell = seats.bell(Seats.seat(name))
        bell.pointee.wrappingAdd(1, ordering: .acquiringAndReleasing)
        WordWatch.wake(bell)
    }
}

/// Whether a call was cancelled.
final class Cancellation: Sendable {
    private let flag = Atomic(false)
    var isCancelled: Bool { flag.load(ordering: .acquiring) }
    func cancel() { flag.store(true, ordering: .releasing) }
}

/// The sitters of one shared thing in this process.
final class Bench: Sendable {
    private struct Idle {
        var token = spool_process_token()
        var sitters: [Sitter] = []
        var isClosed = false
    }

    private let idle = Monitor(Idle())

    /// Whether the last handle is gone.
    var isClosed: Bool { idle.withLock { idle, _ in idle.isClosed } }

    /// An idle sitter, or a new one.
    func take(_ seats: Seats) throws(SpoolError) -> Sitter {
        forgetParents()
        if let known = idle.withLock({ idle, _ in idle.sitters.popLast() }) { return known }
        return try Sitter(seats)
    }

    /// It is done; it may hold units.
    func giveBack(_ sitter: Sitter) {
        idle.withLock { idle, _ in if !idle.isClosed { idle.sitters.append(sitter) } }
    }

    /// Nobody asks any more: the threads end.
    func close() {
        forgetParents()
        let gone = idle.withLock { idle, _ in
            defer { (idle.sitters, idle.isClosed) = ([], true) }
            return idle.sitters
        }
        withExtendedLifetime(gone) {}  // they end outside the lock
    }

    /// The threads of a forked child's parent are not here to be told anything.
    private func forgetParents() {
        let strangers = idle.withLock { idle, _ -> [Sitter] in
            guard idle.token != spool_process_token() else { return [] }
            defer { idle = Idle() }
            return idle.sitters
        }
        for stranger in strangers { _ = Unmanaged.passRetained(stranger) }
    }

    /// Runs a blocking call in a sitter's thread; the task is suspended, no thread of its pool blocked.
    /// - Parameter call: Gets a way to ask whether the task was cancelled; its sleep ends then.
    nonisolated(nonsending) func run<Value: Sendable>(
        _ sitter: Sitter, isCancellable: Bool = true,
        _ call: @escaping @Sendable (_ isCancelled: @escaping @Sendable () -> Bool) -> Value
    ) async -> Value {
        let cancellation = Cancellation()
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                sitter.perform {
                    continuation.resume(returning: call { cancellation.isCancelled })
                }
            }
        } onCancel: {
            guard isCancellable else { return }
            cancellation.cancel()
            sitter.ring()
        }
    }
}
