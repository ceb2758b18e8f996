// CodeRules.swift - words that must not stand in the code, and what stands there instead.

extension Rule {
    static let safety = [
        Rule(
            "only SpoolThreads/Time.swift reads a clock",
            instead: "Take the time as a parameter, or ask UnixTime.now() or Deadline.",
            sample: ("Sources/SpoolJobs/Late.swift", "let now = ContinuousClock.now"),
            in: { $0.isSource && $0.path != "Sources/SpoolThreads/Time.swift" },
            broken: {
                let clocks =
                    #/\b(clock_gettime|gettimeofday|ContinuousClock|SuspendingClock|Date\(\)|Date\.now|time\(nil\))/#
                return $0.codeLines(matching: clocks)
            }),
        Rule(
            "nothing is forced", instead: "Throw a SpoolError, or guard and say why it cannot be.",
            sample: ("Sources/SpoolJobs/Brave.swift", "let a = names.first! + \"!\""),
            in: { $0.isSource && $0.isSwift },
            broken: { $0.codeLines(matching: #/\b(try|as)!|[\w)\]]!(?!=)/#) }),
        Rule(
            "a stop of the program says why",
            instead: "Give it the sentence that the user will read.",
            sample: ("Sources/SpoolJobs/Mute.swift", "fatalError()"),
            in: { $0.isSource && $0.isSwift },
            broken: {
                $0.codeLines(
                    matching: #/\b(fatalError|preconditionFailure|assertionFailure)\(\s*\)/#)
            }),
        Rule(
            "memory is not asked for with malloc",
            instead: "Ask spool_has_room(): a malloc that is freed unused is optimized away.",
            sample: ("Sources/SpoolJobs/Hungry.swift", "guard let room = malloc(size) else {"),
            in: { $0.isSource && $0.isSwift },
            broken: { $0.codeLines(matching: #/\bmalloc\(/#) }),
        Rule(
            "@unchecked Sendable has its reason beside it",
            instead: "Write it as a comment on the same line or on the line above.",
            sample: (
                "Sources/SpoolJobs/Loose.swift", "\nfinal class Loose: @unchecked Sendable {}"
            ),
            in: { $0.isSource && $0.isSwift },
            broken: { file in
                file.codeLines(matching: #/@unchecked Sendable/#).filter { number in
                    let above = number > 1 ? file.lines[number - 2] : ""
                    return !file.lines[number - 1].contains(#/@unchecked Sendable.*\/\/ \w.{9}/#)
                        && !above.contains(#/^\s*\/\/ \w.{9}/#)
                }
            }),
        Rule(
            "a test waits for a condition, not for time",
            instead: "Wait with a deadline until what is expected has come true.",
            sample: ("Tests/SpoolJobsTests/Slow.swift", "usleep(1000)"),
            in: { $0.isTest && !$0.isTidy },
            broken: {
                $0.codeLines(matching: #/\b(sleep|usleep|nanosleep|clock_nanosleep)\(|\.sleep\(/#)
            }),
    ]

    static let words = [
        Rule(
            "nothing is left to do", instead: "Do it, or file an issue.",
            sample: ("docs/plan.md", "TODO" + ": write this"),
            in: { !$0.isTidy },
            broken: { $0.lines(matching: #/\b(TODO|FIXME|XXX)\b/#) }),
        Rule(
            "a type is named for what it is",
            instead:
                "Ask what it does, and take the field's word: queue, store, supervisor, lease ...",
            sample: ("Sources/SpoolJobs/JobManager.swift", "struct JobManager {}"),
            in: { $0.isOurs && !$0.isTidy },
            broken: {
                let vague = #/ (\w*(Manager|Helpers?|Utils?|Utilities|Base|Info)|Common\w*)\b/#
                let named = #/\b(?:class|struct|enum|actor|protocol|typealias)( \w+)/#
                return $0.codeLines(matching: named).filter { [code = $0.code] number in
                    code[number - 1].matches(of: named).contains {
                        $0.1.wholeMatch(of: vague) != nil
                    }
                }
            }),
        Rule(
            "a file begins with what it is for",
            instead: "First line:  // Name.swift - what it is for.",
            sample: ("Sources/SpoolJobs/Silent.swift", "import Glibc"),
            in: { $0.isOurs || ($0.isC && $0.path.hasPrefix("migrations/")) },
            broken: { ($0.lines.first ?? "").hasPrefix("// \($0.name) - ") ? [] : [1] }),
        Rule(
            "no path of one machine stands in the repository",
            instead: "Use a path from the environment, or a temporary directory.",
            sample: ("docs/place.md", "see /home/ann/spool"),
            in: { !$0.isTidy },
            broken: {
                $0.lines(matching: #/(^|[\s"'`(=])\/(work|root|home\/\w+|Users\/\w+|opt\/swift)\//#)
            }),
    ]
}
