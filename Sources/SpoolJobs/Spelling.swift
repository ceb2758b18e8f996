// Spelling.swift - "did you mean": the nearest of the words that would have been right.

/// Suggestions for mistyped words.
public enum Spelling {
    /// Letters from which on the beginning of a word is taken for it, as `sta` for `status`.
    private static let leastBeginning = 2

    /// The shortest candidate that begins with the word, else the one that is fewest edits away, if it is near enough
    /// to be meant: a third of the word at most.
    public static func nearest(to word: String, among candidates: [String]) -> String? {
        guard word.drop(while: { $0 == "-" }).count >= leastBeginning else {
            return mistyped(word, among: candidates)
        }
        return candidates.filter { $0.hasPrefix(word) }.min { $0.count < $1.count }
            ?? mistyped(word, among: candidates)
    }

    /// As ``nearest(to:among:)``, for a word that may well be new: the beginning of another one is no mistake then.
    public static func mistyped(_ word: String, among candidates: [String]) -> String? {
        // The dashes of an option are no letters of which some may be wrong.
        let letters = word.drop { $0 == "-" }.count
        let word = Array(word)
        let scored = candidates.map { ($0, distance(word, Array($0))) }
        guard let best = scored.min(by: { $0.1 < $1.1 }) else { return nil }
        return best.1 <= max(1, (letters + 1) / 3) ? best.0 : nil
    }

    /// Edits from one word to the other, a swap of neighbours counting as one (Damerau 1964, restricted).
    static func distance(_ a: [Character], _ b: [Character]) -> Int {
        guard !a.isEmpty, !b.isEmpty else { return max(a.count, b.count) }
        var before = [Int](repeating: 0, count: b.count + 1)
        var last = Array(0...b.count)
        for i in 1...a.count {
            var row = [i] + [Int](repeating: 0, count: b.count)
            for j in 1...b.count {
                let change = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)
                row[j] = min(change, last[j] + 1, row[j - 1] + 1)
                if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] {
                    row[j] = min(row[j], before[j - 2] + 1)
                }
            }
            (before, last) = (last, row)
        }
        return last[b.count]
    }
}
