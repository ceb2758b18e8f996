// JobEnvironment.swift - what a command finds around it: its place, and what Spool tells it.

private import Glibc
internal import SpoolJobs
internal import SpoolProcesses
internal import SpoolThreads

/// A place, made ready for many commands: its variables apart, without those that Spool sets itself.
final class PreparedPlace {
    let directory: [UInt8]?
    let variables: [[UInt8]]
    /// Nil: what stands there is no limits.
    let limits: ResourceLimits?

    private static let own: [[UInt8]] = [
        "SPOOL_JOB_ID", "SPOOL_QUEUE", "SPOOL_ATTEMPT", "SPOOL_MAX_ATTEMPTS", "SPOOL_WORKER",
        "SPOOL_DEADLINE", "SPOOL_SESSION",
        "SPOOL_FILE", "SPOOL_KIND", ResourceLimits.variable,
    ].map { Array("\($0)=".utf8) }

    init(_ place: Place) {
        directory = place.directory
        let all = place.environment.split(separator: 0).map { Array($0) }
        variables = Self.foreign(all)
        limits = Self.limits(all)
    }

    /// The worker's own place.
    init() {
        directory = nil
        var found: [[UInt8]] = []
        var next = environ
        while let variable = next.pointee {
            found.append(
                UnsafeBufferPointer(start: variable, count: strlen(variable)).map {
                    UInt8(bitPattern: $0)
                })
            next += 1
        }
        variables = Self.foreign(found)
        limits = ResourceLimits()
    }

    private static func limits(_ variables: [[UInt8]]) -> ResourceLimits? {
        let name = Array("\(ResourceLimits.variable)=".utf8)
        guard let found = variables.last(where: { $0.starts(with: name) }) else {
            return ResourceLimits()
        }
        return ResourceLimits(text: String(decoding: found.dropFirst(name.count), as: UTF8.self))
    }

    private static func foreign(_ variables: [[UInt8]]) -> [[UInt8]] {
        variables.filter { variable in !own.contains { variable.starts(with: $0) } }
    }
}

extension Assignment {
    /// The program that does this job, in its place. Nil: none can, which a worker does not let happen.
    func command(
        _ setup: ConsumerSetup, _ place: PreparedPlace, _ limits: ResourceLimits,
        deadline: UnixTime?
    ) -> Command? {
        var variables = place.variables
        func tell(_ name: String, _ value: String) {
            variables.append(Array("\(name)=\(value)".utf8))
        }
        tell("SPOOL_JOB_ID", "\(claim.job)")
        tell("SPOOL_QUEUE", queue)
        tell("SPOOL_ATTEMPT", "\(claim.attempt)")
        tell("SPOOL_MAX_ATTEMPTS", "\(maxAttempts)")
        tell("SPOOL_WORKER", setup.worker)
        tell("SPOOL_FILE", setup.file)
        tell(Leftovers.session, "\(getsid(0))")
        if let deadline { tell("SPOOL_DEADLINE", deadline.rfc3339) }
        if !limits.isEmpty { tell(ResourceLimits.variable, limits.text) }
        switch work {
        case .command(let words):
            var command = Command(words, environment: variables, directory: place.directory)
            command.limits = limits
            return command
        case .kind(let kind):
            guard !setup.program.isEmpty else { return nil }
            tell("SPOOL_KIND", kind)
            var command = Command(
                [Array(setup.program.utf8), Array(kind.utf8)], environment: variables,
                directory: place.directory)
            command.limits = limits
            return command
        }
    }
}
