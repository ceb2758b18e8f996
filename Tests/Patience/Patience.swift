// Patience.swift - how long a test waits for what must come, in one place, and how it says what did not come.
//
// A test that waits without a limit hangs when Spool is broken, and nobody learns which wait it was. So each wait for
// a process, a thread, an output or a condition has this limit, and names what it waited for.

private import CSpool
private import Glibc
public import SpoolProcesses
public import SpoolThreads

/// The longest that a test waits for anything.
public enum Patience {
    /// What takes longer does not come: eight minutes, or as many seconds as SPOOL_PATIENCE says. In a run of all tests
    /// a task may wait for minutes for one of the threads that run tasks, as tests that block have them.
    public static let longest = Duration.seconds(
        getenv("SPOOL_PATIENCE").flatMap { Int64(String(cString: $0)) } ?? 480)

    /// When a wait that begins now gives up.
    public static var limit: Deadline { Deadline(after: longest) }

    /// Looks until it holds. False: it did not in time.
    public static func eventually(
        atMost longest: Duration = longest, _ holds: () throws -> Bool
    ) rethrows -> Bool {
        let limit = Deadline(after: longest)
        while try !holds() {
            guard !limit.isPast else { return false }
            Pause.briefly(upTo: .milliseconds(2))
        }
        return true
    }

    /// What a test says that has waited for too long.
    public static func over(_ what: String, after longest: Duration = longest) -> SpoolError {
        .timedOut("\(what) in \(longest.typed)")
    }

    /// Waits until a process has ended, whoever's child it is. False: it runs still.
    public static func hasEnded(_ pid: Int32, by limit: Deadline = limit) -> Bool {
        repeat {
            if spool_wait_gone(pid, limit.pollTimeout()) == 1 { return true }
        } while !limit.isPast  // a signal ended it
        return false
    }

    /// Reads all of a pipe, until those who could write to it have ended.
    /// - Throws: `timedOut`, with what was read by then.
    public static func readAll(
        _ descriptor: Int32, of what: String, atMost longest: Duration = longest
    ) throws(SpoolError) -> [UInt8] {
        let limit = Deadline(after: longest)
        var (all, piece) = ([UInt8](), [UInt8](repeating: 0, count: 1 << 16))
        while true {
            let ready = spool_wait_ready(descriptor, Int32(POLLIN), -1, limit.pollTimeout())
            guard ready != 0 else {
                let text = String(decoding: all, as: UTF8.self)
                throw over("\(what) did not end, after '\(text)',", after: longest)
            }
            if ready < 0 { continue }  // a signal ended it
            let count = read(descriptor, &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return all }
            all += piece[..<count]
        }
    }
}

extension RunningCommand {
    /// As ``reap()``; one that does not end is killed.
    /// - Throws: `timedOut`.
    public func reapInTime(_ what: String) throws(SpoolError) -> ProcessEnd {
        let hasEnded = Patience.hasEnded(pid)
        if !hasEnded { signal(SIGKILL) }
        let end = reap()
        guard hasEnded else { throw Patience.over("\(what) did not end") }
        return end
    }
}
