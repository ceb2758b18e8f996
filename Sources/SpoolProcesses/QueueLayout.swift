// QueueLayout.swift - how a shared queue lies in memory, and which of its words are the truth.
//
//     0     the robust lock, two hints   64  QueueHeader      1024, 1152, 1280  the words of the event counts
//     1408  two words of the looks for deaths
//     4096  the members: processes that hold, or held, items        then the arena: records, one after the other
//
// THE RULE: the word at the head of a record (its size, its state, who holds it, how often it was delivered) is the
// only authority about it, and every operation has ONE commit: an atomic store of that word. Everything else in the
// header, the lists through the records and the members' counts follows from the words, and is made anew from them
// when a process died with the lock (RecordQueue+Repair.swift). So a death at any instruction comes either before or
// after the commit.

internal import SpoolThreads
internal import Synchronization

/// What stands once in a queue's memory. Everything changes with the lock held only.
struct QueueHeader {
    static let magic: UInt64 = 0x0131_5155_4555_4551  // another one for another layout

    // One line of the cache holds what every verb touches.
    /// Of 64 bytes, in the arena.
    let units: UInt32
    /// Ready items before put waits.
    let limit: UInt32
    /// The truth about the end: 0 open, 1 shut down, 2 at once.
    var end: UInt32 = 0
    /// Members were never beyond this slot.
    var memberSlots: UInt32 = 0

    // What follows from the records.
    var ready = RecordList()
    var readyCount: UInt32 = 0
    var heldCount: UInt32 = 0
    var freeUnits: UInt32
    /// Where to look for room next: the head of a record, or the end.
    var cursor: UInt32 = 0
    /// Greater than that of any record.
    var nextNumber: UInt64 = 1

    // Who sleeps: never fewer than really do.
    var sleepers = Sleepers()

    var magic = QueueHeader.magic

    // Counted for people and tests.
    var repairs: UInt64 = 0
    var givenBack: UInt64 = 0
    /// Items that a look at the clock found, because who was woken for them had died.
    var foundByLooking: UInt64 = 0
}

/// How many sleep on each event count. A waker takes one off in the name of whom it wakes, and counts the event, with
/// the lock held; who stops waiting by itself takes itself off only if no event was counted since it came. So the
/// numbers may be too high, which costs a vain wake-up, but never too low, which would lose one.
struct Sleepers {
    var getters: UInt32 = 0
    /// Those that found no place.
    var forPlace: UInt32 = 0
    /// Those that found too few bytes: any free record may be enough for any of them.
    var forBytes: UInt32 = 0
    var joiners: UInt32 = 0
}

/// A list through `Record.next`.
struct RecordList {
    var first = Record.none
    var last = Record.none
    var isEmpty: Bool { first == Record.none }
}

/// A process that holds items. Free when `pid` is 0: the truth about a slot, written last.
struct QueueMember {
    var pid: Int32 = 0
    /// Records that it holds: follows from the records.
    var heldCount: UInt32 = 0
    /// When the process began: with it, a process that was given the same id later is another one.
    var start: UInt64 = 0
    /// The oldest first.
    var held = RecordList()
}

/// The head of a record, before its bytes.
struct Record {
    static let none = UInt32.max
    static let unit = 64
    static let headSize = MemoryLayout<Record>.size
    /// `RecordWord`.
    var word: UInt64
    /// In which order the items were put.
    var number: UInt64
    var count: UInt32
    var next: UInt32
    /// The thread that got it, by an address that means something in its process only.
    var thread: UInt
}

/// The truth about a record.
struct RecordWord: Equatable {
    enum State: UInt64 {
        case free, ready, held
    }

    static let slotLimit = 4096
    private static let deliveryLimit: UInt64 = 1 << 22
    let bits: UInt64

    init(bits: UInt64) { self.bits = bits }

    private init(_ units: UInt32, _ state: State, slot: Int, deliveries: Int) {
        bits =
            UInt64(units) | state.rawValue << 28 | UInt64(slot) << 30
            | min(UInt64(deliveries), Self.deliveryLimit - 1) << 42
    }

    static func free(_ units: UInt32) -> RecordWord {
        RecordWord(units, .free, slot: 0, deliveries: 0)
    }

    static func ready(_ units: UInt32, deliveries: Int) -> RecordWord {
        RecordWord(units, .ready, slot: 0, deliveries: deliveries)
    }

    static func held(_ units: UInt32, slot: Int, deliveries: Int) -> RecordWord {
        RecordWord(units, .held, slot: slot, deliveries: deliveries)
    }

    /// 64 bytes each, the head included.
    var units: UInt32 { UInt32(truncatingIfNeeded: bits & 0xFFF_FFFF) }
    var state: State? { State(rawValue: bits >> 28 & 3) }
    /// Who holds it.
    var slot: Int { Int(bits >> 30 & 0xFFF) }
    /// How often it was handed out.
    var deliveries: Int { Int(bits >> 42) }
}

/// Where things are, and how big they may be.
enum QueueLayout {
    /// A word in the line of the lock: how many items are ready, for a look without the lock.
    static let hint = 48
    /// Beside it: until when a getter looks out for an item that is put, and need not be woken.
    static let lookout = 56
    static let header = 64
    static let arrived = 1024
    static let freed = 1152
    static let settled = 1280
    /// When somebody last looked for deaths, and how often that was.
    static let lastLook = 1408
    static let looks = 1416
    static let members = 4096
    static let memberLimit = 1024
    static let arena = members + memberLimit * MemoryLayout<QueueMember>.stride
    static let fewestBytes = 4096
    /// 2^28 units of 64 bytes.
    static let mostBytes = Int(0xFFF_FFFF) * Record.unit
}
