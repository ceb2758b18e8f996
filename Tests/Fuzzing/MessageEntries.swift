// MessageEntries.swift - what processes say to each other: frames of a worker, calls of a pool, values, connections.

private import Glibc
@testable private import SpoolJobs
@testable private import SpoolProcesses
internal import SpoolThreads
@testable private import SpoolWorker

extension FuzzEntry {
    static let frames = FuzzEntry("frames", seeds: frameSeeds) { bytes, broken in
        if broken == .trustedLength {
            return try demand(
                roomOfTrustingReader(bytes) <= bytes.count, "room for more bytes than came")
        }
        let (ours, theirs) = try socketPair()
        defer { close(ours) }
        send(theirs, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        close(theirs)
        var reader = FrameReader()
        while try answer(
            to: bytes,
            { () throws(SpoolError) in
                try reader.fill(from: ours, waiting: true)
            }) == .some
        {
            var failure: (any Error)?
            let isSound: Void? = try answer(to: bytes) { () throws(SpoolError) in
                try reader.forEach { (kind, payload) throws(SpoolError) in
                    do {
                        try checkFrame(kind, &payload)
                    } catch let error as SpoolError {
                        throw error
                    } catch {
                        failure = error
                    }
                }
            }
            if let failure { throw failure }
            // Whoever hears nonsense ends the other: nothing more is read.
            if isSound == nil { return }
        }
    }

    private static func checkFrame(_ kind: UInt8, _ payload: inout FramePayload) throws {
        switch MessageKind(rawValue: kind) {
        case .setup:
            try repeats(payload.setup(), { $0.setup($1) }) { (payload) throws(SpoolError) in
                try payload.setup()
            }
        case .place:
            let (id, place) = try payload.place()
            try repeats(place, { $0.place($1, id) }) { (payload) throws(SpoolError) in
                try payload.place().place
            }
        case .job:
            try repeats(payload.assignment(), { $0.job($1) }) { (payload) throws(SpoolError) in
                try payload.assignment()
            }
        case .stop:
            try repeats(payload.stopOrder(), { $0.stop($1) }) { (payload) throws(SpoolError) in
                try payload.stopOrder()
            }
        case .outcome:
            try repeats(payload.outcome(), { $0.outcome($1) }) { (payload) throws(SpoolError) in
                try payload.outcome()
            }
        case .hello: _ = try payload.integer(Int32.self)
        case .recall, .bar, .unbarred, nil: break
        }
    }

    /// What was read, written and read again, is the same.
    private static func repeats<Value: Equatable>(
        _ value: Value, _ write: (inout FrameWriter, Value) -> Void,
        _ read: (inout FramePayload) throws(SpoolError) -> Value
    ) throws {
        var writer = FrameWriter()
        write(&writer, value)
        let bytes = writer.bytes
        let again = try mustParse("\(value)") { () throws(SpoolError) in
            try bytes.withUnsafeBytes { bytes in
                Result { () throws(SpoolError) in
                    var payload = FramePayload(UnsafeRawBufferPointer(rebasing: bytes[5...]))
                    return try read(&payload)
                }
            }.get()
        }
        try demand(again == value, "\(value) came back as \(again)")
    }

    /// The deliberate break: room for a frame is made when its length has come.
    private static func roomOfTrustingReader(_ bytes: [UInt8]) -> Int {
        var (at, room) = (0, 0)
        while at + 4 <= bytes.count {
            let length = (0..<4).reduce(0) { $0 | Int(bytes[at + $1]) << (8 * $1) }
            room += length
            at += 4 + length
        }
        return room
    }

    private static var frameSeeds: [[UInt8]] {
        var writer = FrameWriter()
        writer.setup(
            ConsumerSetup(
                file: "/x.db", logs: "/x.db-spool/logs", worker: "h:1", program: "", logLimit: 1024,
                killAfter: .seconds(10)))
        writer.place(Place(directory: Array("/".utf8), environment: Array("A=1\0".utf8)), 3)
        let claim = Claim(job: 1, attempt: 2, owner: 3)
        for work in [Work.command([Array("ls".utf8), []]), .kind("mail.send")] {
            writer.job(
                Assignment(
                    claim: claim, queue: "mail", work: work, body: [1, 2], timeout: .seconds(3),
                    maxAttempts: 5, place: 3))
        }
        writer.stop(
            StopOrder(job: 1, attempt: 2, signal: 15, grace: .seconds(1), verdict: .cancelled))
        let all = writer.bytes
        var answers = FrameWriter()
        answers.putHello(pid: 5)
        let run = Run(
            started: readingTime, ended: readingTime, pid: 7, exit: 1, error: "exit status 1")
        answers.outcome(Outcome(claim, .failed, run))
        answers.putRecall()
        return [
            all, answers.bytes, Array(all.prefix(40)), [5, 0, 0, 0, 4], [0xFF, 0xFF, 0xFF, 0],
        ]
    }

    static let pool = FuzzEntry("pool", seeds: poolSeeds) { bytes, _ in
        let call = try answer(to: bytes) { () throws(SpoolError) in try PoolCall(bytes) }
        if let call {
            let again = try mustParse("a call") { () throws(SpoolError) in
                try PoolCall(call.bytes)
            }
            try demand(again.bytes == call.bytes, "\(call) came back as \(again)")
            try demand(call.bytes.count <= 3 * bytes.count, "a call is larger than its bytes")
        }
        let reply = try answer(to: bytes) { () throws(SpoolError) in try PoolAnswer(bytes) }
        guard let reply else { return }
        let again = try mustParse("an answer") { () throws(SpoolError) in
            try PoolAnswer(reply.bytes)
        }
        try demand(again.bytes == reply.bytes, "\(reply) came back as \(again)")
        try demand(reply.bytes.count <= 3 * bytes.count, "an answer is larger than its bytes")
    }

    private static var poolSeeds: [[UInt8]] {
        let error = RemoteError(SpoolError.empty)
        return [
            PoolCall(7, "double", [[1], [], [2, 3]]).bytes,
            PoolAnswer(7, .results([.success([1]), .failure(error)])).bytes,
            PoolAnswer(8, .died).bytes, PoolAnswer(9, .broken(error)).bytes,
        ]
    }

    static let connection = FuzzEntry(
        "connection",
        seeds: [
            [3, 0, 0, 0, 0, 0, 0x70, 0x53, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0x70, 0x53],
            [0, 0, 0, 0x40, 0, 0, 0x70, 0x53, 1], [1, 0, 0, 0, 1, 0, 0x70, 0x53, 9], [3, 0, 0],
        ]
    ) { bytes, _ in
        let (ours, theirs) = try socketPair()
        send(theirs, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        close(theirs)
        let end = try SpoolProcesses.Connection(owning: ours)
        var total = 0
        while let message = try answer(
            to: bytes,
            { () throws(SpoolError) in
                try end.recvBytes(timeout: .seconds(10))
            })
        {
            total += message.count + SpoolProcesses.Connection.headerSize
            let pipe = try Pipe()
            try pipe.first.sendBytes(message)
            try demand(pipe.second.recvBytes() == message, "a message came back as another")
        }
        try demand(total <= bytes.count, "\(total) bytes came out of \(bytes.count)")
    }

    /// Two ends, with room for every input.
    private static func socketPair() throws -> (Int32, Int32) {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0 else {
            throw Broken("no sockets: \(SpoolError.reason(errno))")
        }
        return (ends[0], ends[1])
    }
}

extension FrameWriter {
    fileprivate mutating func setup(_ value: ConsumerSetup) { put(value) }
    fileprivate mutating func place(_ value: Place, _ id: Int64) { put(value, id: id) }
    fileprivate mutating func stop(_ value: StopOrder) { put(value) }
    fileprivate mutating func outcome(_ value: Outcome) { put(value) }

    fileprivate mutating func job(_ value: Assignment) {
        put(
            ClaimedJob(
                claim: value.claim, queue: value.queue, work: value.work, body: .bytes(value.body),
                priority: 0, timeout: value.timeout, maxAttempts: value.maxAttempts,
                place: value.place))
    }
}
