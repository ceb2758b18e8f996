// OnceEach.swift - ids as people list them: one that is named twice is meant once.

extension [Int64] {
    /// In their order, each the first time it comes.
    package var onceEach: [Int64] {
        var seen: Set<Int64> = []
        return filter { seen.insert($0).inserted }
    }
}
