// RecordQueue.swift - a joinable queue of byte records in shared memory: its verbs, without waiting.
//
// One robust lock guards everything but bytes that are held. How it lies in memory, and the rule by which a death at
// any instruction leaves it whole, stand in QueueLayout.swift. A verb finds, writes what nobody sees yet, commits by
// one store, and brings up to date what follows from the records; then it releases the lock and wakes.

private import CSpool
private import Glibc
internal import SpoolThreads
internal import Synchronization

/// What can be waited for.
enum QueueEvent: Int, CaseIterable {
    /// An item that can be got.
    case arrived
    /// A place for an item.
    case freed
    /// Everything that was put is finished.
    case settled
}

/// Somebody that may sleep: what it has seen, and whether it is counted among the sleepers.
struct Sleep {
    var seen: UInt32 = 0
    var isCounted = false
    /// What a putter lacks.
    var forPlace = false
    var forBytes = false
}

/// What can be neglected after a death.
enum Neglect: String {
    case repair = "neglect-repair"
    case holders = "neglect-holders"
}

/// A record in the hands of this process.
@usableFromInline struct HeldRecord {
    let index: UInt32
    /// Which item it is: with `deliveries`, a name that is never given twice.
    let number: UInt64
    /// How often it was handed out, this time included.
    let deliveries: Int
    /// Whether this process should look for deaths: see ``RecordQueue/lookNowAndThen()``.
    let isTimeToLook: Bool
    /// In shared memory, and nobody else's while it is held.
    @usableFromInline let bytes: UnsafeRawBufferPointer
}

/// The queue beneath a ``SharedQueue``. Safe from any thread of any process that has mapped it.
final class RecordQueue: @unchecked Sendable {  // guarded by its shared lock
    let memory: SharedMemory
    let lock: RobustMutex
    let header: UnsafeMutablePointer<QueueHeader>
    let members: UnsafeMutablePointer<QueueMember>
    let arena: UnsafeMutableRawPointer
    /// Of 64 bytes, in the arena.
    let units: UInt32

    // This process's own, guarded by the lock all the same.
    var generation = spool_generation()
    /// Its place among the members, from its first get on.
    var slot: Int?
    var isClosed = false
    var gets = 0
    var standIns: [StandIn?] = [nil, nil, nil]
    /// How many threads and tasks of this process wait for each event.
    let waiting = WaitingCounts()
    let nextLook = Atomic<UInt64>(0)
    /// How long a sleeper sleeps at most.
    var pace = LookingPace()
    /// What a death leaves and is not put in order: for the rig, which must notice.
    var neglect: Neglect?

    /// Makes an empty queue.
    init(limit: Int, bytes: Int) throws(SpoolError) {
        guard limit >= 0 else {
            throw .badInput("a queue's maxsize cannot be negative.", hint: "0 has no bound.")
        }
        guard bytes >= QueueLayout.fewestBytes, bytes <= QueueLayout.mostBytes else {
            throw .badInput(
                "a shared queue has from \(QueueLayout.fewestBytes) to \(QueueLayout.mostBytes) bytes,"
                    + " not \(bytes).")
        }
        units = UInt32((bytes + Record.unit - 1) / Record.unit)
        memory = try .make(
            bytes: QueueLayout.arena + Int(units) * Record.unit, name: "spool-queue")
        (lock, header, members, arena) = Self.parts(memory)
        lock.initialize()
        for slot in 0..<QueueLayout.memberLimit { (members + slot).initialize(to: QueueMember()) }
        header.initialize(
            to: QueueHeader(
                units: units, limit: UInt32(clamping: limit == 0 ? .max : limit),
                freeUnits: units))
        commit(.free(units), at: 0)
    }

    /// Maps a queue that another process made.
    init(mapping descriptor: consuming Descriptor) throws(SpoolError) {
        memory = try SharedMemory(mapping: descriptor)
        (lock, header, members, arena) = Self.parts(memory)
        // What stands here never changes.
        let head = memory.count > QueueLayout.arena ? header.pointee : nil
        units = head?.units ?? 0
        guard head?.magic == QueueHeader.magic,
            QueueLayout.arena + Int(units) * Record.unit <= memory.count
        else {
            throw .badInput("this is not the descriptor of a shared queue of this version.")
        }
    }

    deinit { close() }

    private static func parts(
        _ memory: SharedMemory
    ) -> (
        RobustMutex, UnsafeMutablePointer<QueueHeader>, UnsafeMutablePointer<QueueMember>,
        UnsafeMutableRawPointer
    ) {
        let base = memory.base
        return (
            RobustMutex(at: base),
            (base + QueueLayout.header).assumingMemoryBound(to: QueueHeader.self),
            (base + QueueLayout.members).assumingMemoryBound(to: QueueMember.self),
            base + QueueLayout.arena
        )
    }

    // MARK: - The verbs

    /// Puts a record if there is room. If not, and `enlists`, counts the caller among the sleepers.
    func tryPut(
        _ bytes: UnsafeRawBufferPointer, _ sleep: inout Sleep, enlists: Bool
    ) throws(SpoolError) -> Bool {
        let need = try units(for: bytes.count)
        acquire()
        guard !isClosed, header.pointee.end == 0 else { throw refuse(&sleep, .freed) }
        let hasPlace = header.pointee.readyCount < header.pointee.limit
        guard hasPlace, let index = findRoom(need) else {
            // It may have been woken for a place that it has too few bytes for: that is for another.
            let woken = hasPlace ? takePuttersForPlace() : 0
            enlist(&sleep, .freed, forPlace: !hasPlace, forBytes: hasPlace, enlists)
            release()
            wake(.freed, woken)
            return false
        }
        write(bytes, need, at: index)
        commit(.ready(need, deliveries: 0), at: index)
        header.pointee.cursor = index + need
        append(index, to: &header.pointee.ready)
        header.pointee.readyCount += 1
        hint.pointee.store(header.pointee.readyCount, ordering: .relaxed)
        header.pointee.freeUnits -= need
        if delist(&sleep, .freed) { header.pointee.foundByLooking += 1 }
        let woken = takeGetter()
        release()
        wake(.arrived, woken)
        return true
    }

    /// Takes the next record if there is one. If not, and `enlists`, counts the caller among the sleepers.
    func tryGet(_ sleep: inout Sleep, enlists: Bool) throws(SpoolError) -> HeldRecord? {
        acquire()
        let index = header.pointee.ready.first
        guard !isClosed, index != Record.none || header.pointee.end == 0 else {
            throw refuse(&sleep, .arrived)
        }
        guard index != Record.none else {
            enlist(&sleep, .arrived, enlists)
            release()
            return nil
        }
        let slot = try memberSlot()
        let taken = take(index, slot)
        if delist(&sleep, .arrived) { header.pointee.foundByLooking += 1 }
        let woken = takePuttersForPlace()
        release()
        wake(.freed, woken)
        return taken
    }

    @inline(__always) private func take(_ index: UInt32, _ slot: Int) -> HeldRecord {
        let (word, record) = (word(at: index), record(at: index))
        let next = record.pointee.next
        record.pointee.thread = UInt(pthread_self())
        let deliveries = word.deliveries + 1
        commit(.held(word.units, slot: slot, deliveries: deliveries), at: index)
        header.pointee.ready.first = next
        if next == Record.none { header.pointee.ready.last = next }
        header.pointee.readyCount -= 1
        hint.pointee.store(header.pointee.readyCount, ordering: .relaxed)
        header.pointee.heldCount += 1
        append(index, to: &members[slot].held)
        members[slot].heldCount += 1
        gets &+= 1
        return HeldRecord(
            index: index, number: record.pointee.number, deliveries: deliveries,
            isTimeToLook: gets % Self.getsBetweenLooks == 0 && header.pointee.heldCount > 1,
            bytes: bytes(of: record))
    }

    /// Finishes a record that this process holds.
    func finish(_ index: UInt32, _ number: UInt64, _ deliveries: Int) throws(SpoolError) {
        acquire()
        guard !isClosed else { throw refuse() }
        guard let slot, holds(slot, index, number, deliveries) else {
            release()
            throw .claimLost(job: Int64(clamping: number), attempt: deliveries)
        }
        finish(index, slot)
    }

    /// Finishes the oldest record that this thread got; if it holds none, the oldest of this process.
    func finishOldest() throws(SpoolError) {
        acquire()
        guard !isClosed else { throw refuse() }
        guard let slot, !members[slot].held.isEmpty else {
            release()
            throw .taskDoneTooOften
        }
        let thread = UInt(pthread_self())
        var (index, passed) = (members[slot].held.first, UInt32(0))
        while index != Record.none, record(at: index).pointee.thread != thread {
            index = next(of: index, &passed)
        }
        finish(index == Record.none ? members[slot].held.first : index, slot)
    }

    @inline(__always) private func finish(_ index: UInt32, _ slot: Int) {
        let units = word(at: index).units
        remove(index, from: &members[slot].held)
        commit(.free(units), at: index)
        members[slot].heldCount -= 1
        header.pointee.heldCount -= 1
        header.pointee.freeUnits += units
        let putters = takePuttersForBytes()
        let joiners = takeJoiners()
        release()
        wake(.freed, putters)
        wake(.settled, joiners)
    }

    /// Puts a record back to its place in front that this process holds and cannot use.
    func putBack(_ held: HeldRecord) {
        acquire()
        defer { release() }
        guard !isClosed, let slot, holds(slot, held.index, held.number, held.deliveries) else {
            return
        }
        remove(held.index, from: &members[slot].held)
        members[slot].heldCount -= 1
        giveBack(held.index)
        wakeAll()
    }

    private func holds(_ slot: Int, _ index: UInt32, _ number: UInt64, _ deliveries: Int) -> Bool {
        let word = word(at: index)
        return word == .held(word.units, slot: slot, deliveries: deliveries)
            && record(at: index).pointee.number == number
    }

    /// Whether everything is finished. If not, and `enlists`, counts the caller among the sleepers.
    func trySettled(_ sleep: inout Sleep, enlists: Bool) throws(SpoolError) -> Bool {
        acquire()
        guard !isClosed else { throw refuse(&sleep, .settled) }
        let isSettled = header.pointee.readyCount == 0 && header.pointee.heldCount == 0
        if isSettled {
            if delist(&sleep, .settled) { header.pointee.foundByLooking += 1 }
        } else {
            enlist(&sleep, .settled, enlists)
        }
        release()
        return isSettled
    }

    /// Ends the queue for all processes, and wakes everybody.
    func shutdown(immediate: Bool) {
        acquire()
        defer { release() }
        guard !isClosed else { return }
        header.pointee.end = max(header.pointee.end, immediate ? 2 : 1)
        if immediate { dropReady() }
        wakeAll()
    }

    /// Ends the use of this object: what it holds goes back, and who waits with it ends.
    func close() {
        acquire()
        defer { release() }
        guard !isClosed else { return }
        isClosed = true
        if let slot {
            giveBackAll(of: slot)
            members[slot].pid = 0
        }
        slot = nil
        wakeAll()
    }

    /// Why a verb ends at once. Releases the lock.
    private func refuse(_ sleep: inout Sleep, _ event: QueueEvent) -> SpoolError {
        delist(&sleep, event)
        return refuse()
    }

    private func refuse() -> SpoolError {
        let error: SpoolError = isClosed ? .closed("queue") : .shutDown
        release()
        return error
    }

    // MARK: - Looking

    /// What `body` finds with the lock held.
    func look<Value>(_ body: (QueueHeader) -> Value) -> Value {
        acquire()
        defer { release() }
        return body(header.pointee)
    }
}
