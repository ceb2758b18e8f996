// EndOfProcessTests.swift - pools and futures where a process ends, was forked, or has nobody to tell.

import CSpool
import Glibc
import SpoolThreads
import Testing

@testable import SpoolQueues

@Suite("The end of a process with pools", .timeLimit(.minutes(10))) struct EndOfProcessTests {
    @Test("cT1: a thread that a task starts is no daemon, as those of the pool are waited for")
    func heirs() throws {
        try withThreadPool(maxWorkers: 1) { pool in
            let isDaemon = try pool.submit { Thread {}.daemon }.result(timeout: patience)
            #expect(!isDaemon)
        }
    }

    @Test("cT5, cFS2: threads that a task starts at the end of the process are waited for")
    func lateThreads() async {
        let end = await #expect(
            processExitsWith: .success, observing: [\.standardOutputContent]
        ) {
            // Handlers run in the reverse order: that of the pools last.
            let pool = ThreadPool(maxWorkers: 1)
            try pool.submit {}.result(timeout: patience)
            try Thread(daemon: false) {}.start()
            try pool.submit {
                Pause.briefly(upTo: .milliseconds(50))
                try Thread(name: "late", daemon: false) {
                    Pause.briefly(upTo: .milliseconds(50))
                    print("the thread of the task is over")
                }.start()
            }
            exit(0)
        }
        let printed = String(decoding: end?.standardOutputContent ?? [], as: UTF8.self)
        #expect(printed.contains("the thread of the task is over"))
    }

    // The sanitizer's own locks are not made for it: they hang in such a child.
    @Test(
        "a forked child with a pool of its own ends without waiting for its parent's threads",
        .disabled(if: getenv("TSAN_OPTIONS") != nil))
    func forked() async {
        await #expect(processExitsWith: .success) {
            let pool = ThreadPool(maxWorkers: 1)
            try pool.submit {}.result(timeout: patience)
            let child = spool_fork()
            if child == 0 {
                let own = ThreadPool(maxWorkers: 1)
                exit(try own.submit { Int32(7) }.result(timeout: patience))
            }
            var status: Int32 = 0
            let hasEnded = try eventually { waitpid(child, &status, WNOHANG) == child }
            if !hasEnded { kill(child, SIGKILL) }
            _exit(hasEnded && status == 7 << 8 ? 0 : 1)
        }
    }

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
