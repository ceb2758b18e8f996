// SharedTaskTests.swift - the shared locks for tasks: no thread of the pool is blocked, cancellation leaves no trace.

import Glibc
import Patience
import SpoolThreads
import Testing

@testable import SpoolProcesses

private let patience = Patience.longest

/// Looks until it holds, leaving the pool to others.
private func eventually(_ holds: () -> Bool) async -> Bool {
    let deadline = Deadline(after: patience)
    while !holds() {
        guard !deadline.isPast else { return false }
        await Task.yield()
    }
    return true
}

private final class Unguarded: @unchecked Sendable {  // that is what the test is about
    var value = 0
}

@Suite("A shared lock of tasks", .timeLimit(.minutes(10))) struct SharedTaskTests {
    @Test("tasks take it in turn, also across their suspensions, beside threads")
    func turns() async throws {
        let (lock, sum) = (try SharedLock(), Unguarded())
        let threads = (0..<2).map { _ in
            Thread(daemon: true) {
                for _ in 0..<300 { try lock.withLock { _ in sum.value += 1 } }
            }
        }
        for thread in threads { try thread.start() }
        try await withThrowingTaskGroup { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<40 {
                        try await lock.withLockAsync { died in
                            #expect(!died && lock.isOwned)
                            let seen = sum.value
                            await Task.yield()
                            sum.value = seen + 1
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        for thread in threads { #expect(try await thread.join(timeout: patience)) }
        #expect(sum.value == 2 * 300 + 8 * 40 && !lock.locked)
    }

    @Test("a task that is cancelled or late does not hold it, and the next one gets it")
    func cancelled() async throws {
        let lock = try SharedLock()
        try await lock.acquire()
        #expect(throws: SpoolError.self) { try lock.acquire() }
        let late = Task { try await lock.acquire(timeout: .milliseconds(1)) }
        #expect(try await !late.value)
        let first = Task { try await lock.acquire() }
        let second = Task { try await lock.withLockAsync { _ in 7 } }
        first.cancel()
        await #expect(throws: CancellationError.self) { try await first.value }
        lock.release()
        #expect(try await second.value == 7)
        #expect(!lock.locked)
    }

    @Test("a recursive one belongs to the task that holds it, whichever thread runs it")
    func recursive() async throws {
        let lock = try SharedRLock()
        try await lock.withLockAsync { _ in
            await Task.yield()
            try await lock.withLockAsync { _ in #expect(lock.recursionCount == 2) }
            let other = Task { try await lock.acquire(timeout: .zero) }
            #expect(try await !other.value)
            #expect(lock.isOwned && lock.recursionCount == 1)
        }
        #expect(!lock.locked)
    }

    @Test("cancellations that race with releases lose no wake-up")
    func cancelRace() async throws {
        let lock = try SharedLock()
        for _ in 0..<100 {
            try await lock.acquire()
            let waiters = (0..<3).map { _ in Task { try await lock.withLockAsync { _ in } } }
            waiters[0].cancel()
            lock.release()
            waiters[1].cancel()
            try await waiters[2].value
            for waiter in waiters { _ = await waiter.result }
            #expect(!lock.locked)
        }
    }

    @Test("more tasks wait than the pool has threads, and the pool goes on")
    func manyWait() async throws {
        let units = try SharedSemaphore(0)
        let tasks = (0..<50).map { _ in Task { try await units.acquire() } }
        #expect(await eventually { units.waiting == 50 })
        try units.release(50)
        for task in tasks { try await task.value }
        #expect(units.value == 0)
    }

    @Test(
        "a task that is cancelled takes no unit, and the next one gets it; any thread gives it back"
    )
    func units() async throws {
        let units = try SharedSemaphore(0)
        let first = Task { try await units.acquire() }
        #expect(await eventually { units.waiting == 1 })
        let second = Task { try await units.withAcquiredAsync { 7 } }
        #expect(await eventually { units.waiting == 2 })
        first.cancel()
        await #expect(throws: CancellationError.self) { try await first.value }
        try units.release()
        #expect(try await second.value == 7)
        #expect(units.value == 1)
        #expect(try await units.acquire(timeout: .milliseconds(1)))
        #expect(try await !units.acquire(timeout: .milliseconds(1)))
        try units.release()
        #expect(units.value == 1)
    }

    @Test("an event wakes tasks beside threads; a cancelled one leaves no trace")
    func event() async throws {
        let event = try SharedEvent()
        let cancelled = Task { try await event.wait() }
        let waiting = (0..<4).map { _ in Task { try await event.wait(timeout: patience) } }
        #expect(await eventually { event.waiting == 5 })
        cancelled.cancel()
        await #expect(throws: CancellationError.self) { try await cancelled.value }
        #expect(event.waiting == 4)
        #expect(try await !event.wait(timeout: .milliseconds(1)))
        try event.set()
        try event.clear()
        for task in waiting { #expect(try await task.value) }
    }

    @Test("a task waits on a condition, has the lock afterwards, and may be cancelled or late")
    func condition() async throws {
        let lock = try SharedLock()
        let condition = try SharedCondition(lock)
        let state = Unguarded()
        let waiter = Task {
            try await lock.withLockAsync { _ in
                try await condition.waitFor { state.value == 1 }
            }
        }
        let cancelled = Task {
            try await lock.withLockAsync { _ in
                await #expect(throws: CancellationError.self) { try await condition.wait() }
                #expect(lock.isOwned)
            }
        }
        #expect(await eventually { condition.waiting == 2 })
        cancelled.cancel()
        try await cancelled.value
        try await lock.withLockAsync { _ in
            let isNotified = try await condition.wait(timeout: .milliseconds(1))
            #expect(!isNotified && lock.isOwned)
            state.value = 1
            try condition.notifyAll()
        }
        #expect(try await waiter.value)
    }

    @Test("tasks meet at a barrier; one that is cancelled leaves its place to another")
    func barrier() async throws {
        let barrier = try SharedBarrier(3)
        let cancelled = Task { try await barrier.wait() }
        #expect(await eventually { barrier.nWaiting == 1 })
        cancelled.cancel()
        await #expect(throws: CancellationError.self) { try await cancelled.value }
        #expect(barrier.nWaiting == 0 && !barrier.broken)
        let parties = (0..<3).map { _ in Task { try await barrier.wait() } }
        var numbers: Set<Int> = []
        for party in parties { numbers.insert(try await party.value) }
        #expect(numbers == [0, 1, 2])
        await #expect(throws: SpoolError.brokenBarrier) {
            try await barrier.wait(timeout: .milliseconds(1))
        }
    }
}

@Suite("Handles of shared locks") struct SharedHandleTests {
    /// What arrives when a value is sent: another handle of the same thing.
    func sent<Value: Codable>(_ value: Value) throws -> Value {
        let passed = PassedDescriptors()
        let bytes = try BinaryEncoder(userInfo: [PassedDescriptors.key: passed]).encode(value)
        let copies = passed.numbers.map { dup($0) }
        let arrived = PassedDescriptors(owning: copies)
        return try BinaryDecoder(userInfo: [PassedDescriptors.key: arrived]).decode(
            Value.self, from: bytes)
    }

    @Test("travel with the memory: both ends have the same lock")
    func lock() throws {
        let (lock, again) = (try SharedLock(), try SharedRLock())
        let (lockThere, againThere) = (try sent(lock), try sent(again))
        try lock.withLock { _ in
            #expect(lockThere.locked && !lockThere.isOwned)
            let isMine = try lockThere.acquire(timeout: .milliseconds(1))
            #expect(!isMine)
        }
        try lockThere.withLock { _ in #expect(lock.locked) }
        try again.withLock { _ in #expect(againThere.locked) }
    }

    @Test("so have semaphores, with their bounds, events, barriers and conditions")
    func others() throws {
        let units = try SharedBoundedSemaphore(2)
        let unitsThere = try sent(units)
        try unitsThere.acquire()
        #expect(units.value == 1)
        try unitsThere.release()

        let event = try SharedEvent()
        try sent(event).set()
        #expect(event.isSet)

        let barrier = try SharedBarrier(1, timeout: .seconds(3))
        let barrierThere = try sent(barrier)
        #expect(barrierThere.parties == 1)
        #expect(try barrierThere.wait() == 0)

        for condition in [try SharedCondition(), try SharedCondition(SharedLock())] {
            let there = try sent(condition)
            let waiter = Thread(daemon: true) {
                try there.withLock { _ in _ = try there.wait(timeout: patience) }
            }
            try waiter.start()
            let deadline = Deadline(after: patience)
            while condition.waiting == 0, !deadline.isPast {
                Pause.briefly(upTo: .milliseconds(1))
            }
            try condition.withLock { _ in try condition.notify() }
            #expect(try waiter.join(timeout: patience))
        }
    }

    @Test("of another kind are refused, and so is the memory of something else")
    func wrongKind() throws {
        let passed = PassedDescriptors()
        let bytes = try BinaryEncoder(userInfo: [PassedDescriptors.key: passed])
            .encode(SharedLock())
        let copies = passed.numbers.map { dup($0) }
        let arrived = PassedDescriptors(owning: copies)
        #expect(throws: SpoolError.self) {
            try BinaryDecoder(userInfo: [PassedDescriptors.key: arrived]).decode(
                SharedRLock.self, from: bytes)
        }
        #expect(throws: SpoolError.self) { try BinaryEncoder().encode(SharedEvent()) }
    }

    @Test("R13: that go, with the threads that used them, leave neither descriptor nor memory")
    func leak() throws {
        weak var memory: SharedMemory?
        for _ in 0..<20 {
            let lock = try SharedLock()
            memory = lock.core.seats.memory
            let thread = Thread(daemon: true) { try lock.withLock { _ in } }
            try thread.start()
            #expect(try thread.join(timeout: patience))
            try lock.withLock { _ in }
        }
        // A thread leaves its seats after the last of its own code.
        let deadline = Deadline(after: patience)
        while memory != nil, !deadline.isPast { Pause.briefly(upTo: .milliseconds(1)) }
        #expect(memory == nil)
    }
}
