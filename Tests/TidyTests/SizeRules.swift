// SizeRules.swift - files, functions and lines that fit into a reader's head.

extension Rule {
    static let sizes = [
        Rule(
            "a file has at most 400 lines", instead: "Split it where a second subject begins.",
            sample: ("Sources/SpoolJobs/Long.swift", String(repeating: "let a = 1\n", count: 401)),
            in: { $0.isOurs },
            broken: { $0.lines.count > 401 ? [401] : [] }),
        Rule(
            "a line has at most 120 characters", instead: "Break it; swift format -i does.",
            sample: ("Sources/SpoolJobs/Wide.swift", String(repeating: "a", count: 121)),
            in: { $0.isOurs },
            broken: { file in
                file.lines.indices.filter { file.lines[$0].count > 120 }.map { $0 + 1 }
            }),
        Rule(
            "a function has at most 40 lines", instead: "Give a step of it a name of its own.",
            sample: (
                "Sources/SpoolJobs/Deep.swift",
                "func deep() {\n" + String(repeating: "    step()\n", count: 39) + "}\n"
            ),
            in: { $0.isOurs },
            broken: { Functions.longer(than: 40, in: $0) }),
    ]
}

/// Finds the bodies of functions by counting braces in text that has no comments and no literals.
enum Functions {
    /// The lines on which functions begin that are longer than `limit`, signature and closing brace included.
    static func longer(than limit: Int, in file: SourceFile) -> [Int] {
        file.code.indices.compactMap { start in
            guard begins(file.code[start], file), let end = end(from: start, in: file.code) else {
                return nil
            }
            return end - start + 1 > limit ? start + 1 : nil
        }
    }

    private static func begins(_ line: String, _ file: SourceFile) -> Bool {
        if file.isC { return line.contains(#/^[A-Za-z_].*\)/#) && !line.hasSuffix(";") }
        return line.contains(#/^\s*([\w@()]+ )*(func|init|deinit|subscript)\b.*[({]/#)
            || line.contains(#/^\s*([\w@()]+ )*var \w+[^=]*\{\s*$/#)
    }

    /// The line of the brace that closes the body of what begins at `start`; nil if it has no body.
    private static func end(from start: Int, in code: [String]) -> Int? {
        var parentheses = 0
        var braces = 0
        for index in start..<code.count {
            let startsAnother = index > start && braces == 0 && parentheses == 0
            if startsAnother,
                code[index].contains(#/^\s*(func|var|let|init|case|static|public|@)\b/#)
            {
                return nil
            }
            for sign in code[index] {
                switch sign {
                case "(", "[": parentheses += 1
                case ")", "]": parentheses -= 1
                case "{" where parentheses == 0 || braces > 0: braces += 1
                case "}" where parentheses == 0 || braces > 0:
                    braces -= 1
                    if braces <= 0 { return braces == 0 ? index : nil }
                default: break
                }
            }
        }
        return nil
    }
}
