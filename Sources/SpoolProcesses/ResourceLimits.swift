// ResourceLimits.swift - how much of the system a program may use: setrlimit(2), by the names that people know.

internal import CSpool
private import Glibc

/// Limits for a program and all that it starts. Each process has them for itself, except `processes`.
///
/// A program never gets more than its starter has.
public struct ResourceLimits: Hashable, Sendable {
    /// What can be limited.
    public enum Resource: String, CaseIterable, Sendable {
        /// Bytes of address space of one process (RLIMIT_AS).
        case memory
        /// Open descriptors of one process (RLIMIT_NOFILE).
        case files
        /// Processes and threads of the user, whoever started them; root has no such limit (RLIMIT_NPROC).
        case processes
        /// Seconds of processor time of one process, then SIGXCPU, and SIGKILL a second later (RLIMIT_CPU).
        case cpu
        /// Bytes of the largest file that it writes, then SIGXFSZ (RLIMIT_FSIZE).
        case output
    }

    /// The variable that carries the limits of a job in its environment, as ``text``.
    public static let variable = "SPOOL_LIMIT"

    private var values: [Resource: UInt64] = [:]

    /// No limits.
    public init() {}

    /// Nil: there is none.
    public subscript(resource: Resource) -> UInt64? {
        get { values[resource] }
        set { values[resource] = newValue }
    }

    /// Whether there are none.
    public var isEmpty: Bool { values.isEmpty }

    /// `memory=1073741824,cpu=10`: plain numbers, in a fixed order.
    public var text: String {
        Resource.allCases.compactMap { name in values[name].map { "\(name.rawValue)=\($0)" } }
            .joined(separator: ",")
    }

    /// Reads ``text``. Nil for anything else.
    public init?(text: String) {
        for part in text.split(separator: ",") {
            let words = part.split(separator: "=", omittingEmptySubsequences: false)
            guard words.count == 2, let name = Resource(rawValue: String(words[0])),
                let value = UInt64(words[1])
            else { return nil }
            values[name] = value
        }
    }

    /// The smaller of each.
    public func tightened(by other: ResourceLimits) -> ResourceLimits {
        var both = self
        both.values.merge(other.values) { min($0, $1) }
        return both
    }

    /// For `spool_start`.
    var forSystem: [spool_limit] {
        Resource.allCases.compactMap { name in
            values[name].map { spool_limit(resource: Self.number(name), value: $0) }
        }
    }

    private static func number(_ resource: Resource) -> Int32 {
        switch resource {
        case .memory: Int32(RLIMIT_AS.rawValue)
        case .files: Int32(RLIMIT_NOFILE.rawValue)
        case .processes: Int32(__RLIMIT_NPROC.rawValue)
        case .cpu: Int32(RLIMIT_CPU.rawValue)
        case .output: Int32(RLIMIT_FSIZE.rawValue)
        }
    }

    /// The limit that ended a program, as far as its end tells: by a signal, its own or of what a shell ran.
    public func reached(signal: Int32?, exit: Int32?) -> Resource? {
        let number = signal ?? exit.flatMap { $0 > 128 ? $0 - 128 : nil }
        if number == SIGXCPU, values[.cpu] != nil { return .cpu }
        if number == SIGXFSZ, values[.output] != nil { return .output }
        return nil
    }
}
