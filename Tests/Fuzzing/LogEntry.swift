// LogEntry.swift - the log of a command and its index, which the command itself or anybody may have written.

private import Glibc
@testable private import SpoolCommand
private import SpoolJobs
internal import SpoolThreads

extension FuzzEntry {
    /// One byte says how many records the index has; then the records, then the log.
    static let log = FuzzEntry("log", seeds: logSeeds) { bytes, _ in
        let size = min(Int(bytes.first ?? 0) * LogIndex.size, max(0, bytes.count - 1))
        let place = try Scratch.own()
        let files = StoreFiles(place + "/log.db")
        mkdir(files.directory, 0o700)
        mkdir(files.logs, 0o700)
        let log = Array(bytes.dropFirst(1 + size))
        try Scratch.write(Array(bytes.dropFirst().prefix(size)), to: files.logIndex(1, attempt: 1))
        try Scratch.write(log, to: files.log(1, attempt: 1))
        try demand(read(files, .both) == log, "the log is not shown as it is")
        let errors = read(files, .errorOnly)
        try demand(errors.count <= log.count, "more of stderr than the log has")
        try demand(isPart(errors, of: log), "stderr is not a part of the log")
        for lines in [1, 2, 300] {
            let last = LogFile.lastLines(files.log(1, attempt: 1), lines)
            try demand(log.suffix(last.count) == last[...], "the last lines are not the last")
            let ends = last.dropLast().count { $0 == 0x0A }
            try demand(ends < lines, "\(ends + 1) lines for \(lines)")
        }
        try checkEscapes(log)
    }

    private static func read(_ files: StoreFiles, _ streams: LogStreams) -> [UInt8] {
        var tail = LogTail(files, 1, attempt: 1, streams: streams)
        var all: [UInt8] = []
        while let piece = tail.next() { all += piece }
        return all
    }

    /// Whether `some` is what is left of `all` when bytes are taken out.
    private static func isPart(_ some: [UInt8], of all: [UInt8]) -> Bool {
        var rest = some[...]
        for byte in all where byte == rest.first { rest.removeFirst() }
        return rest.isEmpty
    }

    /// S4: nothing that moves the cursor or turns the reading direction comes through.
    private static func checkEscapes(_ bytes: [UInt8]) throws {
        let shown = Escaping.output(bytes)
        try demand(Escaping.output(Array(shown.utf8)) == shown, "what is safe is escaped again")
        let line = Escaping.line(bytes.text)
        for scalar in shown.unicodeScalars where scalar != "\n" && scalar != "\t" {
            try demand(isSafe(scalar), "U+\(String(scalar.value, radix: 16)) is shown")
        }
        for scalar in line.unicodeScalars {
            try demand(isSafe(scalar), "U+\(String(scalar.value, radix: 16)) is in a line")
        }
        try demand(line.utf8.count <= 12 * bytes.count, "escapes of \(line.utf8.count) bytes")
    }

    private static func isSafe(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate:
            isHarmlessFormat(scalar)
        default: true
        }
    }

    /// Format characters that have a width and no power: signs before Arabic and Kaithi numbers.
    private static func isHarmlessFormat(_ scalar: Unicode.Scalar) -> Bool {
        [0x600...0x605, 0x6DD...0x6DD, 0x70F...0x70F, 0x890...0x891, 0x8E2...0x8E2]
            .contains { $0.contains(scalar.value) }
            || [0x110BD, 0x110CD].contains(scalar.value)
            || (0x13430...0x1345F).contains(scalar.value)
    }

    private static var logSeeds: [[UInt8]] {
        func record(_ length: UInt32, _ stream: UInt8) -> [UInt8] {
            [UInt8](repeating: 0, count: 8)
                + (0..<4).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) }
                + [stream, 0, 0, 0]
        }
        let text = Array("one\ntwo\n\u{1B}[31mred\u{202E}\r\n".utf8)
        return [
            [2] + record(4, 1) + record(4, 2) + text, [0] + text, [1] + record(.max, 2) + text,
            [3] + record(100, 1) + record(5, 2) + record(0, 2) + text, [1, 0, 0],
        ]
    }
}

/// A directory of this process for the files that an input is written to.
enum Scratch {
    private static let made: Result<String, Broken> = {
        let parent = getenv("SPOOL_FUZZ_DIRECTORY").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(parent)/spool-fuzz-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { return .failure(Broken("no room in \(parent)")) }
        atexit { Scratch.remove() }
        let path = template.dropLast().map(UInt8.init(bitPattern:))
        return .success(String(decoding: path, as: UTF8.self))
    }()

    /// At the end of the process: nobody writes there any more.
    private static func remove() {
        if case .success(let path) = made { remove(path) }
    }

    private static func remove(_ path: String) {
        if let directory = opendir(path) {
            while let next = readdir(directory) {
                let name = withUnsafePointer(to: &next.pointee.d_name) {
                    String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
                }
                if name != ".", name != ".." { remove("\(path)/\(name)") }
            }
            closedir(directory)
        }
        Glibc.remove(path)
    }

    static func own() throws -> String { try made.get() }

    static func write(_ bytes: [UInt8], to path: String) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw Broken("cannot write \(path)") }
        defer { close(file) }
        try demand(Glibc.write(file, bytes, bytes.count) == bytes.count, "cannot write \(path)")
    }

    static func read(_ path: String) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [] }
        defer { close(file) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = Glibc.read(file, &piece, piece.count), count > 0 {
            bytes += piece[..<count]
        }
        return bytes
    }
}
