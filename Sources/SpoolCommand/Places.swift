// Places.swift - where a command runs (directory and environment), and what execve(2) takes.

private import CSpool
private import Glibc
internal import SpoolJobs
internal import SpoolProcesses
internal import SpoolThreads

enum Places {
    /// What a job that puts jobs must not hand on: they are of its own run.
    private static let ofOneRun: Set<ArraySlice<UInt8>> = Set(
        [
            ResourceLimits.variable, "SPOOL_JOB_ID", "SPOOL_ATTEMPT", "SPOOL_MAX_ATTEMPTS",
            "SPOOL_WORKER", "SPOOL_DEADLINE", "SPOOL_SESSION",
        ].map { Array($0.utf8)[...] })

    /// Directory and environment as --cwd, --env and --clean-env make them.
    static func current(_ arguments: PutArguments) throws(SpoolError) -> Place {
        var variables = arguments.has(.cleanEnvironment) ? [] : Command.currentEnvironment()
        variables.removeAll { name($0).map(ofOneRun.contains) ?? true }
        try set(all: arguments.variables, in: &variables)
        if let text = try arguments.text(.limit) {
            try set(try Limits.parse(text, option: PutOption.limit.shown), in: &variables)
        }
        return Place(
            directory: try directory(arguments.values[.cwd]),
            environment: joined(variables))
    }

    /// Adds or replaces `NAME=value`.
    static func set(_ variable: [UInt8], in variables: inout [[UInt8]]) throws(SpoolError) {
        guard let name = name(variable), !name.isEmpty else {
            throw .usage("--env '\(String(decoding: variable, as: UTF8.self))': write NAME=value.")
        }
        variables.removeAll { self.name($0) == name }
        variables.append(variable)
    }

    /// Adds or replaces each of them; of two with one name the last counts.
    static func set(all added: [[UInt8]], in variables: inout [[UInt8]]) throws(SpoolError) {
        // A few are found sooner by looking at all names than by a table of them, which a line of NDJSON can need.
        guard added.count > 16 else {
            for variable in added { try set(variable, in: &variables) }
            return
        }
        var last: [ArraySlice<UInt8>: Int] = [:]
        for (place, variable) in added.enumerated() {
            guard let name = name(variable), !name.isEmpty else {
                return try set(variable, in: &variables)  // says what is wrong
            }
            last[name] = place
        }
        variables.removeAll { name($0).map { last[$0] != nil } ?? false }
        for (place, variable) in added.enumerated() where name(variable).map({ last[$0] }) == place
        {
            variables.append(variable)
        }
    }

    /// Limits travel as a variable of the job's.
    static func set(
        _ limits: ResourceLimits, in variables: inout [[UInt8]]
    ) throws(SpoolError) {
        try set(Array("\(ResourceLimits.variable)=\(limits.text)".utf8), in: &variables)
    }

    /// The variables as a ``Place`` keeps them.
    static func joined(_ variables: [[UInt8]]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(variables.reduce(0) { $0 + $1.count + 1 })
        for variable in variables {
            bytes += variable
            bytes.append(0)
        }
        return bytes
    }

    /// Variables that `environment` (each ended by NUL) holds.
    static func split(_ environment: [UInt8]) -> [[UInt8]] {
        environment.split(separator: 0).map(Array.init)
    }

    /// As bytes: names that are no UTF-8, or the same only to Unicode, are different variables.
    private static func name(_ variable: [UInt8]) -> ArraySlice<UInt8>? {
        variable.firstIndex(of: UInt8(ascii: "=")).map { variable[..<$0] }
    }

    /// Absolute; a given one must exist.
    /// - Parameter option: The name that the error shows.
    static func directory(
        _ given: [UInt8]?, option: String = "--cwd"
    ) throws(SpoolError) -> [UInt8] {
        let slash = UInt8(ascii: "/")
        if let given, given.first == slash {
            return try existing(given, "\(option) '\(String(decoding: given, as: UTF8.self))'")
        }
        guard let pointer = getcwd(nil, 0) else {
            throw .usage(
                "the working directory cannot be found: \(SpoolError.reason(errno)).",
                hint: "Go to another one.")
        }
        defer { free(pointer) }
        let current = Array(UnsafeRawBufferPointer(start: pointer, count: strlen(pointer)))
        guard let given else { return current }
        return try existing(
            current + [slash] + given, "\(option) '\(String(decoding: given, as: UTF8.self))'")
    }

    private static func existing(_ path: [UInt8], _ name: String) throws(SpoolError) -> [UInt8] {
        var status = stat()
        let found = path.map(CChar.init(bitPattern:)) + [0]
        guard !path.contains(0) else { throw .usage("\(name): a path has no NUL.") }
        guard stat(found, &status) == 0 else {
            throw .usage("\(name): \(SpoolError.reason(errno)).")
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw .usage("\(name): not a directory.")
        }
        return path
    }
}

/// What execve(2) takes: said at put, where somebody reads it, and not when the job runs.
enum CommandLimits {
    /// MAX_ARG_STRLEN of Linux, less the NUL at the end.
    private static let longestWord = 131_071

    static func check(_ job: NewJob) throws(SpoolError) {
        guard case .command(let words) = job.work else { return }
        guard let program = words.first, !program.isEmpty else {
            throw .usage("the command is empty.", hint: "Try:  spool put -- echo hello")
        }
        let variables = job.place?.environment.count ?? 0
        // Each word and variable costs its NUL and a pointer besides its bytes; 2048 are the kernel's own head room.
        var total = 2048 + variables
        for word in words {
            guard word.count <= longestWord else {
                throw .tooLarge(
                    what: "an argument of the command", bytes: word.count, limit: longestWord)
            }
            total += word.count + 9
        }
        // The usual case needs no count of the variables and no sysconf.
        guard total + variables * 4 > 131_072 else { return }
        total += 8 * (job.place.map { Places.split($0.environment).count } ?? 0)
        let limit = sysconf(Int32(_SC_ARG_MAX))
        guard limit <= 0 || total <= limit else {
            throw .tooLarge(
                what: "the command with its arguments and environment", bytes: total, limit: limit)
        }
    }
}
