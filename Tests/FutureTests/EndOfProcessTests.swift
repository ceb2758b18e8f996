// EndOfProcessTests.swift - pools and futures where a process ends, was forked, or has nobody to tell.

import Glibc
import SpoolThreads
import Testing

@testable import SpoolQueues

@Suite("The end of a process with pools", .timeLimit(.minutes(10))) struct EndOfProcessTests {
    @Test("cF2: a callback that throws does no harm where standard error is a broken pipe")
    func brokenStandardError() async {
        await #expect(processExitsWith: .success) {
            var (ends, broken) = ([Int32](repeating: -1, count: 2), sigset_t())
            pipe(&ends)
            close(ends[0])
            dup2(ends[1], STDERR_FILENO)
            signal(SIGPIPE, SIG_DFL)
            sigaddset(&broken, SIGPIPE)
            pthread_sigmask(SIG_UNBLOCK, &broken, nil)
            let future = Future<Int>()
            future.addDoneCallback { _ in throw Mishap() }
            try future.setResult(1)
            exit(0)
        }
    }
}
