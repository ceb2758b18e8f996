// Suggestion.swift - "did you mean": the known word that is nearest to what was typed.

/// Nearness of words by edit distance, counting swapped neighbours as one edit (Damerau 1964).
enum Suggestion {
    /// The nearest of `known`, if it is near enough to be a slip of the finger.
    static func nearest(to word: String, among known: [String]) -> String? {
        guard word.utf8.count <= 64 else { return nil }
        var best: (word: String, edits: Int)?
        for candidate in known where candidate != word {
            let edits = distance(Array(word.utf8), Array(candidate.utf8))
            if edits < best?.edits ?? Int.max { best = (candidate, edits) }
        }
        guard let best, best.edits <= allowed(for: word) else { return nil }
        return best.word
    }

    /// The sentence to append, with a space before it; empty when nothing is near.
    static func sentence(for word: String, among known: [String]) -> String {
        nearest(to: word, among: known).map { " Did you mean '\($0)'?" } ?? ""
    }

    private static func allowed(for word: String) -> Int {
        switch word.utf8.count {
        case ...2: 1
        case 3...6: 2
        default: 3
        }
    }

    private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        guard !a.isEmpty, !b.isEmpty else { return max(a.count, b.count) }
        var older = [Int](repeating: 0, count: b.count + 1)
        var previous = Array(0...b.count)
        for i in 1...a.count {
            var current = [i]
            for j in 1...b.count {
                let cost = a[i - 1] == b[j - 1] ? 0 : 1
                var edits = min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + cost)
                if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] {
                    edits = min(edits, older[j - 2] + 1)
                }
                current.append(edits)
            }
            older = previous
            previous = current
        }
        return previous[b.count]
    }
}
