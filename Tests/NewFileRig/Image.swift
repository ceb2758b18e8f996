// Image.swift - a directory as a power cut leaves it, written out, and compared with a real one.

internal import Dice
private import Glibc
internal import SpoolThreads

/// A directory of files that is made anew each time.
struct Image {
    let directory: String
    var database: String { directory + "/jobs.db" }

    init(_ directory: String) { self.directory = directory }

    /// Memory that processes share, and its name: a power cut leaves anything there, so its bytes are no matter.
    static func isMapped(_ name: String) -> Bool { name.hasSuffix("-shm") || name == "shared" }

    /// Writes what the disk holds.
    func write(_ disk: CutDisk, names luck: CutDisk.Luck, bytes: CutDisk.Luck, _ dice: inout Dice)
        throws
    {
        Image.remove(directory)
        try write(disk, disk.names(luck, &dice), in: 1, directory, bytes, &dice)
    }

    private func write(
        _ disk: CutDisk, _ names: [CutDisk.Name: Int32], in parent: Int32, _ path: String,
        _ luck: CutDisk.Luck, _ dice: inout Dice
    ) throws {
        guard mkdir(path, 0o700) == 0 else { throw SpoolError.system(call: "mkdir", errno: errno) }
        // In an order of its own, so that the same seed gives the same image.
        let here = names.filter { $0.key.directory == parent }.sorted { $0.key.text < $1.key.text }
        for (name, file) in here {
            let inner = path + "/" + name.text
            if disk.directories.contains(file) {
                try write(disk, names, in: file, inner, luck, &dice)
            } else if Image.isMapped(name.text) {
                try Image.write(
                    [UInt8](repeating: UInt8.random(in: 0...255, using: &dice), count: 40_000),
                    to: inner)
            } else {
                try Image.write(disk.content(of: file, luck, &dice), to: inner)
            }
        }
    }

    static func write(_ bytes: [UInt8], to path: String) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw SpoolError.system(call: "open", errno: errno) }
        defer { close(file) }
        guard Glibc.write(file, bytes, bytes.count) == bytes.count else {
            throw SpoolError.system(call: "write", errno: errno)
        }
    }

    static func remove(_ directory: String) {
        for name in names(in: directory) {
            let path = directory + "/" + name
            if unlink(path) != 0 { remove(path) }
        }
        rmdir(directory)
    }

    static func names(in directory: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Everything below a directory: the bytes of its files, nil for what is mapped.
    static func tree(_ directory: String) -> [String: [UInt8]?] {
        var tree: [String: [UInt8]?] = [:]
        for name in names(in: directory) {
            let path = directory + "/" + name
            var status = stat()
            guard lstat(path, &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR {
                for (inner, bytes) in Image.tree(path) { tree[name + "/" + inner] = bytes }
            } else {
                tree[name] = .some(isMapped(name) ? nil : bytes(of: path, Int(status.st_size)))
            }
        }
        return tree
    }

    private static func bytes(of path: String, _ size: Int) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [] }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: size)
        return read(file, &bytes, size) == size ? bytes : []
    }
}
