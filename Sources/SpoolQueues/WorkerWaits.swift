// WorkerWaits.swift - which workers of a pool wait for ever for tasks of the same pool, so that a deadlock is an error.
//
// Invariants: an entry stands from before the worker sleeps until the awaited future is done, and leaves before the
// worker is woken. The entries make no circle, and there are fewer than workers: who would close a circle, or be
// the last that could run anything, gets an error instead. Taken after a future's lock, never before it.

public import SpoolThreads

/// Who waits for whom, within one pool.
@usableFromInline final class WorkerWaits: @unchecked Sendable {  // guarded by its lock
    private let lock = Lock()
    private let workers: Int
    /// By the future whose task waits: the future that it waits for.
    private var awaited: [ObjectIdentifier: ObjectIdentifier] = [:]

    init(workers: Int) { self.workers = workers }

    /// The worker is about to wait until `future` is done.
    /// - Throws: `badInput` when that would never be.
    @usableFromInline func enter(
        _ worker: Worker, awaiting future: ObjectIdentifier
    ) throws(SpoolError) {
        let mine = worker.running ?? ObjectIdentifier(worker)
        try lock.withLock { () throws(SpoolError) in
            var each = future
            while each != mine, let next = awaited[each] { each = next }
            guard each != mine else {
                throw .badInput(
                    "the task waits for its own future, directly or through others.",
                    hint: "Return, and let others wait for it.")
            }
            guard awaited.count + 1 < workers else {
                throw .badInput(
                    "all \(workers) workers of the pool would wait for tasks of their own pool.",
                    hint: "Give the pool more workers, or the inner tasks a pool of their own.")
            }
            awaited[mine] = future
        }
    }

    /// `future` is done.
    func leave(awaiting future: ObjectIdentifier) {
        lock.withLock { awaited = awaited.filter { $0.value != future } }
    }
}
