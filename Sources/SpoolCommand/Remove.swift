// Remove.swift - `spool rm`: forgets jobs, with their attempts and logs.

internal import ArgumentParser
internal import SpoolJobs
internal import SpoolThreads

struct Remove: SpoolSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "rm",
        abstract: "Remove jobs, their attempts and logs.",
        discussion: "A running job must be cancelled first.\n\n  spool rm 17 18")

    @OptionGroup var global: GlobalOptions
    @Flag(help: "Say what would be done, and do nothing.")
    var dryRun = false
    @Argument(help: "The jobs.")
    var ids: [String]

    func perform(on screen: Screen) throws(SpoolError) -> Int32 {
        let jobs = try Numbers.ids(ids)
        let store = try Looking.open(screen.settings.file())
        try dryRun ? store.checkRemove(jobs) : store.remove(jobs)
        try Changed.tell(jobs, "rm", dryRun ? "would be removed" : "removed", on: screen)
        return 0
    }
}
