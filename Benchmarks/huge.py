"""huge.py - the figures in a file with ten million finished jobs and a million that wait, beside a small file's.

The large file is made with SQL, in a minute or two: copies of one job that was done and of one that waits, with the
counters moved by as many. `spool check` then reads all of it, and the run ends if it is not what Spool would have made.
"""
import os
import statistics
import subprocess
import sys
import time

FINISHED, WAITING = 10_000_000, 1_000_000
FEW = 10_000         # that wait in the small file
DRAIN = 50_000       # are put and performed in a round, in both
PUTS = 2_000
WAITED = "SELECT f.started - j.put_at FROM finished f JOIN job j USING(id)"
QUEUE = "bench"      # where StoreBenchmark puts; the million waits in another one


def columns(bench, file, table):
    return [name for name, in bench.query(file, f"SELECT name FROM pragma_table_info('{table}')")]


def copies(bench, file, table, source, first, count):
    """INSERT of rows as that of the job `source`, with ids of their own."""
    names = columns(bench, file, table)
    taken = ", ".join("s.value" if name == "id" else f"t.{name}" for name in names)
    return (f"INSERT INTO {table} SELECT {taken} FROM generate_series({first}, {first + count - 1}) s, "
            f"(SELECT * FROM {table} WHERE id = {source}) t;")


def make(bench, file, finished, waiting):
    """A file with a job done, a job that waits, and as many copies as that of both."""
    bench.call(file, "put", "--ndjson", bench.lines(2))
    bench.call(file, "work", "--max-jobs", "1")
    (lane,), = bench.query(file, "SELECT lane FROM finished")
    (done,), = bench.query(file, "SELECT id FROM finished")
    (waits,), = bench.query(file, "SELECT id FROM ready")
    first, then = 3, 3 + finished
    script = f"""
        PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-500000;
        {copies(bench, file, "job", done, first, finished + waiting)}
        {copies(bench, file, "finished", done, first, finished)}
        {copies(bench, file, "ready", waits, then, waiting)}
        UPDATE lane SET done = done + {finished}, ready = ready + {waiting} WHERE id = {lane};
        UPDATE spool SET next_job = {then + waiting};
        PRAGMA journal_mode=WAL;"""
    subprocess.run(["sqlite3", "-bail", file], input=script, check=True, text=True, stdout=subprocess.DEVNULL)
    subprocess.run(["sync", file], check=True)
    bench.call(file, "check")


def measure(bench, producer):
    """Rows of the large file's figures beside the small one's, interleaved."""
    finished, waiting = (100_000, 20_000) if bench.quick else (FINISHED, WAITING)
    large, small = bench.fresh("huge"), bench.fresh("small")
    begin = os.times().elapsed
    make(bench, large, finished, waiting)
    make(bench, small, 10, FEW)
    bench.note(f"files made and checked in {os.times().elapsed - begin:.0f} s")
    seen = {}
    for _ in range(bench.rounds):
        for file in (large, small):
            for what, figure in once(bench, producer, file):
                seen.setdefault(what, {}).setdefault(file, []).append(figure)
    for what, figures in seen.items():
        ours, few = statistics.median(figures[large]), statistics.median(figures[small])
        bench.row(f"{what}, {finished:,} finished, {waiting:,} waiting / {FEW:,} waiting", f"{ours / few:.2f}×",
                  f"{ours * 1000:.2f} ms", f"{few * 1000:.2f} ms", "within 10 %")


def once(bench, producer, file):
    put = [bench.call(file, "put", "-q", QUEUE, "-k", "spool.noop").wall for _ in range(20)]
    yield "`spool put`", statistics.median(put)
    yield "`spool list`", statistics.median(bench.call(file, "list").wall for _ in range(5))
    yield "`spool list state:dead`", statistics.median(bench.call(file, "list", "state:dead").wall for _ in range(5))
    yield f"{PUTS:,} puts one by one, in-process", producer(file, PUTS, 1, "put")
    yield f"{PUTS * 8:,} puts from 16 threads", producer(file, PUTS * 8, 16, "put")
    yield f"put in bulk of {DRAIN:,}", bench.call(file, "put", "--ndjson", bench.lines(DRAIN)).wall
    yield f"drain of {DRAIN:,}, 2 consumers", drain(bench, file)
    bench.call(file, "work", "-q", QUEUE, "-j", "2", "--until-empty")
    count = 20 if bench.quick else 100
    with bench.worker(file, QUEUE):
        producer(file, count, 1, "paced")
    waited = bench.query(file, f"{WAITED} ORDER BY id DESC LIMIT {count}")
    yield "put → start, p50", statistics.median(microseconds for microseconds, in waited) / 1e6


def drain(bench, file):
    """Seconds for the DRAIN oldest of the jobs that wait, from the first one's start to the last one's end."""
    def number(statement):
        return bench.query(file, statement)[0][0]

    lane = number("SELECT l.id FROM lane l JOIN queue q ON q.id = l.queue WHERE q.name = 'default'")
    first = number(f"SELECT id FROM ready WHERE lane = {lane} LIMIT 1")
    last = number(f"SELECT id FROM ready WHERE lane = {lane} LIMIT 1 OFFSET {DRAIN - 1}")
    # What the worker of the round before gave back when it was stopped has smaller ids than others that it did.
    now = int(time.time() * 1e6)
    these = f"FROM finished WHERE id BETWEEN {first} AND {last} AND lane = {lane} AND started >= {now}"
    with bench.start(["work", "-q", "default", "-j", "2", "--quiet"], file):
        end = time.monotonic() + 60
        while (found := number(f"SELECT count(*) {these}")) < DRAIN:
            if time.monotonic() > end:
                sys.exit(f"run: {found:,} of {DRAIN:,} jobs were done in a minute")
            time.sleep(0.02)
    return number(f"SELECT max(finished) - min(started) {these}") / 1e6
