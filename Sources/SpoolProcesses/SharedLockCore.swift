// SharedLockCore.swift - who holds a shared lock: what the plain and the recursive one have in common.
//
// Invariants: the holder by the lock's word is a seat. It is the calling thread's, or that of the sitter which `tasks`
// names for the calling task. Only the holder writes `depth`, first when it takes the lock.

private import CSpool
internal import SpoolThreads
private import Synchronization

final class SharedLockCore: Sendable {
    let seats: Seats
    private let word: SeatLock
    private var bench: Bench { seats.bench }
    private let tasks = Monitor<TaskHolder?>(nil)

    /// The task that holds the lock by a sitter's seat.
    private struct TaskHolder {
        let task: UInt
        let sitter: Sitter
    }

    init(kind: UInt64) throws(SpoolError) {
        seats = try Seats(kind: kind, hooks: Self.hooks)
        word = SeatLock(seats)
    }

    init(_ memory: SharedMemory, kind: UInt64) throws(SpoolError) {
        seats = try Seats(memory: memory, kind: kind, hooks: Self.hooks)
        word = SeatLock(seats)
    }

    deinit { seats.close() }

    /// A thread that ends with the lock, or lets its handle go: nobody else can give it back, so it counts as dead.
    private static let hooks = SeatHooks(retire: { seats, name in SeatLock(seats).abandon(name) })

    var locked: Bool {
        let holder = word.holder
        return holder != 0 && !seats.isDead(holder)
    }

    /// The caller's name, if it holds the lock.
    func owner() -> SeatName? {
        let holder = word.holder
        guard holder != 0 else { return nil }
        if holder == seats.meIfSeated { return holder }
        return taskHolder(holder) != nil ? holder : nil
    }

    var previousOwnerDied: Bool { owner() != nil && word.isInherited }

    /// - Throws: `badInput` when the caller holds the lock.
    func refuseAgain() throws(SpoolError) {
        guard owner() == nil else {
            throw .badInput(
                "the caller holds this shared lock already: it would wait for ever.",
                hint: "A SharedRLock can be taken again by its holder.")
        }
    }

    func acquire(until deadline: Deadline) throws(SpoolError) -> Bool {
        let me = try seats.me()
        return word.tryAcquire(me) || word.acquire(me, until: deadline)
    }

    func release(_ kind: StaticString) {
        let holder = word.holder
        if holder != 0, holder == seats.meIfSeated { return word.release(holder) }
        guard let sitter = taskHolder(holder) else {
            preconditionFailure("release() of a \(kind) that the caller does not hold.")
        }
        tasks.withLock { known, _ in known = nil }
        word.release(holder)
        bench.giveBack(sitter)
    }

    // MARK: - Depth, of a recursive lock

    /// How often its holder has taken it.
    var depth: Int {
        get { Int(seats.state(0).pointee.load(ordering: .relaxed)) }
        set { seats.state(0).pointee.store(UInt64(newValue), ordering: .relaxed) }
    }

    /// Takes it once more if it is the caller's.
    func reenter() -> Bool {
        guard owner() != nil else { return false }
        depth += 1
        return true
    }

    /// Notes the depth of a lock that was just taken.
    func enter(_ isTaken: Bool, depth: Int = 1) -> Bool {
        if isTaken { self.depth = depth }
        return isTaken
    }

    // MARK: - For tasks

    nonisolated(nonsending) func acquire(
        until deadline: Deadline, isCancellable: Bool = true
    ) async throws -> Bool {
        if isCancellable { try Task.checkCancellation() }
        let sitter = try bench.take(seats)
        var isMine = word.tryAcquire(sitter.name)
        if !isMine, !deadline.isPast {
            isMine = await bench.run(sitter, isCancellable: isCancellable) { isCancelled in
                self.word.acquire(sitter.name, until: deadline, orEnd: isCancelled)
            }
        }
        guard isMine else {
            bench.giveBack(sitter)
            if isCancellable { try Task.checkCancellation() }
            return false
        }
        let holder = TaskHolder(task: Self.task, sitter: sitter)
        tasks.withLock { known, _ in known = holder }
        return true
    }

    /// The sitter by which the calling task holds the lock, if it is the holder.
    private func taskHolder(_ holder: SeatName) -> Sitter? {
        let task = Self.task
        guard task != 0, holder != 0 else { return nil }
        return tasks.withLock { known, _ in
            known?.task == task && known?.sitter.name == holder ? known?.sitter : nil
        }
    }

    /// The address of the running task; 0 without one.
    private static var task: UInt { withUnsafeCurrentTask { unsafeBitCast($0, to: UInt.self) } }
}
