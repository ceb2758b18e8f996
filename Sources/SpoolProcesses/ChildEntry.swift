// ChildEntry.swift - work that another process of this program can be asked for by name.

private import Glibc
internal import SpoolThreads

/// A function of this program that runs in a child process: what `target` is for Python's Process.
///
/// A closure cannot travel to another process, but a name and a Codable input can. Make entries as constants, in a file
/// other than main.swift, and register them with ``ChildProcess/serveIfAsked(_:)`` first of all in main.
///
///     let greet = ChildEntry("greet") { (name: String) in print("hello, \(name)") }
public struct ChildEntry<Input: Codable & Sendable, Output: Sendable>: Sendable {
    /// Unique among the entries of a program.
    public let name: String
    let body: @Sendable (Input) throws -> Output
    let encode: @Sendable (Output, BinaryEncoder) throws(SpoolError) -> [UInt8]
    let decode: @Sendable ([UInt8]) throws(SpoolError) -> Output

    /// An entry that gives nothing back.
    public init(_ name: String, _ body: @escaping @Sendable (Input) throws -> Void)
    where Output == Void {
        self.name = name
        self.body = body
        encode = { _, _ in [] }
        decode = { _ in }
    }

    /// An entry that gives something back, for who asks for it.
    public init(_ name: String, _ body: @escaping @Sendable (Input) throws -> Output)
    where Output: Codable {
        self.name = name
        self.body = body
        encode = { output, encoder throws(SpoolError) in try encoder.encode(output) }
        decode = { bytes throws(SpoolError) in try BinaryDecoder().decode(from: bytes) }
    }

    /// An entry that needs no input.
    public init(_ name: String, _ body: @escaping @Sendable () throws -> Void)
    where Input == NoInput, Output == Void {
        self.init(name) { (_: NoInput) in try body() }
    }

    /// An entry that needs no input and gives something back.
    public init(_ name: String, _ body: @escaping @Sendable () throws -> Output)
    where Input == NoInput, Output: Codable {
        self.init(name) { (_: NoInput) in try body() }
    }

    /// What a process does that was asked for this entry.
    var registered: RegisteredEntry {
        RegisteredEntry(name: name) { [body, encode] bytes, passed in
            let input = try BinaryDecoder(userInfo: userInfo(passed)).decode(
                Input.self, from: bytes)
            let output = try body(input)
            return { passed throws(SpoolError) in
                try encode(output, BinaryEncoder(userInfo: userInfo(passed)))
            }
        }
    }
}

/// What the coders get; nil where no descriptors can go along.
private func userInfo(_ passed: PassedDescriptors?) -> [CodingUserInfoKey: any Sendable] {
    passed.map { [PassedDescriptors.key: $0] } ?? [:]
}

/// The input of an entry that needs none.
public struct NoInput: Codable, Hashable, Sendable {
    /// The only one.
    public init() {}
}

/// How an entry, or the body of a forked child, ends its process with a status of its own. See sys.exit in Python.
///
/// exit(3) does it as well.
public struct ChildExit: Error, Hashable, Sendable {
    /// What who waits for the process gets: 0 to 255.
    public let status: Int32
    /// A line for standard error.
    public let message: String?

    /// An end with this status.
    public init(_ status: Int32) {
        self.status = status
        message = nil
    }

    /// An end with status 1 and a line on standard error.
    public init(_ message: String) {
        status = 1
        self.message = message
    }
}

/// An entry, without its types.
struct RegisteredEntry: Sendable {
    /// Encodes the output, when somebody wants it.
    typealias Output = (PassedDescriptors?) throws(SpoolError) -> [UInt8]

    let name: String
    /// Decodes the input and runs the entry.
    let run: @Sendable ([UInt8], PassedDescriptors?) throws -> Output
}

/// The entries of this program, by name.
final class EntryRegistry: Sendable {
    static let shared = EntryRegistry()

    private let entries = Monitor<[String: RegisteredEntry]?>(nil)

    private init() {}

    func register(_ new: [RegisteredEntry]) {
        entries.withLock { entries, _ in
            var all = entries ?? [:]
            for entry in new {
                precondition(all[entry.name] == nil, "two child entries are named '\(entry.name)'.")
                all[entry.name] = entry
            }
            entries = all
        }
    }

    func find(_ name: String) throws(SpoolError) -> RegisteredEntry {
        let entries = entries.withLock { entries, _ in entries }
        guard let entries else {
            throw .usage(
                "no child process can be started: this program does not call ChildProcess.serveIfAsked.",
                hint: "Call it first of all in main, with every ChildEntry; or fork.")
        }
        guard let entry = entries[name] else {
            throw .usage(
                "the child entry '\(name)' is not registered.",
                hint: "Give it to ChildProcess.serveIfAsked, first of all in main.")
        }
        return entry
    }
}
