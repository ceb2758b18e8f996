// PoolReader.swift - reads the answers of a pool: a thread of its own does, or one that waits for a future.
//
// A thread that waits for a future reads what it waits for itself, if nobody else does: that saves the wake-up of the
// pool's thread, and of its own by that. It runs no callbacks, and tells others what is theirs unless they have some:
// those answers are passed to the pool's thread. Invariants:
//  - one at a time reads;
//  - the pool's thread reads whenever something is awaited by anybody who cannot: a thread that sleeps since another
//    reads, a task, a callback. It makes room for waiting threads only when one had to sleep because of it, and takes
//    the reading back when for a nap, a millisecond, none has come;
//  - it naps so that who stops reading need not ring. When another has read for a while it sleeps without an end, and
//    says so: then who stops reading rings, also at the end, of which who reads learns from the queue of answers;
//  - who reads notices when its future is done without it: a poke is put into the queue of answers.

private import Glibc
internal import SpoolQueues
internal import SpoolThreads
private import Synchronization

final class PoolReader: @unchecked Sendable {  // its state is touched with the lock held only
    private enum Reading {
        case nobody, own
        case waiter(pthread_t)
    }

    private enum Turn {
        case read
        case deliver(PoolAnswer)
    }

    private static let nap = Duration.milliseconds(1)
    /// After so many naps with nothing to do it reads again, without an end, or sleeps on while another does.
    private static let naps = 20

    private let answers: SharedQueue<[UInt8]>
    private let change = Condition()
    private var reading = Reading.nobody
    /// The pool's thread.
    private var own: pthread_t?
    private var passed: [PoolAnswer] = []
    /// Whether a waiting thread is to read.
    private var makesRoom = false
    /// Threads that sleep on a future.
    private var asleep = 0
    /// Whether the pool's thread sleeps without an end, until it is rung.
    private var isResting = false
    /// How often a waiting thread read.
    private var helps: UInt64 = 0
    private let isOver = Atomic(false)

    init(_ answers: SharedQueue<[UInt8]>) { self.answers = answers }

    // MARK: - The pool's thread

    /// Reads and delivers until the queue of answers is shut down.
    func run(for crew: PoolCrew) {
        var spin = Spin()
        change.withLock { own = pthread_self() }
        while let turn = next(crew) { perform(turn, crew, until: .never, &spin) }
    }

    private func perform(
        _ turn: Turn, _ crew: PoolCrew, until deadline: Deadline, _ spin: inout Spin
    ) {
        switch turn {
        case .deliver(let answer): crew.take(answer)
        case .read:
            let answer = read(until: deadline, crew, &spin)
            // A callback may wait for another answer, and read it.
            change.withLock { reading = .nobody }
            if let answer { crew.take(answer) }
        }
    }

    private func next(_ crew: PoolCrew) -> Turn? {
        change.withLock {
            var naps = 0
            while true {
                if !passed.isEmpty { return .deliver(passed.removeFirst()) }
                if case .nobody = reading {
                    if isOver.load(ordering: .acquiring) { return nil }
                    if !makesRoom || naps >= Self.naps
                        || (crew.isAwaited && (asleep > 0 || naps > 0))
                    {
                        (reading, makesRoom) = (.own, false)
                        return .read
                    }
                }
                naps = rest(after: naps)
            }
        }
    }

    /// Sleeps for a nap, or until it is rung if naps have brought nothing: only another's reading lasts so long. With
    /// the lock held. Gives how many naps in a row have brought nothing now.
    private func rest(after naps: Int) -> Int {
        if naps >= Self.naps {
            isResting = true
            _ = change.wait()
            isResting = false
            return 0
        }
        let before = helps
        _ = change.wait(until: Deadline(after: Self.nap))
        return helps == before ? naps + 1 : 0
    }

    /// Nil: nothing has come yet, or nothing will.
    private func read(until deadline: Deadline, _ crew: PoolCrew, _ spin: inout Spin) -> PoolAnswer?
    {
        // Without room for the next call: its room comes a moment after the answer.
        let end = crew.lacksRoom ? min(deadline, Deadline(after: .milliseconds(2))) : deadline
        do throws(SpoolError) {
            let delivery = try answers.getDelivery(timeout: end.remaining(), &spin)
            try answers.taskDone(delivery)
            return delivery.item.isEmpty ? nil : try PoolAnswer(delivery.item)
        } catch .empty {
            crew.handOut()
        } catch {
            self.end()
        }
        return nil
    }

    /// Nothing is answered any more, and the queue of answers is shut down. The crew calls this with its lock held, so
    /// it takes none: who naps sees it, and whoever reads rings who sleeps.
    func end() { isOver.store(true, ordering: .releasing) }

    // MARK: - A thread that waits

    /// Reads until the future is done or the time is up, or sleeps if another reads.
    func wait(
        for crew: PoolCrew, until deadline: Deadline, isDone: () -> Bool,
        sleep: () throws(SpoolError) -> Void
    ) throws(SpoolError) {
        if isOwn {
            waitInCallback(for: crew, until: deadline, isDone: isDone)
            return try sleep()
        }
        guard begin() else {
            defer { change.withLock { asleep -= 1 } }
            return try sleep()
        }
        var spin = Spin()
        while !isDone(), !deadline.isPast, !isOver.load(ordering: .acquiring) {
            guard let answer = read(until: deadline, crew, &spin) else { continue }
            if crew.canBeTold(answer) {
                crew.take(answer)
            } else {
                pass(answer)
            }
        }
        change.withLock {
            reading = .nobody
            if asleep > 0 || isResting { change.notify() }
        }
        try sleep()
    }

    /// Whether the caller reads; it is counted among those that sleep if not.
    private func begin() -> Bool {
        change.withLock {
            if case .nobody = reading, passed.isEmpty, !isOver.load(ordering: .acquiring) {
                reading = .waiter(pthread_self())
                helps &+= 1
                return true
            }
            makesRoom = true
            asleep += 1
            change.notify()
            return false
        }
    }

    private var isOwn: Bool {
        change.withLock { own.map { pthread_equal($0, pthread_self()) != 0 } ?? false }
    }

    /// As ``wait(for:until:isDone:sleep:)`` in the pool's own thread, which a callback keeps from its turns.
    private func waitInCallback(
        for crew: PoolCrew, until deadline: Deadline, isDone: () -> Bool
    ) {
        var spin = Spin()
        while !isDone(), !deadline.isPast, !isOver.load(ordering: .acquiring) {
            let turn = change.withLock { () -> Turn? in
                if !passed.isEmpty { return .deliver(passed.removeFirst()) }
                guard case .nobody = reading else {
                    _ = change.wait(until: min(deadline, Deadline(after: Self.nap)))
                    return nil
                }
                reading = .waiter(pthread_self())
                return .read
            }
            if let turn { perform(turn, crew, until: deadline, &spin) }
        }
    }

    private func pass(_ answer: PoolAnswer) {
        change.withLock {
            passed.append(answer)
            change.notify()
        }
    }

    // MARK: - Others

    /// A task or a callback waits, whom the pool's thread has to serve.
    func isWatched() {
        change.withLock {
            guard makesRoom else { return }
            makesRoom = false
            change.notify()
        }
    }

    /// A future is done: perhaps the one that the reader waits for.
    func poke() {
        let mustPoke = change.withLock {
            if case .waiter(let thread) = reading {
                pthread_equal(thread, pthread_self()) == 0
            } else {
                false
            }
        }
        // Without room for it there is an answer to be read, which does as well.
        if mustPoke { try? answers.put([], timeout: .zero) }
    }
}

/// A pool's task, for its future.
final class PoolTicket: FutureSource {
    private let crew: PoolCrew

    init(_ crew: PoolCrew) { self.crew = crew }

    func wait(
        until deadline: Deadline, isDone: () -> Bool, sleep: () throws(SpoolError) -> Void
    ) throws(SpoolError) {
        try crew.reader.wait(for: crew, until: deadline, isDone: isDone, sleep: sleep)
    }

    func isWatched() { crew.reader.isWatched() }

    func isDone() { crew.reader.poke() }
}
