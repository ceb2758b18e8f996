// Fuzzers.swift - libFuzzer with an entry of Spool's: scripts/fuzz builds and runs it.
//
//     Fuzzers                                            the names of the entries
//     Fuzzers ENTRY seeds DIRECTORY                      writes the inputs that were made by hand
//     Fuzzers ENTRY [break NAME] [libFuzzer's words]     searches, or runs the files that are named
//
// A promise that does not hold ends the program, as libFuzzer wants it: it keeps the input.

private import CFuzzer
internal import Fuzzing
private import Glibc
internal import SpoolThreads

@main
enum Fuzzers {
    static func main() throws {
        let words = CommandLine.arguments
        guard words.count > 1 else { return FuzzEntry.all.forEach { print($0.name) } }
        guard let entry = FuzzEntry.named(name(words[1])) else {
            throw SpoolError.usage("there is no entry '\(words[1])'.")
        }
        setenv(Self.variable, entry.name, 1)
        if words.count == 4, words[2] == "seeds" { return try write(entry.seeds, to: words[3]) }
        var broken: FuzzBreak?
        if words.count > 3, words[2] == "break" {
            guard let known = FuzzBreak(rawValue: words[3]) else {
                throw SpoolError.usage("there is no break '\(words[3])'.")
            }
            broken = known
        }
        Attack.current = Attack(entry: entry, broken: broken)
        search(dropping: words[1].hasPrefix("-") ? 0 : broken == nil ? 1 : 3)
    }

    /// What a copy of this program is to attack that libFuzzer started itself, with its own words alone.
    private static let variable = "SPOOL_FUZZ_ENTRY"

    private static func name(_ word: String) -> String {
        guard word.hasPrefix("-"), let name = getenv(variable) else { return word }
        return String(cString: name)
    }

    private static func search(dropping dropped: Int) {
        let arguments = CommandLine.unsafeArgv
        arguments[dropped] = arguments[0]
        var count = CommandLine.argc - Int32(dropped)
        var words: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = arguments + dropped
        let status = fuzzer_run(&count, &words) { start, count in
            Attack.current?.strike(Array(UnsafeBufferPointer(start: start, count: count)))
            return 0
        }
        exit(status)
    }

    private static func write(_ seeds: [[UInt8]], to directory: String) throws {
        for (index, seed) in seeds.enumerated() {
            guard let file = fopen("\(directory)/seed-\(index)", "w") else {
                throw SpoolError.usage("\(directory) cannot be written.")
            }
            fwrite(seed, 1, seed.count, file)
            fclose(file)
        }
    }
}

/// What is attacked. libFuzzer calls one function, from one thread, and hands nothing through.
private struct Attack {
    nonisolated(unsafe) static var current: Attack?  // set once, before the only thread begins

    let entry: FuzzEntry
    let broken: FuzzBreak?

    func strike(_ bytes: [UInt8]) {
        do {
            try entry.check(bytes, broken: broken)
        } catch {
            fatalError("\(entry.name): \(error)")
        }
    }
}
