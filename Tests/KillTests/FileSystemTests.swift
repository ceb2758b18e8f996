// FileSystemTests.swift - rig F: stores on file systems that are small, full or read-only. Needs root, to mount them.

import Foundation
import SpoolJobs
import SpoolThreads
import Testing

@Suite(
    "A store on a file system", .timeLimit(.minutes(10)), .serialized,
    .enabled(if: getuid() == 0, "mounting needs root"))
struct FileSystemTests {
    let scratch: Scratch
    let mount: Mount

    init() throws {
        scratch = try Scratch()
        mount = try Mount(scratch.directory + "/fs")
    }

    var path: String { mount.path + "/jobs.db" }

    func spool(_ command: String, _ arguments: String...) throws -> (status: Int32, printed: String)
    {
        let program = try Program(
            "spool", [command, "--file", path] + arguments, in: scratch.directory)
        return (try program.wait(), program.printed)
    }

    @Test(
        "F, D4: that is full refuses a put with a sentence, keeps what was put, goes on when there is room"
    )
    func full() throws {
        try mount.set("size=3m")
        let body = scratch.directory + "/body"
        try Data(repeating: 120, count: 100_000).write(to: URL(fileURLWithPath: body))
        var put = 0
        var refusal = (status: Int32(0), printed: "")
        while put < 100 {
            refusal = try spool("put", "-k", "big", "--body", "@" + body)
            guard refusal.status == 0 else { break }
            put += 1
        }
        #expect(refusal.status == 74)
        #expect(refusal.printed.hasPrefix("error: disk full while writing \(path)"))
        #expect(try Store.open(path, .readOnly).counts(queue: nil).ready == put)
        try mount.set("size=64m")
        #expect(try spool("put", "-k", "big", "--body", "@" + body).status == 0)
        let store = try Store.open(path, .existing)
        #expect(try store.check() == [])
        #expect(try store.counts(queue: nil).ready == put + 1)
    }

    @Test(
        "F, P6: on NFS is refused with a sentence, and nothing is made",
        .enabled(if: SystemCalls.canFail, "needs strace"))
    func network() throws {
        // No server here: strace makes statfs(2) say that the file system is NFS, 0x6969.
        let fake = ["-f", "-qq", "-o", "/dev/null", "-e", "trace=statfs"]
        let answer = ["-e", "inject=statfs:poke_exit=@arg2=6969000000000000"]
        let put = ["put", "--file", path, "--", "true"]
        let strace = { (words: [String]) in
            try Program(
                "/usr/bin/strace", fake + answer + words + [Program.folder.path + "/spool"] + put,
                in: scratch.directory)
        }
        let refused = try strace([])
        #expect(try refused.wait() == 65)
        #expect(refused.printed.hasPrefix("error: \(path) is on NFS, where neither locks nor"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: mount.path) == [])
        let allowed = try strace(["-E", "SPOOL_NETWORK_FS=1"])
        #expect(try allowed.wait() == 0, "\(allowed.printed)")
    }

    @Test("that is read-only and has a log says what to do with it")
    func fixedLog() throws {
        #expect(try spool("put", "--", "true").status == 0)
        let log = URL(fileURLWithPath: path + "-wal")
        do {
            let store = try Store.open(path, .existing)
            try store.put([NewJob(.kind("k"))], now: .now())
            let copy = scratch.directory + "/wal"
            try FileManager.default.copyItem(atPath: log.path, toPath: copy)
        }
        try Data(contentsOf: URL(fileURLWithPath: scratch.directory + "/wal")).write(to: log)
        try? FileManager.default.removeItem(atPath: path + "-shm")
        try mount.set("ro")
        let refused = try spool("list")
        #expect(refused.status == 74, "\(refused)")
        #expect(refused.printed.contains("jobs.db-wal, which cannot be read"))
        try mount.set("rw")
        #expect(try spool("list").status == 0)
    }

    @Test("F, D4: that has no room for a store at all leaves nothing that looks like one")
    func tiny() throws {
        try mount.set("size=8k")
        let refusal = try spool("put", "--", "true")
        #expect(refusal.status == 74 || refusal.status == 73, "\(refusal)")
        #expect(refusal.printed.hasPrefix("error: "))
        #expect(!FileManager.default.fileExists(atPath: path))
        try mount.set("size=64m")
        #expect(try spool("put", "--", "true").status == 0)
    }

    @Test("F, D4: that has no room for the memory of the log is called full")
    func memory() throws {
        #expect(try spool("put", "--", "true").status == 0)
        try? FileManager.default.removeItem(atPath: path + "-shm")
        try mount.set("size=3m")
        let fill = try Program(
            "/bin/dd", ["if=/dev/zero", "of=\(mount.path)/filler", "bs=4k"], in: scratch.directory)
        #expect(try fill.wait() == 1)
        let refusal = try spool("list")
        #expect(refusal.status == 74, "\(refusal)")
        #expect(refusal.printed.hasPrefix("error: disk full while writing \(path)"))
        try FileManager.default.removeItem(atPath: mount.path + "/filler")
        #expect(try spool("list", "--ids").printed == "1\n")
    }

    @Test("F, D4: that is full refuses a put whose shared memory came back from a copy with holes")
    func holes() throws {
        #expect(try spool("put", "--", "true").status == 0)
        // As cp --sparse=always, tar -S and rsync -S leave it.
        let shared = path + "-spool/shared"
        let size = try #require(
            try FileManager.default.attributesOfItem(atPath: shared)[.size] as? Int)
        #expect(truncate(shared, 0) == 0 && truncate(shared, size) == 0)
        // SQLite's own memory is there as long as somebody has the file open.
        let store = try Store.open(path, .existing)
        #expect(try store.counts(queue: nil).ready == 1)
        try mount.set("size=3m")
        let filler = mount.path + "/filler"
        try Data().write(to: URL(fileURLWithPath: filler))
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: filler))
        while (try? file.write(contentsOf: Data(count: 4096))) != nil {}
        let refusal = try spool("put", "--", "true")
        #expect(refusal.status == 74, "\(refusal)")
        #expect(refusal.printed.hasPrefix("error: disk full while writing \(path)"))
        try FileManager.default.removeItem(atPath: filler)
        try file.close()
        #expect(try spool("put", "--", "true").status == 0)
        #expect(try store.counts(queue: nil).ready == 2)
    }

    @Test("F, P6: that is read-only can be looked at, and refuses a put")
    func readOnly() throws {
        #expect(try spool("put", "--", "true").status == 0)
        try mount.set("ro")
        let list = try spool("list", "--ids")
        #expect(list.status == 0 && list.printed == "1\n", "\(list)")
        let workers = try spool("workers")
        #expect(workers.status == 0 && workers.printed.hasPrefix("No worker"), "\(workers)")
        let refusal = try spool("put", "--", "true")
        #expect(refusal.status == 77, "\(refusal)")
        #expect(refusal.printed.hasPrefix("error: \(path)"))
    }
}

/// A file system in memory, unmounted with its owner.
final class Mount {
    let path: String

    init(_ path: String) throws {
        self.path = path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try run("mount", "-t", "tmpfs", "-o", "size=64m,mode=700", "spool-test", path)
    }

    /// Changes its options while it is in use.
    func set(_ options: String) throws { try run("mount", "-o", "remount," + options, path) }

    deinit { try? run("umount", "-l", path) }

    private func run(_ name: String, _ arguments: String...) throws {
        let program = try Program("/bin/" + name, arguments, in: NSTemporaryDirectory())
        let status = try program.wait()
        guard status == 0 else { throw SpoolError.usage("\(name): \(program.printed)") }
    }
}
