// PutTemplate.swift - `put --each`: one job for each line of stdin, with {} and its relatives as in GNU parallel.

internal import SpoolJobs
internal import SpoolThreads

/// Makes a job's work from a line.
///
/// `{}` is the line, `{.}` without its extension, `{/}` the name without directories, `{//}` the directory, `{/.}` the
/// name without extension. A command without any of them gets the line as its last word. Words are replaced as text,
/// also inside `sh -c 'echo {}'`; in -c TEXT the line is quoted, so that no line can become shell code.
struct PutTemplate {
    private enum Form { case words([[Piece]]), shell([Piece]), json(kind: String) }
    private enum Piece { case text([UInt8]), hole(Hole) }
    private enum Hole: String, CaseIterable {
        case line = "{}", stem = "{.}", name = "{/}", directory = "{//}", nameStem = "{/.}"
    }

    private let form: Form

    init(_ arguments: PutArguments) throws(SpoolError) {
        if let kind = try arguments.text(.kind) {
            form = .json(kind: kind)
        } else if let text = arguments.values[.shell] {
            let pieces = PutTemplate.pieces(text)
            let space = Piece.text([UInt8(ascii: " ")])
            form = .shell(
                PutTemplate.hasHole(pieces) ? pieces : pieces + [space, .hole(.line)])
        } else {
            let words = arguments.words.map(PutTemplate.pieces)
            form = .words(
                words.contains(where: PutTemplate.hasHole) ? words : words + [[.hole(.line)]])
        }
    }

    /// The model job with the line filled in.
    func job(_ model: NewJob, line: [UInt8], number: Int) throws(SpoolError) -> NewJob {
        var job = model
        switch form {
        case .words(let words):
            job.work = .command(words.map { PutTemplate.fill($0, line) { $0 } })
        case .shell(let pieces):
            let text = PutTemplate.fill(pieces, line) { Words.quote([$0]) }
            job.work = .command([Array("sh".utf8), Array("-c".utf8), text])
        case .json(let kind):
            do throws(SpoolError) {
                job.body = .json(try PutPlan.checkedJSON(line, kind: kind))
            } catch {
                throw .badInput("stdin:\(number): \(error.message)", hint: "Nothing was put.")
            }
            return job
        }
        do throws(SpoolError) { try CommandLimits.check(job) } catch {
            throw .badInput("stdin:\(number): \(error.message)", hint: "Nothing was put.")
        }
        return job
    }

    private static func hasHole(_ pieces: [Piece]) -> Bool {
        pieces.contains { if case .hole = $0 { true } else { false } }
    }

    private static func pieces(_ word: [UInt8]) -> [Piece] {
        var pieces: [Piece] = []
        var text: [UInt8] = []
        var at = 0
        while at < word.count {
            let rest = word[at...]
            guard let hole = Hole.allCases.first(where: { rest.starts(with: $0.rawValue.utf8) })
            else {
                text.append(word[at])
                at += 1
                continue
            }
            if !text.isEmpty { pieces.append(.text(text)) }
            text = []
            pieces.append(.hole(hole))
            at += hole.rawValue.utf8.count
        }
        if !text.isEmpty || pieces.isEmpty { pieces.append(.text(text)) }
        return pieces
    }

    private static func fill(
        _ pieces: [Piece], _ line: [UInt8], _ quote: ([UInt8]) -> [UInt8]
    ) -> [UInt8] {
        var word: [UInt8] = []
        for piece in pieces {
            switch piece {
            case .text(let text): word += text
            case .hole(let hole): word += quote(value(of: hole, line))
            }
        }
        return word
    }

    private static func value(of hole: Hole, _ line: [UInt8]) -> [UInt8] {
        let slash = line.lastIndex(of: UInt8(ascii: "/"))
        let name = slash.map { Array(line[($0 + 1)...]) } ?? line
        switch hole {
        case .line: return line
        case .stem: return stem(line)
        case .name: return name
        case .nameStem: return stem(name)
        case .directory:
            guard let slash else { return [UInt8(ascii: ".")] }
            return slash == 0 ? [UInt8(ascii: "/")] : Array(line[..<slash])
        }
    }

    /// Up to the last dot of the last component; a leading dot begins a name, not an extension.
    private static func stem(_ path: [UInt8]) -> [UInt8] {
        let start = path.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? 0
        guard let dot = path.lastIndex(of: UInt8(ascii: ".")), dot > start else { return path }
        return Array(path[..<dot])
    }
}
