// Tree.swift - the files of the repository, as the tidy tests read them.

import Glibc

/// A text file of the repository.
struct SourceFile: Sendable {
    /// From the top of the repository, as `Sources/SpoolJobs/Job.swift`.
    let path: String
    let lines: [String]
    /// The lines without comments and without the insides of string literals.
    let code: [String]
    let literals: [Literal]

    init(path: String, text: String) {
        self.path = path
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let isCode = [".swift", ".c", ".h"].contains { path.hasSuffix($0) }
        let lexer = isCode ? Lexer(text) : nil
        code =
            lexer.map {
                String($0.code).split(separator: "\n", omittingEmptySubsequences: false).map(
                    String.init)
            } ?? lines
        literals = lexer?.literals ?? []
    }

    var name: String { path.split(separator: "/").last.map(String.init) ?? path }
    var isSwift: Bool { path.hasSuffix(".swift") }
    var isC: Bool { path.hasSuffix(".c") || path.hasSuffix(".h") }
    var isSource: Bool { path.hasPrefix("Sources/") && (isSwift || isC) }
    var isTest: Bool { path.hasPrefix("Tests/") && isSwift }
    /// Ours, wherever it stands.
    var isOurs: Bool { isSource || isTest || path.hasPrefix("Examples/") && isSwift }
    /// The tidy tests hold samples of everything that they forbid.
    var isTidy: Bool { path.hasPrefix("Tests/TidyTests/") }
}

/// The repository that this file was compiled in.
enum Tree {
    static let top = String(#filePath.dropLast("/Tests/TidyTests/Tree.swift".count))
    static let files: [SourceFile] = paths(below: "").map { SourceFile(path: $0, text: read($0)) }

    static func read(_ path: String) -> String {
        guard let file = fopen("\(top)/\(path)", "r") else { return "" }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = fread(&buffer, 1, buffer.count, file), count > 0 {
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func exists(_ path: String) -> Bool { access("\(top)/\(path)", F_OK) == 0 }

    /// The paths of the files below a folder ("" or ending with "/") in order; build products are none of ours.
    static func paths(below folder: String) -> [String] {
        guard let handle = opendir("\(top)/\(folder)") else { return [] }
        defer { closedir(handle) }
        var found: [String] = []
        while let entry = readdir(handle) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if Int32(entry.pointee.d_type) == Int32(DT_DIR) {
                if name.first == ".", name != ".ci" { continue }
                found += paths(below: "\(folder)\(name)/")
            } else if isText(name) {
                found.append(folder + name)
            }
        }
        return found.sorted()
    }

    private static func isText(_ name: String) -> Bool {
        let endings = ["swift", "c", "h", "modulemap", "sql", "md", "py"]
        guard let dot = name.lastIndex(of: ".") else { return name != "LICENSE" }
        return endings.contains(String(name[name.index(after: dot)...]))
    }
}
