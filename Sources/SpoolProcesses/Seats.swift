// Seats.swift - who uses a thing in shared memory: a seat for each thread, and the kernel says whose thread died.
//
// A seat begins with a robust lock that its thread holds as long as it sits there: the kernel marks the word when the
// thread ends, however it ends (set_robust_list(2)). So whether a thread lives is a look at a word: no process id
// that another one may have by now, no descriptor, no supervisor. Invariants:
//  - the memory stays mapped while a thread of this process sits in it: the kernel follows its list of robust locks;
//  - a name is a seat and how often it was inherited: it is never given to another thread after a death. So a word that
//    says who holds a thing can be taken from a dead one by one compare-and-exchange;
//  - an heir settles what the status of its seat says of the dead one before it uses the seat; if it dies doing so, the
//    next one does;
//  - a seat is left only by its own thread, and only when its name holds nothing.

internal import CSpool
private import Glibc
internal import SpoolThreads
internal import Synchronization

typealias SharedWord = UnsafeMutablePointer<Atomic<UInt32>>
typealias SharedLong = UnsafeMutablePointer<Atomic<UInt64>>

/// A thread in its seat: bits 0 to 9 the seat, from 1; 10 to 29 its generation. 0 is nobody.
typealias SeatName = UInt32

/// The memory of one shared thing: a header, and the seats of those who use it.
// Shared memory, changed by atomic operations or with a lock in it.
final class Seats: @unchecked Sendable {
    /// Threads that can use one thing at once, in all processes.
    static let limit = 1023
    /// The part of a word that is a name.
    static let nameMask: UInt32 = 1 << 30 - 1
    private static let seatMask: UInt32 = 1023
    private static let seatSize = 64
    private static let firstSeat = 4096

    /// Bytes of the header, and of a seat.
    private enum Place {
        static let kind = 0
        static let parameters = 8
        static let lock = 64
        static let door = 128
        static let count = 192
        static let words = 256

        static let token = 40
        static let generation = 44
        static let bell = 48
        static let ticket = 52
        static let status = 56
    }

    let memory: SharedMemory
    /// Which of the places of this process it is.
    let number: UInt64
    private let hooks: SeatHooks
    /// Threads that sit here for tasks of this process.
    let bench = Bench()

    private static let made = Atomic<UInt64>(0)
    private var start: UnsafeMutableRawPointer { memory.base }

    /// New memory, for a thing of this kind.
    init(
        kind: UInt64, parameters: [UInt64] = [],
        hooks: SeatHooks = SeatHooks()
    ) throws(SpoolError) {
        memory = try SharedMemory.make(
            bytes: Self.firstSeat + Self.limit * Self.seatSize, name: "spool-lock")
        number = Self.made.add(1, ordering: .relaxed).newValue
        self.hooks = hooks
        door.initialize()
        for (index, parameter) in parameters.enumerated() {
            long(at: Place.parameters + 8 * index).pointee.store(parameter, ordering: .relaxed)
        }
        long(at: Place.kind).pointee.store(kind, ordering: .releasing)
    }

    /// Memory that another process made, for a thing of the same kind.
    init(
        memory: SharedMemory, kind: UInt64, hooks: SeatHooks = SeatHooks()
    ) throws(SpoolError) {
        self.memory = memory
        self.hooks = hooks
        number = Self.made.add(1, ordering: .relaxed).newValue
        guard memory.count >= Self.firstSeat + Self.limit * Self.seatSize,
            long(at: Place.kind).pointee.load(ordering: .acquiring) == kind
        else { throw .badInput("the descriptor is not the memory of such a shared lock.") }
    }

    // MARK: - Words

    /// What the thing was made with.
    func parameter(_ index: Int) -> UInt64 {
        long(at: Place.parameters + 8 * index).pointee.load(ordering: .relaxed)
    }

    /// The word of its lock.
    var lockWord: SharedWord { word(at: Place.lock) }

    /// Words for the thing's own state, 0 at first.
    func state(_ index: Int) -> SharedLong { long(at: Place.words + 64 * index) }

    /// Seats that were ever used: those from 0 to this.
    var count: Int { Int(word(at: Place.count).pointee.load(ordering: .acquiring)) }

    /// Rung to make the thread of a seat look again.
    func bell(_ seat: Int) -> SharedWord { word(at: offset(seat) + Place.bell) }

    /// What the thread of a seat waits for and holds; 0 is nothing. See ``SharedMonitor``.
    func status(_ seat: Int) -> SharedLong { long(at: offset(seat) + Place.status) }

    /// The order in which those who wait came.
    func ticket(_ seat: Int) -> SharedWord { word(at: offset(seat) + Place.ticket) }

    /// The process of a seat.
    func token(_ seat: Int) -> SharedWord { word(at: offset(seat) + Place.token) }

    /// Guards the count of seats.
    private var door: RobustMutex { RobustMutex(at: start + Place.door) }
    private func life(_ seat: Int) -> UnsafeMutableRawPointer { start + offset(seat) }
    private func offset(_ seat: Int) -> Int { Self.firstSeat + seat * Self.seatSize }
    private func word(at offset: Int) -> SharedWord {
        (start + offset).assumingMemoryBound(to: Atomic<UInt32>.self)
    }
    private func long(at offset: Int) -> SharedLong {
        (start + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    // MARK: - Names

    /// The seat of a name.
    static func seat(_ name: SeatName) -> Int { Int(name & seatMask) - 1 }

    /// The name that a seat has now.
    func name(_ seat: Int) -> SeatName {
        let generation = word(at: offset(seat) + Place.generation).pointee.load(
            ordering: .acquiring)
        return (generation << 10 | UInt32(seat + 1)) & Self.nameMask
    }

    /// Whether the thread of this name is dead.
    func isDead(_ name: SeatName) -> Bool {
        let seat = Self.seat(name)
        return isDead(seat: seat) || self.name(seat) != name
    }

    /// Whether the last thread of this seat died, and what it held is not settled.
    func isDead(seat: Int) -> Bool {
        lifeWord(seat).pointee.load(ordering: .acquiring) & UInt32(SPOOL_OWNER_DIED) != 0
    }

    private func lifeWord(_ seat: Int) -> SharedWord { word(at: offset(seat)) }

    /// Watches for the death of a seat's thread. False when it does not live: look again.
    func watchLife(_ seat: Int, _ watch: inout WordWatch) -> Bool {
        let value = spool_life_watch(life(seat))
        if value != 0 { watch.add(lifeWord(seat), was: value) }
        return value != 0
    }

    /// Empties the seat of a thread that died, after `settle`; nothing if another one is at it.
    func bury(_ seat: Int, settle: () -> Void) {
        let status = spool_life_take(life(seat))
        if status == EOWNERDEAD {
            settle()
            rename(seat)
        }
        if status != EBUSY { spool_life_leave(life(seat)) }
    }

    private func rename(_ seat: Int) {
        word(at: offset(seat) + Place.generation).pointee.wrappingAdd(
            1, ordering: .acquiringAndReleasing)
    }

    // MARK: - Sitting

    /// The calling thread's name here; it gets a seat at its first use.
    /// - Throws: `badInput` when all are taken.
    func me() throws(SpoolError) -> SeatName {
        let noted = spool_seat_noted(number)
        return noted != 0 ? noted : try sit()
    }

    /// The calling thread's name here, 0 if it has none.
    var meIfSeated: SeatName {
        let noted = spool_seat_noted(number)
        return noted != 0 ? noted : SeatBook.current.name(in: self)
    }

    private func sit() throws(SpoolError) -> SeatName {
        var name = SeatBook.current.name(in: self)
        if name == 0 {
            name = try takeSeat()
            SeatBook.current.add(self, name)
        }
        spool_seat_note(number, name)
        return name
    }

    private func takeSeat() throws(SpoolError) -> SeatName {
        while true {
            for seat in 0..<count {
                let status = spool_life_take(life(seat))
                guard status == 0 || status == EOWNERDEAD else { continue }
                if status == EOWNERDEAD {
                    rename(seat)
                    hooks.inherit(self, name(seat))
                }
                token(seat).pointee.store(spool_process_token(), ordering: .releasing)
                return name(seat)
            }
            guard count < Self.limit else {
                throw .badInput("more than \(Self.limit) threads use one shared lock.")
            }
            addSeat()
        }
    }

    /// One seat more. Who died doing it did nothing: the count is the last that changes.
    private func addSeat() {
        var outcome = RobustMutex.Outcome.timedOut
        // One that was woken for it may have been killed, and nobody else woken: so look again.
        while outcome == .timedOut {
            outcome = door.lock(until: Deadline(after: .milliseconds(10)))
        }
        if outcome == .ownerDied { door.markConsistent() }
        let seat = count
        if seat < Self.limit {
            RobustMutex(at: life(seat)).initialize()
            word(at: Place.count).pointee.store(UInt32(seat + 1), ordering: .releasing)
        }
        door.unlock()
    }

    /// Gives the calling thread's seat up, unless its name holds something: then it is for its heir when the thread
    /// ends. Returns whether it did.
    func leave(_ name: SeatName) -> Bool {
        let seat = Self.seat(name)
        guard status(seat).pointee.load(ordering: .acquiring) == 0,
            lockWord.pointee.load(ordering: .acquiring) & Self.nameMask != name
        else { return false }
        token(seat).pointee.store(0, ordering: .releasing)
        spool_life_leave(life(seat))
        return true
    }

    /// As ``leave(_:)`` for a thread that ends, or whose handle goes: what it holds finds another holder first.
    func retire(_ name: SeatName) -> Bool {
        hooks.retire(self, name)
        return leave(name)
    }

    /// The handle goes: the calling thread leaves its seat, and so do those that sit for tasks. Others of this process
    /// do when they end.
    func close() {
        bench.close()
        SeatBook.current.leave(self)
    }
}

/// What a kind of thing does about a thread that is not there any more.
struct SeatHooks: Sendable {
    /// Settles what the status of a seat says of a thread that died; called by its heir, under its own name.
    var inherit: @Sendable (Seats, SeatName) -> Void = { _, _ in }
    /// The thread leaves while its process lives: what it holds goes to another one.
    var retire: @Sendable (Seats, SeatName) -> Void = { _, _ in }
}
