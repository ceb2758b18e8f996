// Board.swift - puts of processes that found another one in the gate: it takes them along in its transaction.
//
// A process that puts has a seat in the memory that all writers share. While another one is in the gate it posts its
// jobs there and sleeps; whoever is in the gate puts them in its own transaction, and says when it was committed. So
// four processes that put one job after the other make one transaction where they would make four, and wait for it
// once. After "flat combining", Hendler, Incze, Shavit and Tzafrir, SPAA 2010.
//
// Who was in the gate last is the best one to be there next: what it has read of the file still holds. So when the disk
// is done it calls one of the others, which calls the rest (BoardSeats), comes back first, does its own part, and only
// then waits for what the others post.
//
// Invariants:
//  - only who is in the gate takes what was posted, and only its own process posts in a seat, or takes back what is not
//    taken: one exchange of the state decides. Who has taken some may read the seat until it leaves the gate;
//  - a batch is begun (its number stands here, its jobs' ids in their seats) before it is committed, with its number in
//    the same transaction. So whoever enters the gate after a death finds jobs that were taken, and sees in the store
//    whether they are there: none is put twice, and none that was acknowledged is missing;
//  - jobs of a process that has died, or does not look any more, are not taken: whoever waited for its end counts on
//    what is there then, and starts another one in its place. Of one that dies while they are being put, as of any
//    process that dies in a commit, nobody knows: they may be there a moment after its end.

private import CSpool
private import Glibc
internal import SpoolProcesses
internal import SpoolThreads
internal import Synchronization

/// The seat of one store, and the others' as the one in the gate sees them. Not for two threads at once.
final class Board {
    static let seats = 32
    static let seatSize = 4096

    /// How it went with jobs that were posted.
    enum Fate {
        case waiting
        /// With the id of the first one, and the commit's number in ``SyncLedger``.
        case committed(first: Int64, number: UInt64)
        /// Not put: whoever took them could not.
        case refused
        /// Nobody can tell.
        case unknown
    }

    /// Jobs that were taken from a seat.
    struct Post {
        let seat: Int
        let jobs: [NewJob]
        let now: UnixTime
        /// The id of the first one, once they were put.
        var first: Int64 = 0
    }

    private let memory: StoreMemory
    private let process = UInt64(getpid())
    private var own: Int?
    private var wantsSeat = false
    /// Who has taken what was posted may still read it.
    private var isAbandoned = false
    /// Seats whose jobs were taken for the transaction that is open.
    private var carried: UInt64 = 0
    /// When a batch of puts entered the gate. Nil: something else did.
    private var began: Deadline?
    private var writer = FrameWriter()

    /// The longest sleep of one that waits: who took its jobs, or should, may have died.
    private static let patience = Duration.milliseconds(5)
    /// Who has not looked for so long is not there.
    private static let freshness = Duration.milliseconds(50)
    /// A batch that took long, as the disk did, says nothing about how soon others come back.
    private static let longestGathering = Duration.microseconds(200)
    /// Whose last batch is older than this do not put one job after the other.
    private static let flowing = Duration.milliseconds(1)

    init(_ memory: StoreMemory) { self.memory = memory }

    // MARK: - Words

    private static let header = 64

    private func at(_ word: Word) -> SharedWord { memory.word(word) }

    private func at(_ field: Field, _ seat: Int) -> SharedWord { memory.word(field, seat) }

    private func value(_ word: SharedWord) -> UInt64 {
        word.pointee.load(ordering: .sequentiallyConsistent)
    }

    private func set(_ word: SharedWord, _ value: UInt64) {
        word.pointee.store(value, ordering: .sequentiallyConsistent)
    }

    /// False: it had another state.
    private func move(_ seat: Int, from state: UInt64, to next: UInt64) -> Bool {
        at(.state, seat).pointee.compareExchange(
            expected: state, desired: next, ordering: .sequentiallyConsistent
        ).exchanged
    }

    private func mark(_ word: Word, _ seat: Int, _ isMarked: Bool) {
        let bit = Board.bit(seat)
        if isMarked {
            at(word).pointee.bitwiseOr(bit, ordering: .sequentiallyConsistent)
        } else {
            at(word).pointee.bitwiseAnd(~bit, ordering: .sequentiallyConsistent)
        }
    }

    private func marked(_ word: Word) -> [Int] {
        let bits = value(at(word))
        return bits == 0 ? [] : (0..<Board.seats).filter { bits & Board.bit($0) != 0 }
    }

    static func bit(_ seat: Int) -> UInt64 { 1 << UInt64(seat) }

    private func payload(_ seat: Int) -> UnsafeMutableRawBufferPointer {
        let start = StoreMemory.Place.seats + seat * Board.seatSize + Board.header
        return UnsafeMutableRawBufferPointer(
            start: memory.bytes(at: start), count: Board.seatSize - Board.header)
    }

    private static func clock() -> UInt64 { Deadline.now().nanoseconds }

    // MARK: - Who posts

    /// Whether somebody is in the gate, perhaps.
    var isLed: Bool { value(at(.leader)) != 0 }

    /// Posts jobs, if there is room. Then they wait for their ``fate()``.
    func post(_ jobs: [NewJob], now: UnixTime) -> Bool {
        guard let own else {
            wantsSeat = true
            return false
        }
        guard !isAbandoned else { return false }
        writer.discard()
        writer.put(now.microseconds)
        writer.put(UInt32(jobs.count))
        let room = payload(own)
        for job in jobs {
            guard job.body.count <= room.count else { return false }
            writer.put(job)
            guard writer.count <= room.count else { return false }
        }
        writer.withBytes { room.copyMemory(from: $0) }
        set(at(.length, own), UInt64(writer.count))
        set(at(.looked, own), Board.clock())
        set(at(.state, own), State.posted)
        mark(.posted, own, true)
        return true
    }

    /// What became of them. Once they do not wait any more the seat is free for the next.
    func fate() -> Fate {
        guard let own else { preconditionFailure("only who has posted asks") }
        let fate: Fate
        switch value(at(.state, own)) {
        case State.committed:
            fate = .committed(
                first: Int64(bitPattern: value(at(.first, own))), number: value(at(.number, own)))
        case State.refused: fate = .refused
        case State.unknown: fate = .unknown
        default: fate = .waiting
        }
        if case .waiting = fate {} else { set(at(.state, own), State.idle) }
        Calls.pass(from: own, memory)
        return fate
    }

    /// How often it was called. Read it before you look for the ``fate()`` and at the gate.
    var timesCalled: UInt32 { own.map { memory.calls($0).read() } ?? 0 }

    /// Sleeps until it is called once more than `seen`, for a moment at most: look again.
    /// - Returns: Whether it was called.
    @discardableResult
    func awaitCall(after seen: UInt32) -> Bool {
        guard let own else { return false }
        set(at(.looked, own), Board.clock())
        return memory.calls(own).wait(after: seen, until: Deadline(after: Board.patience))
    }

    /// Nobody has taken them.
    var isWaiting: Bool { own.map { value(at(.state, $0)) == State.posted } ?? false }

    /// Whether ``fate()`` knows it.
    var hasFate: Bool { own.map(memory.hasFate) ?? false }

    /// Takes back what nobody has taken. The caller is in the gate, and nothing is unfinished.
    func withdraw() {
        guard let own else { return }
        mark(.posted, own, false)
        set(at(.state, own), State.idle)
    }

    /// As ``withdraw()`` for one that is not in the gate. False: somebody has taken them.
    func takeBack() -> Bool {
        guard let own, move(own, from: State.posted, to: State.idle) else { return false }
        mark(.posted, own, false)
        return true
    }

    /// Asks no more what becomes of jobs that were taken. Nothing is posted until the caller has been in the gate: who
    /// has taken them is out of it then. False: they are not taken any more, look again.
    func abandon() -> Bool {
        guard let own, move(own, from: State.taken, to: State.idle) else { return false }
        isAbandoned = true
        return true
    }

    // MARK: - Who is in the gate

    /// In the gate from now on.
    func enter(toPut: Bool) {
        set(at(.leader), process)
        isAbandoned = false
        if wantsSeat { sit() }
        began = toPut ? Deadline.now() : nil
    }

    /// How many are worth waiting for, and until when.
    struct Gathering {
        let wanted: Int
        let limit: Deadline
    }

    /// Those of the batch before come back a moment later, and would make a second line that is always one sync
    /// behind. They are worth half a batch, nearly all of them if there are many.
    func gathering() -> Gathering? {
        guard Board.clock() < value(at(.last)) &+ UInt64(Board.flowing.nanoseconds) else {
            return nil
        }
        let expected = Int(clamping: value(at(.expected)))
        let round = Duration.nanoseconds(Int64(clamping: value(at(.round))))
        return Gathering(
            wanted: expected - expected / 8 - (began == nil ? 0 : 1),
            limit: Deadline(after: min(round / 2, Board.longestGathering)))
    }

    /// Lets others run until half of those have posted that are missing: a job costs less among several, and nothing
    /// while others are waited for. False: enough have, or it would take too long.
    /// - Parameter count: So many were taken.
    func awaitPosts(_ gathering: Gathering, after count: Int) -> Bool {
        let missing = gathering.wanted - count
        guard missing > 0 else { return hasPosts }
        while value(at(.posted)).nonzeroBitCount < (missing + 1) / 2 {
            guard !gathering.limit.isPast else { return hasPosts }
            Pause.yield()
        }
        return true
    }

    /// Out of the gate next.
    func leave() { set(at(.leader), 0) }

    /// One of those that still wait: it can enter. Asked when the gate was left: who posts after that finds it open,
    /// who has posted before may have found it closed.
    var next: Calls {
        let posted = value(at(.posted))
        return Calls(memory: memory, seats: posted & ~(posted &- 1))
    }

    /// Takes a seat that nobody living has; its lock goes with the process.
    private func sit() {
        wantsSeat = false
        guard !isUnfinished else { return }
        own = (0..<Board.seats).first {
            spool_lock_byte(memory.file.descriptor, Int64($0), Int32(F_WRLCK)) == 0
        }
        withdraw()
    }

    var hasPosts: Bool { value(at(.posted)) != 0 }

    /// Jobs were taken by one that has died.
    var isUnfinished: Bool { value(at(.taken)) != 0 }

    /// Takes what was posted by those who still look. Nothing is unfinished.
    func take() -> [Post] {
        let now = Board.clock()
        var posts: [Post] = []
        for seat in marked(.posted) {
            guard isTaken(seat), value(at(.state, seat)) == State.posted else {
                clear(seat)
                continue
            }
            let looked = value(at(.looked, seat))
            guard now < looked &+ UInt64(Board.freshness.nanoseconds) else { continue }
            mark(.taken, seat, true)
            guard move(seat, from: State.posted, to: State.taken) else {
                mark(.taken, seat, false)
                continue
            }
            mark(.posted, seat, false)
            if let post = read(seat) {
                posts.append(post)
                carried |= Board.bit(seat)
            } else {
                _ = move(seat, from: State.taken, to: State.refused)
                mark(.taken, seat, false)
                memory.calls(seat).advance(waking: 1)
            }
        }
        return posts
    }

    /// Of one that has died nothing waits any more: it is neither called nor counted. Nor is one that has taken its
    /// jobs back, unless it posts others just now.
    private func clear(_ seat: Int) {
        mark(.posted, seat, false)
        if isTaken(seat), value(at(.state, seat)) == State.posted { mark(.posted, seat, true) }
    }

    /// Whether its process lives: it holds the lock of its seat. Its children may hold copies of it.
    private func isTaken(_ seat: Int) -> Bool {
        spool_byte_is_locked(memory.file.descriptor, Int64(seat)) != 0
    }

    /// Nil: somebody has written into it.
    private func read(_ seat: Int) -> Post? {
        let bytes = payload(seat)
        let length = Int(clamping: value(at(.length, seat)))
        guard length <= bytes.count else { return nil }
        var payload = FramePayload(UnsafeRawBufferPointer(rebasing: bytes[..<length]))
        do throws(SpoolError) {
            let now = UnixTime(microseconds: try payload.integer())
            var jobs: [NewJob] = []
            for _ in 0..<(try payload.integer(UInt32.self)) { jobs.append(try payload.newJob()) }
            return jobs.isEmpty ? nil : Post(seat: seat, jobs: jobs, now: now)
        } catch {
            return nil
        }
    }

    /// Before the commit: what was taken is its batch of that number, with these ids.
    func begin(_ number: Int64, _ posts: [Post]) {
        for post in posts { set(at(.first, post.seat), UInt64(bitPattern: post.first)) }
        set(at(.batch), UInt64(bitPattern: number))
    }

    /// The number of the batch that was begun and not finished. Nil: what was taken was not begun.
    var begun: Int64? {
        let number = value(at(.batch))
        return number == 0 ? nil : Int64(bitPattern: number)
    }

    /// How the transaction ended that took jobs along, if it did.
    /// - Returns: Those who wait for it.
    func end(_ fate: Fate) -> Calls {
        let seats = carried
        carried = 0
        if began != nil {
            let others = (seats | value(at(.posted))).nonzeroBitCount
            set(at(.expected), UInt64(1 + others))
            set(at(.last), Board.clock())
        }
        if seats != 0 { settle(seats, fate) }
        return Calls(memory: memory, seats: seats, began: began)
    }

    /// How it went with jobs that were taken by one that has died.
    /// - Returns: Those who wait for it.
    func endUnfinished(_ fate: Fate) -> Calls {
        let seats = value(at(.taken))
        settle(seats, fate)
        return Calls(memory: memory, seats: seats)
    }

    private func settle(_ seats: UInt64, _ fate: Fate) {
        for seat in 0..<Board.seats
        where seats & Board.bit(seat) != 0 && value(at(.state, seat)) == State.taken {
            switch fate {
            case .waiting:
                if move(seat, from: State.taken, to: State.posted) { mark(.posted, seat, true) }
            case .committed(_, let number):
                set(at(.number, seat), number)
                _ = move(seat, from: State.taken, to: State.committed)
            case .refused: _ = move(seat, from: State.taken, to: State.refused)
            case .unknown: _ = move(seat, from: State.taken, to: State.unknown)
            }
        }
        // In this order: a batch that begins must not be found with the number of the one before.
        set(at(.batch), 0)
        set(at(.taken), 0)
    }
}
