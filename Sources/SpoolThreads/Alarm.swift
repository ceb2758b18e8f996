// Alarm.swift - runs something at a deadline, for tasks that wait: one thread for all of them, made with the first.
//
// Invariants: `pending` is a heap, the nearest deadline first. Cleared alarms stay in it until they are due or
// are more than half of it; then they are swept out together: so clearing costs nothing and the heap stays small.

/// One thing that is to happen at a deadline.
final class Alarm: @unchecked Sendable {  // guarded by the clock's lock
    fileprivate let deadline: Deadline
    fileprivate var action: (@Sendable () -> Void)?

    private init(_ deadline: Deadline, _ action: @escaping @Sendable () -> Void) {
        self.deadline = deadline
        self.action = action
    }

    /// Runs `action`, which must not wait, at the deadline on the thread of alarms.
    /// - Throws: `system` when that thread cannot be made.
    static func set(
        _ deadline: Deadline, _ action: @escaping @Sendable () -> Void
    ) throws(SpoolError) -> Alarm {
        let alarm = Alarm(deadline, action)
        try AlarmClock.shared.add(alarm)
        return alarm
    }

    /// From now on it does not go off; it may be going off just now.
    func clear() { AlarmClock.shared.clear(self) }
}

/// The thread that sleeps until the nearest deadline.
private final class AlarmClock: @unchecked Sendable {  // touched with the lock held only
    static let shared = AlarmClock()

    private let lock = Lock()
    private let changed: Condition
    private var pending: [Alarm] = []
    private var cleared = 0
    private var isRunning = false

    init() { changed = Condition(lock) }

    func add(_ alarm: Alarm) throws(SpoolError) {
        try lock.withLock { () throws(SpoolError) in
            if !isRunning {
                try Thread.detach("spool-alarms") { AlarmClock.shared.run() }
                isRunning = true
            }
            insert(alarm)
            if pending[0] === alarm { changed.notify() }
        }
    }

    func clear(_ alarm: Alarm) {
        let action = lock.withLock { () -> (@Sendable () -> Void)? in
            guard let action = alarm.action else { return nil }
            alarm.action = nil
            cleared += 1
            if cleared * 2 > pending.count + 16 { sweep() }
            return action
        }
        withExtendedLifetime(action) {}  // what it holds is released outside the lock
    }

    private func run() {
        while true {
            lock.withLock { nextDue() }?()
        }
    }

    /// Waits, with the lock, until an alarm is due, and takes it out.
    private func nextDue() -> (@Sendable () -> Void)? {
        while true {
            guard let nearest = pending.first else {
                changed.wait()
                continue
            }
            guard nearest.action == nil || nearest.deadline.isPast else {
                changed.wait(until: nearest.deadline)
                continue
            }
            removeFirst()
            if nearest.action == nil { cleared -= 1 }
            let action = nearest.action
            nearest.action = nil
            return action
        }
    }

    private func insert(_ alarm: Alarm) {
        pending.append(alarm)
        var index = pending.count - 1
        while index > 0, pending[index].deadline < pending[(index - 1) / 2].deadline {
            pending.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    private func removeFirst() {
        pending.swapAt(0, pending.count - 1)
        pending.removeLast()
        var index = 0
        while true {
            let children = (2 * index + 1..<2 * index + 3).filter { $0 < pending.count }
            guard let child = children.min(by: { pending[$0].deadline < pending[$1].deadline }),
                pending[child].deadline < pending[index].deadline
            else { return }
            pending.swapAt(index, child)
            index = child
        }
    }

    /// A sorted array is a heap.
    private func sweep() {
        pending = pending.filter { $0.action != nil }.sorted { $0.deadline < $1.deadline }
        cleared = 0
    }
}
