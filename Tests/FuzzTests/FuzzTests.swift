// FuzzTests.swift - the inputs that the fuzzers kept, again; and that the rig notices what it is there for.

import Fuzzing
private import Glibc
import Testing

@Suite("Bytes from outside", .serialized)
struct FuzzTests {
    @Test(
        "Z, I2, I4: are read or refused with a sentence, come back as they were written, cost what they are worth",
        arguments: FuzzEntry.all.map(\.name))
    func kept(_ name: String) throws {
        let entry = try #require(FuzzEntry.named(name))
        let files = Corpus.files(of: name)
        #expect(!files.isEmpty, "nothing is kept in Tests/Corpora/\(name)")
        for (file, bytes) in files {
            #expect(throws: Never.self, "Tests/Corpora/\(name)/\(file)") { try entry.check(bytes) }
        }
        for seed in entry.seeds { #expect(throws: Never.self) { try entry.check(seed) } }
    }

    @Test("Z, I4: the rig notices a reader that makes room for what a length claims")
    func trustedLength() throws { try expectNoticed(.trustedLength, by: "frames") }

    @Test("Z, I2: the rig notices words that are quoted without care")
    func carelessQuotes() throws { try expectNoticed(.carelessQuotes, by: "words") }

    private func expectNoticed(_ broken: FuzzBreak, by name: String) throws {
        let entry = try #require(FuzzEntry.named(name))
        let inputs = entry.seeds + Corpus.files(of: name).map(\.bytes)
        let notice = inputs.filter { input in
            #expect(throws: Never.self) { try entry.check(input) }
            return (try? entry.check(input, broken: broken)) == nil
        }
        #expect(!notice.isEmpty)
    }
}

/// What Tests/Corpora holds for an entry.
private enum Corpus {
    static let top = String(#filePath.dropLast("FuzzTests/FuzzTests.swift".count)) + "Corpora/"

    static func files(of entry: String) -> [(name: String, bytes: [UInt8])] {
        guard let directory = opendir(top + entry) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let next = readdir(directory) {
            names.append(
                withUnsafePointer(to: &next.pointee.d_name) {
                    String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
                })
        }
        return names.filter { !$0.hasPrefix(".") }.sorted().map {
            ($0, read("\(top)\(entry)/\($0)"))
        }
    }

    private static func read(_ path: String) -> [UInt8] {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        // In two steps: what is asked for its prefix before it is filled stays as it was.
        let count = fread(&bytes, 1, bytes.count, file)
        return Array(bytes.prefix(count))
    }
}
