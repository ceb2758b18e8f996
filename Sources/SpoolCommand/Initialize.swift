// Initialize.swift - `spool init`: makes the file of a store.

internal import ArgumentParser
internal import SpoolJobs
internal import SpoolThreads

struct Initialize: SpoolSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Create a spool file.",
        discussion: "put and work do it by themselves.\n\n  spool init jobs.db")

    @OptionGroup var global: GlobalOptions
    @Argument(help: "The file. Default: that of --file.")
    var path: String?

    func perform(on screen: Screen) throws(SpoolError) -> Int32 {
        let isNamed = path != nil || global.file != nil
        let path = if let path { path } else { try screen.settings.file() }
        _ = try Store.open(path, warningOn: screen)
        if screen.settings.isJSON {
            var object = JSONObject()
            object.set("file", path)
            object.set("v", 1)
            try screen.line(object)
        } else {
            let command = isNamed ? "spool --file \(path)" : "spool"
            screen.note("\(path) is ready. Put a job with:  \(command) put -- echo hello")
        }
        return 0
    }
}
