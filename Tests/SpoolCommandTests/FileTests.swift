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
        "a URL is no file: nothing is put, and nothing is made of that name",
        arguments: [
            "file:jobs.db", "file:/no/such/jobs.db?mode=ro", "postgres://host/jobs", "http://host",
        ])
    func url(_ name: String) {
        for words in ["--file '\(name)' put -- true", "--file '\(name)' list", "init '\(name)'"] {
            let result = bench.shell("spool \(words)")
            #expect(result.status == 64)
            let sentence = "error: '\(name)' is a URL, and spool keeps jobs in a file."
            #expect(result.errors.hasPrefix(sentence), "\(result.errors)")
        }
        #expect(bench.shell("ls").text == "")
        #expect(bench.shell("spool put --file './\(name)' -- true").text == "1\n")
    }

    @Test("a job finds its own file, though its worker was given a name below no directory yet")
    func madeByWorker() throws {
        bench.write(
            """
            timeout 60 '\(Program.spool)' work --file new/er/jobs.db --max-jobs 2 --quiet & worker=$!
            \(Bench.waiting("test -e new/er/jobs.db"))
            mkdir else
            spool put --file new/er/jobs.db --cwd else -- '\(Program.spool)' put -- true
            wait $worker
            """, to: "chain")
        #expect(bench.shell(". ./chain").status == 0)
        #expect(bench.shell("spool list -a --file new/er/jobs.db --ids").text == "2\n1\n")
    }

    @Test("but for its directory, which is missing, has no workers, and that is no error")
    func workers() {
        bench.spool("put", "--", "true")
        let result = bench.shell("rm -r jobs.db-spool; spool workers; ls -d jobs.db-spool")
        #expect(result.text == "No worker is alive. Start one with:  spool work\n")
        #expect(result.errors.hasPrefix("ls: "), "\(result.errors)")
    }

    @Test(
        "a link to a file that is not there is said to be one", arguments: ["list", "put -- true"])
    func dangling(_ words: String) {
        let result = bench.shell("ln -s nowhere link.db; export SPOOL_FILE=link.db; spool \(words)")
        #expect(result.status == 65)
        #expect(result.errors.contains("is a symbolic link to a file that is not there"))
        #expect(bench.shell("ls -d link.db*").text == "link.db\n")
    }

    @Test(
        "whose tables are not all there is damaged for every command, and check says what is missing",
        arguments: [
            ("DROP TABLE ready", "table ready"), ("DROP TABLE running", "table running"),
            ("ALTER TABLE job RENAME TO j; CREATE VIEW job AS SELECT * FROM j", "table job"),
            ("DROP INDEX finished_badly", "index finished_badly"),
        ])
    func incomplete(_ sql: String, _ missing: String) {
        bench.spool("put", "--", "true")
        _ = bench.shell("sqlite3 jobs.db '\(sql)'")
        let check = bench.spool("check")
        #expect(check.status == 1 && check.text == "✖ the \(missing) is missing\n", "\(check.text)")
        guard missing.hasPrefix("table") else { return }
        for words in ["list", "put -- true", "rm 1", "work --until-empty"] {
            let result = bench.shell("timeout 60 '\(Program.spool)' \(words)")
            #expect([0, 65].contains(result.status), "\(words): \(result.errors)")
        }
    }

    @Test("that gives no ids, or says that it has no schema, is damaged, and nothing is made of it")
    func emptied() {
        bench.spool("put", "--", "true")
        _ = bench.shell("sqlite3 jobs.db 'DELETE FROM spool'")
        let check = bench.spool("check")
        #expect(check.text == "✖ the table spool is empty: no job can get an id\n")
        for version in [0, -1] {
            _ = bench.shell("sqlite3 jobs.db 'PRAGMA user_version=\(version)'")
            let put = bench.spool("put", "--", "true")
            #expect(put.status == 65 && put.errors.contains("its schema is \(version)"))
        }
        #expect(
            bench.shell("ls -d jobs.db*").text
                == "jobs.db\njobs.db-shm\njobs.db-spool\njobs.db-wal\n")
    }

    @Test("that takes the place of another one forgets the logs of that, and no other file there")
    func logs() {
        bench.spool("put", "--", "echo", "old")
        bench.spool("work", "--until-empty")
        _ = bench.shell(
            "mv jobs.db-spool/logs elsewhere; ln -s ../elsewhere jobs.db-spool/logs;"
                + " touch elsewhere/mine.log; rm jobs.db"
        )
        bench.spool("put", "--", "true")
        #expect(bench.shell("ls elsewhere").text == "mine.log\n")
    }
}
