// WaitingTests.swift - what everything that waits stands on: event counts, lines, alarms.

import CSpool
import Glibc
import Synchronization
import Testing

@testable import SpoolThreads

@Suite("Waiting", .timeLimit(.minutes(10))) struct WaitingTests {
    @Test("an event that comes after the look ends the wait at once")
    func eventCount() throws {
        let word = UnsafeMutablePointer<Atomic<UInt32>>.allocate(capacity: 1)
        word.initialize(to: Atomic(0))
        defer { word.deallocate() }
        let count = EventCount(word)
        let seen = count.read()
        count.advance()
        #expect(count.wait(after: seen))
        #expect(!count.wait(after: count.read(), until: Deadline(after: .milliseconds(1))))
        let before = count.read()
        let crew = try Crew(4) { _ in count.wait(after: before) }
        count.advance()
        try crew.join()
    }

    @Test("an event count goes on after its last number")
    func eventCountAroundItsEnd() {
        let word = UnsafeMutablePointer<Atomic<UInt32>>.allocate(capacity: 1)
        word.initialize(to: Atomic(.max))
        defer { word.deallocate() }
        let count = EventCount(word)
        count.advance()
        #expect(count.wait(after: .max))
        #expect(count.read() == 0)
    }

    @Test("an event count in shared memory wakes who sees it at another address")
    func sharedEventCount() throws {
        let file = spool_memory_file("event count")
        try #require(file >= 0 && ftruncate(file, 4096) == 0)
        func map() throws -> UnsafeMutablePointer<Atomic<UInt32>> {
            let memory = try #require(
                mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0))
            return memory.assumingMemoryBound(to: Atomic<UInt32>.self)
        }
        let here = EventCount(try map(), reach: .sharedMemory)
        let there = EventCount(try map(), reach: .sharedMemory)
        let crew = try Crew { _ in
            for round in 0..<1000 {
                here.wait(after: UInt32(2 * round))
                here.advance()
            }
        }
        for round in 0..<1000 {
            there.advance()
            #expect(there.wait(after: UInt32(2 * round + 1), until: Deadline(after: patience)))
        }
        try crew.join()
        close(file)
    }

    @Test("a line lets the first, the first few, or all go, in order, and any one leave")
    func line() throws {
        let place = Monitor(0)
        let woken = Notes<Int>()
        var threads: [Thread] = []
        for number in 0..<8 {
            threads += try Crew { _ in
                if place.wait(unless: { _, _ in false }) == .woken { woken.add(number) }
            }.threads
            #expect(eventually { place.waiting == number + 1 })
        }
        for (count, total) in [(1, 1), (3, 4), (0, 4), (-1, 4)] {
            place.withLock { _, line in line.take(upTo: count) }.wake()
            #expect(eventually { woken.all.count == total })
            #expect(woken.all.sorted() == Array(0..<total) && place.waiting == 8 - total)
        }
        place.withLock { _, line in line.takeFirst() }.wake()
        place.withLock { _, line in line.takeAll() }.wake()
        for thread in threads { #expect(try thread.join(timeout: patience)) }
        #expect(woken.all.count == 8)
        #expect(place.withLock { _, line in line.isEmpty && line.takeFirst().isEmpty })
    }

    @Test("those that leave out of turn leave the others in order")
    func leave() async throws {
        let place = Monitor(0)
        let woken = Notes<Int>()
        var tasks: [Task<WaitOutcome, any Error>] = []
        for number in 0..<9 {
            tasks.append(
                Task {
                    let outcome = try await place.wait { _, _ in false }
                    if outcome == .woken { woken.add(number) }
                    return outcome
                })
            #expect(await eventually { place.waiting == number + 1 })
        }
        for number in [0, 4, 8, 5] {
            tasks[number].cancel()
            #expect(try await tasks[number].value == .cancelled)
        }
        for _ in 0..<5 {
            let before = woken.all.count
            place.withLock { _, line in line.takeFirst() }.wake()
            #expect(await eventually { woken.all.count == before + 1 })
        }
        #expect(woken.all == [1, 2, 3, 6, 7] && place.waiting == 0)
    }

    @Test(
        "a wake-up that races with a limit or a cancellation is reported as a wake-up or not used")
    func races() async throws {
        let place = Monitor(0)
        let counted = Tally()
        let crew = try Crew(6) { number in
            for round in 0..<500 {
                let limit = Deadline(after: .microseconds((round + number * 11) % 70))
                if place.wait(until: limit, unless: { _, _ in false }) == .woken { counted.add() }
            }
        }
        let tasks = (0..<300).map { number in
            Task {
                let limit = Deadline(after: .microseconds(number))
                if try await place.wait(until: limit, unless: { _, _ in false }) == .woken {
                    counted.add()
                }
            }
        }
        var taken = 0
        while crew.threads.contains(where: \.isAlive) {
            let woken = place.withLock { _, line in line.takeFirst() }
            if !woken.isEmpty { taken += 1 }
            woken.wake()
            tasks[taken % tasks.count].cancel()
            await Task.yield()
        }
        for task in tasks { try await task.value }
        #expect(counted.value == taken && place.waiting == 0)
    }

    @Test("a task that is cancelled when it was just woken for a lock leaves it to the next")
    func cancelledWhenWoken() async throws {
        for _ in 0..<100 {
            let lock = Lock()
            try await lock.acquire()
            let first = Task { try await lock.withLockAsync {} }
            #expect(await eventually { lock.sleepers.waiting == 1 })
            let next = Thread(daemon: true) { lock.withLock {} }
            try next.start()
            #expect(await eventually { lock.sleepers.waiting == 2 })
            lock.release()
            first.cancel()
            _ = await first.result
            let hasPassed = try await next.join(timeout: patience)
            try #require(hasPassed)
        }
    }

    @Test("deadlines of ten thousand tasks are kept by one thread, in any order")
    func alarms() async throws {
        let place = Monitor(0)
        let before = Thread.activeCount
        try await withThrowingTaskGroup(of: WaitOutcome.self) { group in
            for number in 0..<10_000 {
                group.addTask {
                    let limit = Deadline(after: .microseconds((number * 7919) % 10_000))
                    return try await place.wait(until: limit) { _, _ in false }
                }
            }
            for try await outcome in group where outcome != .timedOut {
                Issue.record("nobody was to be woken")
            }
        }
        // Other tests run beside this one, with threads of theirs.
        #expect(Thread.activeCount <= before + 1 + 1000 && place.waiting == 0)
    }

    @Test("alarms that were cleared do not pile up, and do not go off")
    func cleared() throws {
        let rung = Tally()
        let last = Event()
        for _ in 0..<1000 {
            try Alarm.set(Deadline(after: .seconds(3600))) { rung.add() }.clear()
        }
        _ = try Alarm.set(Deadline(after: .milliseconds(1))) { last.set() }
        #expect(try last.wait(timeout: patience))
        #expect(rung.value == 0)
    }
}
