// SharedQueueTests.swift - a shared queue between processes that were exec'd and forked, and what it refuses.
//
// The contract of all queues runs over it in SpoolQueuesTests; kills at any instant are in KillTests.

import Glibc
import Patience
import SpoolQueues
import SpoolThreads
import Testing

@testable import SpoolProcesses

private let patience = Patience.longest

/// A program that uses a queue: Tests/SharedKillRig/Use.swift.
private struct User {
    private let output: SharedOutput
    let running: RunningCommand

    init(_ queue: SharedQueue<Int>, _ words: String...) throws {
        output = SharedOutput(file: try Descriptor.memory([]))
        let program = ForkServerTests.spool.replacing("/spool", with: "/SharedKillRig")
        let command = Command(
            ([program, "use"] + words).map { Array($0.utf8) },
            environment: Command.currentEnvironment())
        running = try command.start(
            .init(input: queue.descriptor, output: output.file.number, error: output.file.number))
    }

    /// What it has said so far.
    var lines: [String] {
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = pread(output.file.number, &bytes, bytes.count, 0)
        let text = String(decoding: bytes[..<max(0, count)], as: UTF8.self)
        return text.split(separator: "\n").map(String.init)
    }

    /// Waits until it has said so many lines.
    func says(_ count: Int) -> [String] {
        let deadline = Deadline(after: patience)
        while lines.count < count, !deadline.isPast { Pause.briefly(upTo: .milliseconds(2)) }
        return lines
    }

    /// Waits for its end.
    func end() throws -> [String] {
        #expect(try running.reapInTime("the user of the queue").exit == 0)
        return lines
    }

    func kill() {
        Glibc.kill(running.pid, SIGKILL)
        _ = running.reap()
    }
}

private final class SharedOutput {
    let file: Descriptor
    init(file: consuming Descriptor) { self.file = file }
}

private struct Point: SharedItem, BitwiseCopyable, Equatable {
    var x: Int32
    var y: Int32
}

private struct Order: SharedItem, Codable, Equatable {
    var dish: String
    var tables: [Int]
}

private struct Secret: SharedItem, Codable {
    struct Refused: Error {}
    var word = ""
    init() {}
    func encode(to encoder: any Encoder) throws { throw Refused() }
    init(from decoder: any Decoder) throws { throw Refused() }
}

@Suite("A shared queue between processes", .timeLimit(.minutes(10))) struct SharedQueueTests {
    @Test(
        "cMQ1, cMQ4: is full for all when one process has filled it, and empty when one has emptied it"
    )
    func put() throws {
        let queue = try SharedQueue<Int>(maxsize: 6)
        #expect(
            try User(queue, "put=1", "put=2", "put=3", "put=4", "put=5", "put=6", "putNowait=7")
                .end().last == "full")
        #expect(queue.count == 6 && queue.isFull)
        #expect(throws: SpoolError.full) { try queue.putNowait(7) }
        #expect(throws: SpoolError.full) { try queue.put(7, timeout: .milliseconds(10)) }
        let emptied = try User(
            queue, "get", "taskDone", "get", "taskDone", "get", "taskDone", "get", "taskDone",
            "get", "taskDone", "get", "taskDone", "count"
        ).end()
        #expect(emptied.filter { $0 != "ok" } == ["1", "2", "3", "4", "5", "6", "0"])
        #expect(!queue.isFull && queue.isEmpty)
    }

    @Test(
        "cMQ2, cMQ7: items of another process come in order; then it is empty, after the limit if there is one"
    )
    func get() throws {
        let queue = try SharedQueue<Int>()
        let user = try User(queue, "put=1", "put=2", "put=3", "join=60")
        #expect(try (0..<3).map { _ in try queue.get(timeout: patience) } == [1, 2, 3])
        #expect(throws: SpoolError.empty) { try queue.getNowait() }
        let start = Deadline.now()
        #expect(throws: SpoolError.empty) { try queue.get(timeout: .milliseconds(10)) }
        #expect(Deadline.now().nanoseconds - start.nanoseconds >= 10_000_000)
        for _ in 0..<3 { try queue.taskDone() }
        #expect(try user.end().last == "true")
    }

    @Test("cMQ3: works on in a forked child; what the parent holds stays the parent's")
    func fork() throws {
        let queue = try SharedQueue<Int>()
        let user = try User(
            queue, "put=0", "put=1", "get", "fork", "put=2", "taskDone", "getNowait")
        #expect(try user.end() == ["ok", "ok", "0", "ok", "ok", "task_done_too_often", "1"])
        // Both have ended with an item in their hands. The child died with it; nobody has waited since.
        queue.lookForDeaths()
        #expect(try (0..<3).map { _ in try queue.get(timeout: patience) } == [0, 1, 2])
    }

    @Test("cMQ8: an item that cannot be encoded is refused by put, and takes no place")
    func encoding() throws {
        let queue = try SharedQueue<Secret>(maxsize: 1)
        #expect(throws: SpoolError.self) { try queue.put(Secret()) }
        #expect(queue.isEmpty && queue.unfinished == 0 && !queue.isFull)
    }

    @Test("bytes that are no item are refused by get, and stay")
    func decoding() throws {
        let queue = try SharedQueue<[UInt8]>()
        let numbers = SharedQueue<Int>(queue.records)
        try queue.put([1, 2, 3])
        #expect(throws: SpoolError.badInput("3 bytes are no Int, which has 8.")) {
            try numbers.get()
        }
        #expect(try queue.get() == [1, 2, 3])
    }

    @Test(
        "cMQ10, cMQ12: is closed for the object that closed it, twice without harm, and for no other"
    )
    func closed() throws {
        let queue = try SharedQueue<Int>()
        let other = try SharedQueue<Int>(mapping: Descriptor(owning: dup(queue.descriptor)))
        for _ in 0..<2 { other.close() }
        #expect(throws: SpoolError.closed("queue")) { try other.put(1) }
        #expect(throws: SpoolError.closed("queue")) { try other.get(timeout: .zero) }
        #expect(throws: SpoolError.closed("queue")) { try other.taskDone() }
        #expect(throws: SpoolError.closed("queue")) { try other.join() }
        try queue.put(1)
        #expect(try queue.get() == 1)
    }

    @Test("close ends the waits of its own process")
    func closeWakes() throws {
        let queue = try SharedQueue<Int>()
        let thread = Thread { #expect(throws: SpoolError.closed("queue")) { try queue.get() } }
        try thread.start()
        let deadline = Deadline(after: patience)
        while queue.records.waiting[.arrived] == 0, !deadline.isPast {
            Pause.briefly(upTo: .milliseconds(1))
        }
        queue.close()
        #expect(try thread.join(timeout: patience))
    }

    @Test("items of any kind come out as they were put")
    func kinds() throws {
        let points = try SharedQueue<Point>()
        try points.put(Point(x: 1, y: -2))
        #expect(try points.get() == Point(x: 1, y: -2))
        let orders = try SharedQueue<Order>()
        try orders.put(Order(dish: "žlutý kůň", tables: [3, 4]))
        #expect(try orders.get() == Order(dish: "žlutý kůň", tables: [3, 4]))
        let texts = try SharedQueue<String>()
        for text in ["", "🍜"] { try texts.put(text) }
        #expect(try (0..<2).map { _ in try texts.get() } == ["", "🍜"])
    }

    @Test("goes to another process as a value, with its descriptor")
    func asValue() throws {
        let queue = try SharedQueue<Int>(maxsize: 3)
        let passed = PassedDescriptors()
        let bytes = try BinaryEncoder(userInfo: [PassedDescriptors.key: passed]).encode(queue)
        let arrived = PassedDescriptors(owning: passed.numbers.map { dup($0) })
        let other = try BinaryDecoder(userInfo: [PassedDescriptors.key: arrived])
            .decode(SharedQueue<Int>.self, from: bytes)
        try queue.put(5)
        #expect(try other.get() == 5 && other.maxsize == 3)
        #expect(throws: SpoolError.self) { try BinaryEncoder().encode(queue) }
    }
}

@Suite("A shared queue and the dead", .timeLimit(.minutes(10))) struct SharedQueueDeathTests {
    @Test(
        "R2: what a killed process held is the first to be got again, as its second delivery, and no third"
    )
    func givenBack() throws {
        let queue = try SharedQueue<Int>()
        for item in 1...3 { try queue.put(item) }
        let user = try User(queue, "get", "hang")
        #expect(user.says(1) == ["1"])
        #expect(queue.count == 2 && queue.unfinished == 3)
        user.kill()
        #expect(try !queue.join(timeout: .milliseconds(50)))
        let got = try (0..<3).map { _ in try queue.getDelivery(timeout: patience) }
        #expect(got.map(\.item) == [1, 2, 3] && got.map(\.number) == [2, 1, 1])
        #expect(throws: SpoolError.empty) { try queue.getNowait() }
        for delivery in got { try queue.taskDone(delivery) }
        #expect(try queue.join(timeout: .zero))
    }

    @Test("R2: who waits in get is woken for what a killed process held")
    func getterWoken() throws {
        let queue = try SharedQueue<Int>()
        let holder = try User(queue, "get", "hang")
        try queue.put(7)
        #expect(holder.says(1) == ["7"])
        let waiter = try User(queue, "get", "taskDone")
        holder.kill()
        #expect(try waiter.end() == ["7", "ok"])
        #expect(try queue.join(timeout: patience))
    }

    @Test(
        "J2: a joiner finds a death out itself, and returns when another process has done the work")
    func joiner() throws {
        let queue = try SharedQueue<Int>()
        try queue.put(7)
        let holder = try User(queue, "get", "hang")
        #expect(holder.says(1) == ["7"])
        let joiner = try User(queue, "join=60")
        holder.kill()
        try queue.work(timeout: patience) { _ in }
        #expect(try joiner.end() == ["true"])
    }

    @Test("J3: taskDone by a process that holds nothing is refused, and changes nothing")
    func holdsNothing() throws {
        let queue = try SharedQueue<Int>()
        try queue.put(1)
        let user = try User(queue, "get", "hang")
        #expect(user.says(1) == ["1"])
        #expect(throws: SpoolError.taskDoneTooOften) { try queue.taskDone() }
        #expect(queue.unfinished == 1)
        user.kill()
    }

    @Test("J3: a second taskDone for one delivery is refused, also when the item is another's now")
    func claimLost() throws {
        let queue = try SharedQueue<Int>()
        let other = try SharedQueue<Int>(mapping: Descriptor(owning: dup(queue.descriptor)))
        try queue.put(1)
        let delivery = try other.getDelivery()
        other.close()
        let again = try queue.getDelivery(timeout: patience)
        #expect(again.item == 1 && again.number == 2)
        #expect(throws: SpoolError.claimLost(job: 1, attempt: 1)) { try queue.taskDone(delivery) }
        try queue.taskDone(again)
        #expect(throws: SpoolError.claimLost(job: 1, attempt: 2)) { try queue.taskDone(again) }
        #expect(queue.unfinished == 0)
    }

    @Test("a process that was given the id of a dead one is not taken for it")
    func reusedId() throws {
        let queue = try SharedQueue<Int>()
        let other = try SharedQueue<Int>(mapping: Descriptor(owning: dup(queue.descriptor)))
        try queue.put(1)
        _ = try other.get()
        queue.lookForDeaths()
        #expect(queue.count == 0)
        let slot = try #require(other.records.slot)
        queue.records.members[slot].start += 1
        queue.lookForDeaths()
        #expect(queue.count == 1)
    }

    @Test(
        "R13: more consumers than there are slots, one after the other, leave no descriptor and no slot"
    )
    func generations() throws {
        let queue = try SharedQueue<Int>()
        let count = "generations=\(QueueLayout.memberLimit + 20)"
        let lines = try User(queue, "descriptors", count, "looks=1000", "descriptors").end()
        #expect(lines.count == 4 && lines[0] == lines[3] && lines[1] == "ok", "\(lines)")
        #expect(try queue.join(timeout: .zero))
    }

    @Test("taskDone without a word finishes what this thread got")
    func ownThread() throws {
        let queue = try SharedQueue<Int>()
        for item in 1...2 { try queue.put(item) }
        #expect(try queue.get() == 1)
        let thread = Thread {
            #expect(try queue.get() == 2)
            try queue.taskDone()
        }
        try thread.start()
        try thread.join()
        queue.close()
        let other = try SharedQueue<Int>(mapping: Descriptor(owning: dup(queue.descriptor)))
        #expect(try other.get() == 1)
        #expect(throws: SpoolError.empty) { try other.getNowait() }
    }
}

@Suite("A shared queue refuses", .timeLimit(.minutes(10))) struct SharedQueueRefusalTests {
    @Test("to block a task for a body without an await, which runs where its caller is")
    @MainActor
    func bodyOfTask() async throws {
        let queue = try SharedQueue<Int>()
        try await queue.put(7)
        var seen: [Int] = []
        try await queue.work { seen.append($0) }
        #expect(seen == [7])
        let waiting = Task { try await queue.work(timeout: .seconds(30)) { _ in } }
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
    }

    @Test("an item that would not fit into the empty queue; the largest that does goes through")
    func tooLarge() throws {
        let queue = try SharedQueue<[UInt8]>(bytes: 4096)
        let limit = 4096 - 32
        #expect(throws: SpoolError.tooLarge(what: "the item", bytes: limit + 1, limit: limit)) {
            try queue.put([UInt8](repeating: 1, count: limit + 1))
        }
        #expect(queue.isEmpty && queue.unfinished == 0)
        let largest = (0..<limit).map { UInt8(truncatingIfNeeded: $0) }
        for _ in 0..<3 {
            try queue.putNowait(largest)
            #expect(throws: SpoolError.full) { try queue.putNowait([]) }
            #expect(try queue.get() == largest)
            // Its bytes are taken until it is finished.
            #expect(throws: SpoolError.full) { try queue.putNowait([]) }
            try queue.taskDone()
        }
    }

    @Test("nobody who waits for bytes: taskDone wakes all whom they are enough for")
    func bytes() throws {
        let queue = try SharedQueue<[UInt8]>(bytes: 4096)
        queue.records.pace = LookingPace(shortest: .seconds(3600), longest: .seconds(3600))
        try queue.put([UInt8](repeating: 1, count: 4000))
        let threads = [2000, 100, 4000, 1].map { size in
            Thread { try queue.put([UInt8](repeating: 2, count: size), timeout: patience) }
        }
        for thread in threads { try thread.start() }
        var left = 5
        while left > 0 {
            _ = try queue.get(timeout: patience)
            try queue.taskDone()
            left -= 1
        }
        for thread in threads { #expect(try thread.join(timeout: patience)) }
        #expect(queue.unfinished == 0)
    }

    @Test(
        "bounds and sizes out of range",
        arguments: [(-1, 1 << 20), (Int.min, 1 << 20), (0, 4095), (0, 0), (0, -1), (0, Int.max)])
    func sizes(_ maxsize: Int, _ bytes: Int) {
        #expect {
            try SharedQueue<Int>(maxsize: maxsize, bytes: bytes)
        } throws: { ($0 as? SpoolError)?.code == "bad_input" }
    }

    @Test("a descriptor of another thing")
    func otherDescriptor() throws {
        let memory = try SharedMemory.make(bytes: 1 << 20)
        #expect {
            try SharedQueue<Int>(mapping: Descriptor(owning: dup(memory.descriptor)))
        } throws: { ($0 as? SpoolError)?.code == "bad_input" }
        let small = try SharedMemory.make(bytes: 10)
        #expect {
            try SharedQueue<Int>(mapping: Descriptor(owning: dup(small.descriptor)))
        } throws: { ($0 as? SpoolError)?.code == "bad_input" }
    }

    @Test("to be made without memory, address space or descriptors; one that is there works on")
    func limits() throws {
        let queue = try SharedQueue<Int>()
        let verbs = ["put=1", "get", "taskDone", "join"]
        let done = ["ok", "1", "ok", "true"]
        let space = try User(
            queue, "limit-memory", "make=2000000000", verbs[0], verbs[1], verbs[2], verbs[3])
        #expect(try space.end() == ["ok", "system"] + done)
        let file = try User(
            queue, "limit-file", "make=2000000", verbs[0], verbs[1], verbs[2], verbs[3])
        #expect(try file.end() == ["ok", "system"] + done)
        let table = try User(
            queue, "limit-descriptors", "make=100000", verbs[0], verbs[1], verbs[2], verbs[3])
        #expect(try table.end() == ["ok", "system"] + done)
    }
}
