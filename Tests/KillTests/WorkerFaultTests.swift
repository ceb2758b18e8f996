// WorkerFaultTests.swift - a worker that is refused one system call at one place (strace -e inject, strace(1)).

import Foundation
import SpoolJobs
import SpoolThreads
import Testing

@Suite(
    "A worker that is refused a system call", .timeLimit(.minutes(10)), .serialized,
    .enabled(if: SystemCalls.canFail, "needs strace, and leave to trace"))
struct WorkerFaultTests {
    let scratch: Scratch

    init() throws { scratch = try Scratch() }

    /// What a worker with two consumers says that runs until nothing is left, and how it ends.
    private func work(
        _ call: String, _ fault: String, consumersToo: Bool = false
    ) throws -> (status: Int32, said: String) {
        let program = try Program(
            "/usr/bin/strace",
            (consumersToo ? ["-f"] : []) + ["-qq", "-o", "/dev/null", "-e", "trace=\(call)"]
                + ["-e", "inject=\(call):\(fault)", Program.folder.path + "/spool", "work"]
                + ["-j", "2", "--until-empty", "--file", scratch.path], in: scratch.directory)
        return (try program.wait(), program.printed)
    }

    private func put(_ count: Int) throws {
        let job = NewJob(.command([Array("true".utf8)]))
        try Store.open(scratch.path, .create).put(Array(repeating: job, count: count), now: .now())
    }

    private var counts: Counts {
        get throws { try Store.open(scratch.path, .existing).counts(queue: nil) }
    }

    @Test("P8: says why it cannot begin, or goes on, and nothing of a worker that crashed")
    func beginning() throws {
        try put(1)
        let calls = [("epoll_create1", "EMFILE"), ("epoll_ctl", "ENOMEM"), ("sendmsg", "ENOBUFS")]
        for (call, error) in calls {
            for number in 1...6 {
                let (status, said) = try work(call, "error=\(error):when=\(number)")
                #expect([0, 71].contains(status), "\(call) \(number): \(status) \(said)")
                #expect(!said.contains("crashed"), "\(call) \(number): \(said)")
            }
        }
        #expect(try counts.done == 1)
    }

    @Test("R12: waits for memory when there is none for a message, of either side")
    func shortOfMemory() throws {
        for consumersToo in [false, true] {
            try put(20)
            let fault = "error=ENOBUFS:when=2+3"
            let (status, said) = try work("sendto", fault, consumersToo: consumersToo)
            #expect(status == 0, "\(status) \(said)")
        }
        let store = try Store.open(scratch.path, .existing)
        #expect(try counts.done == 40 && store.job(1).attempt == 1)
        for id in Int64(1)...40 { #expect(try store.job(id).attempt == 1) }
    }

    @Test("R11, R12: ends with a sentence when there is none for what it is told, and none comes")
    func outOfMemory() throws {
        try put(20)
        let (status, said) = try work("recvfrom", "error=ENOMEM:when=3+", consumersToo: true)
        #expect(status == 71 && said.contains("error: recv: "), "\(status) \(said)")
        #expect(try counts.unfinished == 20 - counts.done)
    }
}
