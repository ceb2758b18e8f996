// ConsumerTests.swift - a real consumer, forked by the built program, spoken to as its supervisor does.

import CSpool
import Glibc
import SpoolProcesses
import SpoolThreads
import Testing

@testable import SpoolJobs
@testable import SpoolWorker

/// The supervisor's end of the line, in the hands of a test.
private final class Line {
    let slots: SlotPage
    private let server: ForkServer
    private let socket: Int32
    private var reader = FrameReader()
    private var writer = FrameWriter()
    private(set) var pid: Int32 = 0
    private var heard: [Outcome] = []
    private(set) var isUnbarred = false
    let logs: String

    /// The built program stands beside the test's own.
    private static let spool: String = {
        var path = [CChar](repeating: 0, count: 4096)
        let length = readlink("/proc/self/exe", &path, path.count)
        let own = String(
            decoding: path.prefix(max(0, length)).map(UInt8.init(bitPattern:)), as: UTF8.self)
        return own.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 } + "/spool"
    }()

    init() throws {
        var template = Array("/tmp/spool-consumer-XXXXXX".utf8CString)
        _ = mkdtemp(&template)
        logs = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        let (page, file) = try SlotPage.make()
        slots = page
        server = try ForkServer.start(executable: Self.spool, slots: file)
        close(file)
        let (ours, theirs) = try Descriptor.sockets(packets: false).release()
        socket = ours
        try server.fork(slot: 0, socket: theirs)
        close(theirs)
        writer.put(
            ConsumerSetup(
                file: "", logs: logs, worker: "w", program: "", logLimit: 1 << 20,
                killAfter: .seconds(1)))
    }

    deinit {
        close(socket)
        server.close()
        ProcessEnd.reap(server.pid)
    }

    func send(_ id: Int64, _ words: String...) {
        writer.put(
            ClaimedJob(
                claim: Claim(job: id, attempt: 1, owner: 1), queue: "q",
                work: .command(words.map { Array($0.utf8) }), body: .none, priority: 0,
                timeout: nil, maxAttempts: 1, place: nil))
    }

    func recall() { writer.putRecall() }

    func bar() { writer.putBar() }

    func stop(_ id: Int64, _ signal: Int32, _ verdict: Verdict) {
        writer.put(
            StopOrder(
                job: id, attempt: 1, signal: signal, grace: .seconds(30), verdict: verdict))
    }

    func flush() throws { _ = try writer.flush(to: socket, waiting: true) }

    /// A length that no frame may have.
    func sendNonsense() { _ = write(socket, [UInt8](repeating: 0xff, count: 8), 8) }

    /// The next outcome; nil: the consumer has ended.
    func outcome() throws -> Outcome? {
        while heard.isEmpty {
            guard try reader.fill(from: socket, waiting: true) == .some else { return nil }
            try reader.forEach { (kind, payload) throws(SpoolError) in
                switch MessageKind(rawValue: kind) {
                case .hello: pid = try payload.integer()
                case .unbarred: isUnbarred = true
                default: heard.append(try payload.outcome())
                }
            }
        }
        return heard.removeFirst()
    }

    /// Waits until a command runs; its process group.
    func group() -> Int32 {
        let deadline = Deadline(after: .seconds(30))
        while slots.group(0) == 0, !deadline.isPast { Pause.briefly(upTo: .milliseconds(2)) }
        return slots.group(0)
    }
}

@Suite("A consumer", .timeLimit(.minutes(10))) struct ConsumerTests {
    @Test("runs one job after the other and tells how each ended")
    func jobs() throws {
        let line = try Line()
        line.send(1, "sh", "-c", "echo $SPOOL_JOB_ID; exit 3")
        line.send(2, "no-such-program")
        line.send(3, "true")
        try line.flush()
        let outcomes = try (0..<3).map { _ in try #require(try line.outcome()) }
        #expect(outcomes.map(\.claim.job) == [1, 2, 3])
        #expect(outcomes.map(\.verdict) == [.failed, .failed, .done])
        #expect(outcomes.map(\.run.exit) == [3, 127, 0])
        #expect(outcomes[1].run.error == "command not found: no-such-program")
        #expect(outcomes[0].run.pid > 1 && outcomes[1].run.pid == 0)
        #expect(line.slots.job(0) == 0 || line.slots.job(0) == 3)
    }

    @Test(
        "gives back what waits behind a long job when it is called back, and goes on with the job")
    func recall() throws {
        let line = try Line()
        for id in 1...3 { line.send(Int64(id), "cat", "/dev/zero") }
        try line.flush()
        #expect(line.group() > 1)
        line.recall()
        line.stop(1, SIGTERM, .cancelled)
        try line.flush()
        let outcomes = try (0..<3).map { _ in try #require(try line.outcome()) }
        #expect(outcomes.map(\.claim.job) == [2, 3, 1])
        #expect(outcomes.map(\.verdict) == [.recalled, .recalled, .cancelled])
        #expect(outcomes[2].run.signal == SIGTERM)
    }

    @Test(
        "R5: begins nothing once it was forbidden, drops what was taken from it, and takes what is sent then"
    )
    func bar() throws {
        let line = try Line()
        for id in 1...3 {
            line.send(Int64(id), "sh", "-c", "touch \(line.logs)/$SPOOL_JOB_ID; cat /dev/zero")
        }
        try line.flush()
        #expect(line.group() > 1)
        #expect(line.slots.bar(0) == 1)
        line.stop(1, SIGKILL, .cancelled)
        try line.flush()
        #expect(try line.outcome()?.claim.job == 1)
        line.bar()
        line.send(4, "true")
        try line.flush()
        let next = try #require(try line.outcome())
        #expect(next.claim.job == 4 && next.verdict == .done && line.isUnbarred)
        #expect(access(line.logs + "/2", F_OK) != 0 && access(line.logs + "/3", F_OK) != 0)
        #expect(line.slots.job(0) == 0 || line.slots.job(0) == 4)
    }

    @Test("told to stop a job that waits does not begin it")
    func stopWaiting() throws {
        let line = try Line()
        line.send(1, "sleep", "300")
        line.send(2, "sleep", "300")
        line.stop(2, SIGTERM, .cancelled)
        try line.flush()
        let second = try #require(try line.outcome())
        #expect(second.claim.job == 2 && second.verdict == .cancelled && second.run.pid == 0)
        line.stop(1, SIGKILL, .released)
        try line.flush()
        let first = try #require(try line.outcome())
        #expect(first.verdict == .released && first.run.signal == SIGKILL)
    }

    @Test(
        "R6: that hears nonsense ends and takes its command along; the page still tells which job it was at"
    )
    func nonsense() throws {
        let line = try Line()
        line.send(7, "sleep", "300")
        try line.flush()
        let command = line.group()
        #expect(command > 1)
        line.sendNonsense()
        #expect(try line.outcome() == nil)
        #expect(spool_wait_gone(command, 30_000) == 1)
        // Else the supervisor would take the job for one that had not begun, and it could never become poison.
        #expect(line.slots.job(0) == 7)
        #expect(line.slots.group(0) == 0 && line.slots.consumer(0) == 0)
    }

    @Test("has a name in ps, as the server that forks it")
    func names() throws {
        let line = try Line()
        line.send(1, "true")
        try line.flush()
        #expect(try line.outcome()?.verdict == .done)
        #expect(content("/proc/\(line.pid)/comm") == "spool consumer\n")
        #expect(content("/proc/\(line.pid)/cmdline").hasPrefix("spool: consumer\0"))
    }

    private func content(_ path: String) -> String {
        let file = open(path, O_RDONLY)
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        return String(decoding: bytes[..<max(0, read(file, &bytes, bytes.count))], as: UTF8.self)
    }
}
