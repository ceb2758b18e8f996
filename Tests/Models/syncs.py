#!/usr/bin/env python3
"""syncs.py - which commits are on disk, and a sync that fails, step by step: a model of SyncLedger and of Store.commit.

    syncs.py [BREAK...]

Two that put: each syncs afterwards, or before its commit can be seen, as a worker does; has had the file open, or opens
it now; is a process or another thread of the first. One may be killed before any step, and the disk may fail once: the
system tells each descriptor that was open, once, and counts the pages as written. Ends with 1 and what is wrong, or
how many states there are. A break leaves a step out, or does it at another time: it must be found.
"""
import sys

from explore import Memory, Search, Step, Wrong

BREAKS = {
    "begun": "that a sync runs is not written down",
    "broken": "who syncs does not look whether another's sync has failed",
    "fail": "that a sync failed is told to its caller only",
    "found": "who opens the file does not look whether somebody died in a sync",
    "last": "all that is committed when a sync ends counts as synced",
    "mend": "the log is not written again, only said to be",
}
NEW, DISK, LOST = "in memory", "on disk", "lost"


def numbered(log, number):
    return tuple((job, state, of or number) for job, state, of in log)


class Syncs:
    def __init__(self, broken):
        self.broken = broken

    def put(self, me, file, is_first=False, is_late=False):
        found, heard = (0, 0), 0
        if is_late:
            yield Step("opens the log", self.open(file))
            found, heard = yield Step(
                "maps the memory", lambda m: ((m.running, m.gated), m.failures), when=lambda m: m.holder is None)
            if "found" in self.broken:
                found = (0, 0)
        yield Step("enters", lambda m: setattr(m, "gate", me), when=lambda m: m.gate is None)
        if (yield Step("doubts", lambda m: self.is_doubtful(m, found, heard))):
            if not (yield from self.mend(me, file)):
                yield from self.leave()
                return
        if is_first:
            yield from self.commit_synced(me, file)
            return
        yield Step("commits", lambda m: setattr(m, "log", m.log + ((me, NEW, 0),)))
        number = yield Step("numbers it", self.count)
        yield from self.leave()
        is_synced = yield from self.sync(me, file, number)
        yield Step("is told", lambda m: m.put("told", me, "put" if is_synced else "unknown"))

    @staticmethod
    def open(file):
        # Of a failure that nobody was told of yet a new descriptor tells.
        return lambda m: m.put("heard", file, m.errors if m.is_told else m.errors - 1)

    def is_doubtful(self, m, found, heard):
        is_cut = any(was % 2 == 1 and now == was for was, now in zip(found, (m.running, m.gated)))
        return m.failures != m.mended or is_cut or m.failures != heard

    @staticmethod
    def leave():
        yield Step("leaves", lambda m: setattr(m, "gate", None))

    @staticmethod
    def count(m):
        m.committed += 1
        m.log = numbered(m.log, m.committed)
        return m.committed

    # The disk.

    def fsync(self, file, can_fail=lambda m: any(state == NEW for _, state, _ in m.log)):
        """Two steps: what is written meanwhile by another sync, and failed there, is heard here, too."""
        yield Step("writes", self.write, ways=lambda m: [DISK, LOST][:1 + (m.faults if can_fail(m) else 0)])
        return (yield Step("hears", lambda m: self.hear(m, file)))

    @staticmethod
    def write(m, state):
        m.log = tuple((job, state if was == NEW else was, number) for job, was, number in m.log)
        if state == LOST:
            m.faults, m.errors, m.is_told = m.faults - 1, m.errors + 1, False

    @staticmethod
    def hear(m, file):
        if m.heard[file] == m.errors:
            return True
        m.put("heard", file, m.errors)
        m.is_told = True
        return False

    def fail(self):
        if "fail" not in self.broken:
            yield Step("writes down that it failed", lambda m: setattr(m, "failures", m.failures + 1))

    def begin(self, word):
        if "begun" not in self.broken:
            yield Step("begins", lambda m: setattr(m, word, (getattr(m, word) + 1) | 1))

    @staticmethod
    def end(word):
        yield Step("ends", lambda m: setattr(m, word, (getattr(m, word) | 1) + 1))

    @staticmethod
    def reach(m, number):
        m.synced = max(m.synced, number)

    # Syncing afterwards.

    def sync(self, me, file, number):
        if (yield Step("is it synced", lambda m: m.synced >= number)):
            return True
        yield Step("locks", lambda m: setattr(m, "holder", me), when=lambda m: m.holder is None)
        is_synced = yield Step("is it synced now", lambda m: m.synced >= number)
        if not is_synced:
            yield from self.begin("running")
            is_synced = yield from self.sync_locked(file)
            yield from self.end("running")
        yield Step("unlocks", lambda m: setattr(m, "holder", None))
        return is_synced

    def sync_locked(self, file):
        if (yield Step("is it broken", lambda m: m.failures != m.mended)) and "broken" not in self.broken:
            return False
        last = yield Step("last one", lambda m: m.committed)
        is_synced = yield from self.fsync(file)
        if not is_synced:
            yield from self.fail()
        elif "last" in self.broken:
            yield Step("synced", lambda m: self.reach(m, m.committed))
        else:
            yield Step("synced", lambda m: self.reach(m, last))
        return is_synced

    # Syncing before it can be seen: the number of such a commit is -1 until it can.

    def commit_synced(self, me, file):
        yield from self.begin("gated")
        is_done = not (yield Step("is it broken", lambda m: m.failures != m.mended))
        if is_done:
            yield Step("writes its pages", lambda m: setattr(m, "log", m.log + ((me, NEW, -1),)))
            is_done = yield from self.fsync(file)
            if not is_done:
                yield from self.fail()
        if is_done:
            yield Step("is seen", lambda m: setattr(m, "log", m.log[:-1] + ((me, m.log[-1][1], 0),)))
            number = yield Step("numbers it", self.count)
            yield Step("synced", lambda m: self.reach(m, number))
            yield from self.end("gated")
            yield from self.leave()
            yield Step("is told", lambda m: m.put("told", me, "put"))
            return
        yield from self.end("gated")
        yield from self.begin("gated")
        yield Step("takes it back", self.replace)
        if not (yield from self.fsync(file)):
            yield from self.fail()
        yield from self.end("gated")
        yield from self.leave()

    @staticmethod
    def replace(m):
        m.log = tuple(entry for entry in m.log if entry[2] != -1) + (("small one", NEW, 0),)

    # Writing the log again.

    def mend(self, me, file):
        yield Step("locks", lambda m: setattr(m, "holder", me), when=lambda m: m.holder is None)
        failures, last = yield Step("failures", lambda m: (m.failures, m.committed))
        yield from self.fsync(file)
        is_written = True
        if "mend" not in self.broken:
            yield Step("writes it again", self.write_again)
            is_written = yield from self.fsync(file, can_fail=lambda m: True)
        if is_written:
            yield Step("is mended", lambda m: setattr(m, "mended", failures))
            yield from self.end("running")
            yield from self.end("gated")
            yield Step("synced", lambda m: self.reach(m, last))
        yield Step("unlocks", lambda m: setattr(m, "holder", None))
        if not is_written:
            yield from self.fail()
        return is_written

    @staticmethod
    def write_again(m):
        m.log = tuple((job, NEW if state == LOST else state, number) for job, state, number in m.log)


def check(m):
    """A power cut leaves the log up to its first page that is not on disk."""
    is_there = True
    for job, state, number in m.log:
        is_there = is_there and state == DISK
        if is_there:
            continue
        if 0 < number <= m.synced:
            raise Wrong(f"{m.synced} are said to be on disk, and commit {number} is not")
        if job != "small one" and m.told[job] == "put":
            raise Wrong(f"the put of {job} was acknowledged, and is not on disk")


def kill(m, index):
    if m.holder == index:
        m.holder = None
    if m.gate == index:
        m.gate = None
        m.log = tuple(entry for entry in m.log if entry[2] != -1)


def main(broken):
    if broken - BREAKS.keys():
        sys.exit("the breaks: " + ", ".join(BREAKS))
    syncs, count = Syncs(broken), 0
    plain, first, thread = {"file": 0}, {"file": 0, "is_first": True}, {"file": 0}
    other, late = {"file": 1}, {"file": 1, "is_late": True}
    late_first = {"file": 1, "is_late": True, "is_first": True}
    for kinds in [(plain, other), (first, other), (plain, late), (first, late), (plain, late_first), (plain, thread)]:
        memory = Memory(
            gate=None, holder=None, committed=0, synced=0, failures=0, mended=0, running=0, gated=0, log=(),
            errors=0, is_told=True, heard=(0, 0), told=(None, None), faults=1)
        makers = [lambda me=me, kind=kind: syncs.put(me, **kind) for me, kind in enumerate(kinds)]
        # Threads die together.
        kills = int(kinds[1] is not thread)
        try:
            count += len(Search(memory, makers, kill, kills, check).origin)
        except Wrong as wrong:
            print(wrong)
            return 1
    print(f"{count} states")
    return 0


if __name__ == "__main__":
    sys.exit(main(set(sys.argv[1:])))
