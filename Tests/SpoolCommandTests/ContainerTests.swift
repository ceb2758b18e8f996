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

    @Test(
        "X1: what is left of a job whose worker was killed in a container ends before the job runs again"
    )
    func leftovers() {
        bench.spool("rm", "1")
        bench.write("exec sleep 300", to: "stay.sh")
        bench.spool("put", "--", "sh", "-c", "sh stay.sh; true")
        // Its first process outlives the worker, and it has the directory at another place.
        let worker = "mkdir there; mount --bind . there; spool work --file there/jobs.db"
        let container = bench.start(inside: worker + " & sleep 600")
        defer { kill(container, SIGKILL) }
        #expect(bench.eventually { bench.processes(showing: "sleep 300").count == 1 })
        let workers = {
            bench.processes(showing: "spool work") + bench.processes(showing: "spool: ")
        }
        let all = workers()
        #expect(all.count > 2)
        // First, so that none of them can do anything about the others' end.
        for process in all { kill(process, SIGSTOP) }
        for process in all { kill(process, SIGKILL) }
        #expect(bench.eventually { workers().isEmpty })
        #expect(
            bench.processes(showing: "sleep 300").count == 1, "the rig is void: nothing was left")
        #expect(bench.eventually { bench.spool("list", "--ids", "state:ready").text == "2\n" })
        #expect(bench.eventually { bench.processes(showing: "sleep 300").isEmpty })
    }

    @Test(
        "ends when it is told to, also as the first process",
        arguments: ["put -w -- true", "join"])
    func firstProcess(_ words: String) {
        let container = bench.start(inside: "exec '\(Program.spool)' " + words)
        defer { kill(container, SIGKILL) }
        let waiting = { bench.processes(showing: "spool " + words) }
        #expect(bench.eventually { waiting().count == 1 })
        #expect(
            bench.eventually {
                for process in waiting() { kill(process, SIGTERM) }
                return waiting().isEmpty
            })
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

    /// Shell text with mounts and process ids of its own, which end with the process that is given.
    func start(inside text: String) -> Int32 {
        write(Self.spool + text, to: "inside.sh")
        let unshare = "unshare -mpf --mount-proc --kill-child sh inside.sh"
        let number = shell(unshare + " > said 2>&1 & echo $!").text
        return Int32(number.dropLast()) ?? 0
    }

    /// The processes in the directory whose words contain a text.
    func processes(showing text: String) -> [Int32] {
        let looking = """
            cd /
            for process in /proc/[0-9]*; do
                test "$(readlink $process/cwd)" = '\(directory)' || continue
                tr '\\0' ' ' < $process/cmdline | grep -qF '\(text)' && echo ${process#/proc/}
            done 2> /dev/null
            """
        return shell(looking).text.split(separator: "\n").compactMap { Int32($0) }
    }
}
