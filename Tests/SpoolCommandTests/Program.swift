// Program.swift - runs the built `spool` as a user does: its own process, real files, real pipes.

import Glibc
import Patience
import SpoolThreads
import Testing

/// A directory of its own with a store in it, gone when the test is over.
final class Bench {
    let directory: String
    var file: String { directory + "/jobs.db" }

    init() throws(SpoolError) {
        var template = Array("/tmp/spool-cli-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw .system(call: "mkdtemp", errno: errno) }
        directory = String(
            decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// A command that did not end, and was killed with all that carries the file's name: the others are not begun then.
    private var stuck: String?

    private func bounded(_ what: String, _ run: () -> Program.Result) -> Program.Result {
        if let stuck {
            return Program.Result(status: -1, output: [], errors: "\(stuck) did not end before")
        }
        let result = run()
        if result.isKilled {
            stuck = what
            _ = Program.shell(
                "kill -KILL $(grep -zl '^SPOOL_FILE=\(file)$' /proc/[0-9]*/environ | cut -d/ -f3)",
                in: "/", variables: [])
            Issue.record(Comment(rawValue: "\(Patience.over("\(what) did not end"))"))
        }
        return result
    }

    deinit { _ = Program.shell("rm -rf '\(directory)'", in: "/", variables: []) }

    @discardableResult
    func spool(_ words: String..., input: String = "") -> Program.Result {
        run(words.map { Array($0.utf8) }, input: input)
    }

    func spool(_ words: [String], input: String = "") -> Program.Result {
        run(words.map { Array($0.utf8) }, input: input)
    }

    func run(_ words: [[UInt8]], input: String = "") -> Program.Result {
        let spool = Array(Program.spool.utf8)
        let line = words.map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ")
        return bounded("'spool \(line)'") {
            Program.run([spool] + words, in: directory, variables: variables, input: input)
        }
    }

    /// `spool` stands for the program.
    func shell(_ text: String) -> Program.Result {
        bounded("'\(text)'") {
            Program.shell(
                "spool() { '\(Program.spool)' \"$@\"; }; " + text, in: directory,
                variables: variables)
        }
    }

    func write(_ text: String, to name: String) {
        let descriptor = open(directory + "/" + name, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        _ = Glibc.write(descriptor, bytes, bytes.count)
    }

    private var variables: [String] {
        ["SPOOL_FILE=\(file)", "PATH=/usr/bin:/bin", "TZ=UTC", "HOME=\(directory)"]
    }
}

enum Program {
    struct Result {
        var status: Int32
        var output: [UInt8]
        var errors: String
        /// It did not end.
        var isKilled = false
        var text: String { String(decoding: output, as: UTF8.self) }
    }

    /// It is built beside the test bundle.
    static let spool: String = {
        var path = [CChar](repeating: 0, count: 4096)
        let length = readlink("/proc/self/exe", &path, path.count)
        let own = String(
            decoding: path.prefix(max(0, length)).map(UInt8.init(bitPattern:)), as: UTF8.self)
        return own.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 } + "/spool"
    }()

    static func shell(_ text: String, in directory: String, variables: [String]) -> Result {
        run(
            ["/bin/bash", "-c", text].map { Array($0.utf8) }, in: directory, variables: variables,
            input: "")
    }

    /// Output goes through files, so that no pipe can fill up.
    static func run(
        _ words: [[UInt8]], in directory: String, variables: [String], input: String
    ) -> Result {
        let (input, output, errors) = (temporary(input), temporary(""), temporary(""))
        defer { for descriptor in [input, output, errors] { close(descriptor) } }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (index, descriptor) in [input, output, errors].enumerated() {
            posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(index))
        }
        let inDirectory = ["/usr/bin/env", "-C", directory].map { Array($0.utf8) }
        var arguments: [UnsafeMutablePointer<CChar>?] = (inDirectory + words).map { word in
            strdup(word.map(CChar.init(bitPattern:)) + [0])
        }
        var environment: [UnsafeMutablePointer<CChar>?] = variables.map { strdup($0) }
        defer { for pointer in arguments + environment { free(pointer) } }
        let program = arguments[0]
        arguments.append(nil)
        environment.append(nil)
        var pid: pid_t = 0
        var status: Int32 = 0
        var attributes = hearingSignals()
        defer { posix_spawnattr_destroy(&attributes) }
        guard let program,
            posix_spawn(&pid, program, &actions, &attributes, arguments, environment) == 0
        else { return Result(status: -1, output: [], errors: "could not be started") }
        let isKilled = !Patience.hasEnded(pid)
        if isKilled { kill(pid, SIGKILL) }
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        let exit = status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
        return Result(
            status: exit, output: content(output),
            errors: String(decoding: content(errors), as: UTF8.self), isKilled: isKilled)
    }

    /// Threads of the test program block signals, and what they start would inherit that.
    private static func hearingSignals() -> posix_spawnattr_t {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        return attributes
    }

    private static func temporary(_ text: String) -> Int32 {
        let name = "/tmp/spool-io-\(UInt64.random(in: 0...UInt64.max))"
        let descriptor = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        unlink(name)
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                write(descriptor, $0.baseAddress?.advanced(by: written), bytes.count - written)
            }
            guard count > 0 else { break }
            written += count
        }
        lseek(descriptor, 0, SEEK_SET)
        return descriptor
    }

    private static func content(_ descriptor: Int32) -> [UInt8] {
        let size = max(0, lseek(descriptor, 0, SEEK_END))
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            count = max(0, pread(descriptor, buffer.baseAddress, size, 0))
        }
    }
}
