// Screen.swift - where a command writes: results on stdout, everything said about them on stderr.
//
// Output is collected and written in large pieces. A closed or broken stdout ends the writing, never the work.

private import Glibc
internal import SpoolThreads

enum Style: String {
    case bold = "1"
    case dim = "2"
    case red = "31"
    case green = "32"
    case yellow = "33"
    case blue = "34"
    case cyan = "36"
}

final class Screen {
    /// Written at once when so much has been collected.
    private static let fullBuffer = 64 << 10
    /// So much is kept for a reader that is not waited for.
    private static let mostKept = 64 << 20

    let settings: Settings
    private let output: Int32
    let isTerminal: Bool
    let isErrorTerminal: Bool
    private let hasColor: Bool
    private let hasErrorColor: Bool
    private var collected: [UInt8] = []
    /// The errno of a stdout that nobody reads any more; 0 while somebody may.
    private var broken: Int32 = 0
    private var isHurried = false
    /// It did not take what was there.
    private var isReaderLate = false
    /// Output of jobs goes to a terminal unescaped: `log --raw`.
    var showsRaw = false
    var escapesLogs: Bool { isTerminal && !showsRaw }

    /// Whether a line on stderr can be written over.
    var canRedraw: Bool { isErrorTerminal && Environment.text("TERM") != "dumb" }

    /// - Parameter output: The descriptor that results go to.
    init(_ settings: Settings, output: Int32 = 1) {
        self.settings = settings
        self.output = output
        isTerminal = isatty(output) == 1
        isErrorTerminal = isatty(2) == 1
        hasColor = Screen.wantsColor(settings.color, isTerminal: isTerminal)
        hasErrorColor = Screen.wantsColor(settings.color, isTerminal: isErrorTerminal)
    }

    /// The option first, then CLICOLOR_FORCE, NO_COLOR and TERM as no-color.org and bixense.com/clicolors say.
    private static func wantsColor(_ option: Settings.Color, isTerminal: Bool) -> Bool {
        switch option {
        case .always: return true
        case .never: return false
        case .auto: break
        }
        if Environment.text("NO_COLOR") != nil { return false }
        if let force = Environment.text("CLICOLOR_FORCE"), force != "0" { return true }
        return isTerminal && Environment.text("TERM") != "dumb"
    }

    /// Columns of the terminal; nil when stdout is none and COLUMNS is not set.
    var width: Int? {
        if let columns = Environment.text("COLUMNS").flatMap({ Int($0) }), columns > 0 {
            return columns
        }
        guard isTerminal else { return nil }
        return Screen.columns(of: output)
    }

    /// Columns of the terminal behind a descriptor; 80 when it does not say.
    static func columns(of descriptor: Int32) -> Int {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    func paint(_ text: String, _ style: Style?) -> String {
        guard hasColor, let style, !text.isEmpty else { return text }
        return "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m"
    }

    func line(_ text: String) throws(SpoolError) {
        try write(Array(text.utf8) + [UInt8(ascii: "\n")])
    }

    func line(_ object: JSONObject) throws(SpoolError) {
        try write(object.bytes + [UInt8(ascii: "\n")])
    }

    func write(_ bytes: some Collection<UInt8>) throws(SpoolError) {
        collected.append(contentsOf: bytes)
        guard collected.count >= Screen.fullBuffer else { return }
        guard isHurried, collected.count < Screen.mostKept else { return try flush() }
        if !isReaderLate { try offer() }
    }

    /// Runs what writes while it looks at one moment of the store, whose log grows meanwhile. So a reader that stands
    /// still, as less(1) and a loop of the shell do, is not waited for: what it did not take is kept until the look is
    /// over, up to a limit.
    func hurrying(_ look: () throws(SpoolError) -> Void) throws(SpoolError) {
        isHurried = true
        defer { isHurried = false }
        try look()
    }

    /// Writes what the reader takes. A pipe that is ready has room for a piece.
    private func offer() throws(SpoolError) {
        let bytes = collected
        var written = 0
        while written < bytes.count {
            var ready = pollfd(fd: output, events: Int16(POLLOUT), revents: 0)
            guard poll(&ready, 1, Screen.patience) != 0 else {
                isReaderLate = true
                break
            }
            let end = min(written + Int(PIPE_BUF), bytes.count)
            collected = Array(bytes[written..<end])
            try flush()
            written = end
        }
        collected = Array(bytes[written...])
    }

    /// Milliseconds.
    private static let patience: Int32 = 1000

    func flush() throws(SpoolError) {
        let bytes = collected
        collected.removeAll(keepingCapacity: true)
        guard broken == 0, !bytes.isEmpty else { return }
        let number = Descriptor.write(bytes, to: output)
        // Nobody listens any more (head has seen enough, or stdout was closed): that is the reader's wish.
        if number == EPIPE || number == EBADF {
            broken = number
        } else if number != 0 {
            throw .inputOutput(
                path: "stdout", doing: "writing the output", detail: SpoolError.reason(number))
        }
    }

    /// Whether whoever reads stdout has gone.
    var hasLostItsReader: Bool { broken != 0 }

    /// Writes what tells the caller of something that was done. Here a reader that has gone is an error, too.
    /// - Parameter what: What was done, and what is written, as "job 17 was put, but its id".
    func deliver(
        _ what: String, _ write: () throws(SpoolError) -> Void
    ) throws(SpoolError) {
        signal(SIGPIPE, SIG_IGN)
        do throws(SpoolError) {
            try write()
            try flush()
        } catch .inputOutput(_, _, let detail) {
            throw .untold(what, detail: detail)
        }
        guard broken == 0 else { throw .untold(what, detail: SpoolError.reason(broken)) }
    }

    /// Something worth knowing, on stderr, unless --quiet.
    func note(_ text: String) {
        guard !settings.isQuiet else { return }
        say(Escaping.line(text))
    }

    func warn(_ text: String) {
        guard !settings.isQuiet else { return }
        say(paintError("warning:", .yellow) + " " + Escaping.line(text))
    }

    func report(_ error: SpoolError) {
        guard !settings.isJSON else {
            var content = JSONObject()
            content.set("code", error.code)
            content.set("message", error.message)
            content.set("hint", error.hint)
            var object = JSONObject()
            object.set("error", content)
            say(String(decoding: object.bytes, as: UTF8.self))
            return
        }
        say(paintError("error:", .red) + " " + Screen.sentence(of: error))
    }

    /// Message and hint on one line; a remedy to type stands a little apart.
    static func sentence(of error: SpoolError) -> String {
        guard let hint = error.hint else { return Escaping.line(error.message) }
        let isApart = hint.hasPrefix("Try:") || hint.hasPrefix("(")
        return Escaping.line(error.message + (isApart ? "  " : " ") + hint)
    }

    private func paintError(_ text: String, _ style: Style) -> String {
        hasErrorColor ? "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m" : text
    }

    /// One line on stderr; nobody can be told when that fails.
    func say(_ text: String) { _ = Descriptor.write(Array((text + "\n").utf8), to: 2) }
}
