// LineReader.swift - reads a file or stdin line by line, in large pieces.

internal import SpoolThreads

struct LineReader {
    private static let pieceSize = 256 << 10

    private let descriptor: Int32
    private let source: String
    private let terminator: UInt8
    private let longest: Int
    private var bytes: [UInt8] = []
    private var at = 0
    private var isAtEnd = false
    /// The number of the line that was read last, from 1.
    private(set) var number = 0

    /// - Parameters:
    ///   - source: What the error calls it when it cannot be read.
    ///   - longest: A longer line is refused: nothing that it could hold may be put.
    init(_ descriptor: Int32, source: String = "stdin", terminator: UInt8, longest: Int) {
        self.descriptor = descriptor
        self.source = source
        self.terminator = terminator
        self.longest = longest
    }

    /// Calls `body` with the bytes and the range of the next line, without its terminator; false at the end.
    mutating func next(
        _ body: ([UInt8], Range<Int>) throws(SpoolError) -> Void
    ) throws(SpoolError) -> Bool {
        var searched = at
        while true {
            if let stop = bytes[searched...].firstIndex(of: terminator) {
                number += 1
                let line = at..<stop
                at = stop + 1
                try body(bytes, line)
                return true
            }
            searched = bytes.count
            guard !isAtEnd else { break }
            if at > 0 {
                bytes.removeFirst(at)
                searched -= at
                at = 0
            }
            try fill()
        }
        guard at < bytes.count else { return false }
        number += 1
        let line = at..<bytes.count
        at = bytes.count
        try body(bytes, line)
        return true
    }

    /// The next lines that are there whole, at least one, with their terminators; the last may lack its own. Nil at the
    /// end. Not to be mixed with ``next(_:)``.
    mutating func nextLines() throws(SpoolError) -> [UInt8]? {
        var searched = 0
        while true {
            if let stop = bytes[searched...].lastIndex(of: terminator) {
                let lines = Array(bytes[...stop])
                bytes.removeFirst(stop + 1)
                for byte in lines where byte == terminator { number += 1 }
                return lines
            }
            searched = bytes.count
            guard !isAtEnd else { break }
            try fill()
        }
        defer { bytes = [] }
        return bytes.isEmpty ? nil : bytes
    }

    private mutating func fill() throws(SpoolError) {
        guard bytes.count <= longest else {
            throw .tooLarge(what: "line \(number + 1)", bytes: bytes.count, limit: longest)
        }
        // A long line is copied, and its value once more.
        try Descriptor.reserve(
            bytes.count + LineReader.pieceSize, in: &bytes, for: "line \(number + 1)",
            spare: 3 * bytes.count)
        let count = Descriptor.read(from: descriptor, into: &bytes, atMost: LineReader.pieceSize)
        guard count >= 0 else {
            throw .noInput(path: source, reason: SpoolError.reason(Int32(-count)))
        }
        isAtEnd = count == 0
    }
}
