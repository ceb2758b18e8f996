// Naive.swift - the mutant of rig S: a queue as one writes it first, its connections as SQLite opens them.
//
// The same three acts at the same calls lose rows that were acknowledged: while one connection's automatic checkpoint
// stands between reading the log's header and copying pages, another one begins the log anew.

internal import CFaultDisk
internal import CSQLite
internal import SpoolThreads

struct Naive {
    private let stage: Stage

    init(_ plan: Plan) { stage = Stage(plan.directory) }

    func run() throws -> Report {
        var report = Report("schedules of a naive queue")
        let calls = try calls()
        // Reads and writes come by the hundred, and nothing of interest happens between two of them.
        let points = calls.indices.filter {
            ![FAULT_READ.rawValue, FAULT_WRITE.rawValue].contains(calls[$0].kind.rawValue)
        }
        for first in points {
            for second in points where second >= first {
                report.count()
                guard let damage = try play(first, second) else { continue }
                report.fail(
                    "D7: \(damage)", "a second put at \(calls[first]), a third at \(calls[second])")
                return report
            }
        }
        return report
    }

    private struct Three {
        let connections: [Guest]
        var put = 0

        init(_ stage: Stage) throws {
            stage.clear()
            let first = try Guest(stage.path, checkpoints: true)
            // Small pages, so that a thousand of them, SQLite's own limit, are soon full.
            first.run("PRAGMA page_size=512; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
            first.run("CREATE TABLE job(id INTEGER PRIMARY KEY, body BLOB)")
            connections =
                try [first] + (0..<2).map { _ in try Guest(stage.path, checkpoints: true) }
            for connection in connections { connection.run("SELECT count(*) FROM job") }
            while put < 11 { insert(1) }
        }

        mutating func insert(_ index: Int) {
            if connections[index].run("INSERT INTO job(body) VALUES (randomblob(42000))")
                == SQLITE_OK
            {
                put += 1
            }
        }
    }

    private func calls() throws -> [Call] {
        var three = try Three(stage)
        return Gatekeeper.calls(of: { three.insert(0) })
    }

    private func play(_ first: Int, _ second: Int) throws -> String? {
        var three = try Three(stage)
        var others = 0
        let connections = three.connections
        Gatekeeper.watch(
            { number, _ in
                for index in [1, 2] where number == (index == 1 ? first : second) {
                    let insert = "INSERT INTO job(body) VALUES (randomblob(42000))"
                    if connections[index].run(insert) == SQLITE_OK { others += 1 }
                }
                return 0
            }, { three.insert(0) })
        for _ in 0..<14 { three.insert(1) }
        let look = try Guest(stage.path, checkpoints: false)
        let said = look.rows("PRAGMA integrity_check")
        let found = look.number("SELECT count(*) FROM job")
        guard said == ["ok"] else { return "integrity_check says \(said.first?.prefix(60) ?? "")" }
        return found == three.put + others ? nil : "of \(three.put + others) rows \(found) are left"
    }
}
