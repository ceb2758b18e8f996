#!/usr/bin/env python3
"""soak.py - a worker at full speed for a while, watched: nothing grows, nothing is left behind, nobody is starved.

    Tests/Soak/soak.py SPOOL [--seconds N] [--seed S] [--producers N] [--joins N] [--longest-put S]
                      [--leave-finished]

SPOOL is the program. In a directory of its own under TMPDIR, for N seconds: producers put jobs one by one and in
bulk, two consumers do them, finished ones are removed, a reader holds an old snapshot for a quarter of the time, and
workers are killed and replaced. Then all must be drained, and a quiet worker is watched. Prints one line, "seed S: ...";
exit status 1 if a limit was passed, which it names. --leave-finished removes no finished jobs: the rig must notice.
"""
import argparse
import json
import os
import pathlib
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

LONGEST_LOG = 64 << 20  # bytes of the WAL while no reader holds an old snapshot
CHECKPOINTER = 4        # descriptors of the connection that a worker opens for its first checkpoint, and of a bell
TICK = os.sysconf("SC_CLK_TCK")
BULK = "".join(json.dumps({"kind": "spool.noop", "args": {"text": "a" * 88}}) + "\n" for _ in range(500))


class Broken(Exception):
    """A limit was passed."""


def check(holds, what):
    if not holds:
        raise Broken(what)


def children(pid):
    try:
        tasks = [int(word) for word in open(f"/proc/{pid}/task/{pid}/children").read().split()]
    except OSError:
        return []
    return tasks + [grandchild for task in tasks for grandchild in children(task)]


class Footprint:
    """What a worker with its children has of the system."""

    def __init__(self, pid):
        family = [pid, *children(pid)]
        self.processes, self.zombies, self.descriptors, self.threads, self.kib = 0, 0, 0, 0, 0
        for member in family:
            try:
                status = dict(line.split(":\t", 1) for line in open(f"/proc/{member}/status").read().splitlines() if ":\t" in line)
                self.zombies += status["State"].startswith("Z")
                self.descriptors += len(os.listdir(f"/proc/{member}/fd"))
                self.threads += int(status["Threads"])
                self.kib += int(status.get("RssAnon", "0 kB").split()[0])
                self.processes += 1
            except (OSError, KeyError):
                pass  # it has just ended

    def __str__(self):
        return f"{self.processes} processes, {self.descriptors} descriptors, {self.threads} threads, {self.kib} KiB"


class Soak:
    def __init__(self, options, folder):
        self.spool, self.options = str(pathlib.Path(options.spool).resolve()), options
        self.dice = random.Random(options.seed)
        self.file = str(folder / "soak.db")
        self.env = {**os.environ, "SPOOL_FILE": self.file}
        self.lock = threading.Lock()
        self.put, self.removed, self.slowest, self.log, self.generations = 0, 0, 0.0, 0, 0
        self.troubles = []
        self.stopping = threading.Event()
        self.holding = False

    def run(self, *words, text=None, good=(0,)):
        done = subprocess.run([self.spool, *words], env=self.env, input=text, capture_output=True, text=True)
        check(done.returncode in good, f"spool {words[0]} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def work(self):
        return subprocess.Popen([self.spool, "work", "-j", "2"], env=self.env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def query(self, sql):
        connection = sqlite3.connect(f"file:{self.file}?mode=ro", uri=True, timeout=60)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def size(self, suffix=""):
        return os.stat(self.file + suffix).st_size if os.path.exists(self.file + suffix) else 0

    # Those that go on until they are stopped.

    def guarded(self, body):
        def run():
            try:
                while not self.stopping.is_set() and not self.troubles:
                    body()
            except Broken as trouble:
                self.troubles.append(str(trouble))
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def put_one(self):
        begin = time.monotonic()
        self.run("put", "-k", "spool.noop")
        took = time.monotonic() - begin
        with self.lock:
            self.put += 1
            self.slowest = max(self.slowest, took)

    def put_many(self):
        self.run("put", "--ndjson", "-", text=BULK)
        with self.lock:
            self.put += 500
        while not self.stopping.is_set() and self.query("SELECT sum(ready) FROM lane")[0][0] > 5000:
            time.sleep(0.02)

    def remove(self):
        ids = [str(row[0]) for row in self.query("SELECT id FROM finished ORDER BY id LIMIT 2000")]
        if ids:
            self.run("rm", *ids)
            with self.lock:
                self.removed += len(ids)
        time.sleep(0.05)

    def hold_snapshot(self):
        """A reader that looks at one state of the file for a quarter of the time."""
        time.sleep(self.options.seconds / 4)
        connection = sqlite3.connect(f"file:{self.file}?mode=ro", uri=True, timeout=60)
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM job").fetchone()
        self.holding = True
        self.stopping.wait(self.options.seconds / 4)
        connection.close()
        # What piled up meanwhile may go within a minute.
        self.stopping.wait(min(60, self.options.seconds / 4))
        self.holding = False
        self.stopping.wait(self.options.seconds)

    # The whole.

    def soak(self):
        self.run("init", self.file)
        worker = self.work()
        joins = []
        try:
            self.put_one()
            self.run("join")
            first = Footprint(worker.pid)
            bodies = [self.put_one] * self.options.producers + [self.put_many, self.hold_snapshot]
            threads = [self.guarded(body) for body in bodies + ([] if self.options.leave_finished else [self.remove])]
            joins = [subprocess.Popen([self.spool, "join"], env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(self.options.joins)]
            worker = self.watch(worker)
            self.stopping.set()
            for thread in threads:
                thread.join(120)
            check(not self.troubles, "; ".join(self.troubles))
            self.finish(worker, first, joins)
        finally:
            self.stopping.set()
            for process in [worker, *joins]:
                process.kill()
                process.wait()

    def watch(self, worker):
        end = time.monotonic() + self.options.seconds
        while time.monotonic() < end and not self.troubles:
            time.sleep(self.dice.uniform(0.1, 0.6))
            self.log = max(self.log, 0 if self.holding else self.size("-wal"))
            check(self.log <= LONGEST_LOG, f"the log has {self.log:,} bytes, though no reader holds it")
            footprint = Footprint(worker.pid)
            check(footprint.processes <= 8 and footprint.descriptors <= 200, f"the worker grows: {footprint}")
            if self.dice.random() < 0.1:
                worker.send_signal(self.dice.choice([signal.SIGKILL, signal.SIGTERM]))
                worker.wait()
                worker = self.work()
                self.generations += 1
        return worker

    def finish(self, worker, first, joins):
        self.run("join")
        for process in joins:
            check(process.wait(60) == 0, "a join that waited from the beginning failed")
        done, = self.query("SELECT sum(done) FROM lane")[0]
        check(done + self.removed == self.put, f"{self.put:,} were put, {done:,} are done and {self.removed:,} removed")
        while not self.options.leave_finished and self.query("SELECT count(*) FROM finished")[0][0] > 0:
            self.remove()
        time.sleep(2)
        check(self.run("check").strip() != "", "spool check says nothing")
        live = self.query("SELECT count(*) FROM job")[0][0]
        check(live == 0, f"{live:,} jobs are left of {self.put:,}")
        pages = self.query("PRAGMA page_count")[0][0] - self.query("PRAGMA freelist_count")[0][0]
        check(pages <= 100, f"{pages} pages are in use though no job is left")
        last = Footprint(worker.pid)
        check(last.zombies == 0 and last.descriptors <= first.descriptors + CHECKPOINTER and last.threads <= first.threads
              and last.processes <= first.processes, f"it had {first}; now {last}")
        begin, ticks = time.monotonic(), self.ticks(worker.pid)
        time.sleep(5)
        share = (self.ticks(worker.pid) - ticks) / TICK / (time.monotonic() - begin)
        check(share < 0.02, f"a quiet worker uses {share:.1%} of a processor")
        check(self.slowest <= self.options.longest_put, f"a put took {self.slowest:.1f} s beside {self.options.producers} others")
        print(f"seed {self.options.seed}: {self.put} jobs put and done, {self.removed} removed, {self.generations} workers ended: the log had "
              f"{self.log >> 10} KiB at most, the slowest of {self.options.producers} producers waited {self.slowest * 1e3:.0f} ms; "
              f"before {first}; after {last}; quiet {share:.2%} of a processor")

    @staticmethod
    def ticks(pid):
        total = 0
        for member in [pid, *children(pid)]:
            fields = open(f"/proc/{member}/stat").read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total


def main():
    parser = argparse.ArgumentParser(description="Soaks a worker, and watches what it has of the system.")
    parser.add_argument("spool")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--producers", type=int, default=4)
    parser.add_argument("--joins", type=int, default=4)
    parser.add_argument("--longest-put", type=float, default=2.0, help="seconds that a single put may take")
    parser.add_argument("--leave-finished", action="store_true", help="a deliberate break: the rig must be red")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="spool-soak-") as folder:
        try:
            Soak(options, pathlib.Path(folder)).soak()
        except Broken as trouble:
            sys.exit(f"seed {options.seed}: RED: {trouble}")


if __name__ == "__main__":
    main()
