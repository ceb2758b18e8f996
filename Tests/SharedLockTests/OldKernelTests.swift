// OldKernelTests.swift - kernels before 5.16 cannot wait for several words at once: here strace refuses futex_waitv.

import Testing

@Suite("Shared locks on an old kernel", .serialized, .timeLimit(.minutes(10)))
struct OldKernelTests {
    @Test(
        "K, R2: without futex_waitv(2) those that were not killed go on as well",
        arguments: SharedLockKillTests.kinds)
    func kill(_ kind: String) throws {
        let refusing = [
            "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=futex_waitv", "-e",
            "inject=futex_waitv:error=ENOSYS",
        ]
        let (text, isGood) = try Rig.run(
            ["kill", kind, "\(Rig.rounds(4))", "7"], under: ["/usr/bin/env"] + refusing)
        #expect(isGood && text.contains("0 hangs"), "\(text)")
    }
}
