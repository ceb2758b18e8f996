// Phrases.swift - numbers and lengths of time as the screens show them.

internal import SpoolThreads

enum Phrases {
    /// 1 200 for 1200.
    static func grouped(_ number: Int) -> String {
        let digits = Array(String(number.magnitude))
        var text = number < 0 ? "-" : ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text.append(" ") }
            text.append(digit)
        }
        return text
    }

    /// "1 job", "1 200 jobs".
    static func counted(_ number: Int, _ noun: String) -> String {
        "\(grouped(number)) \(noun)\(number == 1 ? "" : "s")"
    }

    /// The largest unit only: 0.4s, 12s, 4m, 2h, 3d.
    static func short(_ duration: Duration) -> String {
        let microseconds = max(0, duration.microseconds)
        switch microseconds {
        case ..<1000: return "0s"
        case ..<100_000: return "\(microseconds / 1000)ms"
        case ..<9_950_000:
            let tenths = (microseconds + 50_000) / 100_000
            return tenths % 10 == 0 ? "\(tenths / 10)s" : "\(tenths / 10).\(tenths % 10)s"
        default: break
        }
        let seconds = microseconds / 1_000_000
        switch seconds {
        case ..<60: return "\(seconds)s"
        case ..<3600: return "\(seconds / 60)m"
        case ..<86400: return "\(seconds / 3600)h"
        case ..<(365 * 86400): return "\(seconds / 86400)d"
        default: return "\(seconds / (365 * 86400))y"
        }
    }

    /// How old something is: whole seconds and up.
    static func age(_ duration: Duration) -> String {
        duration < .seconds(1) ? "0s" : short(.seconds(duration.microseconds / 1_000_000))
    }

    /// How far off something is: a second that has begun counts, so that 10m is not 9m at once.
    static func until(_ duration: Duration) -> Duration {
        let (seconds, rest) = duration.microseconds.quotientAndRemainder(dividingBy: 1_000_000)
        return .seconds(rest > 0 ? seconds + 1 : seconds)
    }

    /// Two units: 1h30m, 2m05s; what `show` says.
    static func long(_ duration: Duration) -> String {
        let seconds = duration.microseconds / 1_000_000
        switch seconds {
        case ..<60: return short(duration)
        case ..<3600: return "\(seconds / 60)m" + tail(seconds % 60, "s")
        case ..<86400: return "\(seconds / 3600)h" + tail(seconds % 3600 / 60, "m")
        default: return "\(seconds / 86400)d" + tail(seconds % 86400 / 3600, "h")
        }
    }

    private static func tail(_ count: Int64, _ unit: String) -> String {
        count == 0 ? "" : "\(count)\(unit)"
    }

    /// 4 096 bytes, 1.5 MiB.
    static func size(_ bytes: Int) -> String {
        let units = ["KiB", "MiB", "GiB", "TiB"]
        guard bytes >= 10_240 else { return counted(bytes, "byte") }
        var tenths = bytes * 10 / 1024
        var unit = 0
        while tenths >= 10_240, unit + 1 < units.count {
            tenths /= 1024
            unit += 1
        }
        return "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }
}
