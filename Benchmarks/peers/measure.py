"""measure.py - all peers, round by round: each round goes once through every peer and its workloads."""
import dataclasses
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from . import catalogue, commands, plot, processes, report
from .processes import Wrong
from .trial import PRODUCERS, THREADS

# What a workload begins with when it is tried out; from its rate there follows how many jobs the rounds take.
FIRST = {"put": 160, "threads": 320, "bulk": 2_000, "latency": 10, "drain": 160, "mixed": 160}
MOST = 200_000
IN_PUT = ("put", "threads", "bulk")


@dataclasses.dataclass
class Figures:
    """One row: of each workload the figures of all rounds."""
    name: str
    durability: str
    durable: bool
    version: str
    client: str = ""
    note: str = ""
    jobs: dict = dataclasses.field(default_factory=dict)
    seen: dict = dataclasses.field(default_factory=dict)

    def add(self, workload, figure):
        if figure is not None:
            self.seen.setdefault(workload, []).append(figure)


def say(words):
    print(f"{time.strftime('%H:%M:%S')} {words}", file=sys.stderr, flush=True)


class Benchmark:
    def __init__(self, names, rounds, quick, only):
        self.rounds, self.quick, self.only = rounds, quick, only
        self.seconds = 0.15 if quick else 0.5
        self.peers = [each for each in catalogue.ALL if wanted(each.name, names)]
        self.commands = [each for each in commands.ALL if wanted(each.name, names)]
        self.left_out = []
        self.rows = {}
        self.syncs = []

    def run(self):
        processes.adopt()
        processes.BUILD.mkdir(exist_ok=True)
        scratch = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=processes.BUILD))
        scratch.chmod(0o755)  # PostgreSQL is another user
        try:
            must_be_on_a_disk(scratch)
            self.measure(scratch)
        finally:
            processes.stop_all()
            shutil.rmtree(scratch, ignore_errors=True)
        return self

    def measure(self, scratch):
        trials = list(filter(None, (self.start(each, scratch) for each in self.peers)))
        if "true" in self.only:
            self.commands = [each for each in self.commands if self.is_there(each)]
        for trial in trials:
            say(f"trying out {trial.peer.name}")
            self.go(trial, self.try_out)
        for number in range(self.rounds):
            say(f"round {number + 1} of {self.rounds}")
            self.syncs.append(time_of_a_sync(scratch))
            for trial in trials:
                begin = time.monotonic()
                self.go(trial, self.once)
                say(f"  {trial.peer.name}: {time.monotonic() - begin:.0f} s")
            if "true" in self.only:
                for each in self.commands:
                    count = min(200 if self.quick else 2_000, each.most or 2_000)
                    self.rows[each.name].jobs["true"] = count
                    self.rows[each.name].add("true", each(scratch).timed(count))

    def start(self, peer_class, scratch):
        folder = scratch / peer_class.__name__
        folder.mkdir(mode=0o755)
        peer = peer_class(folder, processes.free_port())
        lost = peer.missing()
        try:
            if lost:
                raise Wrong(f"{', '.join(lost)} is not on this machine (Benchmarks/peers/setup)")
            peer.start()
            self.rows[peer.name] = Figures(
                peer.name, peer.durability, peer.durable, peer.version(), peer.client, peer.note)
        except Wrong as wrong:
            self.left_out.append(f"{peer.name}: {wrong}")
            say(f"left out: {peer.name}: {wrong} {processes.tail(folder)}")
            return None
        return peer.trial()

    def is_there(self, each):
        if not shutil.which(each.program):
            self.left_out.append(f"{each.name}: {each.program} is not on this machine (Benchmarks/peers/setup)")
            return False
        self.rows.setdefault(each.name, Figures(each.name, each.durability, each.durable, each.version(each)))
        return True

    def go(self, trial, what):
        workloads = [each for each in trial.workloads if each in self.only]
        for workload in filter(IN_PUT.__contains__, workloads):
            what(trial, workload)
        if rest := [each for each in workloads if each not in IN_PUT]:
            with trial.workers():
                for workload in rest:
                    what(trial, workload)

    def try_out(self, trial, workload):
        """Until it takes long enough to tell how many jobs a round shall have."""
        jobs = FIRST[workload]
        while (figure := trial.measure(workload, jobs)) is not None and workload != "latency":
            if jobs / figure > self.seconds / 6 or jobs * 8 > MOST:
                break
            jobs *= 8
        self.rows[trial.peer.name].jobs[workload] = self.enough(workload, figure)

    def enough(self, workload, figure):
        """How many jobs fill the time of a measurement."""
        if figure is None:
            return FIRST[workload]
        if workload == "latency":
            return 10 if self.quick else 100 if figure < 0.02 else 20
        jobs = min(MOST, max(FIRST[workload] // 2, int(figure * self.seconds)))
        return jobs - jobs % (THREADS * PRODUCERS if jobs > THREADS * PRODUCERS else THREADS)

    def once(self, trial, workload):
        row = self.rows[trial.peer.name]
        figure = trial.measure(workload, row.jobs[workload])
        row.add(workload, figure)
        if figure is not None:  # fewer next time, if the machine has become slower
            row.jobs[workload] = min(row.jobs[workload], self.enough(workload, figure))


def wanted(name, names):
    return name == "Spool" or not names or any(each.lower() in name.lower() for each in names)


def time_of_a_sync(folder, count=50):
    """Seconds that the disk takes to keep 4 KiB: what a durable put costs at least, and what tells a busy machine."""
    times = []
    file = os.open(folder / "sync", os.O_CREAT | os.O_WRONLY)
    for _ in range(count):
        os.write(file, bytes(4096))
        begin = time.monotonic()
        os.fdatasync(file)
        times.append(time.monotonic() - begin)
    os.close(file)
    return statistics.median(times)


def must_be_on_a_disk(folder):
    kind = subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True).stdout.strip()
    if kind in ("tmpfs", "ramfs"):
        raise Wrong(f"{folder} is in memory ({kind}), where a sync costs nothing: the figures would mean nothing")


def main(names, rounds, quick):
    """Measures, prints the tables, and writes page and picture when all was measured in full."""
    try:
        benchmark = Benchmark(names, rounds, quick, report.TITLES).run()
    except Wrong as wrong:
        sys.exit(f"run: {wrong}")
    print("\n".join(report.text(benchmark)))
    if names or quick:
        return say("docs/performance.md is as it was: only a whole run with all peers writes it")
    report.write(benchmark)
    report.PICTURE.write_text(plot.svg(list(benchmark.rows.values())))
    say("written: docs/performance.md, docs/performance.svg")
