// RecordQueue+Records.swift - the records in the arena, and the lists through them. With the lock held.
//
// Invariants: the records fill the arena without gaps, so whoever begins at 0 finds each by the sizes; and the cursor
// stands at the head of one, or at the end, after each store. Room is found by next fit; free neighbours become one on
// the way. What is written into a free record, the head of a split-off rest included, means nothing until the word
// before it is committed. Words and links are looked at before they are followed: in memory that somebody has written
// into a walk must not go on for ever, with the lock held.

private import Glibc
internal import SpoolThreads
internal import Synchronization

extension RecordQueue {
    /// 512 KiB: what the cache of a processor has room for.
    private static let warmUnits: UInt32 = 8192

    @inline(__always) func record(at index: UInt32) -> UnsafeMutablePointer<Record> {
        (arena + Int(index) &* Record.unit).assumingMemoryBound(to: Record.self)
    }

    @inline(__always) func word(at index: UInt32) -> RecordWord {
        RecordWord(bits: atom(index).pointee.load(ordering: .relaxed))
    }

    /// A word by which a walk goes on: its record has a size, and lies in the arena.
    @inline(__always) private func soundWord(at index: UInt32) -> RecordWord {
        let word = word(at: index)
        guard word.units > 0, word.units <= units &- index, word.state != nil else {
            reportDamage()
        }
        return word
    }

    /// The record behind this one in its list, in which the caller has passed `passed`: there are no more than units.
    @inline(__always) func next(of index: UInt32, _ passed: inout UInt32) -> UInt32 {
        passed &+= 1
        guard index < units, passed <= units else { reportDamage() }
        return record(at: index).pointee.next
    }

    /// Ends the process, and leaves the lock to the next one: no verb can be trusted any more.
    @inline(never) private func reportDamage() -> Never {
        fatalError("a shared queue is damaged: somebody wrote into its memory")
    }

    /// The one store that makes an operation happen.
    @inline(__always) func commit(_ word: RecordWord, at index: UInt32) {
        atom(index).pointee.store(word.bits, ordering: .releasing)
    }

    /// The word stands first in its record.
    @inline(__always) private func atom(_ index: UInt32) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (arena + Int(index) &* Record.unit).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    @inline(__always) func bytes(of record: UnsafeMutablePointer<Record>) -> UnsafeRawBufferPointer
    {
        UnsafeRawBufferPointer(
            start: UnsafeRawPointer(record) + Record.headSize, count: Int(record.pointee.count))
    }

    /// How many units a record of so many bytes has.
    /// - Throws: `tooLarge` when the arena would be too small for it even if it was empty.
    @inline(__always) func units(for count: Int) throws(SpoolError) -> UInt32 {
        let limit = Int(units) * Record.unit - Record.headSize
        guard count <= limit else { throw .tooLarge(what: "the item", bytes: count, limit: limit) }
        return UInt32((count + Record.headSize + Record.unit - 1) / Record.unit)
    }

    /// A free record of that size, or nil. It is free until another word is committed to it; the cursor goes behind it
    /// then.
    func findRoom(_ need: UInt32) -> UInt32? {
        guard header.pointee.freeUnits >= need else { return nil }
        let end = units
        var (index, seen) = (header.pointee.cursor, UInt32(0))
        // What was used a moment ago is in the cache: begin anew when twice as much was passed as is in use.
        if index > (end - header.pointee.freeUnits) &* 2 &+ Self.warmUnits { index = 0 }
        while seen <= end {
            if index >= end { index = 0 }
            let word = soundWord(at: index)
            var size = word.units
            if word.state == .free {
                size = mergeFree(index, size, upTo: need)
                if size >= need {
                    if size > need { commit(.free(size - need), at: index + need) }
                    return index
                }
            }
            seen += size
            index += size
        }
        return nil
    }

    /// Makes a free record one with the free ones behind it until it is big enough. Returns its size.
    private func mergeFree(_ index: UInt32, _ old: UInt32, upTo need: UInt32) -> UInt32 {
        var size = old
        while size < need, index + size < units {
            let behind = soundWord(at: index + size)
            guard behind.state == .free else { break }
            size += behind.units
        }
        guard size != old else { return size }
        // It stood at one that is none from here on, whether room is found or not.
        let cursor = header.pointee.cursor
        if cursor > index, cursor < index + size { header.pointee.cursor = index }
        commit(.free(size), at: index)
        return size
    }

    /// Fills a free record. Nobody sees it before its word is committed.
    @inline(__always) func write(_ bytes: UnsafeRawBufferPointer, _ units: UInt32, at index: UInt32)
    {
        let record = record(at: index)
        record.pointee.number = header.pointee.nextNumber
        header.pointee.nextNumber += 1
        record.pointee.count = UInt32(bytes.count)
        record.pointee.next = Record.none
        if let address = bytes.baseAddress {
            (UnsafeMutableRawPointer(record) + Record.headSize).copyMemory(
                from: address, byteCount: bytes.count)
        }
    }

    @inline(__always) func append(_ index: UInt32, to list: inout RecordList) {
        record(at: index).pointee.next = Record.none
        if list.isEmpty {
            list.first = index
        } else {
            record(at: list.last).pointee.next = index
        }
        list.last = index
    }

    /// Before the first one that was put later: given back items were put before all that nobody got yet.
    /// - Parameter other: In the list, or none. The place is looked for behind it if that was put before.
    func insertByNumber(_ index: UInt32, into list: inout RecordList, behind other: UInt32) {
        let number = record(at: index).pointee.number
        var (previous, next, passed) = (Record.none, list.first, UInt32(0))
        if other != Record.none, record(at: other).pointee.number < number {
            (previous, next) = (other, self.next(of: other, &passed))
        }
        while next != Record.none, record(at: next).pointee.number < number {
            (previous, next) = (next, self.next(of: next, &passed))
        }
        record(at: index).pointee.next = next
        if previous == Record.none { list.first = index } else { link(previous, index) }
        if next == Record.none { list.last = index }
    }

    func remove(_ index: UInt32, from list: inout RecordList) {
        let next = record(at: index).pointee.next
        if list.first == index {
            list.first = next
            if next == Record.none { list.last = next }
            return
        }
        var (previous, passed) = (list.first, UInt32(0))
        while true {
            let behind = self.next(of: previous, &passed)
            if behind == index { break }
            previous = behind
        }
        link(previous, next)
        if next == Record.none { list.last = previous }
    }

    private func link(_ index: UInt32, _ next: UInt32) { record(at: index).pointee.next = next }

    /// Each record of the arena.
    func forEachRecord(_ body: (UInt32, RecordWord) -> Void) {
        var index: UInt32 = 0
        while index < units {
            let word = soundWord(at: index)
            body(index, word)
            index += word.units
        }
    }
}
