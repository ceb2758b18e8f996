// LinesEntry.swift - a file or stdin, line by line, in whatever pieces it comes.

private import Glibc
@testable private import SpoolCommand
internal import SpoolThreads

extension FuzzEntry {
    private static let longest = 64

    /// One byte chooses the terminator; 0xFF ends a piece, which comes as one read.
    static let lines = FuzzEntry(
        "lines",
        seeds: [
            Array("\u{1}one\ntwo\n\nthree".utf8), Array("\u{0}a\0\0b\0".utf8),
            [1, 97, 0xFF, 10, 0xFF, 98],
            [1] + [UInt8](repeating: 97, count: 90) + [0xFF, 97, 10], [1, 0xFF, 0xFF, 10],
        ]
    ) { bytes, _ in
        let terminator: UInt8 = bytes.first == 0 ? 0 : 0x0A
        // As many as a socket holds that nobody reads yet.
        let pieces = bytes.dropFirst().split(separator: 0xFF).prefix(8).map {
            Array($0.prefix(512))
        }
        let descriptor = try socket(with: pieces)
        defer { close(descriptor) }
        var reader = LineReader(descriptor, terminator: terminator, longest: longest)
        var found: [[UInt8]] = []
        while try answer(
            to: bytes,
            { () throws(SpoolError) in
                try reader.next { (bytes, line) throws(SpoolError) in
                    found.append(Array(bytes[line]))
                }
            }) == true
        {}
        try demand(reader.number == found.count, "line \(reader.number) of \(found.count)")
        let all = Array(pieces.joined())
        var expected = all.split(separator: terminator, omittingEmptySubsequences: false).map(
            Array.init)
        if expected.last == [] { expected.removeLast() }
        try demand(
            found.count <= expected.count && found == Array(expected.prefix(found.count)),
            "\(found.map(\.text)) of \(all.text)")
        // Only a line that may be too long ends the reading early.
        let isLong = expected.contains { $0.count >= longest }
        try demand(isLong || found == expected, "\(expected.count - found.count) lines are lost")
        try readWhole(bytes, pieces, terminator, all, isLong)
    }

    /// The same in pieces of whole lines.
    private static func readWhole(
        _ bytes: [UInt8], _ pieces: [[UInt8]], _ terminator: UInt8, _ all: [UInt8], _ isLong: Bool
    ) throws {
        let descriptor = try socket(with: pieces)
        defer { close(descriptor) }
        var reader = LineReader(descriptor, terminator: terminator, longest: longest)
        var found: [UInt8] = []
        var isWhole = true
        while let lines = try answer(
            to: bytes, { () throws(SpoolError) in try reader.nextLines() ?? [] }), !lines.isEmpty
        {
            try demand(isWhole, "lines come after one that was cut")
            isWhole = lines.last == terminator
            found += lines
        }
        try demand(all.starts(with: found), "\(found.text) of \(all.text)")
        try demand(isLong || found == all, "\(all.count - found.count) bytes are lost")
    }

    /// What reads them one by one.
    private static func socket(with pieces: [[UInt8]]) throws -> Int32 {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0, &ends) == 0 else {
            throw Broken("no sockets: \(SpoolError.reason(errno))")
        }
        for piece in pieces {
            try demand(send(ends[1], piece, piece.count, 0) == piece.count, "a piece was not sent")
        }
        close(ends[1])
        return ends[0]
    }
}
