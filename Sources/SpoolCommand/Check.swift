// Check.swift - `spool check`: looks whether a store is sound.

internal import ArgumentParser
internal import SpoolJobs
internal import SpoolThreads

struct Check: SpoolSubcommand {
    static let configuration = CommandConfiguration(
        abstract: "Look whether a spool file is sound.",
        discussion: """
            Reads all of it and changes nothing. Exits 1 when something was found.

              spool check
            """,
        aliases: ["doctor"])

    @OptionGroup var global: GlobalOptions
    @Argument(help: "The file. Default: that of --file.", completion: .file())
    var path: String?

    func perform(on screen: Screen) throws(SpoolError) -> Int32 {
        let path = if let path { try Settings.path(path) } else { try screen.settings.file() }
        var store: Store?
        var problems: [String] = []
        do throws(SpoolError) {
            store = try Store.open(path, .readOnly)
            problems = try store?.check() ?? []
            store?.completesAtClose = problems.isEmpty
        } catch .storeCorrupt(_, let detail) {
            problems = [detail]
        }
        if screen.settings.isJSON {
            var object = JSONObject()
            object.set("file", path)
            object.set("ok", problems.isEmpty)
            object.set("problems", problems)
            object.set("v", 1)
            try screen.line(object)
        } else if problems.isEmpty, let store {
            let counts = try store.counts(queue: nil)
            try screen.line(
                screen.paint("ok", .green) + "  \(path): \(Phrases.counted(counts.total, "job")), "
                    + "\(Phrases.counted(try store.queueNames().count, "queue")); pages, keys and "
                    + "counters agree")
        } else {
            for problem in problems {
                try screen.line(screen.paint("✖", .red) + " " + Escaping.line(problem))
            }
        }
        return problems.isEmpty ? 0 : 1
    }
}
