// Barring.swift - what keeps this user from a file, as the system's EACCES does not say: which file or directory on the
// way it is, and whose.

private import Glibc
internal import SpoolThreads

extension Path {
    /// What somebody wants of a file.
    enum Wish { case reading, writing }

    /// Why this user may not have a path. Nil: nothing is known to be in the way.
    static func bar(_ path: String, for wish: Wish = .reading) -> SpoolError? {
        let wanted = wish == .reading ? R_OK : R_OK | W_OK
        // As who opens it: the effective user.
        guard faccessat(AT_FDCWD, path, wanted, AT_EACCESS) != 0, errno == EACCES else {
            return nil
        }
        guard isHidden(path) else { return refusal(path, wish == .reading ? "read" : "write to") }
        // The last directory that can be seen does not let anybody look into it.
        var place = parent(path)
        while isHidden(place), parent(place) != place { place = parent(place) }
        return refusal(place, "look into")
    }

    /// As ``bar(_:for:)``, of a database and the files that SQLite has beside it.
    static func bar(ofDatabase path: String) -> SpoolError? {
        for file in [path, path + "-wal", path + "-shm"] {
            if let bar = bar(file) { return bar }
        }
        return nil
    }

    /// Why SQLite cannot open a database whose last commits are in its log, where nothing can be made beside it.
    static func fixedLog(of database: String) -> String? {
        let log = database + "-wal"
        guard isOnReadOnlyFileSystem(database), size(log) ?? 0 > 0 else { return nil }
        return "its last jobs are in \(log), which cannot be read on a read-only file system;"
            + " copy both files to a disk that can be written, and use that copy"
    }

    private static func isHidden(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) != 0 && errno == EACCES
    }

    private static func refusal(_ path: String, _ doing: String) -> SpoolError {
        var status = stat()
        guard stat(path, &status) == 0 else { return .readOnly(path: path) }
        return .notPermitted(
            path: path, doing: doing, owner: status.st_uid == geteuid() ? nil : name(status.st_uid))
    }

    /// The name of a user.
    private static func name(_ user: uid_t) -> String {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var text = [CChar](repeating: 0, count: 4096)
        guard getpwuid_r(user, &entry, &text, text.count, &found) == 0, found != nil,
            let name = entry.pw_name
        else { return "user \(user)" }
        return String(cString: name)
    }
}
