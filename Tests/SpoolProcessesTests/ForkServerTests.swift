// ForkServerTests.swift - the server that forks consumers, with the real program as server.

import CSpool
import Glibc
import SpoolThreads
import Testing

@testable import SpoolProcesses

@Suite("A fork server", .timeLimit(.minutes(10))) struct ForkServerTests {
    /// The built program stands beside the test's own.
    static let spool: String = {
        var path = [CChar](repeating: 0, count: 4096)
        let length = readlink("/proc/self/exe", &path, path.count)
        let own = String(
            decoding: path.prefix(max(0, length)).map(UInt8.init(bitPattern:)), as: UTF8.self)
        return own.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 } + "/spool"
    }()

    /// Waits until the consumer of a slot has said who it is.
    func consumer(_ slot: Int, _ slots: SlotPage) -> Int32 {
        let deadline = Deadline(after: .seconds(30))
        while slots.consumer(slot) == 0, !deadline.isPast { Pause.briefly(upTo: .milliseconds(2)) }
        return slots.consumer(slot)
    }

    @Test(
        "forks consumers; when its parent is gone it ends them and what they run, the lifeline last"
    )
    func ends() throws {
        let (slots, file) = try SlotPage.make()
        defer { close(file) }
        let server = try ForkServer.start(executable: Self.spool, slots: file)
        let lifeline = try Descriptor.pipe().release()
        try server.hold(lifeline.second)
        close(lifeline.second)
        var pids: [Int32] = []
        var sockets: [Int32] = []
        for slot in 0..<3 {
            let (ours, theirs) = try Descriptor.sockets(packets: false).release()
            sockets.append(ours)
            try server.fork(slot: slot, socket: theirs)
            close(theirs)
            pids.append(consumer(slot, slots))
        }
        #expect(Set(pids).count == 3 && !pids.contains(0))

        server.close()
        // The end of the lifeline is the end of all who held it.
        var byte: UInt8 = 0
        #expect(read(lifeline.first, &byte, 1) == 0)
        for pid in pids { #expect(spool_wait_gone(pid, 0) == 1) }
        for socket in sockets { close(socket) }
        close(lifeline.first)
        ProcessEnd.reap(server.pid)
    }

    @Test("R12: is known not to answer when it was stopped, also while it is asked")
    func stopped() throws {
        let (slots, file) = try SlotPage.make()
        defer { close(file) }
        let server = try ForkServer.start(executable: Self.spool, slots: file)
        let (ours, theirs) = try Descriptor.sockets(packets: false).release()
        defer { for end in [ours, theirs] { close(end) } }
        try server.fork(slot: 0, socket: theirs)
        #expect(consumer(0, slots) > 1)
        kill(server.pid, SIGSTOP)
        #expect(throws: ForkServer.silence) {
            for slot in 1..<SlotPage.limit { try server.fork(slot: slot, socket: theirs) }
        }
        kill(slots.consumer(0), SIGKILL)
        server.end()
    }

    @Test("that is dismissed ends no consumer, and tells of no worker that crashed")
    func dismissed() throws {
        let (slots, file) = try SlotPage.make()
        defer { close(file) }
        let server = try ForkServer.start(executable: Self.spool, slots: file)
        let (ours, theirs) = try Descriptor.sockets(packets: false).release()
        try server.fork(slot: 0, socket: theirs)
        close(theirs)
        let pid = consumer(0, slots)
        server.dismiss()
        ProcessEnd.reap(server.pid)
        #expect(spool_wait_gone(pid, 0) == 0)
        close(ours)
        #expect(spool_wait_gone(pid, 30_000) == 1)
    }
}

@Suite("The page of slots") struct SlotPageTests {
    @Test(
        "tells a job that has begun from one that may not begin, whatever its id",
        arguments: [1, 1 << 62, .max])
    func barred(_ job: Int64) throws {
        let (slots, file) = try SlotPage.make()
        defer { close(file) }
        #expect(slots.begin(job, 3) && slots.job(3) == job)
        slots.finish(3)
        #expect(slots.job(3) == 0 && slots.begin(job, 3))
        #expect(slots.bar(3) == job && slots.job(3) == job)
        slots.finish(3)
        #expect(!slots.begin(job, 3) && slots.job(3) == 0)
        slots.unbar(3)
        #expect(slots.begin(job, 3))
    }

    @Test("R3: ends each consumer and the group of its command, and nobody in an empty slot")
    func endAll() throws {
        let (slots, file) = try SlotPage.make()
        defer { close(file) }
        let null = try Descriptor.null()
        let streams = Command.Streams(
            input: null.number, output: null.number, error: null.number)
        let sleep = Command(
            ["sleep", "300"].map { Array($0.utf8) },
            environment: [Array("PATH=/usr/bin:/bin".utf8)])
        let consumer = try sleep.start(streams)
        let command = try sleep.start(streams, groupWord: slots.groupWord(5))
        let bystander = try sleep.start(streams)
        slots.setConsumer(consumer.pid, 5)
        slots.setConsumer(bystander.pid, 6)
        slots.clear(6)
        #expect(slots.group(5) == command.pid)

        // Another mapping, as the fork server has it.
        try SlotPage(mapping: file).endAll()
        #expect(spool_wait_gone(consumer.pid, 0) == 1)
        #expect(spool_wait_gone(command.pid, 30_000) == 1)
        #expect(spool_wait_gone(bystander.pid, 0) == 0)
        bystander.signal(SIGKILL)
        for running in [consumer, command, bystander] { #expect(running.reap().signal == SIGKILL) }
    }
}

@Suite("A child process") struct ChildProcessTests {
    @Test("is refused by a process with several threads, with the reason")
    func refused() throws {
        let (hold, parked) = (Parker(), Parker())
        try Thread.detach("second") {
            parked.tell(1)
            _ = hold.wait()
        }
        _ = parked.wait()
        defer { hold.tell(1) }
        do throws(SpoolError) {
            try ChildProcess(forking: {}).start()
            Issue.record("a process with several threads was forked")
        } catch {
            #expect(error.message.contains("whose locks the child would inherit"))
        }
    }
}
