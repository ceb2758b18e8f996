// Queues.swift - `spool queues`: the queues and how many jobs stand in each state.

internal import ArgumentParser
internal import SpoolJobs
internal import SpoolThreads

struct Queues: SpoolSubcommand {
    static let configuration = CommandConfiguration(
        abstract: "List the queues.", discussion: "  spool queues\n  spool queues --json")

    @OptionGroup var global: GlobalOptions

    func perform(on screen: Screen) throws(SpoolError) -> Int32 {
        let store = try Looking.open(screen.settings.file())
        let queues = try store.queues()
        if screen.settings.isJSON {
            for queue in queues { try screen.line(json(queue)) }
            return 0
        }
        guard !queues.isEmpty else {
            try screen.line("No queues. The first job makes one:  spool put -- echo hello")
            return 0
        }
        try table(queues, now: .now()).write(on: screen)
        return 0
    }

    private func table(_ queues: [QueueRow], now: UnixTime) -> Table {
        var table = Table([
            ("QUEUE", .left), ("READY", .right), ("RUNNING", .right), ("SCHEDULED", .right),
            ("RETRYING", .right), ("DEAD", .right), ("DONE", .right), ("", .left),
        ])
        for queue in queues {
            let counts = queue.counts
            var notes: [String] = []
            if let since = queue.pausedSince {
                notes.append("⏸ paused for \(Phrases.age(now - since))")
            }
            if let due = queue.nextDue, counts.scheduled + counts.retrying > 0 {
                notes.append(
                    due > now ? "next in \(Phrases.long(Phrases.until(due - now)))" : "next is due"
                )
            }
            table.add([
                Cell(Escaping.line(queue.name), .bold), Cell(Phrases.grouped(counts.ready)),
                Cell(Phrases.grouped(counts.running), counts.running > 0 ? .green : nil),
                Cell(Phrases.grouped(counts.scheduled)),
                Cell(Phrases.grouped(counts.retrying), counts.retrying > 0 ? .yellow : nil),
                Cell(Phrases.grouped(counts.dead), counts.dead > 0 ? .red : nil),
                Cell(Phrases.grouped(counts.done)), Cell(notes.joined(separator: ", "), .yellow),
            ])
        }
        return table
    }

    private func json(_ queue: QueueRow) -> JSONObject {
        var object = JSONObject()
        object.set("queue", queue.name)
        JobText.json(queue.counts, into: &object)
        object.set("paused_at", queue.pausedSince)
        object.set("next_due_at", queue.nextDue)
        object.set("v", 1)
        return object
    }
}
