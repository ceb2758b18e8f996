// Messages.swift - what a supervisor and its consumers say to each other.
//
// To a consumer: setup once, a place before the first job in it, jobs, stop, recall, bar. From it: hello once,
// outcomes, unbarred.
// Everything is in order, so that what was asked for later is done to what was sent before.

package import SpoolJobs
internal import SpoolProcesses
internal import SpoolThreads

/// The kinds of frames.
enum MessageKind: UInt8 {
    case setup = 1
    case place, job, stop, recall
    case hello, outcome
    case bar, unbarred
}

/// What a consumer needs to know about its worker.
struct ConsumerSetup: Hashable, Sendable {
    /// Absolute path of the database.
    var file: String
    /// Directory of the logs.
    var logs: String
    var worker: String
    /// What is run for typed jobs; empty: they are not taken.
    var program: String
    /// Bytes of output that are kept of one attempt.
    var logLimit: Int64
    /// Time from SIGTERM to SIGKILL when a time-out is reached.
    var killAfter: Duration
    /// For every job, beside its own.
    var limits = ResourceLimits()
}

/// A job in the hands of a consumer.
struct Assignment: Hashable, Sendable {
    var claim: Claim
    var queue: String
    var work: Work
    var body: [UInt8]
    var timeout: Duration?
    var maxAttempts: Int
    var place: Int64?
}

/// Of the places that a consumer was told it remembers so many. When one more is told both ends forget all.
enum KnownPlaces {
    static let limit = 256
}

/// A job that is to be stopped, and what its run then counts as.
package struct StopOrder: Hashable, Sendable {
    package var job: Int64
    package var attempt: Int
    package var signal: Int32
    /// From the signal to SIGKILL.
    package var grace: Duration
    /// `.cancelled`, or `.released` when the worker is going.
    package var verdict: Verdict
}

extension FrameWriter {
    private mutating func frame(_ kind: MessageKind, _ fill: (inout FrameWriter) -> Void) {
        begin(kind.rawValue)
        fill(&self)
        end()
    }

    mutating func putHello(pid: Int32) { frame(.hello) { $0.put(pid) } }

    mutating func putRecall() { frame(.recall) { _ in } }

    mutating func putBar() { frame(.bar) { _ in } }

    mutating func putUnbarred() { frame(.unbarred) { _ in } }

    mutating func put(_ setup: ConsumerSetup) {
        frame(.setup) {
            $0.put(text: setup.file)
            $0.put(text: setup.logs)
            $0.put(text: setup.worker)
            $0.put(text: setup.program)
            $0.put(setup.logLimit)
            $0.put(setup.killAfter.microseconds)
            $0.put(text: setup.limits.text)
        }
    }

    mutating func put(_ place: Place, id: Int64) {
        frame(.place) {
            $0.put(id)
            $0.put(bytes: place.directory)
            $0.put(bytes: place.environment)
        }
    }

    mutating func put(_ job: ClaimedJob) {
        frame(.job) {
            $0.put(job.claim)
            $0.put(job.place ?? 0)
            $0.put(job.timeout?.microseconds ?? -1)
            $0.put(Int64(job.maxAttempts))
            $0.put(text: job.queue)
            switch job.work {
            case .kind(let kind): $0.put(text: kind)
            case .command(let words):
                $0.put(text: "")
                $0.put(UInt32(words.count))
                for word in words { $0.put(bytes: word) }
            }
            switch job.body {
            case .none: $0.put(bytes: [])
            case .json(let text): $0.put(text: text)
            case .bytes(let bytes): $0.put(bytes: bytes)
            }
        }
    }

    mutating func put(_ order: StopOrder) {
        frame(.stop) {
            $0.put(order.job)
            $0.put(Int64(order.attempt))
            $0.put(order.signal)
            $0.put(order.grace.microseconds)
            $0.put(UInt8(order.verdict.rawValue))
        }
    }

    mutating func put(_ outcome: Outcome) {
        frame(.outcome) {
            let run = outcome.run
            $0.put(outcome.claim)
            $0.put(UInt8(outcome.verdict.rawValue))
            $0.put(run.started.microseconds)
            $0.put(run.ended.microseconds)
            $0.put(run.pid)
            $0.put(run.exit ?? -1)
            $0.put(run.signal ?? -1)
            $0.put(run.userMicroseconds)
            $0.put(run.systemMicroseconds)
            $0.put(run.peakKiB)
            $0.put(text: run.error ?? "")
        }
    }

    private mutating func put(_ claim: Claim) {
        put(claim.job)
        put(Int64(claim.attempt))
        put(claim.owner)
    }
}

extension FramePayload {
    mutating func setup() throws(SpoolError) -> ConsumerSetup {
        ConsumerSetup(
            file: try text(), logs: try text(), worker: try text(), program: try text(),
            logLimit: try integer(), killAfter: .microseconds(try integer(Int64.self)),
            limits: ResourceLimits(text: try text()) ?? ResourceLimits())
    }

    mutating func place() throws(SpoolError) -> (id: Int64, place: Place) {
        (try integer(), Place(directory: try run(), environment: try run()))
    }

    mutating func assignment() throws(SpoolError) -> Assignment {
        let claim = try claim()
        let place: Int64 = try integer()
        let timeout: Int64 = try integer()
        let maxAttempts = Int(try integer(Int64.self))
        let queue = try text()
        let kind = try text()
        return Assignment(
            claim: claim, queue: queue, work: kind.isEmpty ? .command(try words()) : .kind(kind),
            body: try run(), timeout: timeout < 0 ? nil : .microseconds(timeout),
            maxAttempts: maxAttempts, place: place == 0 ? nil : place)
    }

    private mutating func words() throws(SpoolError) -> [[UInt8]] {
        var words: [[UInt8]] = []
        for _ in 0..<(try integer(UInt32.self)) { words.append(try run()) }
        return words
    }

    mutating func stopOrder() throws(SpoolError) -> StopOrder {
        StopOrder(
            job: try integer(), attempt: Int(try integer(Int64.self)), signal: try integer(),
            grace: .microseconds(try integer(Int64.self)), verdict: try verdict())
    }

    mutating func outcome() throws(SpoolError) -> Outcome {
        let claim = try claim()
        let verdict = try verdict()
        var run = Run(
            started: UnixTime(microseconds: try integer()),
            ended: UnixTime(microseconds: try integer()),
            pid: try integer())
        let exit: Int32 = try integer()
        let signal: Int32 = try integer()
        run.exit = exit < 0 ? nil : exit
        run.signal = signal < 0 ? nil : signal
        run.userMicroseconds = try integer()
        run.systemMicroseconds = try integer()
        run.peakKiB = try integer()
        let error = try text()
        run.error = error.isEmpty ? nil : error
        return Outcome(claim, verdict, run)
    }

    private mutating func claim() throws(SpoolError) -> Claim {
        Claim(job: try integer(), attempt: Int(try integer(Int64.self)), owner: try integer())
    }

    private mutating func verdict() throws(SpoolError) -> Verdict {
        let number = try integer(UInt8.self)
        guard let verdict = Verdict(rawValue: Int(number)) else {
            throw .badInput("a message between the worker's processes names verdict \(number).")
        }
        return verdict
    }
}
