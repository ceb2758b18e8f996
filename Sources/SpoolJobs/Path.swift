// Path.swift - looking at files without opening them, and the few calls that make them safe.

private import CSpool
private import Glibc
internal import SpoolThreads

package enum Path {
    /// What stands at a path, seen through symbolic links.
    enum Entry: Equatable {
        case missing, directory, other
        case file(size: Int, links: Int)
        case unreachable(errno: Int32)
    }

    static func entry(_ path: String) -> Entry {
        var status = stat()
        guard stat(path, &status) == 0 else {
            return errno == ENOENT ? .missing : .unreachable(errno: errno)
        }
        switch status.st_mode & S_IFMT {
        case S_IFREG: return .file(size: Int(status.st_size), links: Int(status.st_nlink))
        case S_IFDIR: return .directory
        default: return .other
        }
    }

    /// Which file it is, whatever its name.
    struct Identity: Equatable {
        var device: UInt64
        var number: UInt64
    }

    /// Which file stands at a path. Nil: none, or errno says why it cannot be seen.
    static func identity(_ path: String) -> Identity? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return Identity(device: UInt64(status.st_dev), number: UInt64(status.st_ino))
    }

    /// Which file is open.
    static func identity(_ descriptor: Int32) -> Identity? {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return nil }
        return Identity(device: UInt64(status.st_dev), number: UInt64(status.st_ino))
    }

    /// Whether an errno says that nothing stands at a path, not only that it cannot be seen.
    static func isMissing(_ number: Int32) -> Bool { number == ENOENT || number == ENOTDIR }

    /// Whether it is a symbolic link, wherever that leads.
    static func isLink(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
    }

    /// Whether it is a mount of its own, as in a container that was given this file only.
    static func isMount(_ path: String) -> Bool { spool_is_mount(path) != 0 }

    /// Why such a file is refused.
    static let mountedAlone =
        "is mounted by itself, so that its log and locks are not those of others who have it open;"
        + " mount the directory that it is in"

    static func size(_ path: String) -> Int? {
        guard case .file(let size, _) = entry(path) else { return nil }
        return size
    }

    /// The path without symbolic links, from the root. Parts at its end that do not exist yet are kept: a worker hands
    /// it to jobs that run in other directories.
    /// - Throws: `notAStore` when the path that it leads to is no UTF-8, or it has a NUL: that would be another path;
    ///   `notPermitted` when this user may not look there, or not read what stands there.
    static func canonical(_ path: String) throws(SpoolError) -> String {
        guard !path.utf8.contains(0) else {
            throw .notAStore(path: path, why: "has a NUL byte, which no path can have")
        }
        if let real = try resolved(path, for: path) {
            if let bar = bar(real) { throw bar }
            return real
        }
        if let bar = bar(path) { throw bar }
        return path.utf8.count < Int(PATH_MAX) ? try missing(path, for: path) ?? path : path
    }

    /// The way to a file that does not exist, from the root. Nil: the working directory was removed.
    private static func missing(
        _ path: String, for whole: String
    ) throws(SpoolError) -> String? {
        let above = parent(path)
        var real = try resolved(above, for: whole)
        if real == nil, above != ".", above != "/" { real = try missing(above, for: whole) }
        let name = path.lastIndex(of: "/").map { path[path.index(after: $0)...] } ?? path[...]
        guard let real, !name.isEmpty else { return real }
        return real == "/" ? "/" + name : real + "/" + name
    }

    private static func resolved(
        _ path: String, for whole: String
    ) throws(SpoolError) -> String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        if let text = String(validatingCString: real) { return text }
        throw .notAStore(path: whole, why: "leads to a path that is not UTF-8 text")
    }

    package static func parent(_ path: String) -> String {
        guard let cut = path.lastIndex(of: "/") else { return "." }
        return cut == path.startIndex ? "/" : String(path[..<cut])
    }

    /// Makes a directory and the missing ones above it, all 0700.
    /// - Returns: False when it was there.
    @discardableResult
    static func makeDirectory(_ path: String) throws(SpoolError) -> Bool {
        if mkdir(path, 0o700) == 0 {
            chmod(path, 0o700)
            return true
        }
        if errno == ENOENT, parent(path) != path {
            try makeDirectory(parent(path))
            if mkdir(path, 0o700) == 0 { return true }
        }
        guard errno == EEXIST else { throw creation(path) }
        return false
    }

    /// Makes an empty file that only its owner can read, for SQLite to fill: of who owns what stands at the other path.
    static func makePrivateFile(
        _ path: String, ofOwnerOf other: String
    ) throws(SpoolError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw creation(path) }
        give(descriptor, toOwnerOf: other)
        close(descriptor)
    }

    static func creation(_ path: String) -> SpoolError {
        errno == ENOSPC || errno == EDQUOT
            ? .diskFull(path: path, doing: "making the directory failed")
            : .cannotCreate(path: path, why: SpoolError.reason(errno))
    }

    /// Removes a file; one that is not there is removed already.
    static func remove(_ path: String) { unlink(path) }

    /// The names of the files in a directory; none if it cannot be read.
    package static func names(in directory: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// Makes the name of a new file durable.
    static func syncDirectory(of path: String) throws(SpoolError) {
        let directory = open(parent(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        // A directory may be writable but not readable: then there is nothing to be done.
        guard directory >= 0 else { return }
        defer { close(directory) }
        guard fsync(directory) == 0 || errno == EINVAL || errno == EROFS else {
            throw .inputOutput(
                path: parent(path), doing: "syncing it", detail: SpoolError.reason(errno))
        }
    }

    static func isOnReadOnlyFileSystem(_ path: String) -> Bool {
        var status = statvfs()
        return statvfs(path, &status) == 0 && status.f_flag & UInt(ST_RDONLY) != 0
    }

    /// The name of a file system that several machines share, by its number in statfs(2). Nil: it is none, or one whose
    /// nature the number does not tell (FUSE).
    static func networkFileSystem(_ number: Int) -> String? {
        switch UInt32(truncatingIfNeeded: number) {
        case 0x6969: "NFS"
        case 0xFF53_4D42, 0xFE53_4D42, 0x517B: "SMB"
        case 0x00C3_6400: "Ceph"
        case 0x0BD0_0BD0: "Lustre"
        case 0x5346_414F, 0x6B41_4653: "AFS"
        case 0x7375_7245: "Coda"
        case 0x0102_1997: "9P"
        case 0x4750_4653: "GPFS"
        case 0x564C: "NCP"
        default: nil
        }
    }

    /// As ``networkFileSystem(_:)``, of the one that a path is on or will be on.
    static func networkFileSystem(of path: String) -> String? {
        var place = path
        var number = spool_file_system(place)
        while number == -Int64(ENOENT), parent(place) != place {
            place = parent(place)
            number = spool_file_system(place)
        }
        return number < 0 ? nil : networkFileSystem(Int(number))
    }

    /// The first bytes of a file that is no database, for the message. Never call it on a database that is in use.
    static func beginning(_ path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4)
        let count = max(0, read(descriptor, &bytes, 4))
        return String(
            decoding: bytes[..<count].map { (0x20..<0x7f).contains($0) ? $0 : UInt8(ascii: ".") },
            as: UTF8.self)
    }
}
