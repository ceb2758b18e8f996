// Resume.swift - `spool resume`: give out a paused queue's jobs again.

internal import ArgumentParser
internal import SpoolJobs
internal import SpoolThreads

struct Resume: SpoolSubcommand {
    static let configuration = CommandConfiguration(
        abstract: "Give out a paused queue's jobs again.",
        discussion: "  spool resume media")

    @OptionGroup var global: GlobalOptions
    @Argument(help: "The queue.")
    var queue: String

    func perform(on screen: Screen) throws(SpoolError) -> Int32 {
        let queue = try Numbers.name(queue, what: "queue")
        let store = try Store.open(screen.settings.file(), .existing)
        try store.resume(queue: queue)
        guard screen.settings.isJSON else {
            screen.note("queue '\(queue)' is resumed")
            return 0
        }
        try screen.line(JSONObject(queue: queue, action: "resume"))
        return 0
    }
}
