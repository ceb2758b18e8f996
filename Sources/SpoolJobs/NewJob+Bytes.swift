// NewJob+Bytes.swift - a job that is about to be put as bytes, for another process of the same program.

internal import SpoolProcesses
internal import SpoolThreads

extension FrameWriter {
    mutating func put(_ job: NewJob) {
        put(text: job.queue)
        put(UInt32(job.priority))
        put(job.name) { $0.put(text: $1) }
        put(job.due) { $0.put($1.microseconds) }
        put(job.retries) { $0.put(Int64($1)) }
        put(job.timeout) { $0.put($1.microseconds) }
        put(job.backoff) {
            $0.put($1.min.microseconds)
            $0.put($1.max.microseconds)
        }
        put(job.place) {
            $0.put(bytes: $1.directory)
            $0.put(bytes: $1.environment)
        }
        switch job.work {
        case .kind(let kind): put(Optional(kind)) { $0.put(text: $1) }
        case .command(let words):
            put(UInt8(0))
            put(UInt32(words.count))
            for word in words { put(bytes: word) }
        }
        switch job.body {
        case .none: put(UInt8(0))
        case .json(let text):
            put(UInt8(1))
            put(text: text)
        case .bytes(let bytes):
            put(UInt8(2))
            put(bytes: bytes)
        }
    }

    private mutating func put<Value>(
        _ value: Value?, _ write: (inout FrameWriter, Value) -> Void
    ) {
        put(UInt8(value == nil ? 0 : 1))
        if let value { write(&self, value) }
    }
}

extension FramePayload {
    /// The next job. It may be anything: it was not checked.
    /// - Throws: `badInput` when the bytes are no job.
    mutating func newJob() throws(SpoolError) -> NewJob {
        let queue = try text()
        let priority = Int(try integer(UInt32.self))
        var job = NewJob(.command([]), queue: queue, priority: priority)
        job.name = try optional { (from) throws(SpoolError) in try from.text() }
        job.due = try optional { (from) throws(SpoolError) in
            UnixTime(microseconds: try from.integer())
        }
        job.retries = try optional { (from) throws(SpoolError) in
            Int(try from.integer(Int64.self))
        }
        job.timeout = try optional { (from) throws(SpoolError) in try from.duration() }
        job.backoff = try optional { (from) throws(SpoolError) in
            Backoff(min: try from.duration(), max: try from.duration())
        }
        job.place = try optional { (from) throws(SpoolError) in
            Place(directory: try from.run(), environment: try from.run())
        }
        job.work = try work()
        job.body = try body()
        return job
    }

    private mutating func optional<Value>(
        _ read: (inout FramePayload) throws(SpoolError) -> Value
    ) throws(SpoolError) -> Value? {
        try integer(UInt8.self) == 0 ? nil : try read(&self)
    }

    private mutating func duration() throws(SpoolError) -> Duration {
        .microseconds(try integer(Int64.self))
    }

    private mutating func work() throws(SpoolError) -> Work {
        guard try integer(UInt8.self) == 0 else { return .kind(try text()) }
        var words: [[UInt8]] = []
        for _ in 0..<(try integer(UInt32.self)) { words.append(try run()) }
        return .command(words)
    }

    private mutating func body() throws(SpoolError) -> Body {
        switch try integer(UInt8.self) {
        case 0: .none
        case 1: .json(try text())
        default: .bytes(try run())
        }
    }
}
