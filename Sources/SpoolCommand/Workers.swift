// Workers.swift - `spool workers`: the processes that take jobs and are alive.

internal import ArgumentParser
internal import SpoolJobs
internal import SpoolThreads

struct Workers: SpoolSubcommand {
    static let configuration = CommandConfiguration(
        abstract: "List the workers that are alive.",
        discussion: "  spool workers\n  spool workers --json")

    @OptionGroup var global: GlobalOptions

    func perform(on screen: Screen) throws(SpoolError) -> Int32 {
        let store = try Store.open(screen.settings.file(), .readOnly)
        let workers = try store.workers()
        if screen.settings.isJSON {
            for worker in workers { try screen.line(json(worker)) }
            return 0
        }
        guard !workers.isEmpty else {
            try screen.line(
                "No worker is alive. Start one with:  " + screen.settings.command("work"))
            return 0
        }
        let now = UnixTime.now()
        var table = Table([
            ("WORKER", .left), ("PID", .right), ("BUSY", .right), ("UP", .left), ("QUEUES", .left),
        ])
        for worker in workers {
            table.add([
                Cell(Escaping.line(worker.name), .bold), Cell(String(worker.pid)),
                Cell(Workers.busy(worker)),
                Cell(Phrases.age(now - worker.started)),
                Cell(worker.queues.isEmpty ? "all" : Escaping.line(worker.queues)),
            ])
        }
        try table.write(on: screen)
        return 0
    }

    /// A program with the library has no number of consumers. Short jobs are handed out ahead: a consumer may hold more
    /// than the one that it is at.
    static func busy(_ worker: WorkerRow) -> String {
        guard worker.consumers > 0 else { return String(worker.running) }
        return "\(min(worker.running, worker.consumers))/\(worker.consumers)"
    }

    private func json(_ worker: WorkerRow) -> JSONObject {
        var object = JSONObject()
        object.set("worker", worker.name)
        object.set("pid", worker.pid)
        object.set("consumers", worker.consumers)
        object.set("running", worker.running)
        object.set("queues", worker.queues.split(separator: ",").map(String.init))
        object.set("started_at", worker.started)
        object.set("v", 1)
        return object
    }
}
