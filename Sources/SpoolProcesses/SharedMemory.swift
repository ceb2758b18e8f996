// SharedMemory.swift - memory that several processes map.

private import CSpool
private import Glibc
internal import SpoolThreads

/// A mapped memory file.
final class SharedMemory: @unchecked Sendable {  // a mapping; its users order their accesses
    let start: UnsafeMutableRawPointer
    let bytes: Int
    let descriptor: Int32

    /// New memory, all zero.
    convenience init(bytes: Int) throws(SpoolError) {
        let file = spool_memory_file("spool-shared")
        guard file >= 0 else { throw .system(call: "memfd_create", errno: -file) }
        guard ftruncate(file, bytes) == 0 else {
            let reason = errno
            Glibc.close(file)
            throw .system(call: "ftruncate", errno: reason)
        }
        try self.init(adopting: file)
    }

    /// The memory behind a descriptor, which it closes in the end.
    init(adopting file: Int32) throws(SpoolError) {
        var status = stat()
        guard fstat(file, &status) == 0 else { throw .system(call: "fstat", errno: errno) }
        bytes = Int(status.st_size)
        let address = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
        guard let address, address != MAP_FAILED else { throw .system(call: "mmap", errno: errno) }
        start = address
        descriptor = file
    }

    deinit {
        munmap(start, bytes)
        close(descriptor)
    }
}
