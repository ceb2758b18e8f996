// OldSystemTests.swift - kernels and sandboxes that lack a system call: here strace refuses it.

import Testing

@Suite(
    "On a system without", .enabled(if: OldSystem.isPossible, "needs strace, and leave to trace"),
    .timeLimit(.minutes(10)))
struct OldSystemTests {
    let bench: Bench

    init() throws { bench = try Bench() }

    /// A command with a call that always fails. It ends when all that it began has ended.
    private func spool(_ words: String, without call: String, _ error: String = "ENOSYS") -> String
    {
        "strace -f -qq -o /dev/null -e trace=\(call) -e inject=\(call):error=\(error) "
            + "'\(Program.spool)' \(words)"
    }

    @Test("P4: close_range(2) nothing but the standard streams reaches a command either")
    func descriptors() {
        bench.spool("put", "--", "test", "!", "-e", "/proc/self/fd/9")
        let worker = spool("work --until-empty", without: "close_range")
        #expect(bench.shell("exec 9< /dev/null; " + worker).status == 0)
        #expect(bench.spool("show", "1", "--json").text.contains(#""state":"done""#))
    }

    @Test("close_range(2) join leaves no process behind")
    func joining() {
        bench.spool("put", "-k", "spool.noop")
        bench.spool("work", "--until-empty")
        #expect(bench.shell(spool("join", without: "close_range")).status == 0)
    }

    @Test("RENAME_NOREPLACE, as FUSE may be, a new file gets its name, and replaces no other")
    func renaming() {
        #expect(bench.shell(spool("init new.db", without: "renameat2", "EINVAL")).status == 0)
        #expect(bench.shell("spool --file new.db put -- true").status == 0)
        _ = bench.shell("mv new.db moved.db; spool --file moved.db put -- false")
        #expect(bench.shell(spool("init new.db", without: "renameat2", "EINVAL")).status == 0)
        #expect(bench.shell("spool --file moved.db list --ids").text == "1\n2\n")
    }

    @Test("room for one more watch join says which limit it is")
    func watches() {
        bench.spool("put", "-k", "spool.noop")
        let result = bench.shell(spool("join", without: "inotify_add_watch", "ENOSPC"))
        #expect(result.status == 71)
        #expect(
            result.errors == "error: inotify_add_watch: No space left on device. This user watches "
                + "too many files. Raise it:  sysctl fs.inotify.max_user_watches=524288\n")
    }

    @Test("descriptors for a job its consumer says so once, and the job is given back at the end")
    func descriptorsOfJob() {
        bench.spool("put", "--", "true")
        let result = bench.shell(
            "strace -f -qq -o /dev/null -e trace=pipe2 -e inject=pipe2:error=EMFILE "
                + "'\(Program.spool)' work --grace 0s 2> said & worker=$!; "
                + Bench.waiting("grep -q Trying said")
                + "; kill -TERM $(pgrep -P $worker); wait $worker; head -n 1 said")
        let line = "spool: job 1 cannot begin: pipe2: Too many open files. Trying again.\n"
        #expect(result.text == line)
        #expect(bench.spool("list", "--ids", "state:ready").text == "1\n")
    }

    @Test("leave to make threads a worker says that no consumer begins, and ends when told to")
    func threads() {
        bench.spool("put", "-k", "spool.noop")
        let result = bench.shell(
            "strace -f -qq -o /dev/null -e trace=clone3 -e inject=clone3:error=EPERM "
                + "'\(Program.spool)' work 2> said & worker=$!; "
                + Bench.waiting("grep -q 'before it was ready' said")
                + "; kill -TERM $(pgrep -P $worker); wait $worker; cat said")
        #expect(result.text.hasPrefix("spool work: a consumer ended before it was ready."))
        #expect(bench.spool("list", "--ids", "state:ready").text == "1\n")
    }
}

enum OldSystem {
    static let isPossible =
        Program.shell("strace -qq -o /dev/null true", in: "/", variables: ["PATH=/usr/bin:/bin"])
        .status == 0
}
