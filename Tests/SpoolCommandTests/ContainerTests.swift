// ContainerTests.swift - mounts, process ids and a /proc of their own, as around a program in a container.

import Foundation
import Patience
import Testing

@Suite(
    "In a container", .enabled(if: Container.isPossible, "needs root, and leave to mount"),
    .timeLimit(.minutes(10)))
struct ContainerTests {
    let bench: Bench

    init() throws {
        bench = try Bench()
        bench.spool("put", "--", "true")
    }

    @Test(
        "P6: a file that was mounted by itself, without what is beside it, is refused",
        arguments: [
            "list", "put -- true", "work --until-empty", "join", "check", "workers", "init",
        ])
    func mountedFile(_ words: String) {
        let alone = bench.directory + "/alone.db"
        let mount = "touch alone.db && mount --bind jobs.db alone.db"
        let result = bench.inside(mount + " && SPOOL_FILE=alone.db spool " + words)
        #expect(result.status == 65)
        #expect(
            result.errors
                == "error: \(alone) is mounted by itself, so that its log and locks are not those of "
                + "others who have it open; mount the directory that it is in.\n")
        #expect(!FileManager.default.fileExists(atPath: alone + "-spool"))
        #expect(bench.spool("list", "--ids").text == "1\n")
    }

    @Test("a worker without /proc or /dev/null says what it lacks")
    func missing() {
        let withoutProc = bench.inside("mount -t tmpfs none /proc; spool work")
        #expect(withoutProc.status == 69)
        #expect(withoutProc.errors.hasSuffix("/proc/self/exe is not there; is /proc mounted?\n"))
        let withoutNull = bench.inside("mount -t tmpfs none /dev; spool work 2>&1")
        #expect(withoutNull.status == 71)
        #expect(withoutNull.text == "error: open /dev/null: No such file or directory.\n")
        #expect(bench.spool("list", "--ids").text == "1\n")
    }
}

enum Container {
    static let isPossible =
        Program.shell("/usr/bin/unshare -m /bin/mount -t tmpfs none /mnt", in: "/", variables: [])
        .status == 0
}

extension Bench {
    private static let spool = "spool() { '\(Program.spool)' \"$@\"; }; "

    /// Shell text with mounts of its own.
    func inside(_ text: String) -> Program.Result {
        write(Self.spool + text, to: "inside.sh")
        return shell("unshare -m sh inside.sh")
    }
}
