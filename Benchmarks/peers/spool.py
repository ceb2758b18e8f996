"""spool.py - Spool itself, and plain C over the same SQLite (limit.c), under the workloads of the peers."""
import contextlib
import os
import sqlite3
import statistics
import subprocess
import time

from . import processes
from .peer import Peer
from .processes import Producer, Wrong, run, spawn, stop
from .trial import Trial

BATCH = 256  # of the C drain, as in Benchmarks/run


class Spool(Peer):
    name = "Spool"
    durability = "synced before the answer"
    client = "Spool, the Swift library"
    program = os.environ.get("SPOOL", processes.TOP / ".build/release/spool")
    bench = processes.TOP / ".build/release/StoreBenchmark"

    def missing(self):
        return [str(path) for path in (self.program, self.bench) if not os.path.exists(path)]

    def version(self):
        return run([self.program, "version"]).split()[-1]

    def trial(self):
        return SpoolTrial(self)


class Limit(Peer):
    name = "plain C on SQLite"
    durability = "synced before the answer (limit.c)"
    client = "C"
    programs = ("cc",)

    def start(self):
        source = processes.TOP / "Benchmarks/limit.c"
        run(["cc", "-O2", "-o", self.folder / "limit", source, "-lsqlite3"])

    def version(self):
        return sqlite_version()

    def trial(self):
        return LimitTrial(self)


def sqlite_version():
    return run(["sqlite3", "--version"]).split()[0]


class FreshFiles:
    """A new database for each measurement, so that none pays for the one before."""

    def fresh(self):
        for file in self.peer.folder.glob("queue.db*"):
            subprocess.run(["rm", "-rf", file], check=True)
        self.file = str(self.peer.folder / "queue.db")

    @contextlib.contextmanager
    def workers(self):
        """Nothing here: each workload has a file of its own, and its worker."""
        yield


class SpoolTrial(FreshFiles, Trial):
    def __init__(self, peer):
        super().__init__(peer)
        self.clear()

    def clear(self):
        self.fresh()
        run([self.peer.program, "init", self.file])

    def producer(self, way, jobs, threads=1):
        words = [self.peer.bench, self.file, jobs, threads, way]
        return Producer(words, self.peer.folder, None)

    def latency(self, jobs):
        with self.worker():
            self.settled(lambda: self.produce("paced", jobs), jobs)
            waited = self.query("SELECT (f.started - j.put_at) / 1e6 FROM finished f JOIN job j USING(id) ORDER BY id")
        return statistics.median(seconds for seconds, in waited[-jobs:])

    def mixed(self, jobs):
        with self.worker():
            return super().mixed(jobs)

    @contextlib.contextmanager
    def worker(self):
        self.clear()
        words = [self.peer.program, "--file", self.file, "work", "-j", self.peer.workers, "--quiet"]
        worker = spawn(words, self.peer.folder)
        try:
            self.settled(lambda: self.produce("put", 8), 8)
            yield
        finally:
            stop(worker)

    def drain(self, jobs):
        """From the start of the worker's process to its end: more than for the peers, whose workers are there."""
        self.clear()
        self.produce("bulk", jobs)
        begin = time.monotonic()
        run([self.peer.program, "--file", self.file, "work", "-j", self.peer.workers, "--until-empty", "--quiet"])
        took = time.monotonic() - begin
        if (found := self.performed()) != jobs:
            raise Wrong(f"{jobs} jobs were put, and {found} are done")
        return jobs / took

    def waiting(self):
        return self.number("SELECT coalesce(sum(ready), 0) FROM queues")

    def performed(self):
        return self.number("SELECT coalesce(sum(done), 0) FROM queues")

    def last_end(self):
        return self.number("SELECT max(finished) FROM finished") / 1e6

    def clock(self):
        return time.time()

    def number(self, statement):
        return self.query(statement)[0][0]

    def query(self, statement, *values):
        with contextlib.closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)) as link:
            return link.execute(statement, values).fetchall()


class LimitTrial(FreshFiles, Trial):
    workloads = ("put", "bulk", "drain")

    def put(self, jobs):
        return self.limit(jobs, "put", jobs, 1)

    def bulk(self, jobs):
        return self.limit(jobs, "put", jobs, jobs)

    def drain(self, jobs):
        self.bulk(jobs)
        return self.limit(jobs, "drain", BATCH, again=True)

    def limit(self, jobs, *words, again=False):
        if not again:
            self.fresh()
        begin = time.monotonic()
        run([self.peer.folder / "limit", self.file, *words])
        return jobs / (time.monotonic() - begin)
