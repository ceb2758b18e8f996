// Durations.swift - lengths of time as people type them: 90s, 10m, 1h30m, 2d, 1.5h, 250ms.

internal import SpoolThreads
internal import SpoolJobs

/// Reads lengths of time. A number without a unit is refused, since programs disagree on what it means.
enum Durations {
    /// A hundred years: more is a slip, and sums with it still fit.
    static let longest = Duration.seconds(36525 * 86400)

    private static let units: [(name: String, microseconds: Int128)] = [
        ("ms", 1000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000),
        ("d", 86_400_000_000), ("w", 604_800_000_000),
    ]

    /// - Parameter option: The name that the error shows.
    /// - Throws: `.usage` when it is not a duration or over a hundred years.
    static func parse(_ text: String, option: String) throws(SpoolError) -> Duration {
        guard let microseconds = microseconds(Array(text.utf8)) else {
            throw .usage("\(option) '\(text)': a duration looks like 90s, 10m, 1h30m, 2d.")
        }
        guard microseconds <= longest.microseconds else {
            throw .usage("\(option) '\(text)' is too long; the most is 36525d, a hundred years.")
        }
        return .microseconds(Int64(microseconds))
    }

    /// `15s..1h`, or `30s` for the same wait each time.
    static func parseBackoff(_ text: String, option: String) throws(SpoolError) -> Backoff {
        let parts = splitRange(text)
        guard let parts else {
            let wait = try parse(text, option: option)
            return Backoff(min: wait, max: wait)
        }
        let low = try parse(parts.low, option: option)
        let high = try parse(parts.high, option: option)
        guard low <= high else {
            throw .usage("\(option) '\(text)': the first wait is longer than the last.")
        }
        return Backoff(min: low, max: high)
    }

    /// The two sides of `a..b`.
    static func splitRange(_ text: String) -> (low: String, high: String)? {
        let bytes = Array(text.utf8)
        let dot = UInt8(ascii: ".")
        guard
            let at = bytes.indices.dropLast().first(where: {
                bytes[$0] == dot && bytes[$0 + 1] == dot
            })
        else { return nil }
        return (
            String(decoding: bytes[..<at], as: UTF8.self),
            String(decoding: bytes[(at + 2)...], as: UTF8.self)
        )
    }

    /// Units must fall (1h30m, not 30m1h), so that a slip is not read as something else.
    /// In whole numbers: of 1.001s a binary fraction would lose a microsecond.
    private static func microseconds(_ bytes: [UInt8]) -> Int128? {
        var at = 0
        var sum: Int128 = 0
        var smallest = units.count
        while at < bytes.count {
            guard let number = number(bytes, &at), let unit = unit(bytes, &at), unit < smallest
            else { return nil }
            smallest = unit
            sum += number.value * units[unit].microseconds / number.scale
        }
        return smallest == units.count ? nil : sum
    }

    /// The digits as a whole number, and what it is to be divided by.
    private static func number(
        _ bytes: [UInt8], _ at: inout Int
    ) -> (value: Int128, scale: Int128)? {
        var value: Int128 = 0
        var scale: Int128 = 1
        var digits = 0
        var isAfterPoint = false
        while at < bytes.count {
            switch bytes[at] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                digits += 1
                guard digits <= mostDigits else { return nil }
                value = value * 10 + Int128(bytes[at] - UInt8(ascii: "0"))
                if isAfterPoint { scale *= 10 }
            case UInt8(ascii: ".") where !isAfterPoint && digits > 0:
                isAfterPoint = true
            default:
                return digits > 0 ? (value, scale) : nil
            }
            at += 1
        }
        return nil
    }

    private static let mostDigits = 15

    private static func unit(_ bytes: [UInt8], _ at: inout Int) -> Int? {
        let start = at
        while at < bytes.count, bytes[at] >= UInt8(ascii: "a") { at += 1 }
        let name = String(decoding: bytes[start..<at], as: UTF8.self)
        return units.firstIndex { $0.name == name }
    }
}
