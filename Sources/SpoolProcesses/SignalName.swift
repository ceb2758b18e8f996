// SignalName.swift - signals by name, for messages and options.

private import Glibc

/// The names of signals, with and without their SIG.
public enum SignalName {
    private static let names: [(Int32, String)] = [
        (SIGHUP, "HUP"), (SIGINT, "INT"), (SIGQUIT, "QUIT"), (SIGILL, "ILL"), (SIGTRAP, "TRAP"),
        (SIGABRT, "ABRT"),
        (SIGBUS, "BUS"), (SIGFPE, "FPE"), (SIGKILL, "KILL"), (SIGUSR1, "USR1"), (SIGSEGV, "SEGV"),
        (SIGUSR2, "USR2"), (SIGPIPE, "PIPE"), (SIGALRM, "ALRM"), (SIGTERM, "TERM"),
        (SIGCHLD, "CHLD"),
        (SIGCONT, "CONT"), (SIGSTOP, "STOP"), (SIGTSTP, "TSTP"), (SIGTTIN, "TTIN"),
        (SIGTTOU, "TTOU"),
        (SIGXCPU, "XCPU"), (SIGXFSZ, "XFSZ"), (SIGSYS, "SYS"),
    ]

    /// "signal 9 (SIGKILL)"; a number without a name stays a number.
    public static func describe(_ number: Int32) -> String {
        guard let name = names.first(where: { $0.0 == number })?.1 else {
            return "signal \(number)"
        }
        return "signal \(number) (SIG\(name))"
    }

    /// The number of `TERM`, `SIGTERM` or `15`; nil for anything else.
    public static func parse(_ text: String) -> Int32? {
        if let number = Int32(text) { return (1...64).contains(number) ? number : nil }
        let upper = text.uppercased()
        let bare = upper.hasPrefix("SIG") ? String(upper.dropFirst(3)) : upper
        return names.first { $0.1 == bare }?.0
    }
}
