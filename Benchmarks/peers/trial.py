"""trial.py - one peer under the workloads, with every job accounted for.

A count that does not match is Wrong and ends the run. Rates are jobs per second, latencies seconds.
"""
import contextlib
import signal
import statistics
import time

from .marks import Marks
from .processes import Clerk, Producer, Wrong, spawn, stop, tail, tell, wait

PRODUCERS, THREADS = 4, 16


class Trial:
    """Of a queue that Python or wire.c speaks to."""

    workloads = ("put", "threads", "bulk", "latency", "drain", "mixed")

    def __init__(self, peer):
        self.peer = peer
        self.marks = Marks(peer.folder / "marks")
        self.clerk = None

    def measure(self, workload, jobs):
        try:
            return getattr(self, workload)(jobs)
        except Wrong as wrong:
            raise Wrong(f"{self.peer.name}, {workload}: {wrong}") from None

    # Without workers.

    def put(self, jobs):
        return self.puts("put", jobs)

    def threads(self, jobs):
        return self.puts("put", jobs, THREADS)

    def bulk(self, jobs):
        return self.puts("bulk", jobs) if self.peer.bulk_api else None

    def puts(self, way, jobs, threads=1):
        self.clear()
        took = self.produce(way, jobs, threads)
        found = None

        def all_there():
            nonlocal found
            found = self.waiting()
            return found == jobs

        wait(all_there, lambda: f"{jobs} were put and acknowledged, but {found} wait", 5, 0.05)
        self.clear()
        return jobs / took

    # With workers: idle, then full, then both.

    def latency(self, jobs):
        self.latencies()
        self.settled(lambda: self.produce("paced", jobs), jobs)
        waited = self.latencies()
        if len(waited) != jobs:
            raise Wrong(f"{jobs} jobs were timed, {len(waited)} told how long they waited")
        return statistics.median(waited)

    def drain(self, jobs):
        def run():
            self.hold()
            try:
                self.produce("bulk" if self.peer.bulk_api else "put", jobs)
            finally:
                begin = self.clock()
                for worker in self.crew:
                    tell(worker.pid, signal.SIGCONT)
            return begin

        begin = self.settled(run, jobs)
        return jobs / (self.last_end() - begin)

    def mixed(self, jobs):
        producers = [self.producer("put", jobs // PRODUCERS) for _ in range(PRODUCERS)]

        def run():
            begin = self.clock()
            for producer in producers:
                producer.begin()
            for producer in producers:
                producer.end()
            return begin

        begin = self.settled(run, jobs)
        return jobs / (self.last_end() - begin)

    @contextlib.contextmanager
    def workers(self):
        """Workers that have all performed a job."""
        self.clear()
        self.crew = [self.start_worker(slot) for slot in range(self.peer.workers)]
        try:
            end = time.monotonic() + 60
            while not all(self.marks.counts()[:self.peer.workers]) or not self.marks.total():
                if time.monotonic() > end:
                    raise Wrong(f"{self.peer.name}: its workers performed nothing in 60 s: {tail(self.peer.folder)}")
                self.settled(lambda: self.produce("put", 8), 8)
            yield
        finally:
            for worker in self.crew:
                tell(worker.pid, signal.SIGCONT)
                stop(worker, patience=3)
            self.marks.page[:] = bytes(len(self.marks.page))

    def hold(self):
        """Stops the workers where they are, but never in the middle of a transaction."""
        for attempt in range(100):
            for worker in self.crew:
                tell(worker.pid, signal.SIGSTOP)
            time.sleep(0.01)
            if self.peer.is_quiet():
                return
            for worker in self.crew:
                tell(worker.pid, signal.SIGCONT)
            time.sleep(0.003 * (attempt % 7))
        raise Wrong("its workers could not be stopped outside of a transaction")

    def settled(self, action, jobs):
        """What the action returns, when as many jobs more have been performed, and none twice."""
        before = self.performed()
        result = action()
        wait(lambda: self.performed() - before >= jobs,
             lambda: f"{self.performed() - before} of {jobs} jobs were performed", 60)
        wait(lambda: self.waiting() == 0, lambda: f"{self.waiting()} jobs still wait after all were performed", 5, 0.05)
        if (found := self.performed() - before) != jobs:
            raise Wrong(f"{jobs} jobs were put, and {found} performed")
        return result

    # How. What is below is another for Spool.

    def produce(self, way, jobs, threads=1):
        producer = self.producer(way, jobs, threads)
        producer.begin()
        return producer.end()

    def producer(self, way, jobs, threads=1):
        return Producer(self.peer.producer(way, jobs, threads), self.peer.folder, self.peer.env(self.marks))

    def start_worker(self, slot):
        return spawn(self.peer.worker(slot), self.peer.folder, self.peer.env(self.marks, slot), self.peer.folder)

    def ask(self, word):
        if self.peer.counts_here:
            return getattr(self.peer, word)()
        if self.clerk is None:
            self.clerk = Clerk(self.peer.call("clerk"), self.peer.folder, self.peer.env(self.marks))
        return self.clerk.ask(word)

    def clear(self):
        self.ask("clear")

    def waiting(self):
        return self.ask("count")

    def performed(self):
        return self.marks.total()

    def latencies(self):
        return self.marks.latencies()

    def last_end(self):
        return self.marks.last() / 1e9

    def clock(self):
        return time.monotonic()
