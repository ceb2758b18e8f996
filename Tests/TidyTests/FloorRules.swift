// FloorRules.swift - what a floor may import, and where SQL may stand.

/// The floors of the house, as docs/ARCHITECTURE.md draws them: a target imports strictly downward.
enum Floors {
    static let of = [
        "CSpool": 0, "CSQLite": 0, "Migrations": 0, "SpoolThreads": 1, "SpoolSelectors": 2,
        "SpoolQueues": 2,
        "SpoolProcesses": 3,
        "SpoolJobs": 4, "SpoolWorker": 5, "Spool": 6, "SpoolCommand": 6,
    ]
    /// Modules of others, and the lowest floor that may import each.
    static let others = ["Glibc": 0, "Synchronization": 0, "Foundation": 6, "ArgumentParser": 6]

    /// The numbers of the lines of `file` that import what its floor must not.
    static func broken(_ file: SourceFile) -> [Int] {
        let parts = file.path.split(separator: "/")
        guard parts.count > 2, let floor = of[String(parts[1])] else { return [1] }
        return file.code.indices.compactMap { index in
            guard
                let match = file.code[index].firstMatch(
                    of: #/^\s*(?:[@\w]+ )*import (?:\w+ )?(\w+)/#)
            else {
                return nil
            }
            let module = String(match.1)
            let allowed =
                of[module].map { $0 < floor } ?? others[module].map { $0 <= floor } ?? false
            return allowed ? nil : index + 1
        }
    }
}

extension Rule {
    /// A literal that is a statement of SQL.
    private static func isSQL(_ literal: Literal) -> Bool {
        literal.text.contains(#/\b(SELECT|INSERT (OR \w+ )?INTO|UPDATE \w+ SET|DELETE FROM) /#)
    }

    static let floors = [
        Rule(
            "imports go downward",
            instead: "Move the code to the floor that may, or list a new target in Floors.",
            sample: ("Sources/SpoolThreads/Upward.swift", "private import SpoolJobs"),
            in: { $0.isSource && $0.isSwift }, broken: Floors.broken),
        Rule(
            "Foundation stays on the floor of the commands",
            instead: "Use Glibc: Foundation costs every start of spool some milliseconds.",
            sample: ("Sources/SpoolWorker/Heavy.swift", "private import Foundation"),
            in: { $0.isSource && !$0.path.hasPrefix("Sources/SpoolCommand/") },
            broken: { $0.codeLines(matching: #/\bimport (\w+ )?Foundation(Essentials)?\b/#) }),
        Rule(
            "SQL stands in the store's files only",
            instead: "Give SpoolJobs/Store a method that says what is wanted.",
            sample: ("Sources/SpoolCommand/Direct.swift", "run(\"SELECT id FROM job\")"),
            in: {
                $0.isSource && $0.isSwift
                    && !$0.path.contains(
                        #/^Sources\/SpoolJobs\/(Store|SQLite)[^\/]*\.swift$/#)
            },
            broken: { $0.literals.filter(isSQL).map(\.line) }),
        Rule(
            "S1: no SQL is built from text", instead: "Bind the value as a parameter.",
            sample: (
                "Sources/SpoolJobs/StoreUnsafe.swift",
                "run(\"SELECT id FROM job WHERE id = \\(id)\")"
            ),
            in: { $0.isSource && $0.isSwift },
            broken: { file in
                file.literals.filter { isSQL($0) && ($0.hasInterpolation || $0.next == "+") }.map(
                    \.line)
            }),
    ]
}
