// CommandRun.swift - one run of a command by a consumer: start, listen, stop in time, reap, report.
//
// When the command itself has ended, what it has written is taken from the pipes without waiting for descendants that
// still hold them, and what is left of its process group is killed, as systemd and Docker do: a job that is done is
// done, and its retry does not meet its predecessor's children. What must outlive its job leaves the group (setsid).

private import Glibc
internal import SpoolJobs
internal import SpoolProcesses
internal import SpoolThreads

/// A command that runs in a consumer.
final class CommandRun {
    private let consumer: Consumer
    private let running: RunningCommand
    private var log: JobLog
    /// Reading ends of the command's stdout and stderr; -1 when they have ended.
    private var streams: (output: Int32, error: Int32)
    private var timeout: Deadline
    private var killAt = Deadline.never
    /// Why it is being stopped; nil while it may run.
    private var verdict: Verdict?
    private var buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceSize, alignment: 16)

    /// Pieces read after the command's end, so that a descendant that writes for ever holds nobody up.
    private static let lastPieces = 64
    private static let pieceSize = 64 << 10

    private init(
        _ running: RunningCommand, _ streams: (Int32, Int32), _ job: Assignment,
        _ consumer: Consumer
    ) {
        self.consumer = consumer
        self.running = running
        self.streams = streams
        timeout = Deadline(after: job.timeout)
        let path = "\(consumer.setup.logs)/\(job.claim.job).\(job.claim.attempt)"
        log = JobLog(path: path, limit: consumer.setup.logLimit)
    }

    deinit {
        buffer.deallocate()
        if streams.output >= 0 { close(streams.output) }
        if streams.error >= 0 { close(streams.error) }
    }

    /// Runs a job to its end.
    /// - Throws: What reading the consumer's socket throws.
    static func perform(
        _ job: Assignment, in place: PreparedPlace, for consumer: Consumer
    ) throws(SpoolError) -> Outcome {
        let started = UnixTime.now()
        var report = Run(started: started, ended: started)
        let deadline = job.timeout.map { started + $0 }
        guard let own = place.limits else {
            report.exit = 126
            report.error = "the job's limits (\(ResourceLimits.variable)) cannot be read"
            return Outcome(job.claim, .failed, report)
        }
        let limits = own.tightened(by: consumer.setup.limits)
        guard let command = job.command(consumer.setup, place, limits, deadline: deadline) else {
            report.error = "this worker has no program for typed jobs (--exec)"
            return Outcome(job.claim, .failed, report)
        }
        switch try start(command, job, consumer) {
        case .running(let run):
            return Outcome(job.claim, try run.finish(job, limits, &report), report)
        case .stopped(let verdict):
            report.ended = .now()
            return Outcome(job.claim, verdict, report)
        case .refused(let refusal):
            report.ended = .now()
            report.exit = refusal.exit
            report.error = refusal.reason
            return Outcome(job.claim, .failed, report)
        }
    }

    private func finish(
        _ job: Assignment, _ limits: ResourceLimits, _ report: inout Run
    ) throws(SpoolError) -> Verdict {
        while try !isOver() {}
        takeRest()
        // Its leader is not reaped yet, so the number still belongs to this group.
        running.signal(SIGKILL)
        consumer.slots.clearGroup(consumer.slot)
        let end = running.reap()
        report.exit = end.exit
        report.signal = end.signal
        // All of these may run again at once.
        if verdict != nil || report.wasToldToEnd {
            Leftovers.end([job.claim], of: consumer.setup.file)
        }
        report.ended = .now()
        log.finish(now: report.ended)
        report.pid = running.pid
        report.userMicroseconds = end.userMicroseconds
        report.systemMicroseconds = end.systemMicroseconds
        report.peakKiB = end.peakKiB
        switch verdict {
        case .timedOut: report.error = "timed out after \((job.timeout ?? .zero).typed)"
        case .released: report.error = "the worker was stopped"
        case .cancelled: report.error = "cancelled"
        default: report.error = Self.reason(end, limits)
        }
        if let loss = log.loss {
            report.error = (report.error.map { $0 + "; " } ?? "") + loss
        }
        return verdict ?? (end.reason == nil ? .done : .failed)
    }

    /// Of a limit that sends no signal the program itself says how it met it, or does not; so the limits are named.
    private static func reason(_ end: ProcessEnd, _ limits: ResourceLimits) -> String? {
        guard let reason = end.reason, !limits.isEmpty else { return end.reason }
        guard let resource = limits.reached(signal: end.signal, exit: end.exit) else {
            return "\(reason) (limits: \(limits.text))"
        }
        return "reached its limit \(resource)=\(limits[resource] ?? 0): \(reason)"
    }

    /// Waits for something to happen and reacts to it. True: the command has ended.
    private func isOver() throws(SpoolError) -> Bool {
        let events = Int16(POLLIN)
        var watched = [
            pollfd(fd: running.pidDescriptor, events: events, revents: 0),
            pollfd(fd: consumer.descriptor, events: events, revents: 0),
            pollfd(fd: streams.output, events: events, revents: 0),
            pollfd(fd: streams.error, events: events, revents: 0),
        ]
        poll(&watched, 4, min(timeout, killAt).pollTimeout())
        if watched[2].revents != 0 { takePiece(of: \.output, 1) }
        if watched[3].revents != 0 { takePiece(of: \.error, 2) }
        if watched[0].revents != 0 { return true }
        if watched[1].revents != 0 {
            try consumer.listen(waiting: false)
            if let order = consumer.stop {
                consumer.stop = nil
                stop(as: order.verdict, order.signal, order.grace)
            }
        }
        keepTime()
        return false
    }

    private func keepTime() {
        if timeout.isPast {
            timeout = .never
            stop(as: .timedOut, SIGTERM, consumer.setup.killAfter)
        }
        guard killAt.isPast else { return }
        killAt = .never
        running.signal(SIGKILL)
    }

    private func stop(as reason: Verdict, _ signal: Int32, _ grace: Duration) {
        if verdict == nil { verdict = reason }
        timeout = .never
        killAt = min(killAt, Deadline(after: grace))
        running.signal(signal)
        // One that was stopped could not see the signal.
        running.signal(SIGCONT)
    }

    /// Reads what poll(2) said is there, so that it does not wait.
    private func takePiece(
        of stream: WritableKeyPath<(output: Int32, error: Int32), Int32>, _ number: UInt32
    ) {
        let count = read(streams[keyPath: stream], buffer.baseAddress, buffer.count)
        guard count <= 0 else {
            log.append(
                UnsafeRawBufferPointer(rebasing: buffer[..<count]), stream: number, now: .now())
            return
        }
        guard count == 0 || errno != EINTR else { return }
        close(streams[keyPath: stream])
        streams[keyPath: stream] = -1
    }

    private func takeRest() {
        for _ in 0..<Self.lastPieces {
            let events = Int16(POLLIN)
            var watched = [
                pollfd(fd: streams.output, events: events, revents: 0),
                pollfd(fd: streams.error, events: events, revents: 0),
            ]
            guard streams.output >= 0 || streams.error >= 0, poll(&watched, 2, 0) > 0 else {
                return
            }
            if watched[0].revents != 0 { takePiece(of: \.output, 1) }
            if watched[1].revents != 0 { takePiece(of: \.error, 2) }
        }
    }
}

extension CommandRun {
    private enum Start {
        case running(CommandRun)
        /// It was told to stop before it began.
        case stopped(Verdict)
        case refused(Command.Failure)
    }

    /// Milliseconds between two tries.
    private static let longestPause: Int32 = 1000

    /// Starts the command; when processes or descriptors are short, tries again until there are some.
    private static func start(
        _ command: Command, _ job: Assignment, _ consumer: Consumer
    ) throws(SpoolError) -> Start {
        var pause: Int32 = 10
        while true {
            do {
                return .running(try startOnce(command, job, consumer))
            } catch {
                guard error.isTemporary else { return .refused(error) }
                if pause == longestPause { consumer.sayOnce(job.claim, error.reason) }
            }
            var watched = pollfd(fd: consumer.descriptor, events: Int16(POLLIN), revents: 0)
            if poll(&watched, 1, pause) > 0 { try consumer.listen(waiting: false) }
            if let order = consumer.stop { return .stopped(order.verdict) }
            pause = min(longestPause, pause * 2)
        }
    }

    private static func startOnce(
        _ command: Command, _ job: Assignment, _ consumer: Consumer
    ) throws(Command.Failure) -> CommandRun {
        do {
            let input = try job.body.isEmpty ? Descriptor.null() : Descriptor.memory(job.body)
            let output = try Descriptor.pipe()
            let errors = try Descriptor.pipe()
            let streams = Command.Streams(
                input: input.number, output: output.second.number, error: errors.second.number)
            let running = try command.start(
                streams, groupWord: consumer.slots.groupWord(consumer.slot))
            let (out, outEnd) = output.release()
            let (err, errEnd) = errors.release()
            close(outEnd)
            close(errEnd)
            return CommandRun(running, (out, err), job, consumer)
        } catch let error as Command.Failure {
            throw error
        } catch let error as SpoolError {
            throw Command.Failure(
                exit: 126, reason: error.message,
                isTemporary: error != .system(call: "write", errno: EFBIG))
        } catch {
            throw Command.Failure(exit: 126, reason: "\(error)", isTemporary: false)
        }
    }
}
