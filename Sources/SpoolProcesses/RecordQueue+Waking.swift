// RecordQueue+Waking.swift - who sleeps, and who is woken. With the lock held, but for `wake`.
//
// One sleeper is woken per item and per place; all of them for what anybody may be able to use: free bytes, of which
// each needs another number, and the end of the work. Events are counted with the lock held and their sleepers woken
// without it: see `Sleepers`.

internal import SpoolThreads
internal import Synchronization

extension RecordQueue {
    /// The word that sleepers sleep on.
    func count(_ event: QueueEvent) -> EventCount {
        let offset =
            switch event {
            case .arrived: QueueLayout.arrived
            case .freed: QueueLayout.freed
            case .settled: QueueLayout.settled
            }
        return EventCount(
            (memory.base + offset).assumingMemoryBound(to: Atomic<UInt32>.self),
            reach: .sharedMemory)
    }

    /// Ends the sleep of those that were taken.
    @inline(__always) func wake(_ event: QueueEvent, _ sleepers: Int) {
        if sleepers > 0 { count(event).wake(sleepers) }
    }

    @inline(__always) func takeGetter() -> Int {
        guard header.pointee.sleepers.getters > 0, !isLookedOutFor else { return 0 }
        header.pointee.sleepers.getters -= 1
        count(.arrived).advance(waking: 0)
        return 1
    }

    /// After a place became free: one putter, but all if some wait for bytes, as only one of the others is of use.
    @inline(__always) func takePuttersForPlace() -> Int {
        guard header.pointee.sleepers.forPlace > 0 else { return 0 }
        guard header.pointee.sleepers.forBytes == 0 else { return takePutters() }
        header.pointee.sleepers.forPlace -= 1
        count(.freed).advance(waking: 0)
        return 1
    }

    @inline(__always) func takePuttersForBytes() -> Int {
        header.pointee.sleepers.forBytes > 0 ? takePutters() : 0
    }

    private func takePutters() -> Int {
        header.pointee.sleepers.forPlace = 0
        header.pointee.sleepers.forBytes = 0
        count(.freed).advance(waking: 0)
        return .max
    }

    @inline(__always) func takeJoiners() -> Int {
        guard header.pointee.sleepers.joiners > 0, header.pointee.heldCount == 0,
            header.pointee.readyCount == 0
        else { return 0 }
        header.pointee.sleepers.joiners = 0
        count(.settled).advance(waking: 0)
        return .max
    }

    /// Everybody looks again.
    func wakeAll() {
        header.pointee.sleepers = Sleepers()
        for event in QueueEvent.allCases { count(event).advance() }
    }

    /// Counts somebody among the sleepers, if it is not counted still and wants to sleep.
    func enlist(
        _ sleep: inout Sleep, _ event: QueueEvent, forPlace: Bool = false, forBytes: Bool = false,
        _ wants: Bool
    ) {
        delist(&sleep, event)
        guard wants else { return }
        sleep = Sleep(
            seen: count(event).read(), isCounted: true, forPlace: forPlace, forBytes: forBytes)
        add(1, event, sleep)
    }

    /// Takes somebody off the sleepers that is not going to sleep again.
    /// - Returns: Whether it was still counted: nobody woke it.
    @discardableResult
    @inline(__always) func delist(_ sleep: inout Sleep, _ event: QueueEvent) -> Bool {
        guard sleep.isCounted else { return false }
        sleep.isCounted = false
        guard count(event).read() == sleep.seen else { return false }
        add(-1, event, sleep)
        return true
    }

    private func add(_ number: Int32, _ event: QueueEvent, _ sleep: Sleep) {
        let bits = UInt32(bitPattern: number)
        switch event {
        case .arrived: header.pointee.sleepers.getters &+= bits
        case .settled: header.pointee.sleepers.joiners &+= bits
        case .freed:
            if sleep.forPlace { header.pointee.sleepers.forPlace &+= bits }
            if sleep.forBytes { header.pointee.sleepers.forBytes &+= bits }
        }
    }
}

/// How many wait in this process, for tests and people.
final class WaitingCounts: Sendable {
    private let arrived = Atomic<Int>(0)
    private let freed = Atomic<Int>(0)
    private let settled = Atomic<Int>(0)

    subscript(event: QueueEvent) -> Int { read(event) }

    func add(_ number: Int, _ event: QueueEvent) {
        switch event {
        case .arrived: arrived.add(number, ordering: .relaxed)
        case .freed: freed.add(number, ordering: .relaxed)
        case .settled: settled.add(number, ordering: .relaxed)
        }
    }

    private func read(_ event: QueueEvent) -> Int {
        switch event {
        case .arrived: arrived.load(ordering: .relaxed)
        case .freed: freed.load(ordering: .relaxed)
        case .settled: settled.load(ordering: .relaxed)
        }
    }

    func clear() {
        for event in QueueEvent.allCases { add(-read(event), event) }
    }
}
