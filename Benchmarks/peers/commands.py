"""commands.py - `true`, many times, two at once: how people run commands from a shell. Putting counts too."""
import os
import re
import shutil
import subprocess
import tempfile
import time

from .processes import Wrong, bury, run
from .spool import Spool

TWO = 2


class Commands:
    most = None

    def __init__(self, folder):
        self.folder = folder.resolve()

    def timed(self, jobs):
        place = self.folder / type(self).__name__
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        (place / "lines").write_text("".join(f"{n}\n" for n in range(jobs)))
        with tempfile.TemporaryDirectory() as short:  # the name of a socket has 107 bytes at most
            self.env = {**os.environ, "SPOOL_FILE": str(place / "q.db"), "NQDIR": str(place), "TMPDIR": str(place),
                        "TS_SOCKET": f"{short}/tsp", "TS_SLOTS": str(TWO), "TS_MAXFINISHED": str(2 * jobs + 9)}
            begin = time.monotonic()
            self.go(place, jobs)
            took = time.monotonic() - begin
            if (found := self.done(place, jobs)) != jobs:
                raise Wrong(f"{self.name}: {jobs} commands were given, and {found} ended well")
        bury()
        return jobs / took

    def shell(self, script):
        run(["bash", "-ec", script], env=self.env)


class SpoolCommands(Commands):
    name = "Spool"
    program, durable = "bash", True
    durability = "synced before the answer; output, status and times of each are kept"

    def go(self, place, jobs):
        with open(place / "lines") as lines:
            run([Spool.program, "put", "--each", "--", "true", "{}"], env=self.env, stdin=lines)
        run([Spool.program, "work", "-j", TWO, "--until-empty", "--quiet"], env=self.env)

    def done(self, place, jobs):
        return int(run(["sqlite3", place / "q.db", "SELECT sum(done) FROM queues"]))

    def version(self):
        return run([Spool.program, "version"]).split()[-1]


class Xargs(Commands):
    name = "xargs -P2"
    program, durable = "xargs", False
    durability = "nothing is kept"

    def go(self, place, jobs):
        with open(place / "lines") as lines:
            subprocess.run(["xargs", f"-P{TWO}", "-n1", "true"], stdin=lines, check=True)  # fails if one failed

    def done(self, place, jobs):
        return jobs

    def version(self):
        return run(["xargs", "--version"]).split("\n")[0].split()[-1]


class TaskSpooler(Commands):
    name = "tsp"
    program, durable = "tsp", False
    durability = "in a server's memory; output in files"

    def go(self, place, jobs):
        # The last job wants both slots, so it runs when all others have ended.
        self.shell(f"for i in $(seq {jobs - 1}); do tsp -n true; done; tsp -N {TWO} -n true; tsp -w")

    def done(self, place, jobs):
        listed = run(["tsp"], env=self.env)
        run(["tsp", "-K"], env=self.env)
        return len(re.findall(r"finished +\S+ +0 ", listed))

    def version(self):
        return re.search(r"v([\d.]+)", run(["tsp", "-V"]))[1]


class NQ(Commands):
    name = "nq"
    program, durable = "nq", False
    durability = "a file for each, not synced; one runs at a time"
    most = 500  # each looks through the files of all before it

    def go(self, place, jobs):
        self.shell(f"for i in $(seq {jobs}); do nq -q true; done; nq -w")

    def done(self, place, jobs):
        return sum("exited with status 0" in path.read_text() for path in place.glob(",*"))

    def version(self):
        return run(["dpkg-query", "-W", "-f", "${Version}", "nq"]).split("-")[0]


ALL = [SpoolCommands, Xargs, TaskSpooler, NQ]
