// Settings.swift - what every command is told besides its own options: the file, how to speak, the environment.

private import Glibc
private import SpoolJobs
internal import SpoolThreads

/// The global options, resolved.
struct Settings {
    enum Color: String { case auto, always, never }

    /// As given with --file; nil: the environment decides.
    var fileOption: String?
    var isJSON = false
    var isQuiet = false
    var verbosity = 0
    var color = Color.auto

    /// The database: --file, else $SPOOL_FILE, else $XDG_DATA_HOME/spool/default.db, else below ~/.local/share.
    func file() throws(SpoolError) -> String {
        if let fileOption {
            guard !fileOption.isEmpty else { throw .usage("--file needs a path.") }
            return try Settings.path(fileOption)
        }
        if let file = try Environment.path("SPOOL_FILE") { return try Settings.path(file) }
        if let data = try Environment.path("XDG_DATA_HOME"), data.hasPrefix("/") {
            return data + "/spool/default.db"
        }
        guard let home = try Environment.path("HOME") else {
            throw .usage("no file: HOME is not set.", hint: "Name it with --file or SPOOL_FILE.")
        }
        return home + "/.local/share/spool/default.db"
    }

    /// What to type for a command on the file of this one, which --file may have named.
    func command(_ words: String) -> String {
        guard let fileOption else { return "spool " + words }
        let path = String(decoding: Words.quote([Array(fileOption.utf8)]), as: UTF8.self)
        return "spool \(words) --file \(path)"
    }

    /// Refuses a URL: as a path it would be another file than the one that was meant, and the jobs would wait in it.
    static func path(_ text: String) throws(SpoolError) -> String {
        let scheme = text.prefix { $0 != ":" && $0 != "/" }
        let rest = text.dropFirst(scheme.count)
        guard rest.hasPrefix("://") || rest.hasPrefix(":") && scheme == "file" else { return text }
        throw .usage(
            "'\(text)' is a URL, and spool keeps jobs in a file.",
            hint: "Name its path; a file of that name is  ./\(text)")
    }

    mutating func setColor(_ text: String) throws(SpoolError) {
        guard let color = Color(rawValue: text) else {
            throw .usage(
                "--color must be auto, always or never; got '\(text)'."
                    + Suggestion.sentence(for: text, among: ["auto", "always", "never"]))
        }
        self.color = color
    }

    /// The queue of -q, else of $SPOOL_QUEUE, else "default".
    static func queue(_ option: String?) throws(SpoolError) -> String {
        if let option { return try Numbers.name(option, what: "queue") }
        guard let queue = Environment.text("SPOOL_QUEUE") else { return "default" }
        return try Numbers.name(queue, what: "queue in SPOOL_QUEUE")
    }
}

/// The environment of this process.
enum Environment {
    /// Nil when it is not set or empty.
    static func text(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee != 0 else { return nil }
        return String(cString: value)
    }

    /// As ``text(_:)``. Bytes that are no UTF-8 would name another file, and are refused.
    static func path(_ name: String) throws(SpoolError) -> String? {
        guard let value = getenv(name), value.pointee != 0 else { return nil }
        guard let path = String(validatingCString: value) else {
            throw .usage("\(name) must be UTF-8 text.")
        }
        return path
    }
}
