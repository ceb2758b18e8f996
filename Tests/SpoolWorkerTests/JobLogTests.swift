// JobLogTests.swift - what an attempt wrote, kept.

import Glibc
import SpoolThreads
import Testing

@testable import SpoolWorker

@Suite("The log of an attempt") struct JobLogTests {
    let directory: String

    init() {
        var template = Array("/tmp/spool-log-XXXXXX".utf8CString)
        _ = mkdtemp(&template)
        directory = String(
            decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    var path: String { directory + "/1.1" }
    let noon = UnixTime(microseconds: 1_800_000_000_000_000)

    func content(_ path: String) -> [UInt8]? {
        let file = open(path, O_RDONLY)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        return Array(bytes[..<max(0, read(file, &bytes, bytes.count))])
    }

    func write(_ pieces: [(String, UInt32)], limit: Int64 = 1 << 20) {
        var log = JobLog(path: path, limit: limit)
        for (text, stream) in pieces {
            Array(text.utf8).withUnsafeBytes { log.append($0, stream: stream, now: noon) }
        }
        log.finish(now: noon)
    }

    @Test("is not made by a command that writes nothing")
    func nothing() {
        write([])
        #expect(content(path + ".log") == nil && content(path + ".idx") == nil)
    }

    @Test("holds both streams as they came, and an index that tells them apart")
    func streams() throws {
        write([("out", 1), ("err!", 2)])
        #expect(content(path + ".log") == Array("outerr!".utf8))
        let index = try #require(content(path + ".idx"))
        #expect(index.count == 32)
        #expect(index[8] == 3 && index[12] == 1 && index[24] == 4 && index[28] == 2)
    }

    @Test("keeps the first bytes up to its limit and says how many it dropped")
    func limit() throws {
        write([("12345678", 1), ("90", 2)], limit: 5)
        let text = String(decoding: try #require(content(path + ".log")), as: UTF8.self)
        #expect(text == "12345\n[spool: 5 more bytes were not kept, the limit is 5]\n")
    }

    @Test("P5: is private, and does not follow a link that somebody planted")
    func planted() throws {
        let victim = directory + "/victim"
        close(open(victim, O_WRONLY | O_CREAT, 0o600))
        symlink(victim, path + ".log")
        write([("secret", 1)])
        #expect(content(victim) == [])
        #expect(content(path + ".log") == Array("secret".utf8))
        var status = stat()
        lstat(path + ".log", &status)
        #expect(status.st_mode & 0o777 == 0o600 && status.st_mode & S_IFMT == S_IFREG)
    }

    @Test("has records that add up to its bytes, the last line included")
    func records() throws {
        write([("12345678", 1), ("90", 2)], limit: 5)
        let index = try #require(content(path + ".idx"))
        let lengths = stride(from: 8, to: index.count, by: 16).map { Int(index[$0]) }
        #expect(lengths.reduce(0, +) == content(path + ".log")?.count)
        #expect(index[index.count - 4] == 2)
    }

    @Test("is not made when nothing may be kept, and loses no job when it cannot be made")
    func impossible() {
        write([("text", 1)], limit: 0)
        #expect(content(path + ".log") == nil)
        mkdir(path + ".idx", 0o700)
        write([("text", 1), ("more", 2)])
        var status = stat()
        #expect(lstat(path + ".idx", &status) == 0 && status.st_mode & S_IFMT == S_IFDIR)
    }

    @Test("says why it does not hold all that was written, and only then")
    func loss() {
        var whole = JobLog(path: path, limit: 4)
        Array("12345".utf8).withUnsafeBytes { whole.append($0, stream: 1, now: noon) }
        whole.finish(now: noon)
        #expect(whole.loss == nil)
        mkdir(directory + "/2.1.idx", 0o700)
        var broken = JobLog(path: directory + "/2.1", limit: 4)
        Array("1".utf8).withUnsafeBytes { broken.append($0, stream: 1, now: noon) }
        broken.finish(now: noon)
        #expect(broken.loss == "its output was not kept whole: File exists")
    }

    @Test("begins anew where a lost attempt of that number left one")
    func leftover() {
        write([("old and long", 1)])
        write([("new", 1)])
        #expect(content(path + ".log") == Array("new".utf8))
        #expect(content(path + ".idx")?.count == 16)
    }
}
