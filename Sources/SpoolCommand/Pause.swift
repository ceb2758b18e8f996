// Pause.swift - `spool pause`: stop giving out a queue's jobs.

internal import ArgumentParser
internal import SpoolJobs
internal import SpoolThreads

struct Pause: SpoolSubcommand {
    static let configuration = CommandConfiguration(
        abstract: "Stop giving out a queue's jobs.",
        discussion: """
            Running jobs go on; jobs can still be put. work --until-empty does not wait for those \
            that are left.

              spool pause media
            """)

    @OptionGroup var global: GlobalOptions
    @Argument(help: "The queue.")
    var queue: String

    func perform(on screen: Screen) throws(SpoolError) -> Int32 {
        let queue = try Numbers.name(queue, what: "queue")
        let store = try Store.open(screen.settings.file(), .existing)
        try store.pause(queue: queue, now: .now())
        guard screen.settings.isJSON else {
            screen.note("queue '\(queue)' is paused")
            return 0
        }
        try screen.line(JSONObject(queue: queue, action: "pause"))
        return 0
    }
}
