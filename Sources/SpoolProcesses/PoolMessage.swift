// PoolMessage.swift - what a pool and its workers say to each other through their two queues.
//
// A call: UInt64 number, the entry's name, UInt32 count of inputs, the inputs. An answer: UInt64 number, UInt8 kind,
// and for results UInt32 count and for each UInt8 (1: it is an error) and its bytes. A run of bytes is its UInt32 count
// and the bytes; little-endian. As FrameWriter writes it, whose reader checks every read.

internal import SpoolThreads

/// A call of an entry, for one input or for a chunk of them.
struct PoolCall {
    let number: UInt64
    let entry: String
    let inputs: [[UInt8]]

    var bytes: [UInt8] {
        var writer = FrameWriter()
        writer.put(number)
        writer.put(text: entry)
        writer.put(UInt32(inputs.count))
        for input in inputs { writer.put(bytes: input) }
        return writer.bytes
    }

    init(_ number: UInt64, _ entry: String, _ inputs: [[UInt8]]) {
        self.number = number
        self.entry = entry
        self.inputs = inputs
    }

    init(_ bytes: [UInt8]) throws(SpoolError) {
        self = try reading(bytes) { payload throws(SpoolError) in
            let number = try payload.integer(UInt64.self)
            let entry = try payload.text()
            let count = try payload.integer(UInt32.self)
            var inputs: [[UInt8]] = []
            for _ in 0..<count { inputs.append(try payload.run()) }
            return PoolCall(number, entry, inputs)
        }
    }
}

/// What became of a call.
struct PoolAnswer {
    enum Content {
        /// One for each input.
        case results([Result<[UInt8], RemoteError>])
        /// The process that ran it has died.
        case died
        /// The pool's initializer has thrown.
        case broken(RemoteError)
    }

    let number: UInt64
    let content: Content

    init(_ number: UInt64, _ content: Content) {
        self.number = number
        self.content = content
    }

    var bytes: [UInt8] {
        var writer = FrameWriter()
        writer.put(number)
        switch content {
        case .results(let results):
            writer.put(UInt8(0))
            writer.put(UInt32(results.count))
            for result in results {
                switch result {
                case .success(let bytes):
                    writer.put(UInt8(0))
                    writer.put(bytes: bytes)
                case .failure(let error):
                    writer.put(UInt8(1))
                    error.write(to: &writer)
                }
            }
        case .died: writer.put(UInt8(1))
        case .broken(let error):
            writer.put(UInt8(2))
            error.write(to: &writer)
        }
        return writer.bytes
    }

    init(_ bytes: [UInt8]) throws(SpoolError) {
        self = try reading(bytes) { payload throws(SpoolError) in
            let number = try payload.integer(UInt64.self)
            switch try payload.integer(UInt8.self) {
            case 0: return PoolAnswer(number, .results(try Self.results(&payload)))
            case 1: return PoolAnswer(number, .died)
            default: return PoolAnswer(number, .broken(try RemoteError(&payload)))
            }
        }
    }

    private static func results(
        _ payload: inout FramePayload
    ) throws(SpoolError) -> [Result<[UInt8], RemoteError>] {
        var results: [Result<[UInt8], RemoteError>] = []
        for _ in 0..<(try payload.integer(UInt32.self)) {
            if try payload.integer(UInt8.self) == 1 {
                let error = try RemoteError(&payload)
                results.append(.failure(error))
            } else {
                let bytes = try payload.run()
                results.append(.success(bytes))
            }
        }
        return results
    }
}

/// What a task of a pool threw in its process: the type's name and the text, as the error itself stayed there.
public struct RemoteError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The name of the error's type: "SpoolError".
    public let type: String
    /// The error as text.
    public let text: String

    /// In a queue of the least size there is room for it.
    private static let shortText = 500

    /// - Parameter text: Nil: the error's own.
    init(_ error: any Error, _ text: String? = nil) {
        type = "\(Swift.type(of: error))"
        self.text = text ?? "\(error)"
    }

    /// The same with the beginning of the text only, for where there is no room for more.
    var shortened: RemoteError {
        RemoteError(type, String(text.unicodeScalars.prefix(Self.shortText)) + "…")
    }

    private init(_ type: String, _ text: String) { (self.type, self.text) = (type, text) }

    fileprivate init(_ payload: inout FramePayload) throws(SpoolError) {
        type = try payload.text()
        text = try payload.text()
    }

    fileprivate func write(to writer: inout FrameWriter) {
        writer.put(text: type)
        writer.put(text: text)
    }

    /// Type and text.
    public var description: String { "\(type) in a process of the pool: \(text)" }
}

private func reading<Value>(
    _ bytes: [UInt8], _ body: (inout FramePayload) throws(SpoolError) -> Value
) throws(SpoolError) -> Value {
    let result = bytes.withUnsafeBytes { bytes in
        var payload = FramePayload(bytes)
        return Result { () throws(SpoolError) in try body(&payload) }
    }
    return try result.get()
}
