// Version.swift - `spool version`.

internal import ArgumentParser
internal import SpoolThreads

struct Version: SpoolSubcommand {
    static let configuration = CommandConfiguration(abstract: "Print the version.")
    static let number = "0.1.0"

    @OptionGroup var global: GlobalOptions

    func perform(on screen: Screen) throws(SpoolError) -> Int32 {
        guard screen.settings.isJSON else {
            try screen.line("spool \(Version.number)")
            return 0
        }
        var object = JSONObject()
        object.set("version", Version.number)
        object.set("v", 1)
        try screen.line(object)
        return 0
    }
}
