"""report.py - what the rounds found, as a Markdown table with the ratios first, in docs/performance.md."""
import os
import pathlib
import platform
import statistics

from .processes import TOP

BEGIN, END = "<!-- peers: begin -->", "<!-- peers: end -->"
PAGE, PICTURE = TOP / "docs/performance.md", TOP / "docs/performance.svg"
TITLES = {"put": "put, one by one", "threads": "put, 16 threads", "bulk": "put in bulk", "drain": "drain, 2 consumers",
          "mixed": "4 producers + 2 consumers", "latency": "put → start", "true": "`true`, two at once"}
LONG = 0.02  # a wait of so many seconds needs no fractions of a millisecond


def medians(rows):
    """Of each row its name and, by workload, the median."""
    return {row.name: {each: statistics.median(seen) for each, seen in row.seen.items()} for row in rows}


def figure(workload, value):
    if workload != "latency":
        return f"{value:,.0f}/s"
    return f"{value * 1000:.2f} ms" if value < LONG else f"{value * 1000:.0f} ms"


def ratio(workload, ours, theirs):
    """How many times Spool is as fast."""
    times = theirs / ours if workload == "latency" else ours / theirs
    return f"{times:.2f}×" if times < 10 else f"{times:,.0f}×"


def table(rows):
    found = medians(rows)
    ours = found["Spool"]
    workloads = [each for each in TITLES if each in ours]
    yield "| | durable | " + " | ".join(TITLES[each] for each in workloads) + " |"
    yield "|---|---|" + "---:|" * len(workloads)
    for row in rows:
        cells = []
        for each in workloads:
            value = found[row.name].get(each)
            if value is None:
                cells.append("–")
            elif row.name == "Spool":
                cells.append(figure(each, value))
            else:
                cells.append(f"**{ratio(each, ours[each], value)}** {figure(each, value)}")
        yield f"| {row.name} | {'yes' if row.durable else 'no'} | " + " | ".join(cells) + " |"


def settings(rows):
    yield "| | version | when a put is answered it is | spoken to by | jobs in a round |"
    yield "|---|---|---|---|---|"
    for row in rows:
        jobs = ", ".join(f"{TITLES[each].split(',')[0] if each != 'threads' else '16 threads'} {row.jobs[each]:,}"
                         for each in TITLES if each in row.seen)
        durability = row.durability + (f"; {row.note}" if row.note else "")
        yield f"| {row.name} | {row.version} | {durability} | {row.client or 'a shell'} | {jobs} |"


def text(benchmark):
    rows = list(benchmark.rows.values())
    yield from table(rows)
    yield ""
    yield from settings(rows)
    yield ""
    yield (f"Medians of {benchmark.rounds} rounds, Linux {'.'.join(platform.release().split('.')[:2])}, {os.cpu_count()} cores, Python "
           f"{platform.python_version()}. The disk took {statistics.median(benchmark.syncs) * 1000:.2f} ms to sync 4 KiB.")
    for each in benchmark.left_out:
        yield f"Left out: {each}."


def write(benchmark, page=PAGE):
    """Puts the tables between the markers of the page."""
    page = pathlib.Path(page)
    before, rest = page.read_text().split(BEGIN)
    after = rest.split(END)[1]
    page.write_text("\n".join([before + BEGIN, *text(benchmark), END]) + after)
