// Belonging.swift - whose the files beside a database are: nobody else's are used, and what root makes is its user's.
//
// In a directory that others can write to, as /tmp, somebody may put a file of his own where SQLite looks for a log: he
// would read the jobs that are written there, and could write some. And who runs one command with sudo must not find
// afterwards that the files which it made lock him out: SQLite gives its own away in the same manner (robustFchown).

private import Glibc
package import SpoolThreads

extension Path {
    /// Refuses a directory that somebody else may have put there, or may write to: a link, one of another user's,
    /// one that others can write to. Whose database it is may have made it.
    static func checkPrivate(_ directory: String, of database: String) throws(SpoolError) {
        var status = stat()
        guard lstat(directory, &status) == 0 else { throw creation(directory) }
        let why: String? =
            if status.st_mode & S_IFMT != S_IFDIR {
                "is not a directory"
            } else if !([geteuid()] + owner(of: database)).contains(status.st_uid) {
                "belongs to another user"
            } else if status.st_mode & (S_IWGRP | S_IWOTH) != 0 {
                "can be written to by others; make it private with chmod 700"
            } else {
                nil
            }
        if let why { throw .notAStore(path: directory, why: why) }
    }

    /// Refuses what somebody else may have put where SQLite looks for its log, the memory of the log, or a journal that
    /// it would roll back.
    static func checkBeside(_ database: String) throws(SpoolError) {
        var owners: [uid_t] = []
        for path in ["-wal", "-shm", "-journal"].map({ database + $0 }) {
            var status = stat()
            guard lstat(path, &status) == 0 else { continue }
            if owners.isEmpty { owners = [0, geteuid()] + owner(of: database) }
            if let why = strangeness(status, owners) { throw .notAStore(path: path, why: why) }
        }
    }

    /// Refuses an open file that somebody may have put where it is, as another name of one of another directory's.
    static func checkOwn(_ descriptor: Int32, _ path: String) throws(SpoolError) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return }
        if let why = strangeness(status, owner(of: parent(path))) {
            throw .notAStore(path: path, why: why)
        }
    }

    private static func strangeness(_ status: stat, _ owners: [uid_t]) -> String? {
        if status.st_mode & S_IFMT != S_IFREG { return "is not a regular file" }
        if !owners.contains(status.st_uid) {
            return "belongs to another user, so no file of Spool's: remove it if you do not know it"
        }
        return status.st_nlink > 1
            ? "has \(status.st_nlink) hard links; a file of a database must have one name only"
            : nil
    }

    private static func owner(of path: String) -> [uid_t] {
        var status = stat()
        return stat(path, &status) == 0 ? [status.st_uid] : []
    }

    /// Gives what root has just made in a directory to whose directory it is; or a directory to whose the file is that
    /// it was made for.
    package static func give(_ descriptor: Int32, toOwnerOf path: String) {
        guard geteuid() == 0 else { return }
        var status = stat()
        guard stat(path, &status) == 0, status.st_uid != 0 else { return }
        // Where nobody can own anything, as on vfat, it is theirs already.
        _ = fchown(descriptor, status.st_uid, status.st_gid)
    }

    /// As ``makeDirectory(_:)``, of one for a file that is there or will be.
    package static func makeDirectory(_ path: String, of file: String) throws(SpoolError) {
        guard try makeDirectory(path), geteuid() == 0 else { return }
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        give(descriptor, toOwnerOf: file)
    }
}
