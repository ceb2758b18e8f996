// SharedMemory.swift - memory that several processes have mapped, behind a descriptor that can be passed on.
//
// Invariants: the size never changes (it is sealed), and every page is there from the beginning, so that no process can
// be killed for touching it. Mapped as long as the object lives; a forked child has it mapped at the same address.

private import CSpool
private import Glibc
public import SpoolThreads

/// Zeroed memory that processes share. See memfd_create(2), multiprocessing.shared_memory in Python.
///
/// It has no name, so none is left behind: the memory goes with its last mapping and descriptor. A forked child may use
/// its parent's object; another process maps the ``descriptor``. What stands in it is the business of its users.
public final class SharedMemory: @unchecked Sendable {  // a constant address
    /// Where it begins: aligned to a page.
    public let base: UnsafeMutableRawPointer
    /// Bytes.
    public let count: Int
    private let file: Descriptor

    /// Makes zeroed memory.
    /// - Parameters:
    ///   - bytes: More than 0; all of them are taken from the system at once.
    ///   - name: What /proc/PID/maps shows.
    /// - Throws: `badInput` unless `bytes` is positive, `system` when memory or descriptors are short.
    public static func make(bytes: Int, name: String = "spool") throws(SpoolError) -> SharedMemory {
        guard bytes > 0 else { throw .badInput("shared memory needs more than 0 bytes.") }
        let number = spool_shared_memory(name, bytes)
        guard number >= 0 else { throw .system(call: "memfd_create", errno: -number) }
        return try SharedMemory(mapping: Descriptor(owning: number))
    }

    /// Maps the memory behind a descriptor that another process passed on; the object owns it from now on.
    /// - Throws: `badInput` when it is not the descriptor of such memory, `system` when address space is short.
    public init(mapping descriptor: consuming Descriptor) throws(SpoolError) {
        let size = spool_shared_memory_size(descriptor.number)
        guard size > 0 else { throw .badInput("this is not the descriptor of shared memory.") }
        let address = mmap(
            nil, Int(size), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor.number, 0)
        guard let address, address != MAP_FAILED else { throw .system(call: "mmap", errno: errno) }
        base = address
        count = Int(size)
        file = descriptor
    }

    deinit { munmap(base, count) }

    /// The kernel's number of the descriptor, which stays this object's: to be passed to other processes.
    public var descriptor: Int32 { file.number }
}
