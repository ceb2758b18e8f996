// Command.swift - starts a program and learns how it ended.
//
// The program runs in a process group of its own with descriptors 0, 1 and 2 and nothing else, default signals, and
// dies with the thread that started it. No shell, no fork of our memory: see spool_start.

internal import CSpool
private import Glibc
private import SpoolThreads

/// A program, its arguments, and where it runs. Bytes, because names of files are bytes.
public struct Command: Hashable, Sendable {
    /// The first word is the program: a path, or a name that is looked for in PATH of `environment`.
    public var words: [[UInt8]]
    /// The program, if the first word is only what it is called.
    public var program: [UInt8]?
    /// `NAME=value` each.
    public var environment: [[UInt8]]
    /// Nil: where the caller stands.
    public var directory: [UInt8]?
    /// What it may use at most.
    public var limits = ResourceLimits()

    /// Made from its parts.
    public init(_ words: [[UInt8]], environment: [[UInt8]], directory: [UInt8]? = nil) {
        self.words = words
        self.environment = environment
        self.directory = directory
    }

    /// Why a program could not be started, in the words and exit statuses of a shell.
    public struct Failure: Error, Hashable, Sendable {
        /// 127: not found; 126: found, but cannot be executed.
        public let exit: Int32
        /// One line for people.
        public let reason: String
        /// Processes, memory or descriptors were short: worth another try.
        public let isTemporary: Bool

        /// Made from its parts.
        public init(exit: Int32, reason: String, isTemporary: Bool = false) {
            self.exit = exit
            self.reason = reason
            self.isTemporary = isTemporary
        }
    }

    /// What a program gets as its descriptors 0, 1 and 2.
    public struct Streams: Hashable, Sendable {
        /// Becomes its standard input.
        public var input: Int32
        /// Becomes its standard output.
        public var output: Int32
        /// Becomes its standard error.
        public var error: Int32

        /// Made from its parts.
        public init(input: Int32, output: Int32, error: Int32) {
            self.input = input
            self.output = output
            self.error = error
        }
    }

    /// Starts the program. Unless it `outlives` the calling thread it is killed when that dies; one that does has a
    /// session of its own, and with all that it starts no terminal.
    /// - Parameter groupWord: Gets the number of its process group before the program begins.
    /// - Throws: ``Failure`` as a shell would say it.
    public func start(
        _ streams: Streams, groupWord: UnsafeMutablePointer<Int64>? = nil, outlives: Bool = false
    ) throws(Failure) -> RunningCommand {
        let group = Int32(outlives ? SPOOL_OWN_SESSION : SPOOL_OWN_GROUP)
        return try start(
            streams, Ties(groupWord: groupWord, outlives: outlives, group: group))
    }

    /// How a program belongs together with who starts it.
    struct Ties {
        var groupWord: UnsafeMutablePointer<Int64>?
        /// Whether it is not killed when the calling thread ends.
        var outlives = true
        /// Its process group and session, as `spool_start` knows them.
        var group = Int32(SPOOL_SAME_GROUP)
    }

    func start(_ streams: Streams, _ ties: Ties) throws(Failure) -> RunningCommand {
        guard let name = program ?? words.first, !name.isEmpty else {
            throw Failure(exit: 127, reason: "command not found: ''")
        }
        let path = try resolve(name)
        do {
            return try start(path, words, streams, ties)
        } catch {
            guard case .exec(ENOEXEC) = error else { throw failure(name, error) }
        }
        // As execvp(3) does: a text without #! is a script of the shell.
        do {
            let shell = Array("/bin/sh".utf8)
            return try start(shell, [shell, path] + words.dropFirst(), streams, ties)
        } catch {
            throw failure(name, error)
        }
    }

    private enum StartError: Error {
        case exec(Int32)
        case directory(Int32)
        case clone(Int32)
    }

    private func start(
        _ path: [UInt8], _ words: [[UInt8]], _ streams: Streams, _ ties: Ties
    ) throws(StartError) -> RunningCommand {
        let arguments = CStrings(words)
        let variables = CStrings(environment)
        let places = CStrings([path] + (directory.map { [$0] } ?? []))
        var spawn = spool_spawn()
        spawn.path = UnsafePointer(places.pointers[0])
        spawn.argv = arguments.base
        spawn.envp = variables.base
        spawn.directory = directory == nil ? nil : UnsafePointer(places.pointers[1])
        (spawn.in, spawn.out, spawn.err) = (streams.input, streams.output, streams.error)
        spawn.pid_word = ties.groupWord
        spawn.outlives = ties.outlives ? 1 : 0
        spawn.group = ties.group
        let pid = limits.forSystem.withUnsafeBufferPointer { limits in
            spawn.limits = limits.baseAddress
            spawn.limit_count = Int32(limits.count)
            return withExtendedLifetime((arguments, variables, places)) { spool_start(&spawn) }
        }
        guard pid < 0 else { return RunningCommand(pid: pid, pidDescriptor: spawn.pidfd) }
        if spawn.failed_at_chdir != 0 { throw .directory(-pid) }
        if [EAGAIN, ENOMEM, EMFILE, ENFILE].contains(-pid) { throw .clone(-pid) }
        throw .exec(-pid)
    }

    private func failure(_ name: [UInt8], _ error: StartError) -> Failure {
        let program = String(decoding: name, as: UTF8.self)
        switch error {
        case .directory(let number):
            let place = String(decoding: directory ?? [], as: UTF8.self)
            return Failure(
                exit: 126,
                reason: "cannot change to directory \(place): \(SpoolError.reason(number))")
        case .clone(let number):
            return Failure(
                exit: 126, reason: "cannot start a process: \(SpoolError.reason(number))",
                isTemporary: true)
        case .exec(ENOENT) where isThere(name):
            return Failure(
                exit: 126, reason: "cannot execute \(program): its interpreter was not found")
        case .exec(ENOENT), .exec(ENOTDIR):
            return Failure(exit: 127, reason: "command not found: \(program)")
        case .exec(EACCES):
            return Failure(exit: 126, reason: "permission denied: \(program)")
        case .exec(let number):
            return Failure(
                exit: 126, reason: "cannot execute \(program): \(SpoolError.reason(number))")
        }
    }
}

extension Command {
    private static let defaultPath = Array("/usr/local/bin:/usr/bin:/bin".utf8)
    private static let slash = UInt8(ascii: "/")

    /// The words that this process was started with, the program's name first.
    public static func ownWords() -> [[UInt8]] {
        var count: Int32 = 0
        let words = spool_words(&count)
        return (0..<Int(count)).compactMap { index in
            words?[index].map { Array(UnsafeRawBufferPointer(start: $0, count: strlen($0))) }
        }
    }

    /// The variables of this process, `NAME=value` each, byte for byte.
    public static func currentEnvironment() -> [[UInt8]] {
        var variables: [[UInt8]] = []
        var next = environ
        while let variable = next.pointee {
            variables.append(
                Array(UnsafeBufferPointer(start: variable, count: strlen(variable))).map(
                    UInt8.init(bitPattern:)))
            next += 1
        }
        return variables
    }

    /// Looks for its program without starting it, and gives its path.
    /// - Throws: ``Failure`` as a shell would say it: not there, or not executable.
    public func find() throws(Failure) -> [UInt8] {
        guard let name = program ?? words.first, !name.isEmpty else {
            throw Failure(exit: 127, reason: "command not found: ''")
        }
        let path = try resolve(name)
        let program = String(decoding: name, as: UTF8.self)
        switch Self.look(at: path) {
        case .executable: return path
        case .forbidden: throw Failure(exit: 126, reason: "permission denied: \(program)")
        case .missing: throw Failure(exit: 127, reason: "command not found: \(program)")
        }
    }

    /// Looks for a program as execvp(3) does, but in the command's own PATH, from its own directory.
    private func resolve(_ name: [UInt8]) throws(Failure) -> [UInt8] {
        guard !name.contains(Self.slash) else { return name }
        let prefix = Array("PATH=".utf8)
        let path = environment.last { $0.starts(with: prefix) }.map { $0.dropFirst(prefix.count) }
        var isForbidden = false
        for entry in (path ?? Self.defaultPath[...]).split(
            separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        {
            var candidate = entry.first == Self.slash ? [] : (directory ?? []) + [Self.slash]
            if directory == nil, entry.first != Self.slash { candidate = [] }
            candidate += entry.isEmpty ? [UInt8(ascii: ".")] : entry
            candidate += [Self.slash] + name
            switch Self.look(at: candidate) {
            case .executable: return candidate
            case .forbidden: isForbidden = true
            case .missing: continue
            }
        }
        let program = String(decoding: name, as: UTF8.self)
        throw isForbidden
            ? Failure(exit: 126, reason: "permission denied: \(program)")
            : Failure(exit: 127, reason: "command not found: \(program)")
    }

    /// Whether a program that the kernel did not find has a file: then what its first line names is missing.
    private func isThere(_ name: [UInt8]) -> Bool {
        guard let path = try? resolve(name) else { return false }  // not in PATH: not there
        let isRelative = path.first != Self.slash
        let directory = isRelative ? directory.map { $0 + [Self.slash] } ?? [] : []
        return Self.look(at: directory + path) == .executable
    }

    private enum Candidate { case executable, forbidden, missing }

    private static func look(at path: [UInt8]) -> Candidate {
        path.withUnsafeBufferPointer { bytes in
            bytes.withMemoryRebound(to: CChar.self) { characters in
                withUnsafeTemporaryAllocation(of: CChar.self, capacity: characters.count + 1) {
                    text in
                    _ = text.initialize(from: characters)
                    text[characters.count] = 0
                    guard let name = text.baseAddress else { return .missing }
                    var status = stat()
                    guard stat(name, &status) == 0 else {
                        return errno == EACCES ? .forbidden : .missing
                    }
                    guard status.st_mode & S_IFMT == S_IFREG else { return .missing }
                    return access(name, X_OK) == 0 ? .executable : .forbidden
                }
            }
        }
    }
}

/// A program that was started and not reaped yet.
public struct RunningCommand: Sendable {
    /// Its process, and the number of its process group.
    public let pid: Int32
    /// Readable when the program has ended, until `reap`.
    public let pidDescriptor: Int32

    /// Sends a signal to its process group, and to itself if it has left that; one that has gone is no error.
    public func signal(_ number: Int32) {
        kill(-pid, number)
        let group = getpgid(pid)
        if group > 0, group != pid { spool_signal_process(pidDescriptor, number) }
    }

    /// Waits for the end, frees the process id and closes the descriptor. Once.
    public func reap() -> ProcessEnd {
        var end = spool_end()
        let status = spool_reap(pid, &end)
        precondition(status == 0, "reaped twice: \(pid)")
        close(pidDescriptor)
        return ProcessEnd(end)
    }
}

/// How a process ended and what it used.
public struct ProcessEnd: Hashable, Sendable {
    /// Nil when a signal ended it.
    public let exit: Int32?
    /// The signal that ended it.
    public let signal: Int32?
    /// Processor time in user mode, its children included.
    public let userMicroseconds: Int64
    /// Processor time in the kernel, its children included.
    public let systemMicroseconds: Int64
    /// Largest resident size, KiB.
    public let peakKiB: Int64

    fileprivate init(_ end: spool_end) {
        exit = end.exited != 0 ? end.code : nil
        signal = end.exited != 0 ? nil : end.code
        userMicroseconds = end.user_us
        systemMicroseconds = end.system_us
        peakKiB = end.peak_kib
    }

    /// Takes the end of the child that a descriptor stands for; nil: it lives.
    static func reap(process descriptor: Int32) -> ProcessEnd? {
        var end = spool_end()
        let found = spool_reap_process(descriptor, &end)
        guard found != 0 else { return nil }
        return found > 0 ? ProcessEnd(end) : taken
    }

    /// Of a process whose end other code has taken: nobody knows how it ended.
    private static let taken = ProcessEnd(
        spool_end(exited: 1, code: 255, user_us: 0, system_us: 0, peak_kib: 0))

    /// Takes one child that has ended, whichever it is; nil if none has.
    public static func reapAny() -> (pid: Int32, end: ProcessEnd)? {
        var end = spool_end()
        let pid = spool_reap_any(&end)
        return pid > 0 ? (pid, ProcessEnd(end)) : nil
    }

    /// Waits for a child and frees its process id; one that was taken already is no error.
    public static func reap(_ pid: Int32) {
        var end = spool_end()
        spool_reap(pid, &end)
    }

    /// What Python calls exitcode: the status, or the signal as a negative number.
    public var code: Int32 { exit ?? -(signal ?? 0) }

    /// Why it did not succeed: "exit 3", "killed by signal 9 (SIGKILL)". Nil: it did.
    public var reason: String? {
        if let signal { return "killed by \(SignalName.describe(signal))" }
        guard let exit, exit != 0 else { return nil }
        return "exit \(exit)"
    }
}

/// A NULL-terminated array of C strings, as execve(2) wants it, in one piece of memory.
private final class CStrings {
    let pointers: UnsafeMutableBufferPointer<UnsafeMutablePointer<CChar>?>
    private let text: UnsafeMutableBufferPointer<CChar>

    init(_ strings: [[UInt8]]) {
        text = .allocate(capacity: strings.reduce(0) { $0 + $1.count + 1 } + 1)
        pointers = .allocate(capacity: strings.count + 1)
        var offset = 0
        for (index, string) in strings.enumerated() {
            pointers.initializeElement(at: index, to: text.baseAddress?.advanced(by: offset))
            for byte in string {
                text[offset] = CChar(bitPattern: byte)
                offset += 1
            }
            text[offset] = 0
            offset += 1
        }
        pointers.initializeElement(at: strings.count, to: nil)
    }

    deinit {
        text.deallocate()
        pointers.deallocate()
    }

    var base: UnsafePointer<UnsafeMutablePointer<CChar>?>? { UnsafePointer(pointers.baseAddress) }
}
