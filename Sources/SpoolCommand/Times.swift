// Times.swift - moments as people type them and as machines read them.
//
// Typed: RFC 3339 ("2026-11-25T09:00:00Z"), or local time ("21:43", "2026-11-25 09:00").

internal import Glibc
internal import SpoolThreads

enum Times {
    /// The last moment that can be asked for: 9999-12-31 23:59:59 UTC.
    static let last = UnixTime(microseconds: 253_402_300_799_000_000)
    /// How far back a moment still counts as now: clocks of hosts differ, scripts take their time.
    static let forgiven = Duration.seconds(60)

    /// - Throws: `.usage` when it is not a moment, or is past or beyond the year 9999.
    static func parse(_ text: String, option: String, now: UnixTime) throws(SpoolError) -> UnixTime
    {
        var reader = TimeReader(text)
        guard let time = reader.read(now: now), time <= last else {
            throw .usage(
                "\(option) '\(text)': a time looks like 21:43, \"2026-11-25 09:00\" or "
                    + "2026-11-25T09:00:00Z.")
        }
        guard now - time <= forgiven else {
            throw .usage(
                "\(option) '\(text)' is past (\(Phrases.short(now - time)) ago).",
                hint: "Leave it out to run the job at once.")
        }
        return time
    }

    /// RFC 3339, UTC, milliseconds.
    static func rfc3339(_ time: UnixTime) -> String {
        let (seconds, rest) = split(time)
        var clock = tm()
        var stamp = time_t(seconds)
        gmtime_r(&stamp, &clock)
        return date(clock) + "T" + clockTime(clock) + "." + padded(Int(rest / 1000), 3) + "Z"
    }

    /// Local time for people: "21:43" on the same day, else with the date; seconds when asked for.
    static func local(_ time: UnixTime, now: UnixTime, seconds: Bool = false) -> String {
        let clock = localClock(time)
        let today = localClock(now)
        let time = seconds ? clockTime(clock) : String(clockTime(clock).prefix(5))
        let isToday = clock.tm_yday == today.tm_yday && clock.tm_year == today.tm_year
        return isToday ? time : date(clock) + " " + time
    }

    static func localClock(_ time: UnixTime) -> tm {
        var clock = tm()
        var stamp = time_t(split(time).seconds)
        tzset()
        localtime_r(&stamp, &clock)
        return clock
    }

    /// Rounds towards the past, so that moments before 1970 keep a positive fraction.
    private static func split(_ time: UnixTime) -> (seconds: Int64, microseconds: Int64) {
        let rest = time.microseconds % 1_000_000
        let seconds = time.microseconds / 1_000_000
        return rest < 0 ? (seconds - 1, rest + 1_000_000) : (seconds, rest)
    }

    private static func date(_ clock: tm) -> String {
        "\(padded(Int(clock.tm_year) + 1900, 4))-\(padded(Int(clock.tm_mon) + 1, 2))-"
            + padded(Int(clock.tm_mday), 2)
    }

    private static func clockTime(_ clock: tm) -> String {
        [clock.tm_hour, clock.tm_min, clock.tm_sec].map { padded(Int($0), 2) }
            .joined(separator: ":")
    }

    private static func padded(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
}

/// Reads one moment from its text, left to right.
private struct TimeReader {
    private let bytes: [UInt8]
    private var at = 0

    init(_ text: String) { bytes = Array(text.utf8) }

    mutating func read(now: UnixTime) -> UnixTime? {
        let isDated = bytes.count > 4 && bytes[4] == UInt8(ascii: "-")
        var clock = Times.localClock(now)
        (clock.tm_hour, clock.tm_min, clock.tm_sec, clock.tm_isdst) = (0, 0, 0, -1)
        if isDated {
            guard readDate(into: &clock) else { return nil }
            if at == bytes.count { return seconds(clock, offset: nil, fraction: 0) }
            guard skip("T") || skip("t") || skip(" ") else { return nil }
        }
        guard readTime(into: &clock), let fraction = readFraction() else { return nil }
        var offset: Int?
        if isDated, at < bytes.count {
            offset = readOffset()
            if offset == nil { return nil }
        }
        guard at == bytes.count, let time = seconds(clock, offset: offset, fraction: fraction)
        else { return nil }
        guard !isDated, time <= now else { return time }
        // A time of day that is over today means tomorrow's; mktime knows about the change of the clocks.
        clock.tm_mday += 1
        return seconds(clock, offset: nil, fraction: fraction)
    }

    private mutating func readDate(into clock: inout tm) -> Bool {
        guard let year = number(4), skip("-"), let month = number(2), skip("-"),
            let day = number(2), (1970...9999).contains(year), (1...12).contains(month)
        else { return false }
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
        guard (1...days).contains(day) else { return false }
        (clock.tm_year, clock.tm_mon, clock.tm_mday) = (
            Int32(year - 1900), Int32(month - 1), Int32(day)
        )
        return true
    }

    private mutating func readTime(into clock: inout tm) -> Bool {
        guard let hour = number(2), hour < 24, skip(":"), let minute = number(2), minute < 60
        else { return false }
        (clock.tm_hour, clock.tm_min) = (Int32(hour), Int32(minute))
        guard skip(":") else { return true }
        guard let second = number(2), second <= 60 else { return false }
        clock.tm_sec = Int32(second)
        return true
    }

    private mutating func readFraction() -> Int64? {
        guard skip(".") else { return 0 }
        var value: Int64 = 0
        var digits = 0
        while let digit = number(1) {
            if digits < 6 { value = value * 10 + Int64(digit) }
            digits += 1
        }
        guard digits > 0 else { return nil }
        for _ in digits..<max(6, digits) { value *= 10 }
        return value
    }

    private mutating func readOffset() -> Int? {
        if skip("Z") || skip("z") { return 0 }
        let sign = skip("+") ? 1 : skip("-") ? -1 : 0
        guard sign != 0, let hours = number(2), skip(":"), let minutes = number(2), hours < 24,
            minutes < 60
        else { return nil }
        return sign * (hours * 3600 + minutes * 60)
    }

    private func seconds(_ clock: tm, offset: Int?, fraction: Int64) -> UnixTime? {
        var clock = clock
        let stamp = offset == nil ? mktime(&clock) : timegm(&clock)
        let seconds = Int64(stamp) - Int64(offset ?? 0)
        return UnixTime(microseconds: seconds * 1_000_000 + fraction)
    }

    private mutating func number(_ digits: Int) -> Int? {
        guard at + digits <= bytes.count else { return nil }
        var value = 0
        for byte in bytes[at..<(at + digits)] {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            value = value * 10 + Int(byte - UInt8(ascii: "0"))
        }
        at += digits
        return value
    }

    private mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard at < bytes.count, bytes[at] == UInt8(ascii: character) else { return false }
        at += 1
        return true
    }
}
