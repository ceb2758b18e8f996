// ChildProcess.swift - a process that runs a function of this program, forked from a parent with one thread.
//
// A child of a parent with several threads inherits locks that nobody will release: such a fork is refused. The body
// runs on a fresh thread, since a forked main thread keeps a thread id that the Swift runtime has cached.

private import CSpool
private import Glibc
public import SpoolThreads

/// A forked child. See multiprocessing.Process in Python, fork(2).
///
/// It ends with its parent (PR_SET_PDEATHSIG). Open stores and queues in the child, never before the fork.
public struct ChildProcess: Hashable, Sendable {
    /// Its process id, free for others once the child was waited for.
    public let pid: Int32

    private final class Body {
        let run: () -> Int32
        init(_ run: @escaping () -> Int32) { self.run = run }
    }

    /// Forks a child that runs `body` and exits with what it returns.
    /// - Throws: `usage` when this process has more than one thread; `system` when it cannot be forked.
    public static func fork(_ body: @escaping () -> Int32) throws(SpoolError) -> ChildProcess {
        guard threadCount() == 1 else {
            throw .usage(
                "fork is refused: this process has \(threadCount()) threads, whose locks the child would inherit.",
                hint: "Fork before you open stores or start threads.")
        }
        // Buffered output would be written by both.
        fflush(nil)
        let box = Body(body)
        let pid = withExtendedLifetime(box) {
            spool_fork_child(
                { context in
                    guard let context else { _exit(125) }
                    let status = Unmanaged<Body>.fromOpaque(context).takeUnretainedValue().run()
                    fflush(nil)
                    _exit(status)
                }, Unmanaged.passUnretained(box).toOpaque())
        }
        guard pid > 0 else { throw .system(call: "fork", errno: -pid) }
        return ChildProcess(pid: pid)
    }

    private static func threadCount() -> Int {
        var status = stat()
        // The directory has two links and one for each thread.
        return stat("/proc/self/task", &status) == 0 ? Int(status.st_nlink) - 2 : 1
    }

    /// Waits for any child to end, and frees its process id. Nil: there is none.
    public static func waitForAny() -> (child: ChildProcess, end: ProcessEnd)? {
        var status = siginfo_t()
        while waitid(P_ALL, 0, &status, WEXITED | WNOWAIT) != 0 {
            guard errno == EINTR else { return nil }
        }
        return ProcessEnd.reapAny().map { (ChildProcess(pid: $0.pid), $0.end) }
    }

    /// Asks it to end: SIGTERM.
    public func terminate() { Glibc.kill(pid, SIGTERM) }

    /// Ends it: SIGKILL.
    public func kill() { Glibc.kill(pid, SIGKILL) }
}
