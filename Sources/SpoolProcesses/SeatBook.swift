// SeatBook.swift - the seats of one thread, so that it leaves them when it ends.
//
// Invariant: a book keeps the memory of its seats mapped. A forked child finds the book of the thread that forked,
// whose seats are not the child's: it begins a new one.

private import CSpool
private import Glibc

/// Where the current thread sits.
final class SeatBook {
    private let token = spool_process_token()
    private var seats: [UInt64: (place: Seats, name: SeatName)] = [:]
    /// When it has so many seats, those of things that are gone are left.
    private var many = 16

    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        pthread_key_create(&key) { book in
            guard let book else { return }
            Unmanaged<SeatBook>.fromOpaque(book).takeRetainedValue().end()
        }
        return key
    }()

    /// The calling thread's.
    static var current: SeatBook {
        if let known = pthread_getspecific(key) {
            let book = Unmanaged<SeatBook>.fromOpaque(known)
            if book.takeUnretainedValue().token == spool_process_token() {
                return book.takeUnretainedValue()
            }
        }
        let book = SeatBook()
        pthread_setspecific(key, Unmanaged.passRetained(book).toOpaque())
        return book
    }

    func name(in place: Seats) -> SeatName { seats[place.number]?.name ?? 0 }

    func add(_ place: Seats, _ name: SeatName) {
        seats[place.number] = (place, name)
        guard seats.count >= many else { return }
        // Whoever let the last handle go could only leave its own thread's seat.
        for seat in seats.values where seat.place.bench.isClosed { leave(seat.place) }
        many = max(16, 2 * seats.count)
    }

    /// Leaves one seat, if its name holds nothing.
    func leave(_ place: Seats) {
        guard let seat = seats[place.number], place.retire(seat.name) else { return }
        spool_seat_note(place.number, 0)
        seats[place.number] = nil
    }

    /// The thread ends. What it still holds keeps its seat, and the memory: the kernel will mark it.
    private func end() {
        guard token == spool_process_token() else { return }
        for seat in seats.values where !seat.place.retire(seat.name) {
            _ = Unmanaged.passRetained(seat.place)
        }
        seats = [:]
    }
}
