// Time.swift - the only clock reads in Spool.
//
// Waits and time-outs use Deadline (CLOCK_MONOTONIC: a set clock cannot stretch them); what is stored or shown is
// UnixTime (CLOCK_REALTIME). Everything that decides takes its time as a parameter.

private import CSpool  // timespec: clang finds it in whichever module it reads first
private import Glibc

/// A moment on the wall clock: microseconds since 1970-01-01 00:00 UTC.
public struct UnixTime: Hashable, Comparable, Sendable {
    /// Microseconds since 1970-01-01 00:00 UTC.
    public var microseconds: Int64

    /// Made from its parts.
    public init(microseconds: Int64) { self.microseconds = microseconds }

    /// Reads CLOCK_REALTIME.
    public static func now() -> UnixTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UnixTime(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
    }

    /// Earlier is less.
    public static func < (a: UnixTime, b: UnixTime) -> Bool { a.microseconds < b.microseconds }

    /// Saturates at the ends of the range instead of trapping: a delay of ten thousand years is only far away.
    public static func + (time: UnixTime, duration: Duration) -> UnixTime {
        let (sum, overflow) = time.microseconds.addingReportingOverflow(duration.microseconds)
        return UnixTime(microseconds: overflow ? (duration < .zero ? .min : .max) : sum)
    }

    /// The time from `b` to `a`, saturated as `+`.
    public static func - (a: UnixTime, b: UnixTime) -> Duration {
        let (left, overflow) = a.microseconds.subtractingReportingOverflow(b.microseconds)
        return .microseconds(overflow ? (a < b ? .min : .max) : left)
    }
}

/// A moment on the monotonic clock after which a wait gives up.
public struct Deadline: Hashable, Comparable, Sendable {
    /// Nanoseconds of CLOCK_MONOTONIC; `UInt64.max` never comes.
    public let nanoseconds: UInt64

    /// Made from its parts.
    public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    /// The moment `timeout` from now: nil never comes, zero or less is past already.
    public init(after timeout: Duration?) {
        guard let timeout else {
            self = .never
            return
        }
        let delta = UInt64(max(0, timeout.nanoseconds))
        let (sum, overflow) = Deadline.now().nanoseconds.addingReportingOverflow(delta)
        self.init(nanoseconds: overflow ? .max : sum)
    }

    /// The longest time that a wait can be given: 2^63 - 1 nanoseconds, 292 years. Python's threading.TIMEOUT_MAX.
    public static let longestTimeout = Duration.nanoseconds(Int64.max)

    /// The moment `timeout` from now, for a limit that a caller gave: nil never comes.
    /// - Throws: `badInput` when it is negative or longer than ``longestTimeout``.
    @inlinable public init(checking timeout: Duration?) throws(SpoolError) {
        guard let timeout else {
            self = .never
            return
        }
        guard timeout >= .zero else { throw .badInput("a timeout cannot be negative.") }
        guard timeout <= Self.longestTimeout else {
            throw .badInput(
                "a timeout cannot be longer than 292 years.", hint: "nil waits for ever.")
        }
        self.init(after: timeout)
    }

    /// The deadline that never comes.
    public static let never = Deadline(nanoseconds: .max)

    /// Reads CLOCK_MONOTONIC.
    public static func now() -> Deadline {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Deadline(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }

    /// The time from `b` to `a`; for moments that come.
    public static func - (a: Deadline, b: Deadline) -> Duration {
        .nanoseconds(Int64(bitPattern: a.nanoseconds &- b.nanoseconds))
    }

    /// Earlier is less.
    public static func < (a: Deadline, b: Deadline) -> Bool { a.nanoseconds < b.nanoseconds }

    /// Whether it is past now.
    public var isPast: Bool { self != .never && self <= .now() }

    /// What is left at `now`; zero when it is past, nil when it never comes.
    public func remaining(at now: Deadline = .now()) -> Duration? {
        guard self != .never else { return nil }
        return .nanoseconds(
            Int64(clamping: nanoseconds > now.nanoseconds ? nanoseconds - now.nanoseconds : 0))
    }

    /// For poll(2) and epoll_wait(2): whole milliseconds, rounded up; -1 when it never comes.
    public func pollTimeout(at now: Deadline = .now()) -> Int32 {
        guard let left = remaining(at: now) else { return -1 }
        let (whole, part) = left.nanoseconds.quotientAndRemainder(dividingBy: 1_000_000)
        return Int32(clamping: part > 0 ? whole + 1 : whole)
    }
}

extension Duration {
    /// Whole microseconds, saturated at the range of Int64.
    public var microseconds: Int64 {
        let (seconds, attoseconds) = components
        return Duration.sum(seconds, 1_000_000, attoseconds / 1_000_000_000_000)
    }

    /// Whole nanoseconds, saturated at the range of Int64.
    public var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        return Duration.sum(seconds, 1_000_000_000, attoseconds / 1_000_000_000)
    }

    private static func sum(_ seconds: Int64, _ each: Int64, _ rest: Int64) -> Int64 {
        let (scaled, isTooMuch) = seconds.multipliedReportingOverflow(by: each)
        let (sum, isOver) = scaled.addingReportingOverflow(rest)
        return isTooMuch || isOver ? (seconds < 0 ? .min : .max) : sum
    }
}
