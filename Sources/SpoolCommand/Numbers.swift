// Numbers.swift - priorities, counts, ids and names as they are typed, each checked at both ends of its range.

internal import SpoolJobs
internal import SpoolThreads

enum Numbers {
    /// A number, or one of the words urgent, high, normal, low, idle.
    static func priority(_ text: String, option: String = "--priority") throws(SpoolError) -> Int {
        if let named = Job.priorityNames.first(where: { $0.0 == text }) { return named.1 }
        if let number = Int(text), Job.priorities.contains(number), !text.hasPrefix("+") {
            return number
        }
        let words = Job.priorityNames.map(\.0)
        throw .usage(
            "\(option) must be 0…\(Job.priorities.upperBound) or \(words.joined(separator: ", "));"
                + " got '\(text)'." + Suggestion.sentence(for: text, among: words))
    }

    static let mostRetries = 1_000_000

    static func retries(_ text: String, option: String = "--retries") throws(SpoolError) -> Int {
        try count(text, option: option, in: 0...mostRetries)
    }

    static func count(
        _ text: String, option: String, in range: ClosedRange<Int>
    ) throws(SpoolError) -> Int {
        guard let number = Int(text), range.contains(number), text.utf8.first != UInt8(ascii: "+")
        else {
            throw .usage(
                "\(option) must be \(range.lowerBound)…\(range.upperBound); got '\(text)'.")
        }
        return number
    }

    static func id(_ text: String) throws(SpoolError) -> Int64 {
        guard let number = Int64(text), number > 0 else {
            throw .usage(
                "'\(text)' is not a job's id.", hint: "Ids are numbers, as  spool list  shows them."
            )
        }
        return number
    }

    /// In their order; one that is named twice is meant once.
    static func ids(_ texts: [String]) throws(SpoolError) -> [Int64] {
        var ids: [Int64] = []
        for text in texts {
            for part in text.split(separator: idSeparator, omittingEmptySubsequences: false) {
                ids.append(try id(String(part)))
            }
        }
        return ids.onceEach
    }

    /// No word of a command line has a NUL in it.
    private static let idSeparator: Character = "\0"
    /// Of more numbers than that one after the other ``bundled(_:)`` makes one word.
    private static let mostIDWords = 64

    /// The words as the general parser takes them well: it needs time with the square of their number. Of many numbers
    /// that follow each other all but the first two become one word, which ``ids(_:)`` takes apart; the first may be an
    /// option's value.
    static func bundled(_ words: [String]) -> [String] {
        var bundled: [String] = []
        var rest = words[...]
        while let word = rest.first {
            let numbers = rest.prefix { $0.utf8.allSatisfy(isDigit) }
            rest = rest.dropFirst(max(1, numbers.count))
            guard numbers.count > mostIDWords else {
                bundled += numbers.isEmpty ? [word] : Array(numbers)
                continue
            }
            bundled += numbers.prefix(2)
            bundled.append(numbers.dropFirst(2).joined(separator: String(idSeparator)))
        }
        return bundled
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    /// Queues and kinds: letters, digits and -_.:/+@, since they stand in shells, URLs and line protocols.
    static func name(_ text: String, what: String) throws(SpoolError) -> String {
        guard text.utf8.count <= Job.maximumNameBytes, !text.isEmpty, text.utf8.allSatisfy(isOfName)
        else {
            throw .usage(
                "\(what) '\(text)': a name has 1…\(Job.maximumNameBytes) letters, digits and "
                    + "-_.:/+@.")
        }
        return text
    }

    private static func isOfName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "-_.:/+@".utf8.contains(byte)
        }
    }

    static let longestLabel = 1024

    /// A job's label: any text of one line.
    static func label(_ text: String, option: String = "--name") throws(SpoolError) -> String {
        guard (1...longestLabel).contains(text.utf8.count),
            !text.utf8.contains(where: { $0 < 0x20 })
        else {
            throw .usage("\(option) must be one line of 1…\(longestLabel) bytes.")
        }
        return text
    }
}
