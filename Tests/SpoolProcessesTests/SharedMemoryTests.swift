// SharedMemoryTests.swift - memory that processes share, and the robust lock in it.

import Glibc
import SpoolThreads
import Testing

@testable import SpoolProcesses

@Suite("Shared memory", .timeLimit(.minutes(10))) struct SharedMemoryTests {
    @Test("is the same memory wherever its descriptor is mapped, and begins as zeros")
    func mappedTwice() throws {
        let memory = try SharedMemory.make(bytes: 10_000)
        let again = try SharedMemory(mapping: Descriptor(owning: dup(memory.descriptor)))
        #expect(again.count == 10_000 && again.base != memory.base)
        #expect(again.base.load(fromByteOffset: 9992, as: UInt64.self) == 0)
        memory.base.storeBytes(of: 7, toByteOffset: 9992, as: UInt64.self)
        #expect(again.base.load(fromByteOffset: 9992, as: UInt64.self) == 7)
    }

    @Test("its descriptor is close-on-exec, and closed with it")
    func descriptor() throws {
        var memory: SharedMemory? = try SharedMemory.make(bytes: 1)
        let number = try #require(memory?.descriptor)
        #expect(fcntl(number, F_GETFD) & FD_CLOEXEC != 0)
        let inode = Self.inode(number)
        memory = nil
        #expect(Self.inode(number) != inode)
    }

    /// Other tests open descriptors meanwhile: the number may be taken again.
    private static func inode(_ descriptor: Int32) -> UInt64? {
        var file = stat()
        return fstat(descriptor, &file) == 0 ? UInt64(file.st_ino) : nil
    }

    @Test("its size cannot be changed by whoever got the descriptor")
    func sealed() throws {
        let memory = try SharedMemory.make(bytes: 4096)
        #expect(ftruncate(memory.descriptor, 0) == -1 && errno == EPERM)
    }

    @Test("no bytes and a negative number of bytes are refused", arguments: [0, -1, Int.min])
    func badSize(_ bytes: Int) {
        #expect(throws: SpoolError.badInput("shared memory needs more than 0 bytes.")) {
            try SharedMemory.make(bytes: bytes)
        }
    }

    @Test("a descriptor of something else is refused, and closed")
    func wrongDescriptor() throws {
        #expect(throws: SpoolError.badInput("this is not the descriptor of shared memory.")) {
            try SharedMemory(mapping: Descriptor.memory([1, 2, 3]))
        }
        #expect(throws: SpoolError.self) { try SharedMemory(mapping: Descriptor.null()) }
    }
}

@Suite("A robust lock", .timeLimit(.minutes(10))) struct RobustMutexTests {
    /// A lock in memory that is mapped as long as the test runs.
    private let memory: SharedMemory
    private let lock: RobustMutex

    init() throws {
        memory = try SharedMemory.make(bytes: RobustMutex.size)
        lock = RobustMutex(at: memory.base)
        lock.initialize()
    }

    @Test("is held by one at a time; who waits with a deadline gives up")
    func deadline() throws {
        #expect(lock.lock() == .locked)
        let seen = Seen()
        let (lock, memory) = (lock, memory)
        let thread = Thread {
            seen.value = lock.lock(until: Deadline(after: .milliseconds(5)))
            withExtendedLifetime(memory) {}
        }
        try thread.start()
        try thread.join()
        #expect(seen.value == .timedOut)
        lock.unlock()
    }

    @Test("R2: who takes it after its owner died with it is told, once it is put in order no more")
    func ownerDied() throws {
        let (lock, memory) = (lock, memory)
        let owner = Thread {
            _ = lock.lock()
            withExtendedLifetime(memory) {}
        }
        try owner.start()
        try owner.join()
        #expect(lock.lock() == .ownerDied)
        lock.markConsistent()
        lock.unlock()
        #expect(lock.lock() == .locked)
        lock.unlock()
    }
}

/// What another thread saw; read after it was joined.
private final class Seen: @unchecked Sendable {  // written before the join, read after it
    var value: RobustMutex.Outcome?
}
