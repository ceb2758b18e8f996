// StoreMemory.swift - what the processes that write to one file share in memory: FILE-spool/shared, mapped.
//
// The words count from the start of the system: a power cut leaves anything in the file, so it begins anew. Nothing
// here is needed to know the state of a job: it only saves work that was done, or that another process can do better.

private import CSpool
private import Glibc
internal import SpoolThreads
internal import Synchronization

typealias SharedWord = UnsafeMutablePointer<Atomic<UInt64>>

/// Memory of all processes that have opened a file for writing. Mapped as long as the object lives.
final class StoreMemory: @unchecked Sendable {  // what init has set; atomic words
    /// Its flock(2) is the sync lock of ``SyncLedger``, its locks of bytes are the seats of ``Board``.
    let file: File
    /// What stood there while nobody else held the lock.
    private(set) var found = SyncLedger.Found()
    private let base: UnsafeMutableRawPointer

    /// Where whose words are.
    enum Place {
        static let boot = 0..<5
        static let ledger = 5
        static let schema = 32
        static let board = 64
        /// Bytes from here on belong to the seats.
        static let seats = 4096
        static let size = seats + Board.seats * Board.seatSize
    }

    /// - Parameter waits: For who has the lock. If not, `locked` is thrown at once.
    /// - Throws: as ``File/side(_:)`` and ``File/lock(_:)``; `diskFull`, `inputOutput`, `system`.
    init(_ files: StoreFiles, waits: Bool = true) throws(SpoolError) {
        let file = try File.lockable(files.shared)
        if waits {
            try file.lock(files.database)
        } else if !StoreMemory.tryLock(file) {
            throw .locked(path: files.database)
        }
        defer { file.unlock() }
        let boot = try StoreMemory.bootID()
        base = try StoreMemory.map(file.descriptor, files.shared, isShared: boot != nil)
        self.file = file
        beginAnew(unless: boot ?? [])
        found = SyncLedger.Found(self)
    }

    deinit { munmap(base, Place.size) }

    /// Memory at an offset that is a multiple of 8.
    func bytes(at offset: Int) -> UnsafeMutableRawPointer { base + offset }

    func word(_ index: Int) -> SharedWord {
        bytes(at: index * 8).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// The version of the file's schema, as who looked last found it, or is about to make it. Zero: nobody has looked.
    /// The caller is in the gate.
    var schema: Int {
        get {
            let found = word(Place.schema).pointee.load(ordering: .sequentiallyConsistent)
            return Int(truncatingIfNeeded: found)
        }
        set { set(Place.schema, UInt64(newValue)) }
    }

    private static func map(
        _ descriptor: Int32, _ path: String, isShared: Bool
    ) throws(SpoolError) -> UnsafeMutableRawPointer {
        try fill(descriptor, path)
        let size = Place.size
        let kind = isShared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS
        let memory = mmap(
            nil, size, PROT_READ | PROT_WRITE, kind, isShared ? descriptor : -1, 0)
        guard let memory, memory != MAP_FAILED else { throw .system(call: "mmap", errno: errno) }
        return memory
    }

    /// Makes it long enough, and without holes, which could find the disk full when they are touched: that is a SIGBUS.
    /// What stands there stays: others may have it mapped.
    private static func fill(_ descriptor: Int32, _ path: String) throws(SpoolError) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw File.failure(path, "looking at it") }
        let there = Int(status.st_size)
        if there < Place.size {
            let zeros = [UInt8](repeating: 0, count: Place.size - there)
            let count = pwrite(descriptor, zeros, zeros.count, off_t(there))
            if count >= 0, count < zeros.count { errno = ENOSPC }
            guard count == zeros.count else { throw File.failure(path, "making it") }
        }
        // A copy has holes when cp, tar or rsync were told to look for zeros.
        guard Int(status.st_blocks) * 512 < there else { return }
        guard spool_fill_holes(descriptor, Int64(there)) == 0 else {
            throw File.failure(path, "filling its holes")
        }
    }

    /// Which start of the system this is, in words. Nil: it does not say; then no process can trust another's words.
    /// - Throws: `system` when only this process is not told: one with words of its own would hear of no sync that
    ///   failed, and tell of none.
    private static func bootID() throws(SpoolError) -> [UInt64]? {
        let path = "/proc/sys/kernel/random/boot_id"
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if [ENOENT, EACCES].contains(errno) { return nil }
            throw .system(call: "opening " + path, errno: errno)
        }
        defer { close(descriptor) }
        var id = [UInt64](repeating: 0, count: Place.boot.count)
        let count = id.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
        guard count >= 0 else { throw .system(call: "reading " + path, errno: errno) }
        return count > 0 ? id : nil
    }

    private func beginAnew(unless boot: [UInt64]) {
        let isOld = boot.indices.contains {
            word($0).pointee.load(ordering: .sequentiallyConsistent) != boot[$0]
        }
        guard isOld else { return }
        for index in Place.boot.count..<Place.size / 8 { set(index, 0) }
        for index in boot.indices { set(index, boot[index]) }
    }

    private func set(_ index: Int, _ value: UInt64) {
        word(index).pointee.store(value, ordering: .sequentiallyConsistent)
    }

    /// False: another process has it.
    static func tryLock(_ file: File) -> Bool {
        // Without the lock, if the system has none left, what it guards only serves nobody else.
        flock(file.descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK
    }
}
