// PermissionTests.swift - files that this user may not have: who is told that, and whose they are.

import Glibc
import Testing

@Suite(
    "A file that this user may not have",
    .enabled(if: Stranger.isPossible, "needs root, setpriv, and a build that others can run"))
struct PermissionTests {
    let bench: Bench

    init() throws {
        bench = try Bench()
        bench.spool("put", "--", "true")
        chmod(bench.directory, 0o755)
    }

    private func strange(_ words: String) -> Program.Result {
        bench.shell("\(Stranger.spool) \(words)")
    }

    private static let commands = [
        "list", "show 1", "log 1", "put -- true", "run -- true", "work --until-empty",
        "work --detach", "join", "check", "pause default", "queues", "workers", "init",
    ]

    @Test("is refused with whose it is and what to do", arguments: commands)
    func foreign(_ words: String) {
        let result = strange(words)
        #expect(result.status == 77)
        #expect(
            result.errors
                == "error: you may not read \(bench.file), which is root's. "
                + "Run it as root, or name a file of your own with --file.\n")
    }

    @Test("is not looked for in a directory that is closed", arguments: commands)
    func hidden(_ words: String) {
        _ = bench.shell("mkdir -m 700 private; mkdir private/deep; cp jobs.db private/deep/x.db")
        for file in ["x.db", "missing.db"] {
            let result = bench.shell("SPOOL_FILE=private/deep/\(file) \(Stranger.spool) \(words)")
            #expect(result.status == 77)
            #expect(
                result.errors.hasPrefix("error: you may not look into private, which is root's. "),
                "\(result.errors)")
        }
    }

    @Test("although it is the user's own is refused with the command that opens it")
    func own() {
        _ = bench.shell("chown -R \(Stranger.user) '\(bench.directory)'; chmod 0 jobs.db")
        let result = strange("list")
        #expect(result.status == 77)
        #expect(
            result.errors == "error: you may not read \(bench.file), which is your own. "
                + "Allow it:  chmod u+rwX \(bench.file)\n")
        _ = bench.shell("chmod u+rwX jobs.db")
        #expect(strange("put -- true").text == "2\n")
    }

    @Test("write to is shown to those who may read it")
    func readable() {
        _ = bench.shell("chmod 644 jobs.db*")
        #expect(strange("list --ids").text == "1\n")
        let result = strange("put -- true")
        #expect(result.status == 77)
        #expect(
            result.errors
                == "error: you may not look into \(bench.file)-spool, which is root's. "
                + "Run it as root, or name a file of your own with --file.\n")
    }

    @Test("read is no input")
    func input() {
        bench.write("{}\n", to: "jobs.ndjson")
        let result = strange("put --ndjson jobs.ndjson")
        #expect(result.status == 66)
        #expect(result.errors == "error: cannot read jobs.ndjson: Permission denied.\n")
    }
}

/// Another user, who runs the program.
enum Stranger {
    static let user = 65534
    static let spool =
        "setpriv --reuid=\(user) --regid=\(user) --clear-groups '\(Program.spool)'"

    static let isPossible =
        getuid() == 0
        && Program.shell("\(spool) version", in: "/", variables: ["PATH=/usr/bin:/bin"]).status == 0
}
