// FileTests.swift - files that are damaged, no store, or not there, as the commands meet them.

import Testing

@Suite("A file that is no sound store") struct FileTests {
    let bench: Bench

    init() throws { bench = try Bench() }

    @Test("check tells of a damaged file what is wrong with it, and exits 1")
    func damaged() {
        _ = bench.shell(
            """
            for n in $(seq 2000); do echo '{"command":["true"]}'; done | spool put --ndjson - > ids
            sqlite3 "$SPOOL_FILE" 'PRAGMA wal_checkpoint(truncate)' > /dev/null
            truncate -s 20000 "$SPOOL_FILE"
            """)
        let result = bench.spool("check")
        #expect(result.status == 1)
        #expect(result.text.hasPrefix("✖ ") && result.errors.isEmpty, "\(result.errors)")
    }

    @Test(
        "nothing is made beside a file that is none of Spool's",
        arguments: ["list", "put -- true", "work --until-empty", "check"])
    func foreign(_ words: String) {
        bench.write("%PDF-1.7\n", to: "other.db")
        let result = bench.shell("export SPOOL_FILE=other.db; spool \(words)")
        #expect(result.status == 65)
        #expect(bench.shell("ls -d other.db*").text == "other.db\n")
    }

    @Test(
        "a link to a file that is not there is said to be one", arguments: ["list", "put -- true"])
    func dangling(_ words: String) {
        let result = bench.shell("ln -s nowhere link.db; export SPOOL_FILE=link.db; spool \(words)")
        #expect(result.status == 65)
        #expect(result.errors.contains("is a symbolic link to a file that is not there"))
        #expect(bench.shell("ls -d link.db*").text == "link.db\n")
    }
}
