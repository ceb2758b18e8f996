// StoreEntries.swift - the database itself: rows that anybody may have changed, bytes that are no database any more.
//
// Spool's file is for people too: whoever has the sqlite3 shell can write any number into any column. Then every
// command must say what it sees or refuse it, and none may trap.

private import ArgumentParser
private import CSQLite
private import Glibc
@testable private import SpoolCommand
private import SpoolJobs
internal import SpoolThreads

extension FuzzEntry {
    /// Four choices a change: which table, which column, which row, which value.
    static let rows = FuzzEntry(
        "rows",
        seeds: [
            [0, 2, 0, 1], [0, 3, 0, 0, 0, 4, 1, 1, 3, 3, 0, 1], [1, 0, 2, 0], [2, 4, 1, 1],
            [5, 1, 0, 1, 6, 0, 0, 0], [4, 5, 2, 0, 4, 12, 2, 1], [3, 3, 0, 1, 7, 4, 0, 0],
        ]
    ) { bytes, _ in
        let path = try StoreTemplate.fresh(StoreTemplate.bytes.get())
        try StoreTemplate.change(path, by: bytes)
        try StoreTrial.all(path, bytes)
    }

    /// Two bytes of offset, in 16ths of the file, one of position, one of value; a last odd byte cuts the file.
    static let store = FuzzEntry(
        "store",
        seeds: [
            [], [0, 0, 0, 0], [0, 0, 5, 255], [0, 0, 3, 9, 0, 100, 7, 1], [0, 20, 0, 13, 77],
        ]
    ) { bytes, _ in
        var file = try StoreTemplate.bytes.get()
        for at in stride(from: 0, to: bytes.count - 3, by: 4) {
            let place = (Int(bytes[at]) << 8 | Int(bytes[at + 1])) * 16 + Int(bytes[at + 2])
            file[place % file.count] = bytes[at + 3]
        }
        if bytes.count % 4 == 1, let cut = bytes.last {
            file.removeLast(file.count * Int(cut) / 256)
        }
        try StoreTrial.all(StoreTemplate.fresh(file), bytes)
    }
}

/// A store with a job in each state, as bytes of its file.
enum StoreTemplate {
    static let bytes: Result<[UInt8], any Error> = Result { try make() }

    private static func make() throws -> [UInt8] {
        let path = try Scratch.own() + "/template.db"
        let store = try Store.open(path, .create)
        let place = Place(directory: Array("/".utf8), environment: Array("A=1\0".utf8))
        var command = NewJob(
            .command([Array("ls".utf8), Array("a b".utf8)]), body: .bytes([0xFF]), name: "n",
            retries: 3, backoff: Backoff(min: .seconds(1), max: .seconds(9)), timeout: .seconds(5),
            place: place)
        let typed = NewJob(.kind("mail.send"), body: .json("{\"to\":\"a\"}"), queue: "mail")
        let owner = try store.register(name: "h:1", consumers: 2, queues: "", now: readingTime)
        try store.put([command, typed, command, command, typed, command], now: readingTime)
        var selection = Selection()
        selection.kinds = .all
        func exchange(_ outcomes: [Outcome], take: Int) throws -> Exchange {
            try store.exchange(
                owner: owner, settle: outcomes, take: take, from: selection, now: readingTime,
                random: { 0 })
        }
        let claims = try exchange([], take: 5).claimed.map(\.claim)
        let run = Run(started: readingTime, ended: readingTime, pid: 9, exit: 1, peakKiB: 100)
        let verdicts: [Verdict] = [.done, .failed, .cancelled, .failed]
        let outcomes = zip(claims, verdicts).map { Outcome($0, $1, run) }
        _ = try exchange(outcomes, take: 0)
        command.due = readingTime + .seconds(60)
        try store.put([command, typed], now: readingTime)
        try execute(
            path,
            [
                "INSERT INTO cancellation SELECT id, attempt, 15, 1000 FROM running",
                "PRAGMA wal_checkpoint(TRUNCATE)",
            ])
        return Scratch.read(path)
    }

    /// The bytes as a file again, with nothing beside it.
    static func fresh(_ bytes: [UInt8]) throws -> String {
        let path = try Scratch.own() + "/store.db"
        for suffix in ["-wal", "-shm", "-journal"] { unlink(path + suffix) }
        try Scratch.write(bytes, to: path)
        return path
    }

    private static let columns: [(table: String, columns: [String])] = [
        (
            "job",
            [
                "id", "lane", "priority", "put_at", "retries", "place", "backoff_min",
                "backoff_max", "timeout", "name", "command", "body",
            ]
        ),
        ("ready", ["lane", "priority", "id", "attempt", "failures", "deaths"]),
        ("scheduled", ["due", "id", "lane", "priority", "attempt", "failures", "deaths"]),
        ("running", ["id", "lane", "owner", "attempt", "failures", "deaths", "started"]),
        (
            "finished",
            [
                "id", "lane", "outcome", "attempt", "failures", "finished", "verdict",
                "owner", "pid", "started", "exit", "signal", "user_us", "system_us", "rss_kib",
                "error",
            ]
        ),
        (
            "lane",
            [
                "queue", "kind", "ready", "scheduled", "retrying", "running", "done", "dead",
                "cancelled",
            ]
        ),
        ("queue", ["id", "name", "paused_at"]),
        ("cancellation", ["id", "attempt", "signal", "grace"]),
        ("owner", ["id", "name", "pid", "consumers", "queues", "started", "ended"]),
        (
            "attempt",
            [
                "job", "attempt", "verdict", "owner", "pid", "started", "ended", "exit",
                "signal", "user_us", "system_us", "rss_kib", "error",
            ]
        ),
        ("spool", ["next_job", "next_owner"]),
        ("place", ["environment", "cwd"]), ("environment", ["digest", "variables"]),
    ]

    /// What the constraints of the tables refuse is left out.
    static func change(_ path: String, by bytes: [UInt8]) throws {
        var choices = Choices(bytes)
        var changes = ["PRAGMA ignore_check_constraints=ON", "PRAGMA synchronous=OFF", "BEGIN"]
        while !choices.rest.isEmpty, changes.count < 20 {
            let (table, names) = columns[choices.below(columns.count)]
            let column = names[choices.below(names.count)]
            let row = choices.below(4)
            changes.append(
                "UPDATE OR IGNORE \(table) SET \(column) = \(value(column, &choices)) WHERE "
                    + "(SELECT count(*) FROM \(table) x WHERE x.\(names[0]) < \(table).\(names[0]))"
                    + " % 4 = \(row)")
        }
        try execute(path, changes + ["COMMIT"])
    }

    private static func value(_ column: String, _ choices: inout Choices) -> String {
        let texts = ["name", "command", "body", "error", "kind", "queues", "cwd", "variables"]
        guard texts.contains(column) else { return "\(choices.number())" }
        let bytes = choices.run(choices.below(24))
        let hex = bytes.map { String(256 + Int($0), radix: 16).dropFirst() }.joined()
        return column == "variables" || column == "body" && bytes.first == 0
            ? "x'\(hex)'" : "CAST(x'\(hex)' AS TEXT)"
    }

    static func execute(_ path: String, _ statements: [String]) throws {
        var handle: OpaquePointer?
        guard sqlite3_open(path, &handle) == SQLITE_OK else { throw Broken("cannot open \(path)") }
        defer { sqlite3_close(handle) }
        for statement in statements { sqlite3_exec(handle, statement, nil, nil, nil) }
    }
}

/// Everything that looks at a store, and everything that moves its jobs: of many commands two, as the input has it, for
/// each opens the file, which is what takes the time.
private enum StoreTrial {
    static func all(_ path: String, _ bytes: [UInt8]) throws {
        let looks = try Looks.made.get()
        let choice = bytes.reduce(0) { ($0 &* 31 &+ Int($1)) & 0xFFFF }
        try look(path, bytes, looks.shows[choice % looks.shows.count], looks.output)
        _ = try answer(to: bytes) { () throws(SpoolError) in try work(path, choice) }
        try look(path, bytes, looks.others[choice / 16 % looks.others.count], looks.output)
    }

    private static func look(
        _ path: String, _ bytes: [UInt8], _ command: any SpoolSubcommand, _ output: Int32
    ) throws {
        var settings = try command.global.settings()
        settings.fileOption = path
        let screen = Screen(settings, output: output)
        _ = try answer(to: bytes + Array(path.utf8)) { () throws(SpoolError) in
            _ = try command.perform(on: screen)
            try screen.flush()
        }
    }

    /// As a worker and as people do it, at a moment when everything is due.
    private static func work(_ path: String, _ choice: Int) throws(SpoolError) {
        let store = try Store.open(path, .existing)
        let now = readingTime + .seconds(3600)
        try store.recover(now: now)
        let owner = try store.register(name: "h:2", consumers: 1, queues: "", now: now)
        let verdicts: [Verdict] = [.failed, .consumerDied, .timedOut, .released, .done, .recalled]
        var outcomes: [Outcome] = []
        for round in 0..<2 {
            let exchange = try store.exchange(
                owner: owner, settle: outcomes, take: 8, from: Selection(kinds: .all), now: now,
                random: { 0.5 })
            let run = Run(started: now, ended: now, pid: 9)
            outcomes = exchange.claimed.enumerated().map {
                Outcome($1.claim, verdicts[($0 + round) % verdicts.count], run)
            }
            // What one job lacks is no reason to leave the others.
            for job in exchange.claimed { if let place = job.place { _ = try? store.place(place) } }
        }
        let id = Int64(choice % 8 + 1)
        // Each may be refused, for the state that the job is in.
        _ = try? store.cancel([id], signal: 15, grace: .seconds(1), now: now)
        _ = try? store.retry([id], now: now)
        try? store.remove([id])
        try store.put([NewJob(.kind("k"), queue: "mail")], now: now)
        try store.retire(owner: owner, now: now)
    }
}

/// The commands that look, read from their words once: that takes longer than what they do.
private struct Looks {
    var others: [any SpoolSubcommand] = []
    var shows: [any SpoolSubcommand] = []
    var output: Int32 = -1

    /// Each run reads them, none changes them, and there is one thread at a time.
    nonisolated(unsafe) static let made = Result { try Looks() }

    private init() throws {
        output = open("/dev/null", O_WRONLY | O_CLOEXEC)
        guard output >= 0 else { throw Broken("no /dev/null") }
        for json in [[], ["--json"]] {
            others += [
                try List.parse(["-a"] + json), try Queues.parse(json), try Workers.parse(json),
                try Check.parse(json),
            ]
        }
        for job in 1...8 {
            shows += [try Show.parse(["\(job)", "-v"]), try Show.parse(["\(job)", "--json"])]
        }
    }
}
