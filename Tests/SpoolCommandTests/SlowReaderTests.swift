// SlowReaderTests.swift - who reads what a command writes, and takes his time.

import Testing

@Suite("A reader that stands still", .timeLimit(.minutes(10)))
struct SlowReaderTests {
    let bench: Bench

    init() throws { bench = try Bench() }

    @Test("D8: keeps the log from being copied for a moment only, and gets the whole list")
    func list() {
        let copy = "sqlite3 jobs.db 'PRAGMA wal_checkpoint(TRUNCATE)'"
        let result = bench.shell(
            """
            yes '{"kind":"spool.noop"}' | head -n 20000 | spool put --ndjson - --quiet
            mkfifo go
            spool list -n 0 --json | { read -r line; touch begun; read -r line < go; wc -l; } > counted &
            \(Bench.waiting("test -e begun"))
            spool put -- true > /dev/null
            \(Bench.waiting("test \"$(\(copy))\" = '0|0|0'"))
            \(copy)
            echo > go
            wait
            cat counted
            """)
        #expect(result.text == "0|0|0\n19999\n")
    }
}
