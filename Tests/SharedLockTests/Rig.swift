// Rig.swift - runs SharedLockRig, a fresh program that forks its children.

import Glibc
import Patience
import SpoolProcesses
import SpoolThreads
import Testing

enum Rig {
    /// The built programs stand beside the test's own.
    static let path: String = {
        var path = [CChar](repeating: 0, count: 4096)
        let length = readlink("/proc/self/exe", &path, path.count)
        let own = String(
            decoding: path.prefix(max(0, length)).map(UInt8.init(bitPattern:)), as: UTF8.self)
        return own.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 } + "/SharedLockRig"
    }()

    /// What it printed, and whether it ended well.
    /// - Parameter under: Words before the program's own: another that runs it.
    static func run(_ words: [String], under: [String] = []) throws -> (text: String, isGood: Bool)
    {
        let output = try Descriptor.memory([])
        let input = try Descriptor.null()
        let command = Command(
            (under + [path] + words).map { Array($0.utf8) },
            environment: [
                "PATH=/usr/bin:/bin", "SWIFT_BACKTRACE=enable=no",
            ].map { Array($0.utf8) })
        let end = try command.start(
            .init(input: input.number, output: output.number, error: output.number)
        ).reapInTime("SharedLockRig")
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = pread(output.number, &bytes, bytes.count, 0)
        return (String(decoding: bytes[..<max(0, count)], as: UTF8.self), end.exit == 0)
    }

    /// How often a rig strikes: few in CI, as many as SPOOL_ROUNDS says otherwise.
    static func rounds(_ few: Int) -> Int {
        getenv("SPOOL_ROUNDS").flatMap { Int(String(cString: $0)) } ?? few
    }
}

/// Plays a scenario, which says "ok" or what was wrong.
func play(_ scenario: String, _ location: SourceLocation = #_sourceLocation) throws {
    let (text, isGood) = try Rig.run([scenario])
    #expect(isGood && text.hasSuffix("ok\n"), "\(text)", sourceLocation: location)
}
