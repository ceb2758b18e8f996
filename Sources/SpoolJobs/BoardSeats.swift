// BoardSeats.swift - where the words of a board and of its seats stand in memory, and how their owners are called.

internal import SpoolThreads
internal import Synchronization

extension Board {
    enum Word: Int {
        /// The process that is in the gate, 0 if none is. A hint: it may have died there.
        case leader
        /// Seats with jobs that nobody has taken, a bit each; and seats whose jobs were taken.
        case posted, taken
        /// The number of the batch that was begun.
        case batch
        /// How many put in the last batch or waited at its end, the one in the gate among them.
        case expected
        /// How long the last batch took, from the gate to the disk, and when it was committed, in nanoseconds.
        case round, last
    }

    enum State {
        static let idle: UInt64 = 0
        static let posted: UInt64 = 1
        static let taken: UInt64 = 2
        static let committed: UInt64 = 3
        static let refused: UInt64 = 4
        static let unknown: UInt64 = 5
    }

    /// What stands at the beginning of a seat, in words.
    enum Field: Int {
        case state
        /// An event count, half a word.
        case calls
        /// When its process looked last.
        case looked
        case first, number
        case length
        /// Seats that its process is to call when it is called, a bit each.
        case relay
    }

    /// Those who are to look again.
    struct Calls: Sendable {
        let memory: StoreMemory
        /// A bit each.
        let seats: UInt64
        /// When the batch that they are in entered the gate.
        var began: Deadline?

        /// Wakes them. From any thread.
        func call() {
            guard seats != 0 else { return }
            if let began {
                let took = UInt64(max(0, (Deadline.now() - began).nanoseconds))
                memory.word(.round).pointee.store(took, ordering: .relaxed)
            }
            Calls.call(seats, memory)
        }

        /// Wakes the first one, and leaves the others to it: to wake one costs as much as to put a job, and who was in
        /// the gate just now is the best one to be there next. Should it have died they look themselves.
        private static func call(_ seats: UInt64, _ memory: StoreMemory) {
            let all = Board.bit(Board.seats) - 1  // whatever stands in memory
            var rest = seats & all
            while rest != 0 {
                let first = rest.trailingZeroBitCount
                let relay = memory.word(.relay, first)
                relay.pointee.bitwiseOr(rest & (rest - 1), ordering: .sequentiallyConsistent)
                memory.calls(first).advance(waking: 1)
                // Who had looked before may have gone on without them.
                guard !memory.hasFate(first) else { return }
                rest = relay.pointee.exchange(0, ordering: .sequentiallyConsistent) & all
            }
        }

        /// Wakes those that were left to the owner of a seat, one half after the other.
        static func pass(from seat: Int, _ memory: StoreMemory) {
            let relay = memory.word(.relay, seat)
            guard relay.pointee.load(ordering: .sequentiallyConsistent) != 0 else { return }
            let seats = relay.pointee.exchange(0, ordering: .sequentiallyConsistent)
            var half: UInt64 = 0
            for _ in 0..<seats.nonzeroBitCount / 2 {
                let rest = seats & ~half
                half |= rest & ~(rest - 1)
            }
            call(seats & ~half, memory)
            call(half, memory)
        }
    }
}

extension StoreMemory {
    func word(_ word: Board.Word) -> SharedWord { self.word(Place.board + word.rawValue) }

    func word(_ field: Board.Field, _ seat: Int) -> SharedWord {
        word((Place.seats + seat * Board.seatSize) / 8 + field.rawValue)
    }

    func calls(_ seat: Int) -> EventCount {
        let word = bytes(at: Place.seats + seat * Board.seatSize + Board.Field.calls.rawValue * 8)
        return EventCount(word.assumingMemoryBound(to: Atomic<UInt32>.self), reach: .sharedMemory)
    }

    /// Whether it is known what became of the jobs that were posted there, and its owner has not seen it yet.
    func hasFate(_ seat: Int) -> Bool {
        switch word(.state, seat).pointee.load(ordering: .sequentiallyConsistent) {
        case Board.State.committed, Board.State.refused, Board.State.unknown: true
        default: false
        }
    }
}
