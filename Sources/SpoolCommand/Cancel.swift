// Cancel.swift - `spool cancel`: stops jobs, running ones too.

private import Glibc
internal import ArgumentParser
internal import SpoolJobs
internal import SpoolThreads

struct Cancel: SpoolSubcommand {
    static let configuration = CommandConfiguration(
        abstract: "Cancel jobs; running ones are stopped.",
        discussion: """
            A running job gets the signal, and KILL after the grace.

              spool cancel 17
              spool cancel 17 --signal INT --grace 30s
            """,
        aliases: ["kill"])

    private static let signals: [(name: String, number: Int32)] = [
        ("TERM", SIGTERM), ("INT", SIGINT), ("HUP", SIGHUP), ("QUIT", SIGQUIT), ("KILL", SIGKILL),
        ("USR1", SIGUSR1), ("USR2", SIGUSR2), ("ABRT", SIGABRT), ("ALRM", SIGALRM),
    ]

    @OptionGroup var global: GlobalOptions
    @Option(
        help: "The signal for running jobs.", completion: .list(Cancel.signals.map(\.name)))
    var signal = "TERM"
    @Option(help: "From the signal to KILL.")
    var grace = "10s"
    @Flag(help: "Say what would be done, and do nothing.")
    var dryRun = false
    @Argument(help: "The jobs.")
    var ids: [String]

    func perform(on screen: Screen) throws(SpoolError) -> Int32 {
        let jobs = try Numbers.ids(ids)
        let number = try Cancel.signalNumber(signal)
        let wait = try Durations.parse(grace, option: "--grace")
        let store = try Looking.open(screen.settings.file())
        let asked =
            try dryRun
            ? store.checkCancel(jobs)
            : store.cancel(jobs, signal: number, grace: wait, now: .now())
        let stopped = Set(jobs).subtracting(asked)
        let would = dryRun ? "would be " : ""
        if !stopped.isEmpty {
            let ids = jobs.filter(stopped.contains)
            try Changed.tell(ids, "cancel", would + "cancelled", on: screen)
        }
        if !asked.isEmpty {
            try Changed.tell(asked, "stop", would + "asked to stop (\(signal))", on: screen)
        }
        return 0
    }

    private static func signalNumber(_ text: String) throws(SpoolError) -> Int32 {
        let upper = text.uppercased()
        let name = upper.hasPrefix("SIG") ? String(upper.dropFirst(3)) : upper
        if let known = signals.first(where: { $0.name == name }) { return known.number }
        if let number = Int32(text), (1...64).contains(number) { return number }
        throw .usage(
            "--signal must be 1…64 or \(signals.map(\.name).joined(separator: ", "));"
                + " got '\(text)'." + Suggestion.sentence(for: name, among: signals.map(\.name)))
    }
}
