// Descriptor.swift - whole reads and writes on file descriptors.

private import CSpool
private import Glibc
internal import SpoolThreads

enum Descriptor {
    /// Writes all of it. Returns 0, or the errno that ended the writing.
    static func write(_ bytes: [UInt8], to descriptor: Int32) -> Int32 {
        bytes.withUnsafeBytes { buffer in
            var rest = buffer[...]
            while !rest.isEmpty {
                let count = Glibc.write(
                    descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count < 0 {
                    if errno == EINTR { continue }
                    return errno
                }
                rest = rest.dropFirst(count)
            }
            return 0
        }
    }

    /// Appends what is there to `bytes`. Returns how much that was, 0 at the end, or a negative errno.
    static func read(from descriptor: Int32, into bytes: inout [UInt8], atMost limit: Int) -> Int {
        let old = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: limit))
        var count = -1
        repeat {
            count = bytes.withUnsafeMutableBytes {
                Glibc.read(descriptor, $0.baseAddress?.advanced(by: old), limit)
            }
        } while count < 0 && errno == EINTR
        let failure = errno
        bytes.removeLast(limit - max(0, count))
        return count < 0 ? -Int(failure) : count
    }

    /// A closed standard descriptor would be given to the next file that is opened, and then be written to by mistake.
    static func openStandardOnes() {
        for descriptor in Int32(0)...2 where fcntl(descriptor, F_GETFD) < 0 {
            _ = open("/dev/null", descriptor == 0 ? O_RDONLY : O_WRONLY)
        }
    }

    /// Opens a file to read; close it with `close`.
    static func open(toRead path: String) throws(SpoolError) -> Int32 {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw .noInput(path: path, reason: SpoolError.reason(errno))
        }
        return descriptor
    }

    static func close(_ descriptor: Int32) { _ = Glibc.close(descriptor) }

    private static func open(_ path: String, _ flags: Int32) -> Int32 { Glibc.open(path, flags) }

    private static let pieceSize = 64 << 10

    /// What a regular file holds; 0 for anything else.
    private static func size(of descriptor: Int32) -> Int {
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return 0 }
        return Int(status.st_size)
    }

    /// Makes room for `count` bytes. Swift ends the program when there is none, so the system is asked before.
    /// - Parameter spare: What else will be needed, to make something of the bytes.
    static func reserve(
        _ count: Int, in bytes: inout [UInt8], for what: String, spare: Int = 0
    ) throws(SpoolError) {
        guard count > bytes.capacity else { return }
        let wanted = max(count, 2 * bytes.capacity)
        guard wanted > 1 << 20 else { return bytes.reserveCapacity(wanted) }
        guard spool_has_room(wanted + spare + (1 << 20)) != 0 else {
            throw .system(call: "reading \(what)", errno: ENOMEM)
        }
        bytes.reserveCapacity(wanted)
    }

    /// All of a file, or of stdin for "-".
    /// - Throws: `.tooLarge` beyond `limit` bytes, `.noInput` when it cannot be read, `.system` without memory.
    static func readAll(_ path: String, what: String, limit: Int) throws(SpoolError) -> [UInt8] {
        let descriptor = path == "-" ? 0 : try open(toRead: path)
        defer { if path != "-" { close(descriptor) } }
        var bytes: [UInt8] = []
        try reserve(min(size(of: descriptor), limit) + pieceSize, in: &bytes, for: what)
        while true {
            try reserve(bytes.count + pieceSize, in: &bytes, for: what)
            let count = read(from: descriptor, into: &bytes, atMost: pieceSize)
            guard count != 0 else { return bytes }
            guard count > 0 else {
                throw .noInput(
                    path: path == "-" ? "stdin" : path, reason: SpoolError.reason(Int32(-count)))
            }
            guard bytes.count <= limit else {
                throw .tooLarge(what: what, bytes: bytes.count, limit: limit)
            }
        }
    }
}
