// WordsTests.swift - argument vectors as lines.

import SpoolJobs
import Testing

@Suite("The words of a command") struct WordsTests {
    @Test(
        "I2: come back from their quoted line byte for byte",
        arguments: [["a"], ["sh", "-c", "echo 'it'"], ["", " ", "\\", "x\ny"]])
    func roundTrip(_ words: [String]) {
        let bytes = words.map { Array($0.utf8) }
        #expect(Words.parse(Words.quote(bytes)) == bytes)
    }

    @Test("I2: come back with each byte that a word can have, between plain ones and alone")
    func everyByte() {
        let letter = UInt8(ascii: "a")
        let words = (UInt8(1)...255).flatMap { [[$0], [letter, $0, letter]] }
        #expect(Words.parse(Words.quote(words)) == words)
    }
}
