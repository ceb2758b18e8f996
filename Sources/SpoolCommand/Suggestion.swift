// Suggestion.swift - "did you mean": the sentence for a mistyped word.

internal import SpoolJobs

enum Suggestion {
    /// The known word that is nearest to what was typed, if it is near enough to be meant.
    static func nearest(to word: String, among known: [String]) -> String? {
        guard word.utf8.count <= 64 else { return nil }
        return Spelling.nearest(to: word, among: known)
    }

    /// As ``nearest(to:among:)``, for a word that may well be new.
    static func mistyped(_ word: String, among known: [String]) -> String? {
        guard word.utf8.count <= 64 else { return nil }
        return Spelling.mistyped(word, among: known)
    }

    /// The sentence to append, with a space before it; empty when nothing is near.
    static func sentence(for word: String, among known: [String]) -> String {
        nearest(to: word, among: known).map { " Did you mean '\($0)'?" } ?? ""
    }
}
