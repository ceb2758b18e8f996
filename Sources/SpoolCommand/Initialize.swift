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
    @Argument(help: "The file. Default: that of --file.", completion: .file())
    var path: String?

    func perform(on screen: Screen) throws(SpoolError) -> Int32 {
        let isNamed = path != nil || global.file != nil
        let path = if let path { try Settings.path(path) } else { try screen.settings.file() }
        _ = try Store.open(path, warningOn: screen)
        if screen.settings.isJSON {
            var object = JSONObject()
            object.set("file", path)
            object.set("v", 1)
            try screen.line(object)
        } else {
            let quoted = String(decoding: Words.quote([Array(path.utf8)]), as: UTF8.self)
            let command = isNamed ? "spool --file \(quoted)" : "spool"
            screen.note("\(path) is ready. Put a job with:  \(command) put -- echo hello")
        }
        return 0
    }
}
