// Limits.swift - --limit memory=1G,cpu=10m: what a job may use, as people type it.

internal import SpoolProcesses
internal import SpoolThreads

enum Limits {
    private static let least: [ResourceLimits.Resource: UInt64] = [
        // Less than that no program starts with, and it is an error of the system's instead of a sentence.
        .memory: 1 << 20, .files: 3, .processes: 1, .cpu: 1, .output: 0,
    ]
    private static let units: [Character: UInt64] = [
        "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40,
    ]

    /// `NAME=VALUE`, several by commas. A name that comes twice has its last value.
    /// - Parameter option: The name that the error shows.
    static func parse(_ text: String, option: String) throws(SpoolError) -> ResourceLimits {
        var limits = ResourceLimits()
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let words = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard words.count == 2 else {
                throw .usage("\(option) '\(part)': write NAME=VALUE, as in memory=1G.")
            }
            let name = String(words[0])
            guard let resource = ResourceLimits.Resource(rawValue: name) else {
                let known = ResourceLimits.Resource.allCases.map(\.rawValue)
                throw .usage(
                    "\(option) '\(name)': there are \(known.joined(separator: ", "))."
                        + Suggestion.sentence(for: name, among: known))
            }
            limits[resource] = try value(String(words[1]), of: resource, option)
        }
        return limits
    }

    private static func value(
        _ text: String, of resource: ResourceLimits.Resource, _ option: String
    ) throws(SpoolError) -> UInt64 {
        let option = "\(option) \(resource)"
        let least = least[resource] ?? 0
        let value: UInt64
        switch resource {
        case .cpu:
            let time = try Durations.parse(text, option: option)
            value = UInt64((time.microseconds + 999_999) / 1_000_000)
        case .memory, .output: value = try bytes(text, option)
        case .files, .processes:
            value = UInt64(try Numbers.count(text, option: option, in: Int(least)...1 << 30))
        }
        guard value >= least else {
            throw .usage(
                "\(option) must be at least \(resource == .cpu ? "1s" : "1M"); got '\(text)'.")
        }
        return value
    }

    /// Bytes, or with K, M, G, T times 1024.
    static func bytes(
        _ text: String, _ option: String, most: UInt64 = 1 << 60, shown: String = "1048576T"
    ) throws(SpoolError) -> UInt64 {
        let unit = text.last.flatMap { units[$0] }
        let digits = unit == nil ? text[...] : text.dropLast()
        let isPlain = !digits.isEmpty && digits.utf8.allSatisfy { (0x30...0x39).contains($0) }
        guard isPlain, let number = UInt64(digits) else {
            throw .usage("\(option) '\(text)': a size looks like 500M, 2G or a number of bytes.")
        }
        let (value, overflow) = number.multipliedReportingOverflow(by: unit ?? 1)
        guard !overflow, value <= most else {
            throw .usage("\(option) '\(text)' is too much; the most is \(shown).")
        }
        return value
    }
}
