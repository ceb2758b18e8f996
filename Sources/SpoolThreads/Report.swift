// Report.swift - lines on standard error, for what went wrong where nobody can be thrown to.

private import CSpool  // has a timespec too: the compiler takes either one
private import Glibc

/// What went wrong where nobody can be thrown to.
package enum Report {
    /// Writes one line on standard error; when that fails there is nobody left to tell.
    ///
    /// Standard error may be a broken pipe: the signal of that is not for the process, which goes on. Safe from any
    /// thread.
    package static func write(_ line: String) {
        var (broken, before, pending) = (sigset_t(), sigset_t(), sigset_t())
        sigemptyset(&broken)
        sigaddset(&broken, SIGPIPE)
        sigpending(&pending)
        pthread_sigmask(SIG_BLOCK, &broken, &before)
        let bytes = Array((line + "\n").utf8)
        let isBroken = Glibc.write(STDERR_FILENO, bytes, bytes.count) < 0 && errno == EPIPE
        // One that was pending before is somebody else's.
        if isBroken, sigismember(&pending, SIGPIPE) == 0 {
            var noTime = timespec()
            sigtimedwait(&broken, nil, &noTime)
        }
        pthread_sigmask(SIG_SETMASK, &before, nil)
    }
}
