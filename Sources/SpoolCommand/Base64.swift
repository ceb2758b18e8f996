// Base64.swift - bytes that are no text, in JSON: the standard alphabet of RFC 4648, with padding.

enum Base64 {
    private static let alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let padding = UInt8(ascii: "=")

    /// What each byte stands for; 255: nothing.
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 255, count: 256)
        for (value, letter) in alphabet.enumerated() { values[Int(letter)] = UInt8(value) }
        return values
    }()

    static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let count = min(3, bytes.count - start)
            var bits = 0
            for index in start..<(start + 3) {
                bits = bits << 8 | (index < bytes.count ? Int(bytes[index]) : 0)
            }
            for index in 0..<4 {
                let digit = alphabet[bits >> (18 - 6 * index) & 63]
                text.append(index <= count ? digit : padding)
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Nil for anything that ``encode(_:)`` does not write: no white space, no missing padding, no bits left over.
    static func decode(_ text: String) -> [UInt8]? {
        let letters = Array(text.utf8)
        guard letters.count % 4 == 0 else { return nil }
        let padded = letters.suffix(2).count { $0 == padding }
        let digits = letters.dropLast(padded)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(letters.count / 4 * 3)
        var bits = 0
        var count = 0
        for letter in digits {
            let value = values[Int(letter)]
            guard value < 64 else { return nil }
            bits = bits << 6 | Int(value)
            count += 6
            guard count >= 8 else { continue }
            count -= 8
            bytes.append(UInt8(bits >> count))
            bits &= 1 << count - 1
        }
        return bits == 0 ? bytes : nil
    }
}
