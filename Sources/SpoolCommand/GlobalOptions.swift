// GlobalOptions.swift - the options that every command has.

internal import ArgumentParser
internal import SpoolThreads

struct GlobalOptions: ParsableArguments {
    @Option(
        name: .customLong("file"),
        help: ArgumentHelp(
            "The SQLite file. Default: $SPOOL_FILE, else ~/.local/share/spool/default.db.",
            valueName: "path"),
        completion: .file())
    var file: String?

    @Flag(name: .customLong("json"), help: "Write JSON, one object a line.")
    var isJSON = false

    @Flag(name: .customLong("quiet"), help: "Say nothing but results and errors.")
    var isQuiet = false

    @Flag(name: .shortAndLong, help: "Say more.")
    var verbose: Int

    @Option(
        help: ArgumentHelp("auto, always or never.", valueName: "when"),
        completion: .list(["auto", "always", "never"]))
    var color: String?

    func settings() throws(SpoolError) -> Settings {
        var settings = Settings(
            fileOption: file, isJSON: isJSON, isQuiet: isQuiet, verbosity: verbose)
        if let color { try settings.setColor(color) }
        return settings
    }
}

/// A command that speaks through a ``Screen`` and ends with an exit status.
protocol SpoolSubcommand: ParsableCommand {
    var global: GlobalOptions { get }
    func perform(on screen: Screen) throws(SpoolError) -> Int32
}

extension SpoolSubcommand {
    func run() throws {
        let screen = Screen(try global.settings())
        let status: Int32
        do throws(SpoolError) {
            status = try perform(on: screen)
        } catch {
            // What was found out before it failed is worth showing.
            try screen.flush()
            throw error
        }
        try screen.flush()
        guard status == 0 else { throw ExitCode(status) }
    }
}
