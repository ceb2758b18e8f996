"""peer.py - what the benchmark must know about a job queue: one subclass for each, in brokers, libraries, frameworks.

Half of it runs in the benchmark (start, producer, worker), half in processes of the virtual environment (connect,
consume, count, clear; client.py calls them). The peers' own packages are therefore imported where they are used.
"""
import importlib.metadata
import os
import shutil
import sqlite3

from . import processes
from .trial import Trial

PATH = f"{os.environ['PATH']}:/usr/sbin:/usr/lib/rabbitmq/bin"


class Peer:
    name = ""            # as the table has it
    durability = ""      # what has happened when a put was acknowledged, and how it is set
    durable = True       # whether that is a sync
    client = ""          # who speaks to it in the measurement
    programs = ()        # what must be on the machine
    modules = ()         # and in the virtual environment; the first one's version is shown
    workers = 2
    bulk_api = True
    counts_here = False  # whether count and clear need nothing but the standard library
    note = ""

    def __init__(self, folder, port):
        self.folder, self.port = folder, port

    # In the benchmark.

    def missing(self):
        """What keeps this peer from being measured; empty when nothing does."""
        lost = [program for program in self.programs if not shutil.which(program, path=PATH)]
        if self.modules:
            known = _installed()
            lost += [module for module in self.modules if module.lower() not in known]
        return lost

    def start(self):
        """Starts what servers it needs; returns when they answer."""

    def version(self):
        return _installed()[self.modules[0].lower()]

    def producer(self, way, jobs, threads=1):
        """The command that puts jobs: way is put, bulk or paced."""
        return self.call(way, jobs, threads)

    def worker(self, slot):
        """The command that performs jobs until it is stopped."""
        return self.call("work", slot)

    def call(self, *words):
        return [processes.PYTHON, "-m", "peers.client", type(self).__name__, *words]

    def env(self, marks, slot=0):
        return {**os.environ, "PATH": PATH, "PEER_FOLDER": str(self.folder), "PEER_PORT": str(self.port),
                "PEER_MARKS": str(marks.path), "PEER_SLOT": str(slot), "C_FORCE_ROOT": "1",
                "PYTHONPATH": str(processes.TOP / "Benchmarks"), "PYTHONDONTWRITEBYTECODE": "1"}

    def trial(self):
        return Trial(self)

    def is_quiet(self):
        """Whether workers that were stopped hold nothing that producers wait for."""
        return True

    # In the virtual environment.

    def connect(self):
        """A producer: a function that puts one body, and one that puts many."""
        raise NotImplementedError

    def consume(self, perform):
        raise NotImplementedError

    def count(self):
        """How many jobs wait."""
        raise NotImplementedError

    def clear(self):
        raise NotImplementedError


class OnSQLite(Peer):
    """A library whose queue is a SQLite file. None has a way to wait: workers look every 10 ms, or as it does."""

    poll = 0.01

    @property
    def file(self):
        return str(self.folder / "queue.db")

    def is_quiet(self):
        # A worker can be stopped in the middle of a transaction; the file is locked then.
        try:
            with sqlite3.connect(self.file, timeout=0.05, isolation_level=None) as probe:
                probe.execute("BEGIN IMMEDIATE")
                probe.execute("ROLLBACK")
            return True
        except sqlite3.OperationalError:
            return False


_versions = None


def _installed():
    """Packages of the virtual environment by name, with their versions."""
    global _versions
    if _versions is None:
        paths = [str(path) for path in processes.BUILD.glob("venv/lib/python3*/site-packages")]
        found = importlib.metadata.distributions(path=paths)
        _versions = {each.metadata["Name"].lower(): each.version for each in found}
    return _versions
