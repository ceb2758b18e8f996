// Program.swift - what the program was told to play, and how it says what went wrong.

import Glibc
import SpoolThreads

/// What went wrong, in a sentence.
struct Wrong: Error {
    let text: String
    init(_ text: String) { self.text = text }
}

/// Stops the scenario unless it holds.
func check(_ holds: Bool, _ text: @autoclosure () -> String) throws {
    if !holds { throw Wrong(text()) }
}

/// The longest that anything here may take.
let patience = Duration.seconds(20)

/// Looks until it holds.
func eventually(_ holds: () -> Bool) -> Bool {
    let deadline = Deadline(after: patience)
    while !holds() {
        guard !deadline.isPast else { return false }
        Pause.briefly(upTo: .milliseconds(1))
    }
    return true
}

enum Program {
    static func run(_ words: [String]) -> Never {
        do {
            if words.first == "kill", words.count >= 4, let rounds = Int(words[2]),
                let seed = UInt64(words[3])
            {
                let limit = words.count > 4 ? Int(words[4]) ?? 10_000 : 10_000
                let rig = try KillRig(kind: words[1], seed: seed, tooLong: .milliseconds(limit))
                print(try rig.strike(rounds))
            } else if words.first == "step", words.count == 4, let limit = Int(words[2]),
                let seed = UInt64(words[3])
            {
                print(try StepRig(kind: words[1]).strike(limit, seed: seed))
            } else if let scenario = words.first.flatMap({ Scenario.all[$0] }) {
                try scenario()
                print("ok")
            } else {
                throw Wrong("no scenario \(words)")
            }
        } catch let wrong as Wrong {
            print("wrong: \(wrong.text)")
            exit(1)
        } catch {
            print("wrong: \(error)")
            exit(1)
        }
        exit(0)
    }
}
