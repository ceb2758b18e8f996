// Leftovers.swift - ends what is left of jobs whose worker was killed with everything that watched over it.
//
// A command dies with its consumer, and its process group is killed by its consumer, the worker or the fork server.
// What made a group of its own, as timeout(1) does and a shell with job control, is not in it, and when all of those
// were killed nobody does it: such children would overlap with the next run.
// They are found by what they were given at their start: SPOOL_FILE, SPOOL_JOB_ID and SPOOL_ATTEMPT in
// their environment (proc(5)). SPOOL_SESSION there is the session of their worker's consumers: a process that is in
// another one left its job on purpose, by setsid(2) of its own or of an ancestor, and is let alone. No number of a
// session is used again while a process is in it.
//
// The worker may have been in a container: what it knew the file and the session by counts there. So a file is told by
// what stands at its path where the process sees it, and a session by any number that it has. Of a container that we
// cannot see into, as another one's, nothing is found.

private import Glibc
private import SpoolThreads

package enum Leftovers {
    /// The variable that tells a command the session in which it begins.
    package static let session = "SPOOL_SESSION"

    /// Kills the processes of these attempts of jobs of one store, and returns when none is left that we may see.
    package static func end(_ attempts: [Claim], of database: String) {
        guard !attempts.isEmpty else { return }
        let jobs = attempts.map {
            (entry("SPOOL_JOB_ID", String($0.job)), entry("SPOOL_ATTEMPT", String($0.attempt)))
        }
        // A process may have started another one while we looked.
        for _ in 0..<20 {
            let found = Path.names(in: "/proc").compactMap { Int32($0) }.filter { process in
                guard let session = joined(process), let variables = environment(of: process),
                    jobs.contains(where: { variables.contains($0.0) && variables.contains($0.1) })
                else { return false }
                return isIn(session, process, variables) && knows(database, process, variables)
            }
            guard !found.isEmpty else { return }
            for process in found { kill(process, SIGKILL) }
            Pause.briefly(upTo: .milliseconds(1))
        }
    }

    private static func isIn(
        _ session: String, _ process: Int32, _ variables: Set<ArraySlice<UInt8>>
    ) -> Bool {
        variables.contains(entry(Self.session, session))
            || sessions(of: process).contains { variables.contains(entry(Self.session, $0)) }
    }

    /// The numbers of its session: ours first, last that of the container in which it runs. See proc(5).
    private static func sessions(of process: Int32) -> [String] {
        let status = String(decoding: content("/proc/\(process)/status"), as: UTF8.self)
        let line = status.split(separator: "\n").first { $0.hasPrefix("NSsid:") }
        return line?.split(separator: "\t").dropFirst().map(String.init) ?? []
    }

    private static func knows(
        _ database: String, _ process: Int32, _ variables: Set<ArraySlice<UInt8>>
    ) -> Bool {
        if variables.contains(entry("SPOOL_FILE", database)) { return true }
        let name = entry("SPOOL_FILE", "")
        guard let file = variables.first(where: { $0.starts(with: name) }),
            let path = String(validating: file.dropFirst(name.count), as: UTF8.self),
            let seen = Path.identity("/proc/\(process)/root\(path)")
        else { return false }
        return seen == Path.identity(database)
    }

    private static func entry(_ name: String, _ value: String) -> ArraySlice<UInt8> {
        Array("\(name)=\(value)".utf8)[...]
    }

    /// The session that a process is in. Nil: it leads it, as no process of a job does, or has gone.
    private static func joined(_ process: Int32) -> String? {
        let (group, session) = (getpgid(process), getsid(process))
        return group > 1 && session >= 0 && group != session ? String(session) : nil
    }

    /// Nil: it has gone, or is not ours to look at.
    private static func environment(of process: Int32) -> Set<ArraySlice<UInt8>>? {
        let bytes = content("/proc/\(process)/environ")
        return bytes.isEmpty ? nil : Set(bytes.split(separator: 0))
    }

    private static func content(_ path: String) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [] }
        defer { close(file) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 16384)
        while true {
            let count = read(file, &piece, piece.count)
            guard count > 0 else { break }
            bytes += piece[..<count]
        }
        return bytes
    }
}
