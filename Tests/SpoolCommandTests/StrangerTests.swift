// StrangerTests.swift - a store where others can put files, and one that root has had his hands on.

import Glibc
import Testing

@Suite(
    "A store among other users",
    .enabled(if: Stranger.isPossible, "needs root, setpriv, and a build that others can run"))
struct StrangerTests {
    let bench: Bench

    init() throws { bench = try Bench() }

    /// Whose store it is.
    private static let user =
        "setpriv --reuid=65533 --regid=65533 --clear-groups '\(Program.spool)'"
    /// What another one does.
    private static let stranger = "setpriv --reuid=65534 --regid=65534 --clear-groups"

    private func user(_ words: String) -> Program.Result { bench.shell("\(Self.user) \(words)") }

    @Test(
        "P5: what another user put where SQLite looks for its files is not used",
        arguments: [
            "sh -c 'umask 0; : > FILE'", "sh -c 'umask 0; echo x > FILE'", "mkfifo -m 666 FILE",
            "mkdir -m 777 FILE", "ln -s /dev/null FILE",
        ], ["-wal", "-shm", "-journal"])
    func planted(_ how: String, _ suffix: String) {
        chmod(bench.directory, 0o1777)
        for isNew in [true, false] {
            if !isNew {
                _ = bench.shell("rm -rf jobs.db*")
                #expect(user("put -- true").text == "1\n")
                _ = bench.shell("rm -f jobs.db\(suffix)")
            }
            let plant = how.replacing("FILE", with: bench.file + suffix)
            #expect(bench.shell("\(Self.stranger) \(plant)").status == 0)
            let before = bench.shell("stat -c '%F %u %s' jobs.db\(suffix)").text
            let result = user("put -- echo secret")
            #expect(result.status == 65, "\(result.errors)")
            #expect(result.errors.hasPrefix("error: \(bench.file)\(suffix) "), "\(result.errors)")
            #expect(bench.shell("stat -c '%F %u %s' jobs.db\(suffix)").text == before)
        }
    }

    @Test(
        "P5: what a command of root's makes beside a user's file is that user's",
        arguments: [
            "list", "log 1", "rm 1", "cancel 1", "put -- true", "work --until-empty", "check",
        ])
    func superuser(_ words: String) {
        chown(bench.directory, 65533, 65533)
        for removed in ["", "jobs.db-spool"] {
            _ = bench.shell("rm -rf jobs.db*")
            #expect(user("put -- echo hello").text == "1\n")
            _ = bench.shell("rm -rf \(removed); spool \(words)")
            #expect(bench.shell("find . -uid 0").text == "")
            let put = user("put -- true")
            let work = user("work --until-empty")
            #expect(put.status == 0 && work.status == 0, "\(put.errors)\(work.errors)")
        }
    }

    @Test(
        "P5: another name of a file that is not the store's own is not written to",
        arguments: ["gate", "shared", "live", "arrived", "hint"])
    func hardLinks(_ name: String) {
        _ = bench.shell(
            "spool init; echo mine > victim; touch -d 2000-01-01 victim;"
                + " ln -f victim jobs.db-spool/\(name)")
        for words in ["put -v -- true", "work --until-empty"] {
            let result = bench.shell("spool \(words)")
            #expect(result.status == 0 || result.errors.contains("has 2 hard links"))
        }
        #expect(bench.shell("cat victim").text == "mine\n")
    }
}
