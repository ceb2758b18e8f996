#!/usr/bin/env python3
"""check.py - says what in a history of a queue no correct queue does.

    check.py [--fifo] [--priority] FILE...      - is standard input

One line for each finding, "check item", of several files each after a line "== FILE"; exit status 1 if there is any. The format of a history stands in
HistoryEvent.swift. This is the second implementation of Checkers.swift, written apart from it: for each property the
plain definition, with sorting and bisection where the definition would be quadratic. The two must agree.
"""
import bisect
import collections
import json
import sys

NEVER = float("inf")
ENDS = {"done", "back", "dead", "cancel"}
Op = collections.namedtuple("Op", "op process item attempt priority queue begin end known")


def read(lines):
    """The operations that happened or may have happened, the items left, and the lines that make no sense."""
    events, strange = [], 0
    for number, line in enumerate((line for line in lines if line.strip()), 1):
        try:
            event = json.loads(line)
            event.setdefault("time", number)
            event["type"], event["op"], event["process"]
        except (ValueError, KeyError):
            strange += 1
            continue
        events.append(event)
    events.sort(key=lambda event: event["time"])
    begun, ops, left = {}, [], set()

    def keep(start, end):
        known = end is not None and end["type"] == "return"
        if not known and start["op"] in ("get", "join"):
            return
        said = {**start, **(end or {})}
        ops.append(Op(start["op"], start["process"], said.get("item"), said.get("attempt"), said.get("priority"),
                      said.get("queue"), start["time"], end["time"] if known else NEVER, known))

    for event in events:
        who = event["process"]
        if event["op"] == "left":
            left.add(event.get("item"))
        elif event["type"] == "invoke":
            if who in begun:
                keep(begun[who], None)
            begun[who] = event
        elif who in begun and begun[who]["op"] == event["op"]:
            start = begun.pop(who)
            if event["type"] != "fail":
                keep(start, event)
        else:
            begun.pop(who, None)
            strange += 1
    for start in begun.values():
        keep(start, None)
    return ops, left, strange


def holds(gets, ends):
    """The intervals in which the item certainly was held."""
    for get in gets:
        until = min((end.begin for end in ends if end.attempt is not None and end.attempt == get.attempt), default=NEVER)
        yield get.end, until


def faults(puts, gets, ends, retries, is_left):
    finals = [end for end in ends if end.op != "back"]
    if any(put.known for put in puts) and not finals and not is_left:
        yield "lost"
    if gets or ends:
        first = min((put.begin for put in puts), default=NEVER)
        numbers = {get.attempt for get in gets}
        if (not puts or any(get.end < first for get in gets)
                or any(end.op == "done" and end.attempt not in numbers for end in ends)):
            yield "invented"
    if sum(end.op == "done" and end.known for end in ends) > 1 + retries:
        yield "doubled"
    if len(gets) > 1 + retries + sum(end.op == "back" or not end.known for end in ends):
        yield "repeated"
    intervals = sorted(holds(gets, ends))
    latest = -NEVER
    for begin, end in intervals:
        if begin < latest:
            yield "overlap"
            break
        latest = max(latest, end)
    if is_left and sum(end.known for end in finals) > retries:
        yield "conservation"


def running_maximum(pairs):
    """Of (key, value) pairs: the keys in order, and the largest value up to each."""
    keys, best = [], []
    for key, value in sorted(pairs):
        keys.append(key)
        best.append(max(best[-1], value) if best else value)
    return keys, best


def before(keys, best, key):
    """The largest value of a key below this one."""
    place = bisect.bisect_left(keys, key)
    return best[place - 1] if place else -NEVER


def joins(ops, items):
    every = collections.defaultdict(list)
    for op in ops:
        if op.op == "join":
            every[op.queue].append(op)
    for queue, wanted in every.items():
        pairs = []
        for puts, _, ends, _ in items.values():
            acknowledged = [put.end for put in puts if put.known and queue in (None, put.queue)]
            if acknowledged:
                finish = min((end.begin for end in ends if end.op != "back"), default=NEVER)
                pairs.append((min(acknowledged), finish))
        keys, best = running_maximum(pairs)
        for join in wanted:
            if before(keys, best, join.begin) > join.end:
                yield join.begin


def queued(items):
    """By queue: (item, priority, put, until when it certainly was there, the get that took it first)."""
    places = collections.defaultdict(list)
    for item, (puts, gets, ends, _) in items.items():
        if not puts or puts[0].priority is None:
            continue
        until = min([get.begin for get in gets] + [end.begin for end in ends if end.op != "back"], default=NEVER)
        taken = min(gets, key=lambda get: get.end) if gets else None
        places[puts[0].queue].append((item, puts[0].priority, puts[0], until, taken))
    return places.values()


def fifo(items):
    for place in queued(items):
        groups = collections.defaultdict(list)
        for entry in place:
            groups[entry[1]].append(entry)
        for group in groups.values():
            keys, best = running_maximum((put.end, until) for _, _, put, until, _ in group)
            for item, _, put, _, taken in group:
                if taken and before(keys, best, put.begin) > taken.end:
                    yield item


def priority(items):
    """For each priority that is taken: the better ones, by when they were there. Few priorities, so this is quick."""
    for place in queued(items):
        numbers = sorted({entry[1] for entry in place})
        for number in numbers:
            keys, best = running_maximum((put.end, until) for _, other, put, until, _ in place if other < number)
            for item, mine, _, _, taken in place:
                if mine == number and taken and before(keys, best, taken.begin) > taken.end:
                    yield item


def findings(lines, orders):
    ops, left, strange = read(lines)
    items = collections.defaultdict(lambda: ([], [], [], []))
    for op in sorted(ops, key=lambda op: (op.begin, op.process)):
        if op.item is None:
            continue
        puts, gets, ends, retries = items[op.item]
        kind = {"put": puts, "get": gets, "retry": retries}.get(op.op, ends if op.op in ENDS else None)
        if kind is not None:
            kind.append(op)
    found = [("unreadable", 0)] * strange
    for item in left:
        items[item]  # one that nothing else is known of
    for item, (puts, gets, ends, retries) in items.items():
        found += [(name, item) for name in faults(puts, gets, ends, len(retries), item in left)]
    found += [("join", begin) for begin in joins(ops, items)]
    if "--fifo" in orders:
        found += [("fifo", item) for item in fifo(items)]
    if "--priority" in orders:
        found += [("priority", item) for item in priority(items)]
    return sorted(found)


def main(words):
    orders = [word for word in words if word.startswith("--")]
    files = [word for word in words if not word.startswith("--")]
    if not files or set(orders) - {"--fifo", "--priority"}:
        sys.exit(__doc__)
    is_sound = True
    for path in files:
        with sys.stdin if path == "-" else open(path) as file:
            found = findings(file, orders)
        if len(files) > 1:
            print("==", path)
        for name, item in found:
            print(name, item)
        is_sound = is_sound and not found
    return 0 if is_sound else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
