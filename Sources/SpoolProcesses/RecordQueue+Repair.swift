// RecordQueue+Repair.swift - after a death: the lock comes back, the lists are made anew, items go back.
//
// The records' words are the truth. Whoever gets the lock of a dead owner makes everything else from them and wakes
// everybody, as the dead may have owed a wake-up. If it dies at that, the next one begins again.

private import CSpool
private import Glibc
internal import SpoolThreads

extension RecordQueue {
    /// Takes the lock; the queue is whole then.
    @inline(__always) func acquire() {
        if lock.lockQuickly() == .ownerDied { takeOver() }
        if generation != spool_generation() { beginAnew() }
    }

    @inline(__always) func release() { lock.unlock() }

    private func takeOver() {
        if neglect != .repair { repair() }
        lock.markConsistent()
        wakeAll()
    }

    /// In a forked child: the parent's items and sleepers are not its own.
    private func beginAnew() {
        generation = spool_generation()
        slot = nil
        standIns = [nil, nil, nil]
        waiting.clear()
    }

    private func repair() {
        header.pointee.repairs += 1
        for slot in 0..<Int(header.pointee.memberSlots) {
            members[slot].held = RecordList()
            members[slot].heldCount = 0
        }
        var ready: [UInt32] = []
        var held: [UInt32] = []
        var freeUnits: UInt32 = 0
        forEachRecord { index, word in
            switch word.state {
            case .ready: ready.append(index)
            case .held: held.append(index)
            case .free, nil: freeUnits += word.units
            }
        }
        for index in byNumber(held) {
            let slot = word(at: index).slot
            append(index, to: &members[slot].held)
            members[slot].heldCount += 1
        }
        header.pointee.ready = RecordList()
        let sorted = byNumber(ready)
        for index in sorted { append(index, to: &header.pointee.ready) }
        header.pointee.readyCount = UInt32(ready.count)
        header.pointee.heldCount = UInt32(held.count)
        header.pointee.freeUnits = freeUnits
        header.pointee.cursor = 0
        let newest = (ready + held).map { record(at: $0).pointee.number }.max() ?? 0
        header.pointee.nextNumber = max(header.pointee.nextNumber, newest + 1)
        if header.pointee.end == 2 { dropReady() }
    }

    private func byNumber(_ records: [UInt32]) -> [UInt32] {
        records.sorted { record(at: $0).pointee.number < record(at: $1).pointee.number }
    }

    /// Drops what nobody got, and counts it as finished.
    func dropReady() {
        var (index, passed) = (header.pointee.ready.first, UInt32(0))
        while index != Record.none {
            let next = next(of: index, &passed)
            let units = word(at: index).units
            commit(.free(units), at: index)
            header.pointee.freeUnits += units
            index = next
        }
        header.pointee.ready = RecordList()
        header.pointee.readyCount = 0
    }

    /// Makes a held record ready again, in its old place: its holder has let it out of its list. After an end at
    /// once nobody would get it, so it counts as finished.
    /// - Parameter other: A ready record behind which the place may be, or none.
    func giveBack(_ index: UInt32, behind other: UInt32 = Record.none) {
        let word = word(at: index)
        header.pointee.heldCount -= 1
        header.pointee.givenBack += 1
        guard header.pointee.end != 2 else {
            commit(.free(word.units), at: index)
            header.pointee.freeUnits += word.units
            return
        }
        commit(.ready(word.units, deliveries: word.deliveries), at: index)
        insertByNumber(index, into: &header.pointee.ready, behind: other)
        header.pointee.readyCount += 1
    }

    /// Gives back whatever a member holds. It got most of it in the order of the numbers, so that each has its place
    /// behind the one before: from the front every time, a hundred thousand would keep the lock for many seconds.
    func giveBackAll(of slot: Int) {
        var (index, passed, before) = (members[slot].held.first, UInt32(0), Record.none)
        while index != Record.none {
            let next = next(of: index, &passed)
            giveBack(index, behind: before)
            if header.pointee.end != 2 { before = index }
            index = next
        }
        members[slot].held = RecordList()
        members[slot].heldCount = 0
    }
}
