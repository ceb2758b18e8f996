// Dice.swift - numbers that look random and can be had again, for rigs that print their seed with each failure.

private import SpoolThreads

/// xorshift64* (Marsaglia 2003, Vigna 2016).
public struct Dice: RandomNumberGenerator {
    private var state: UInt64

    /// The same seed gives the same numbers.
    public init(seed: UInt64) { state = seed &* 2_685_821_657_736_338_717 | 1 }

    /// The next number.
    public mutating func next() -> UInt64 {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 2_685_821_657_736_338_717
    }

    /// A time below `longest`.
    public mutating func time(below longest: Duration) -> Duration {
        .nanoseconds(Int64.random(in: 0..<longest.nanoseconds, using: &self))
    }
}
