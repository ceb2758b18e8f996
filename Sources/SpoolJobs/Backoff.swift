// Backoff.swift - how long a job that failed waits before it runs again.

private import SpoolThreads

/// Doubles from `min` up to `max`, less up to a quarter at random, so that jobs that failed together do not return
/// together. See "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
public struct Backoff: Hashable, Sendable {
    /// The wait after the first failure.
    public var min: Duration
    /// The longest wait.
    public var max: Duration

    /// Made from its parts.
    public init(min: Duration, max: Duration) {
        self.min = min
        self.max = max
    }

    /// 15 s, doubled up to an hour.
    public static let standard = Backoff(min: .seconds(15), max: .seconds(3600))

    /// The wait after the `failures`-th failure (1 is the first). `random` is in 0 ..< 1.
    public func delay(after failures: Int, random: Double) -> Duration {
        let doublings = Swift.min(Swift.max(1, failures), 41) - 1
        let (scaled, overflow) = min.microseconds.multipliedReportingOverflow(
            by: Int64(1) << doublings)
        let full = overflow ? max.microseconds : Swift.min(scaled, max.microseconds)
        return .microseconds(full - Int64(Double(full) * 0.25 * random))
    }
}
