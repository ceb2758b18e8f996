// TextEntries.swift - what people and programs type: NDJSON, JSON, durations, moments, filters.

@testable private import SpoolCommand
private import SpoolJobs
internal import SpoolThreads

/// The moment at which every input is read, so that it means the same each time: 2027-01-15 08:00 UTC.
let readingTime = UnixTime(microseconds: 1_800_000_000_000_000)

extension FuzzEntry {
    static let json = FuzzEntry(
        "json",
        texts: [
            #"{"a":[1,-2.5e+3,true,false,null,"x\u00e9\ud83d\ude00\n"],"":{}}"#, " [ ] ", "-0",
            #"{"to":"a@b","n":[1,2],"o":{"x":null}}"#, "\"\u{e9}\u{1F600}\"", "[[[[[[1]]]]]]", "01",
        ]
    ) { bytes, _ in
        guard try answer(to: bytes, { () throws(SpoolError) in try JSONReader.check(bytes) }) != nil
        else { return }
        let compact = try mustParse("its own check") { () throws(SpoolError) in
            try JSONReader.compact(bytes)
        }
        try demand(compact.count <= bytes.count, "compact JSON is longer")
        let again = try mustParse("compact JSON") { () throws(SpoolError) in
            try JSONReader.compact(compact)
        }
        try demand(compact == again, "compact JSON can be made more compact")
        let shown = JobText.arguments(bytes.text)
        try demand(shown.utf8.count <= 2 * bytes.count + 16, "shown arguments are too long")
        var reader = JSONReader(bytes)
        guard reader.peek() == UInt8(ascii: "\"") else { return }
        let text = try mustParse("a string") { () throws(SpoolError) in try reader.readString() }
        var written = JSONReader(JSONWriter.string(text))
        let same = try mustParse("a written string") { () throws(SpoolError) in
            try written.readString()
        }
        try demand(Array(same.utf8) == Array(text.utf8), "'\(text)' came back as '\(same)'")
    }

    static let duration = FuzzEntry(
        "duration",
        texts: [
            "90s", "10m", "1h30m", "2d", "1.5h", "250ms", "1w2d3h4m5s6ms", "36525d", "1.001s",
            "15s..1h", "30s..", "..", "0.1ms", "999999999999999w", "1.999999999999999s",
        ]
    ) { bytes, _ in
        let text = bytes.text
        let backoff = try answer(to: bytes) { () throws(SpoolError) in
            try Durations.parseBackoff(text, option: "--backoff")
        }
        if let backoff { try demand(backoff.min <= backoff.max, "\(backoff) falls") }
        let duration = try answer(to: bytes) { () throws(SpoolError) in
            try Durations.parse(text, option: "--delay")
        }
        guard let duration else { return }
        try demand(
            duration >= .zero && duration <= Durations.longest, "\(text) is \(duration)")
        try checkExactly(duration, bytes)
        let whole = Duration.microseconds(duration.microseconds / 1000 * 1000)
        let again = try mustParse(whole.typed) { () throws(SpoolError) in
            try Durations.parse(whole.typed, option: "--delay")
        }
        try demand(again == whole, "\(whole) is typed \(whole.typed), which is \(again)")
    }

    /// One number and one unit: the exact value, cut to microseconds.
    private static func checkExactly(_ duration: Duration, _ bytes: [UInt8]) throws {
        let digits = bytes.prefix { $0 == UInt8(ascii: ".") || $0 <= UInt8(ascii: "9") }
        let units: [String: Int128] = [
            "ms": 1000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000,
            "d": 86_400_000_000, "w": 604_800_000_000,
        ]
        guard let unit = units[Array(bytes[digits.count...]).text] else { return }
        let parts = digits.split(
            separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        let fraction = parts.count > 1 ? Array(parts[1]) : []
        let number = Array(parts[0]) + fraction
        guard let value = Int128(number.text) else { return }
        let scale = fraction.reduce(Int128(1)) { product, _ in product * 10 }
        try demand(
            Int128(duration.microseconds) == value * unit / scale,
            "\(bytes.text) is read as \(duration.microseconds) microseconds")
    }

    static let time = FuzzEntry(
        "time",
        texts: [
            "21:43", "08:00:00.5", "2027-11-25 09:00", "2027-11-25T09:00:00Z", "2028-02-29",
            "2027-11-25t09:00:00.123456+05:30", "9999-12-31T23:59:59-23:59", "2027-06-30T23:59:60Z",
        ]
    ) { bytes, _ in
        let text = bytes.text
        let time = try answer(to: bytes) { () throws(SpoolError) in
            try Times.parse(text, option: "--at", now: readingTime)
        }
        guard let time else { return }
        try demand(time <= Times.last && readingTime - time <= Times.forgiven, "\(text) is \(time)")
        let written = exactly(time)
        let again = try mustParse(written) { () throws(SpoolError) in
            try Times.parse(written, option: "--at", now: readingTime)
        }
        try demand(again == time, "\(time) is written \(written), which is \(again)")
    }

    static let filter = FuzzEntry(
        "filter",
        texts: [
            "state:dead\0queue:mail", "id:17..20\0kind:mail.send", "id:17..", "id:..20", "id:5",
            "hello\0world", "stat:dead", "http://x", "state:deed", "id:20..17",
        ]
    ) { bytes, _ in
        var filter = JobFilter()
        var told: [String] = []
        for word in bytes.pieces.prefix(64).map(\.text) {
            var one = JobFilter()
            let isRight: Void? = try answer(to: bytes) { () throws(SpoolError) in
                try ListFilter.apply(word, to: &one)
            }
            try checkWord(word, bytes)
            guard isRight != nil else { continue }
            let isTaken: Void? = try answer(to: bytes) { () throws(SpoolError) in
                try ListFilter.apply(word, to: &filter)
            }
            guard isTaken != nil else {
                let isSecond =
                    one.queue != nil && filter.queue != nil
                    || one.kind != nil && filter.kind != nil || one.ids != nil && filter.ids != nil
                try demand(isSecond, "\(word) was refused beside \(filter)")
                continue
            }
            if one.text != nil { told.append(word) }
        }
        if let queue = filter.queue { told.append("queue:" + queue) }
        if let kind = filter.kind { told.append("kind:" + kind) }
        if let ids = filter.ids { told.append("id:\(ids.lowerBound)..\(ids.upperBound)") }
        told += filter.states.map { "state:" + $0.rawValue }
        var again = JobFilter()
        for word in told {
            try mustParse(word) { () throws(SpoolError) in try ListFilter.apply(word, to: &again) }
        }
        try demand(again == filter, "\(told) gives \(again), not \(filter)")
    }

    /// Every other word of the command line.
    private static func checkWord(_ word: String, _ bytes: [UInt8]) throws {
        _ = try answer(to: bytes) { () throws(SpoolError) in try Numbers.priority(word) }
        _ = try answer(to: bytes) { () throws(SpoolError) in try Numbers.retries(word) }
        _ = try answer(to: bytes) { () throws(SpoolError) in try Numbers.id(word) }
        _ = try answer(to: bytes) { () throws(SpoolError) in try Numbers.label(word) }
        _ = try answer(to: bytes) { () throws(SpoolError) in
            try Numbers.name(word, what: "queue")
        }
        _ = try answer(to: bytes) { () throws(SpoolError) in
            var settings = Settings()
            try settings.setColor(word)
        }
    }
}

/// RFC 3339 with all six digits that Spool keeps.
func exactly(_ time: UnixTime) -> String {
    let digits = String(time.microseconds % 1_000_000)
    return time.rfc3339.prefix(20) + String(repeating: "0", count: 6 - digits.count) + digits + "Z"
}
