// CommandTests.swift - programs that are started: what reaches them, and how their end is told.

import Glibc
import Patience
import SpoolThreads
import Testing

@testable import SpoolProcesses

@Suite("A command") struct CommandTests {
    /// What a command printed, and how it ended.
    func run(
        _ words: [String], environment: [String] = ["PATH=/usr/bin:/bin"], directory: String? = nil,
        input: [UInt8] = []
    ) throws -> (output: String, end: ProcessEnd) {
        let file = try Descriptor.memory([])
        let body = try Descriptor.memory(input)
        let command = Command(
            words.map { Array($0.utf8) }, environment: environment.map { Array($0.utf8) },
            directory: directory.map { Array($0.utf8) })
        let running = try command.start(
            .init(input: body.number, output: file.number, error: file.number))
        let end = try running.reapInTime("'\(words.joined(separator: " "))'")
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = pread(file.number, &bytes, bytes.count, 0)
        return (String(decoding: bytes[..<max(0, count)], as: UTF8.self), end)
    }

    func failure(_ words: [String], directory: String? = nil) -> Command.Failure? {
        do {
            _ = try run(words, directory: directory)
            return nil
        } catch {
            return error as? Command.Failure
        }
    }

    /// An executable file with this text.
    func script(_ text: String) throws -> String {
        var template = Array("/tmp/spool-script-XXXXXX".utf8CString)
        let file = mkstemp(&template)
        try #require(file >= 0)
        let bytes = Array(text.utf8)
        _ = write(file, bytes, bytes.count)
        fchmod(file, 0o700)
        close(file)
        return String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    @Test("tells its exit status, or the signal that ended it")
    func ends() throws {
        #expect(try run(["true"]).end.exit == 0)
        let failed = try run(["sh", "-c", "exit 7"]).end
        #expect(failed.exit == 7 && failed.signal == nil && failed.reason == "exit 7")
        let killed = try run(["sh", "-c", "kill -TERM $$"]).end
        #expect(killed.exit == nil && killed.signal == SIGTERM)
        #expect(killed.reason == "killed by signal 15 (SIGTERM)")
    }

    @Test("that does not exist is 127, one that may not be executed 126, as in a shell")
    func cannotStart() {
        #expect(failure(["no-such"])?.exit == 127)
        #expect(failure(["no-such"])?.reason == "command not found: no-such")
        #expect(failure(["/no/such"])?.exit == 127)
        #expect(failure(["/etc/passwd"])?.exit == 126)
        #expect(failure(["/etc"])?.reason == "permission denied: /etc")
    }

    @Test("that names an interpreter which is not there is 126, and says so")
    func noInterpreter() throws {
        let path = try script("#!/no/such/interpreter\n")
        defer { unlink(path) }
        #expect(failure([path])?.exit == 126)
        #expect(failure([path])?.reason == "cannot execute \(path): its interpreter was not found")
    }

    @Test("that shall run in a directory that is not there says so")
    func noDirectory() {
        let failure = failure(["true"], directory: "/no/such/place")
        #expect(failure?.exit == 126)
        #expect(failure?.reason.contains("/no/such/place") == true)
    }

    @Test("gets exactly the environment, directory and arguments that it was given")
    func exact() throws {
        #expect(try run(["/usr/bin/env"], environment: ["A=1", "B=x y"]).output == "A=1\nB=x y\n")
        #expect(try run(["pwd"], directory: "/usr").output == "/usr\n")
        let words = ["printf", "%s|", "", "a b", "*", "$x", "\n"]
        #expect(try run(words).output == "|a b|*|$x|\n|")
    }

    @Test("is looked for in its own PATH, not in ours")
    func ownPath() throws {
        #expect(try run(["env"], environment: ["PATH=/usr/bin"]).end.exit == 0)
        #expect(throws: Command.Failure.self) { try run(["env"], environment: ["PATH=/var/empty"]) }
    }

    @Test("P4: has the standard descriptors and no other, whatever we hold open")
    func descriptors() throws {
        let ours = try Descriptor.null()
        let inheritable = dup(ours.number)  // without close-on-exec
        defer { close(inheritable) }
        // The fourth is the directory that ls reads.
        #expect(try run(["ls", "/proc/self/fd"]).output == "0\n1\n2\n3\n")
    }

    @Test("begins with no signal blocked or ignored, whatever we block and ignore")
    func signals() throws {
        var (mask, before) = (sigset_t(), sigset_t())
        sigaddset(&mask, SIGUSR1)
        pthread_sigmask(SIG_BLOCK, &mask, &before)
        let handler = signal(SIGUSR2, SIG_IGN)
        defer {
            signal(SIGUSR2, handler)
            pthread_sigmask(SIG_SETMASK, &before, nil)
        }
        let status = try run(["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]).output
        #expect(status == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n")
    }

    @Test("I3: reads a body of the largest size to its last byte")
    func largest() throws {
        let bytes = [UInt8](repeating: 7, count: 64 << 20)
        #expect(try run(["wc", "-c"], input: bytes).output == "\(64 << 20)\n")
    }

    @Test("leads a process group of its own")
    func group() throws {
        let script = "[ $$ = $(ps -o pgid= -p $$ | tr -d ' ') ]"
        #expect(try run(["sh", "-c", script]).end.exit == 0)
    }

    @Test("I2: reads what it was given, byte for byte", arguments: [0, 1, 4096, 200_000])
    func input(_ size: Int) throws {
        let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let sum = bytes.reduce(0) { ($0 + Int($1)) % 65536 }
        let script =
            "od -An -v -tu1 | tr -s ' \\n' '\\n' | awk 'NF { n++; s = (s + $1) % 65536 } END { print n + 0, s + 0 }'"
        #expect(try run(["sh", "-c", script], input: bytes).output == "\(size) \(sum)\n")
    }

    @Test("without a first line of #! is a script of the shell, as for execvp")
    func shellScript() throws {
        let path = try script("echo from a script: $1\n")
        defer { unlink(path) }
        #expect(try run([path, "x"]).output == "from a script: x\n")
    }

    @Test("tells what it used")
    func usage() throws {
        let end = try run(["sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"]).end
        #expect(end.userMicroseconds > 0 && end.peakKiB > 100)
    }

    @Test("is looked for from its own directory when PATH says so, and the next place is tried")
    func relativePath() throws {
        let paths = ["PATH=no/such:share:bin:/nowhere"]
        #expect(try run(["true"], environment: paths, directory: "/usr").end.exit == 0)
        // A directory of that name is no program.
        #expect(failure(["share"], directory: "/usr")?.exit == 127)
    }

    @Test("gets its signals also when it has joined another process group")
    func leftGroup() throws {
        let pipe = try Descriptor.pipe().release()
        let null = try Descriptor.null()
        let command = Command(
            [
                "python3", "-c",
                "import os, time; os.setpgid(0, os.getpgid(os.getppid())); print(flush=True); time.sleep(300)",
            ].map { Array($0.utf8) }, environment: [Array("PATH=/usr/bin:/bin".utf8)])
        let running = try command.start(
            .init(input: null.number, output: pipe.second, error: null.number))
        close(pipe.second)
        var byte: UInt8 = 0
        #expect(read(pipe.first, &byte, 1) == 1)
        running.signal(SIGTERM)
        // The end of the pipe is its end.
        #expect(read(pipe.first, &byte, 1) == 0)
        close(pipe.first)
        #expect(running.reap().signal == SIGTERM)
    }

    @Test("is killed with the whole of its process group, and only that")
    func killGroup() throws {
        let pipe = try Descriptor.pipe().release()
        let null = try Descriptor.null()
        let command = Command(
            ["sh", "-c", "sleep 300 & sleep 300"].map { Array($0.utf8) },
            environment: [Array("PATH=/usr/bin:/bin".utf8)])
        var group: Int64 = 0
        let running = try command.start(
            .init(input: null.number, output: pipe.second, error: null.number), groupWord: &group)
        close(pipe.second)
        #expect(group == Int64(running.pid))
        running.signal(SIGKILL)
        // The end of the pipe is the end of all who held it.
        var byte: UInt8 = 0
        #expect(read(pipe.first, &byte, 1) == 0)
        close(pipe.first)
        #expect(try running.reapInTime("what was killed").signal == SIGKILL)
        running.signal(SIGKILL)
    }

    /// A file that may be executed.
}
