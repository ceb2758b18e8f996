// Time+Text.swift - times and durations as commands, JSON and error lines show them.

extension UnixTime {
    /// RFC 3339 in UTC with milliseconds. After Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    public var rfc3339: String {
        let second: Int64 = 1_000_000
        let (whole, rest) = microseconds.quotientAndRemainder(dividingBy: 86_400 * second)
        let days = rest < 0 ? whole - 1 : whole
        let ofDay = rest < 0 ? rest + 86_400 * second : rest
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        let date = "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
        let seconds = ofDay / second
        let clock =
            "\(padded(seconds / 3600, 2)):\(padded(seconds / 60 % 60, 2)):\(padded(seconds % 60, 2))"
        return "\(date)T\(clock).\(padded(ofDay / 1000 % 1000, 3))Z"
    }
}

extension Duration {
    /// As it is typed: 5m, 1h30m, 90s is 1m30s, 250ms.
    public var typed: String {
        let milliseconds = microseconds / 1000
        guard milliseconds % 1000 == 0 else {
            return milliseconds < 1000 ? "\(milliseconds)ms" : "\(Double(milliseconds) / 1000)s"
        }
        var left = milliseconds / 1000
        var text = ""
        for (unit, name) in [(Int64(86_400), "d"), (3600, "h"), (60, "m"), (1, "s")]
        where left >= unit {
            text += "\(left / unit)\(name)"
            left %= unit
        }
        return text.isEmpty ? "0s" : text
    }
}

private func padded(_ number: Int64, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}
