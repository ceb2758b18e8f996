// SlotPage.swift - memory that a supervisor shares with its consumers: who runs what, readable after a SIGKILL.
//
// One slot per consumer: the job that it runs (0: none), the process group of its command (0: none), its process id.
// A consumer writes only its own slot. The process group is cleared before its leader is reaped, so that the number
// cannot belong to anybody else while it stands here.

private import CSpool
private import Glibc
public import SpoolThreads

/// The slots of a worker's consumers.
///
/// Safe from any process that maps it: each word is read and written atomically.
public struct SlotPage: @unchecked Sendable {  // touched by atomic operations only
    /// Slots in a page: four times the consumers that a worker may have, so that none is used again soon.
    public static let limit = 4096
    private static let wordsPerSlot = 4
    private static let size = limit * wordsPerSlot * MemoryLayout<Int64>.size

    private let words: UnsafeMutablePointer<Int64>

    /// Makes the memory and gives its descriptor, which other processes map.
    /// - Throws: `.system` when memory or descriptors are short.
    public static func make() throws(SpoolError) -> (page: SlotPage, descriptor: Int32) {
        let file = spool_memory_file("spool-slots")
        guard file >= 0 else { throw .system(call: "memfd_create", errno: -file) }
        guard ftruncate(file, size) == 0 else { throw .system(call: "ftruncate", errno: errno) }
        return (try SlotPage(mapping: file), file)
    }

    /// Maps the memory behind a descriptor of `make`; it stays mapped in children, for the life of the process.
    public init(mapping descriptor: Int32) throws(SpoolError) {
        let address = mmap(nil, Self.size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        guard let address, address != MAP_FAILED else { throw .system(call: "mmap", errno: errno) }
        words = address.bindMemory(to: Int64.self, capacity: Self.limit * Self.wordsPerSlot)
    }

    /// The job that the consumer of this slot runs; 0 is none.
    public func job(_ slot: Int) -> Int64 { spool_load(word(slot, 0)) & ~Self.barred }

    /// Says that the consumer of this slot, which runs none, runs this job from now on. False: it may begin none.
    public func begin(_ job: Int64, _ slot: Int) -> Bool {
        spool_swap_if(word(slot, 0), 0, job) != 0
    }

    /// Says that it runs none any more.
    public func finish(_ slot: Int) { _ = spool_keep_bits(word(slot, 0), Self.barred) }

    /// From now on the consumer of this slot begins no job. Gives the one that it has begun; 0 is none.
    public func bar(_ slot: Int) -> Int64 {
        spool_set_bits(word(slot, 0), Self.barred) & ~Self.barred
    }

    /// It may begin jobs again.
    public func unbar(_ slot: Int) { _ = spool_keep_bits(word(slot, 0), ~Self.barred) }

    /// In the word of the job: the sign, which no id has.
    private static let barred = Int64.min

    /// The process group of the command that the consumer of this slot runs; 0 is none.
    public func group(_ slot: Int) -> Int32 { Int32(truncatingIfNeeded: spool_load(word(slot, 1))) }

    /// The word that `Command` writes the process group to, before the program begins.
    public func groupWord(_ slot: Int) -> UnsafeMutablePointer<Int64> { word(slot, 1) }

    /// Says that no command runs; call it before its leader is reaped.
    public func clearGroup(_ slot: Int) { spool_store(word(slot, 1), 0) }

    /// The process id of the consumer of this slot; 0 is none.
    public func consumer(_ slot: Int) -> Int32 {
        Int32(truncatingIfNeeded: spool_load(word(slot, 2)))
    }

    /// Says who the consumer of this slot is.
    public func setConsumer(_ pid: Int32, _ slot: Int) { spool_store(word(slot, 2), Int64(pid)) }

    /// Ends every consumer and what it runs. For whoever is left when the supervisor has died.
    public func endAll() {
        let slots = (0..<Self.limit).filter { consumer($0) > 1 }
        for slot in slots { kill(consumer(slot), SIGKILL) }
        for slot in slots {
            // A consumer that still lives could start one more command.
            _ = spool_wait_gone(consumer(slot), 1000)
            let group = group(slot)
            if group > 1 { kill(-group, SIGKILL) }
        }
    }

    /// Takes the consumer and its command out of the slot, before their numbers go to others; its job stays.
    public func leave(_ slot: Int) {
        clearGroup(slot)
        setConsumer(0, slot)
    }

    /// Empties a slot for its next consumer.
    public func clear(_ slot: Int) {
        spool_store(word(slot, 0), 0)
        spool_store(word(slot, 1), 0)
        spool_store(word(slot, 2), 0)
    }

    private func word(_ slot: Int, _ index: Int) -> UnsafeMutablePointer<Int64> {
        precondition(slot >= 0 && slot < Self.limit, "no slot \(slot)")
        return words + slot * Self.wordsPerSlot + index
    }
}
