// Settings.swift - what every command is told besides its own options: the file, how to speak, the environment.

private import Glibc
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
            return fileOption
        }
        if let file = Environment.text("SPOOL_FILE") { return file }
        if let data = Environment.text("XDG_DATA_HOME"), data.hasPrefix("/") {
            return data + "/spool/default.db"
        }
        guard let home = Environment.text("HOME") else {
            throw .usage("no file: HOME is not set.", hint: "Name it with --file or SPOOL_FILE.")
        }
        return home + "/.local/share/spool/default.db"
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

    /// Every variable as `NAME=value`, byte for byte.
    static func variables() -> [[UInt8]] {
        var variables: [[UInt8]] = []
        var next = environ
        while let pointer = next.pointee {
            variables.append(Array(UnsafeRawBufferPointer(start: pointer, count: strlen(pointer))))
            next += 1
        }
        return variables
    }
}
