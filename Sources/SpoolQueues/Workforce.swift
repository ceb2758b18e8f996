// Workforce.swift - the threads of a pool and the queue that they take from.
//
// Invariants: a thread is made only for a task that finds no free one (`unfinished` above `threads`), never more
// than `maxWorkers`. Threads end when the queue is shut down and empty. The threads hold the workforce, the pool
// only ends it: so a pool that is dropped still does what was submitted.

public import SpoolThreads
public import Synchronization

/// What becomes of a task that was submitted.
@usableFromInline enum TaskFate {
    case run(by: Worker)
    case cancel
    case fail(SpoolError)
}

/// A task in the queue: a future, and what becomes of it. A struct, as a bare closure would be wrapped anew by each
/// generic call that it passes; the closure gets the future, so that it holds nothing and needs no memory.
@usableFromInline struct PoolTask: Sendable {
    @usableFromInline let future: any AnyObject & Sendable
    @usableFromInline let meet: @Sendable (AnyObject, TaskFate) -> Void

    @inlinable init<Value>(_ future: Future<Value>) {
        self.future = future
        meet = { unsafeDowncast($0, to: Future<Value>.self).meet($1) }
    }
}

/// The threads of one pool, and what they have to do.
@usableFromInline final class Workforce: @unchecked Sendable {  // guarded by the lock
    @usableFromInline let queue = Queue<PoolTask>()
    @usableFromInline let threads = Atomic<Int>(0)
    @usableFromInline let maxWorkers: Int
    /// Tells pools apart, also after their end.
    @usableFromInline let number: UInt64
    @usableFromInline let waits: WorkerWaits
    private let prefix: String
    private let initializer: (@Sendable () throws -> Void)?
    private let lock = Lock()
    private let ended: Condition
    private var hasBegun = 0
    private var isShutDown = false
    private var broken: SpoolError?
    /// Nothing is put here: it is shut down when the threads have ended, for tasks that wait for that.
    private let end = Queue<Void>()

    /// How many tasks wait for the end.
    var endsAwaited: Int { end.waiting }

    init(_ maxWorkers: Int, _ prefix: String, _ initializer: (@Sendable () throws -> Void)?) {
        self.maxWorkers = maxWorkers
        self.prefix = prefix
        self.initializer = initializer
        number = OpenPools.shared.nextNumber()
        waits = WorkerWaits(workers: maxWorkers)
        ended = Condition(lock)
    }

    /// Puts the task into the queue, and makes a thread for it if none is free.
    @inlinable func submit(_ task: PoolTask) throws(SpoolError) {
        // Without any thread a task would lie there for ever: so the first is made before.
        if threads.load(ordering: .relaxed) == 0 { try addWorker() }
        do throws(SpoolError) { try queue.put(task) } catch { throw refusal() }
        let crew = threads.load(ordering: .relaxed)
        if crew < maxWorkers, queue.unfinished > crew { addAnother() }
    }

    /// A task has run, or will not.
    @inlinable func taskDone() {
        do throws(SpoolError) { try queue.taskDone() } catch { preconditionFailure("\(error)") }
    }

    @usableFromInline func addAnother() {
        // When the system has no thread left, those that are there do the work.
        try? addWorker()
    }

    @usableFromInline func addWorker() throws(SpoolError) {
        try lock.withLock { () throws(SpoolError) in
            let count = threads.load(ordering: .relaxed)
            guard !isShutDown else { throw broken ?? .shutDown }
            guard count == 0 || (count < maxWorkers && queue.unfinished > count) else { return }
            try OpenPools.shared.add(self)
            do throws(SpoolError) {
                try Thread(ofPool: "\(prefix)_\(hasBegun)") { self.work() }.start()
            } catch {
                // Without any thread nothing is waited for at the end, and nobody would take it out.
                if count == 0 { OpenPools.shared.remove(self) }
                throw error
            }
            hasBegun += 1
            threads.store(count + 1, ordering: .relaxed)
        }
    }

    /// Why nothing is taken any more.
    @usableFromInline func refusal() -> SpoolError { lock.withLock { broken ?? .shutDown } }

    // MARK: - A worker's life

    private func work() {
        let worker = Worker(self)
        worker.beCurrent()
        do {
            try initializer?()
            var spin = Spin()
            // The only error of get is the end of the queue.
            while let task = try? queue.get(&spin) { task.meet(task.future, .run(by: worker)) }
        } catch {
            breakUp(because: error)
        }
        worker.leave()
        endWorker()
    }

    /// An initializer failed: nothing that was submitted and has not begun will ever run.
    private func breakUp(because error: any Error) {
        let reason = SpoolError.noWorker("the pool is broken: its initializer threw: \(error).")
        Report.write("spool: \(reason.message)")
        lock.withLock {
            if broken == nil { broken = reason }
            isShutDown = true
        }
        queue.shutdown()
        dropAll(.fail(reason))
    }

    private func endWorker() {
        let isLast = lock.withLock { () -> Bool in
            let left = threads.load(ordering: .relaxed) - 1
            threads.store(left, ordering: .relaxed)
            ended.notifyAll()
            return left == 0
        }
        guard isLast else { return }
        OpenPools.shared.remove(self)
        end.shutdown()
    }

    // MARK: - The end

    func shutdown(cancelFutures: Bool) {
        let hadThreads = lock.withLock { () -> Bool in
            isShutDown = true
            return threads.load(ordering: .relaxed) > 0
        }
        queue.shutdown()
        if cancelFutures { dropAll(.cancel) }
        if !hadThreads { end.shutdown() }
    }

    private func dropAll(_ fate: TaskFate) {
        while let task = try? queue.getNowait() {  // its only error is that there is none
            task.meet(task.future, fate)
            taskDone()
        }
    }

    /// Waits until the threads have ended; in one of them, until all others have.
    func join() {
        let own = Worker.current?.crew === self ? 1 : 0
        lock.withLock {
            while threads.load(ordering: .relaxed) > own { ended.wait() }
        }
    }

    /// The same for a task.
    func join() async throws {
        do {
            try await end.get()
        } catch SpoolError.shutDown {
            return
        }
    }
}
