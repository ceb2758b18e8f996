// PoolCrew.swift - the processes of a pool: what they have to do, who they are, and who answers for them.
//
// Two threads serve a pool: one reads answers, unless a thread that waits for one does (PoolReader.swift), and who
// reads hands out the next calls; the other sees processes end, and replaces them. Invariants: a call is pending, or
// handed out and in `running` until its one answer; no more are
// handed out than `window`, so that what waits can be cancelled. A process is made only for a call that finds no free
// one. When the pool is shut down and nothing is unfinished the queue of calls is shut down, so the processes end; with
// the last of them the queue of answers, so the threads end.

private import Glibc
internal import SpoolQueues
internal import SpoolSelectors
internal import SpoolThreads

/// A task of a pool, without its types.
private struct Submitted: Sendable {
    let number: UInt64
    let bytes: [UInt8]
    /// False: it was cancelled.
    let begin: @Sendable () -> Bool
    /// Whether callbacks wait for it.
    let isWatched: @Sendable () -> Bool
    let finish: @Sendable (Result<[Result<[UInt8], RemoteError>], SpoolError>) -> Void
    let cancel: @Sendable () -> Void
}

/// What a pool is made of.
final class PoolCrew: @unchecked Sendable {  // its state is touched with the lock held only
    /// So many processes may die one after the other without an answer between, beside one for each worker.
    private static let patience = 20

    let reader: PoolReader
    private let worker: PoolWorker
    private let method: StartMethod
    private let maxWorkers: Int
    private let lock = Lock()
    private var pending = Line()
    private var running: [UInt64: Submitted] = [:]
    /// Begun, but the queue of calls had no room for it.
    private var held: Submitted?
    /// Answered, and being told: no process is needed for them any more.
    private var finishing = 0
    /// Changed with both locks held.
    private var workers: [Int32: ChildProcess] = [:]
    private let staff = Lock()
    private var beingMade = 0
    private var lastNumber: UInt64 = 0
    private var fruitless = 0
    private var isShutDown = false
    private var isEnding = false
    private var broken: SpoolError?
    private var selector: EpollSelector?
    private var threads: [Thread] = []

    /// First in, first out, without moving all.
    private struct Line {
        var items: [Submitted?] = []
        var first = 0
        var isEmpty: Bool { first == items.count }
        var count: Int { items.count - first }

        mutating func append(_ item: Submitted) { items.append(item) }

        mutating func removeFirst() -> Submitted? {
            guard first < items.count else { return nil }
            defer {
                items[first] = nil
                first += 1
                if first > 1024, first * 2 > items.count {
                    items.removeSubrange(..<first)
                    first = 0
                }
            }
            return items[first]
        }
    }

    init(_ worker: PoolWorker, _ method: StartMethod, _ maxWorkers: Int) {
        self.worker = worker
        reader = PoolReader(worker.answers)
        self.method = method
        self.maxWorkers = maxWorkers
    }

    var pids: [Int32] { staff.withLock { workers.values.compactMap(\.pid) } }

    /// As in Python: one more than there are processes, so that a free one finds the next call at once.
    private var window: Int { maxWorkers == .max ? .max : maxWorkers + 1 }

    /// With the lock held.
    private var unfinished: Int { pending.count + running.count + (held == nil ? 0 : 1) }

    // MARK: - Submitting

    func submit(
        _ entry: String, _ inputs: [[UInt8]], begin: @escaping @Sendable () -> Bool,
        isWatched: @escaping @Sendable () -> Bool,
        finish: @escaping @Sendable (Result<[Result<[UInt8], RemoteError>], SpoolError>) -> Void,
        cancel: @escaping @Sendable () -> Void
    ) throws(SpoolError) {
        try hire { $0 == 0 }
        let refused = try lock.withLock { () throws(SpoolError) -> [Refused] in
            try checkOpen()
            lastNumber += 1
            let call = PoolCall(lastNumber, entry, inputs)
            pending.append(
                Submitted(
                    number: lastNumber, bytes: call.bytes, begin: begin, isWatched: isWatched,
                    finish: finish, cancel: cancel))
            return feed()
        }
        tell(refused)
        // When the system has no process left, those that are there do the work.
        try? hire { $0 < unfinished }
    }

    private func checkOpen() throws(SpoolError) {
        if let broken { throw broken }
        guard !isShutDown else { throw .shutDown }
    }

    private typealias Refused = (Submitted, SpoolError)

    /// Hands out what fits into the window. With the lock held; gives what could not be handed out at all.
    private func feed() -> [Refused] {
        var refused: [Refused] = []
        while running.count < window {
            guard let next = held ?? pending.removeFirst() else { break }
            if held == nil, !next.begin() { continue }
            held = nil
            running[next.number] = next
            do throws(SpoolError) {
                try worker.calls.put(next.bytes, timeout: .zero)
            } catch .full {
                // An answer makes room.
                running[next.number] = nil
                held = next
                break
            } catch {
                running[next.number] = nil
                refused.append((next, error))
            }
        }
        return refused
    }

    /// Without the lock: what is told runs code of others.
    private func tell(_ refused: [Refused]) {
        for (task, error) in refused { task.finish(.failure(error)) }
    }

    // MARK: - Processes

    /// Makes a process, unless there are as many as may be, or `isNeeded` says no to how many there are; it is asked
    /// with the lock held.
    private func hire(_ isNeeded: (Int) -> Bool) throws(SpoolError) {
        let selector = try lock.withLock { () throws(SpoolError) -> EpollSelector? in
            let count = workers.count + beingMade
            guard !isEnding, count < maxWorkers, isNeeded(count) else { return nil }
            let selector = try serve()
            beingMade += 1
            return selector
        }
        guard let selector else { return }
        do throws(SpoolError) {
            let child = ChildProcess(
                PoolWorker.entry, worker, name: "pool worker", daemon: true, method: method)
            try child.start()
            try watch(child, selector)
        } catch {
            // The others go on; without any nothing would, and other threads may have counted on this one.
            let isLast = lock.withLock {
                beingMade -= 1
                closeIfGone()
                return workers.isEmpty && beingMade == 0 && unfinished > 0
            }
            if isLast { fail(error) }
            throw error
        }
        OpenCrews.shared.add(self)
        lock.withLock { closeIfGone() }  // if it has ended before it was added
    }

    private func watch(_ child: ChildProcess, _ selector: EpollSelector) throws(SpoolError) {
        let sentinel = try child.sentinel
        lock.withLock {
            beingMade -= 1
            staff.withLock { workers[sentinel] = child }
            if broken != nil { child.end(by: SIGKILL) }
        }
        do throws(SpoolError) {
            try selector.register(sentinel, .read)
        } catch {
            // Nobody would see its end: it counts as one that could not be made.
            child.end(by: SIGKILL)
            lock.withLock {
                beingMade += 1
                staff.withLock { workers[sentinel] = nil }
            }
            throw error
        }
    }

    /// Begins the two threads with the first process. With the lock held.
    private func serve() throws(SpoolError) -> EpollSelector {
        if let selector { return selector }
        let fresh = try EpollSelector()
        let watching = Thread(name: "pool watch", daemon: true) { self.watch(fresh) }
        let answers = Thread(name: "pool answers", daemon: true) { self.reader.run(for: self) }
        try watching.start()
        do throws(SpoolError) {
            try answers.start()
        } catch {
            fresh.close()  // the other one ends
            throw error
        }
        (selector, threads) = (fresh, [answers, watching])
        return fresh
    }

    private func watch(_ selector: EpollSelector) {
        while true {
            do throws(SpoolError) {
                try selector.select(until: .never) { key, _ throws(SpoolError) in
                    try selector.unregister(key.descriptor)
                    hasEnded(key.descriptor)
                }
            } catch .closed {
                return
            } catch {
                Pause.briefly(upTo: .milliseconds(10))  // memory was short for a moment
            }
        }
    }

    private func hasEnded(_ sentinel: Int32) {
        let ended = lock.withLock { staff.withLock { workers.removeValue(forKey: sentinel) } }
        guard let child = ended else { return }
        _ = child.awaitEnd(until: .never)
        // What it held is known as given back at once, not when somebody has waited for a while.
        worker.calls.lookForDeaths()
        worker.answers.lookForDeaths()
        let isHopeless = lock.withLock {
            if unfinished > 0 { fruitless += 1 }
            return fruitless - Self.patience > maxWorkers
        }
        if isHopeless {
            fail(.noWorker("the pool's processes die before they have answered anything."))
        } else {
            try? hire { $0 < unfinished }  // what nobody is left for has failed with the error
        }
        lock.withLock { closeIfGone() }
    }

    // MARK: - Answers

    /// Whether somebody waits, or may wait, for an answer.
    var isAwaited: Bool { lock.withLock { unfinished > 0 } }

    /// Whether a call waits for room in the queue of calls.
    var lacksRoom: Bool { lock.withLock { held != nil } }

    /// Whether it can be taken by whatever thread: no code of others would run.
    func canBeTold(_ answer: PoolAnswer) -> Bool {
        guard case .results = answer.content else { return false }
        return !(lock.withLock { running[answer.number] }?.isWatched() ?? false)
    }

    func take(_ answer: PoolAnswer) {
        let task = lock.withLock {
            fruitless = 0
            finishing += 1
            return running.removeValue(forKey: answer.number)
        }
        switch answer.content {
        case .results(let results): task?.finish(.success(results))
        case .died: task?.finish(.failure(.noWorker("the process that ran the task has died.")))
        case .broken(let error):
            fail(.noWorker("the initializer of the pool has thrown: \(error)"))
        }
        lock.withLock { finishing -= 1 }
        handOut()
    }

    func handOut() {
        tell(lock.withLock { feed() })
        lock.withLock { endIfDone() }
    }

    // MARK: - The end

    func shutdown(cancelFutures: Bool) {
        let cancelled = lock.withLock {
            isShutDown = true
            return cancelFutures ? takePending() : []
        }
        for task in cancelled { task.cancel() }
        lock.withLock { endIfDone() }
    }

    func kill() {
        // One that is stopped may hold the lock of a queue, for which somebody waits here with the crew's lock.
        for child in staff.withLock({ Array(workers.values) }) { child.end(by: SIGKILL) }
        let reason = SpoolError.noWorker("the pool was killed.")
        let (cancelled, crew) = lock.withLock {
            // From here on nobody takes the place of one that has ended.
            (isShutDown, isEnding, broken) = (true, true, broken ?? reason)
            return (takePending(), Array(workers.values))
        }
        for child in crew { child.end(by: SIGKILL) }
        for task in cancelled { task.cancel() }
        fail(reason)
    }

    private func takePending() -> [Submitted] {
        defer { pending = Line() }
        return pending.items.compactMap { $0 }
    }

    /// Ends the pool because it cannot go on.
    private func fail(_ error: SpoolError) {
        let lost = lock.withLock {
            (isShutDown, isEnding, broken) = (true, true, broken ?? error)
            defer { (running, held) = ([:], nil) }
            return takePending() + running.values + (held.map { [$0] } ?? [])
        }
        for task in lost {
            _ = task.begin()  // a future that is cancelled stays so
            task.finish(.failure(error))
        }
        worker.calls.shutdown(immediate: true)
        lock.withLock { closeIfGone() }
    }

    /// With the lock held.
    private func endIfDone() {
        guard isShutDown, !isEnding, unfinished + finishing == 0 else { return }
        isEnding = true
        worker.calls.shutdown()
        closeIfGone()
    }

    /// With the lock held.
    private func closeIfGone() {
        guard isEnding, workers.isEmpty, beingMade == 0 else { return }
        worker.answers.shutdown()
        reader.end()
        selector?.close()
        OpenCrews.shared.remove(self)
    }

    /// Waits until the processes have ended and nothing is told any more.
    func join() {
        for thread in lock.withLock({ threads }) {
            precondition(
                thread !== Thread.current,
                "a callback of a future cannot wait for the end of its pool; use shutdown(wait: false)."
            )
            _ = try? thread.join()  // it was started, and is not this one: there is no error
        }
    }

    nonisolated(nonsending) func join() async throws {
        for thread in lock.withLock({ threads }) { try await thread.join() }
    }
}
