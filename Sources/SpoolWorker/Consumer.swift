// Consumer.swift - the forked process that does jobs, one after the other.
//
// It owns no store and no lock: jobs come on its socket, outcomes go back on it. The end of the socket means that the
// supervisor is gone: whatever runs is killed, and the consumer ends. Outcomes of commands are written before the next
// job begins, so that a kill repeats nothing that was done.

private import Glibc
internal import SpoolJobs
public import SpoolProcesses
internal import SpoolThreads

/// Runs in a process that the fork server made. For the one thread that it starts on.
public final class Consumer {
    private let socket: Int32
    let slot: Int
    let slots: SlotPage
    private var reader = FrameReader()
    private var writer = FrameWriter()
    private var waiting = WaitingJobs<(job: Assignment, place: PreparedPlace)> {
        $0.job.claim
    }
    private var places: [Int64: PreparedPlace] = [:]
    private let ownPlace = PreparedPlace()
    private(set) var setup = ConsumerSetup(
        file: "", logs: "", worker: "", program: "", logLimit: 0, killAfter: .zero)
    /// What was asked for the job that runs.
    var stop: StopOrder?
    private var current: Claim?
    private var told: Claim?

    /// Outcomes of empty jobs that are written together.
    private static let gathered = 16 << 10

    private init(_ birth: ForkServer.Birth) {
        socket = birth.socket
        slot = birth.slot
        slots = birth.slots
    }

    /// The life of a consumer; what the fork server runs in each child.
    @Sendable public static func live(_ birth: ForkServer.Birth) -> Never {
        let consumer = Consumer(birth)
        do {
            try consumer.work()
        } catch {
            // The supervisor sees the end of the socket and settles what was in our hands.
            let line = "spool consumer \(getpid()): \(error.message)\n"
            write(2, line, line.utf8.count)
            consumer.end()
        }
    }

    private func work() throws(SpoolError) -> Never {
        writer.putHello(pid: getpid())
        while true {
            while let (job, place) = waiting.next() {
                guard slots.begin(job.claim.job, slot) else {
                    // It is not ours any more. What the supervisor says next is on its way.
                    waiting.putBack()
                    break
                }
                try perform(job, place)
            }
            try flush()
            try listen(waiting: true)
        }
    }

    private func perform(_ job: Assignment, _ place: PreparedPlace) throws(SpoolError) {
        if case .kind(Job.noop) = job.work {
            let now = UnixTime.now()
            report(Outcome(job.claim, .done, Run(started: now, ended: now, pid: 0)))
            if writer.count >= Self.gathered { try flush() }
        } else {
            try flush()
            try run(job, place)
        }
        // Not when an error has ended it: then it stays the job that the consumer died with.
        slots.finish(slot)
    }

    private func run(_ job: Assignment, _ place: PreparedPlace) throws(SpoolError) {
        current = job.claim
        stop = nil
        let outcome = try CommandRun.perform(job, in: place, for: self)
        current = nil
        report(outcome)
        try flush()
    }

    private func report(_ outcome: Outcome) { writer.put(outcome) }

    private func flush() throws(SpoolError) {
        guard try writer.flush(to: socket, waiting: true) else { end() }
    }

    /// For poll(2) while a command runs.
    var descriptor: Int32 { socket }

    /// Reads once and does what it says, except for the jobs, which wait for their turn.
    func listen(waiting isWaiting: Bool) throws(SpoolError) {
        switch try reader.fill(from: socket, waiting: isWaiting) {
        case .nothing: return
        case .end: end()
        case .some: break
        }
        try reader.forEach { (kind, payload) throws(SpoolError) in
            switch MessageKind(rawValue: kind) {
            case .setup: setup = try payload.setup()
            case .place: try keepPlace(&payload)
            case .job:
                let job = try payload.assignment()
                waiting.append((job, job.place.flatMap { places[$0] } ?? ownPlace))
            case .stop: try obey(try payload.stopOrder())
            case .recall: try giveBack()
            case .bar: try dropAll()
            case .hello, .outcome, .unbarred, nil:
                throw .badInput("a consumer got a message of kind \(kind).")
            }
        }
    }

    private func keepPlace(_ payload: inout FramePayload) throws(SpoolError) {
        let (id, place) = try payload.place()
        if places.count == KnownPlaces.limit { places = [:] }
        places[id] = PreparedPlace(place)
    }

    private func obey(_ order: StopOrder) throws(SpoolError) {
        if let current, current.job == order.job, current.attempt == order.attempt {
            stop = order
            return
        }
        guard let (claim, verdict) = waiting.stop(order) else { return }
        reportUnstarted(claim, verdict)
        try flush()
    }

    private func giveBack() throws(SpoolError) {
        for claim in waiting.giveBack() { reportUnstarted(claim, .recalled) }
        try flush()
    }

    /// What was sent before this was taken from us: what we say of it does not count. What is sent after it is ours.
    private func dropAll() throws(SpoolError) {
        _ = waiting.giveBack()
        slots.unbar(slot)
        writer.putUnbarred()
        try flush()
    }

    /// Whoever sees a job run and do nothing wants to know why. Once for each attempt.
    func sayOnce(_ claim: Claim, _ reason: String) {
        guard claim != told else { return }
        told = claim
        let dot = reason.hasSuffix(".") ? "" : "."
        let line = "spool: job \(claim.job) cannot begin: \(reason)\(dot) Trying again.\n"
        signal(SIGPIPE, SIG_IGN)  // there may be no reader; commands begin with the default
        write(2, line, line.utf8.count)
    }

    private func reportUnstarted(_ claim: Claim, _ verdict: Verdict) {
        let now = UnixTime.now()
        report(Outcome(claim, verdict, Run(started: now, ended: now)))
    }

    /// Ends at once, and the command with it.
    private func end() -> Never {
        let group = slots.group(slot)
        if group > 1 { kill(-group, SIGKILL) }
        // The job stays in the page: the supervisor learns from it that this one had begun.
        slots.leave(slot)
        _exit(0)
    }
}
