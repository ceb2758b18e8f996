// Detached.swift - a worker in the background: a session of its own, its words in a log beside the store.
//
// The parent waits for one byte: the worker is registered. Only then does it print the process id and end.

private import CSpool
private import Glibc
internal import SpoolJobs
internal import SpoolThreads
internal import SpoolWorker

enum Detached {
    static func start(_ options: WorkerOptions, _ screen: Screen) throws(SpoolError) -> Int32 {
        // What is wrong with the file is said here, where somebody reads it; the store is closed again before the fork.
        let directory = try Store.open(options.file, warningOn: screen).files.directory
        removeOldLogs(in: directory)
        var ends: [Int32] = [0, 0]
        let status = spool_pipe(&ends)
        guard status == 0 else { throw .system(call: "pipe2", errno: -status) }
        let pid = spool_fork()
        guard pid >= 0 else { throw .system(call: "fork", errno: errno) }
        if pid == 0 { _exit(live(options, directory, ready: keepOnly(ends[1]))) }
        close(ends[1])
        defer { close(ends[0]) }
        var word: [UInt8] = []
        guard Descriptor.read(from: ends[0], into: &word, atMost: 1) == 1 else {
            throw .noWorker(
                "the worker could not start; what it said is in \(log(directory, pid)).")
        }
        try screen.deliver("worker \(pid) was started, but its number") { () throws(SpoolError) in
            guard screen.settings.isJSON else { return try screen.line(String(pid)) }
            var object = JSONObject()
            object.set("pid", pid)
            object.set("v", 1)
            try screen.line(object)
        }
        return 0
    }

    /// Logs of workers that have ended; more of them tell nobody anything.
    private static let keptLogs = 10

    private static func removeOldLogs(in directory: String) {
        var logs: [(path: String, changed: Int)] = []
        for name in Path.names(in: directory) {
            guard name.hasPrefix("worker-"), name.hasSuffix(".log"),
                pid_t(name.dropFirst(7).dropLast(4)) != nil
            else { continue }
            var status = stat()
            guard lstat("\(directory)/\(name)", &status) == 0 else { continue }
            logs.append(("\(directory)/\(name)", status.st_mtim.tv_sec))
        }
        logs.removeAll { isInUse($0.path) }
        for log in logs.sorted(by: { $0.changed > $1.changed }).dropFirst(keptLogs) {
            unlink(log.path)
        }
    }

    /// Whether the worker that writes it lives: it has a lock on it. Its process id would say nothing, as it may be
    /// one of another container.
    private static func isInUse(_ log: String) -> Bool {
        let descriptor = open(log, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else { return true }
        defer { close(descriptor) }
        return flock(descriptor, LOCK_EX | LOCK_NB) != 0
    }

    private static func log(_ directory: String, _ pid: pid_t) -> String {
        "\(directory)/worker-\(pid).log"
    }

    private static func live(
        _ options: WorkerOptions, _ directory: String, ready: Int32
    ) -> Int32 {
        setsid()
        redirect(to: log(directory, getpid()))
        let say: (String) -> Void = { text in
            _ = Descriptor.write(Array("\(UnixTime.now().rfc3339) \(text)\n".utf8), to: 2)
        }
        do throws(SpoolError) {
            let supervisor = try Supervisor(options, say: say)
            Store.boundGate(Work.gatePatience)
            _ = Descriptor.write([1], to: ready)
            close(ready)
            let summary = try supervisor.run()
            say("\(summary.done) done, \(summary.dead) dead, \(summary.cancelled) cancelled")
            return 0
        } catch {
            say("error: \(error.message)")
            return error.exitCode
        }
    }

    /// Lets everything go that the caller had open, as a lock or the end of a pipe, except the standard descriptors.
    private static func keepOnly(_ descriptor: Int32) -> Int32 {
        let kept: Int32 = 3
        dup2(descriptor, kept)
        _ = fcntl(kept, F_SETFD, FD_CLOEXEC)
        spool_close_from(kept + 1)
        return kept
    }

    private static func redirect(to path: String) {
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        var output = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
        if output >= 0 { flock(output, LOCK_SH | LOCK_NB) } else { output = null }
        dup2(null, 0)
        dup2(output, 1)
        dup2(output, 2)
    }
}
