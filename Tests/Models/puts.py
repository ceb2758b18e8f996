#!/usr/bin/env python3
"""puts.py - puts of several processes in one transaction, step by step: a model of Board, StorePost and SyncLedger.

    puts.py [--processes N] [BREAK...]

Two processes, or more, put, each as in Store.commit and Store.post; one may be killed before any step, a commit may
fail, and a time may be over. What is a step here is there an access to shared memory, a lock, a COMMIT or a sync. Ends
with 1 and what is wrong, or how many states there are. A break leaves a step out, or does it at another time: it must
be found.
"""
import sys

from explore import Memory, Search, Step, Wrong

IDLE, POSTED, TAKEN, COMMITTED, REFUSED = range(5)
ENDED = (COMMITTED, REFUSED)
BREAKS = {
    "ack": "a put returns before it is synced",
    "back": "jobs are taken back though somebody has taken them",
    "batch": "the number of the batch is not written down before the commit",
    "both": "the number of the batch is written down, and the taken ones are put back all the same",
    "finish": "nobody looks whether jobs were taken by one that has died",
    "inside": "whom to call is looked up before the gate is left",
    "late": "the count of calls is read after the look at the gate",
    "taken": "that jobs are taken is written down after they were",
}


def lowest(seats):
    return frozenset(sorted(seats)[:1])


class Puts:
    def __init__(self, broken):
        self.broken = broken

    def put(self, me, job):
        """A put, from the look whether somebody is in the gate to what its caller is told."""
        if (yield Step("looks", lambda m: m.leader is not None)):
            outcome, number = yield from self.post(me, job)
            if outcome == "elsewhere":
                yield from self.sync(number)
                yield self.tell(job, "put")
                return
            if outcome == "locked":
                yield self.tell(job, "not put")
                return
            if outcome == "here":
                yield self.enter(me)
        else:
            yield self.enter(me)
        yield from self.lead(me, job)

    @staticmethod
    def tell(job, what):
        return Step(what, lambda m: m.put("told", job, what))

    @staticmethod
    def enter(me):
        return Step("enters", lambda m: setattr(m, "gate", me), when=lambda m: m.gate is None)

    # Who posts.

    def post(self, me, job):
        yield Step("posts", lambda m: (m.put("jobs", me, job), m.put("state", me, POSTED)))
        yield Step("says so", lambda m: setattr(m, "posted", m.posted | {me}))
        while True:
            seen = yield Step("counts calls", lambda m: m.calls[me])
            state, number = yield Step("asks", lambda m: (m.state[me], m.number[me]))
            if state in ENDED:
                yield Step("knows", lambda m: m.put("state", me, IDLE))
            yield from self.relay(me)
            if state in ENDED:
                return ("elsewhere" if state == COMMITTED else "here"), number
            if (yield Step("tries", lambda m: self.try_gate(m, me))):
                if (yield from self.leads(me)):
                    return "inside", 0
                yield from self.leave()
                continue
            if (yield Step("waits", self.spend_time, ways=lambda m: [False, True][:m.times + 1])):
                if (yield Step("takes back", lambda m: self.take_back(m, me))):
                    yield Step("says so", lambda m: setattr(m, "posted", m.posted - {me}))
                    return "locked", 0
            if "late" in self.broken:
                seen = yield Step("counts calls", lambda m: m.calls[me])
            yield Step("sleeps", when=lambda m: m.calls[me] != seen, wakes=True)

    @staticmethod
    def try_gate(m, me):
        if m.gate is not None:
            return False
        m.gate = me
        return True

    @staticmethod
    def spend_time(m, is_over):
        m.times -= is_over
        return is_over

    def take_back(self, m, me):
        if m.state[me] != POSTED and "back" not in self.broken:
            return False
        m.put("state", me, IDLE)
        return True

    def leads(self, me):
        yield from self.finish_batch()
        if (yield Step("is it mine", lambda m: m.state[me] != POSTED)):
            return False
        yield Step("withdraws", lambda m: setattr(m, "posted", m.posted - {me}))
        yield Step("is idle", lambda m: m.put("state", me, IDLE))
        return True

    # Who is in the gate.

    def lead(self, me, job):
        yield Step("leads", lambda m: setattr(m, "leader", me))
        yield from self.finish_batch()
        taken = yield from self.take()
        if taken and "batch" not in self.broken:
            yield Step("begins", lambda m: setattr(m, "batch", m.batches + 1))
        is_done = yield Step(
            "commits", lambda m, way: self.commit(m, way, job, taken), ways=lambda m: [True, False][:m.failures + 1])
        number = 0
        if is_done:
            number = yield Step("numbers it", self.count)
        if taken:
            yield from self.settle(tuple(sorted(taken)), COMMITTED if is_done else REFUSED, number)
        yield Step("leads no more", lambda m: setattr(m, "leader", None))
        yield from self.leave()
        if is_done and "ack" not in self.broken:
            yield from self.sync(number)
        yield from self.call(taken)
        yield self.tell(job, "put" if is_done else "not put")

    @staticmethod
    def commit(m, is_done, job, taken):
        m.failures -= not is_done
        if is_done:
            m.log += (job,) + tuple(m.jobs[seat] for seat in sorted(taken))
            m.batches += bool(taken)
        return is_done

    @staticmethod
    def count(m):
        m.committed += 1
        return m.committed

    def take(self):
        taken = frozenset()
        for seat in sorted((yield Step("looks who posts", lambda m: m.posted))):
            if not (yield Step("looks at a seat", lambda m: m.alive[seat] and m.state[seat] == POSTED)):
                yield Step("clears it", lambda m: setattr(m, "posted", m.posted - {seat}))
                yield Step("or not", lambda m: self.clear(m, seat))
                continue
            if "taken" not in self.broken:
                yield Step("marks it", lambda m: setattr(m, "taken", m.taken | {seat}))
            if (yield Step("takes", lambda m: self.move(m, seat, POSTED, TAKEN))):
                if "taken" in self.broken:
                    yield Step("marks it", lambda m: setattr(m, "taken", m.taken | {seat}))
                yield Step("clears it", lambda m: setattr(m, "posted", m.posted - {seat}))
                taken |= {seat}
            else:
                yield Step("unmarks it", lambda m: setattr(m, "taken", m.taken - {seat}))
        return taken

    @staticmethod
    def clear(m, seat):
        if m.alive[seat] and m.state[seat] == POSTED:
            m.posted |= {seat}

    @staticmethod
    def move(m, seat, before, after):
        if m.state[seat] != before:
            return False
        m.put("state", seat, after)
        return True

    def finish_batch(self):
        if "finish" in self.broken or not (yield Step("is all finished", lambda m: m.taken)):
            return
        is_there = yield Step("looks for the batch", lambda m: m.batch and m.batches >= m.batch)
        seats = yield Step("whose", lambda m: m.taken)
        if is_there and "both" not in self.broken:
            number = yield Step("numbers it", self.count)
            yield from self.settle(tuple(sorted(seats)), COMMITTED, number)
        else:
            yield from self.settle(tuple(sorted(seats)), POSTED, 0)
        yield from self.call(seats)

    def settle(self, seats, fate, number):
        for seat in seats:
            if not (yield Step("is it taken", lambda m: m.state[seat] == TAKEN)):
                continue
            if fate == COMMITTED:
                yield Step("tells the number", lambda m: m.put("number", seat, number))
            is_told = yield Step("tells", lambda m: self.move(m, seat, TAKEN, fate))
            if is_told and fate == POSTED:
                yield Step("posts again", lambda m: setattr(m, "posted", m.posted | {seat}))
        yield Step("no batch", lambda m: setattr(m, "batch", 0))
        yield Step("none taken", lambda m: setattr(m, "taken", frozenset()))

    def leave(self):
        if "inside" in self.broken:
            called = yield Step("looks for the next", lambda m: lowest(m.posted))
        yield Step("leaves", lambda m: setattr(m, "gate", None))
        if "inside" not in self.broken:
            called = yield Step("looks for the next", lambda m: lowest(m.posted))
        yield from self.call(called)

    # Calls, and the disk.

    def call(self, seats):
        while seats:
            first, rest = min(seats), seats - lowest(seats)
            yield Step("leaves it the rest", lambda m: m.put("left", first, m.left[first] | rest))
            yield Step("calls", lambda m: m.put("calls", first, (m.calls[first] + 1) % 8))
            if (yield Step("has it gone on", lambda m: m.state[first] in ENDED)):
                return
            seats = yield Step("takes the rest back", lambda m: self.take_rest(m, first))

    def relay(self, me):
        yield from self.call((yield Step("is to call", lambda m: self.take_rest(m, me))))

    @staticmethod
    def take_rest(m, seat):
        rest = m.left[seat]
        m.put("left", seat, frozenset())
        return rest

    @staticmethod
    def sync(number):
        if (yield Step("is it synced", lambda m: m.synced >= number)):
            return
        last = yield Step("last one", lambda m: m.committed)
        yield Step("syncs", lambda m: setattr(m, "disk", len(m.log)))
        yield Step("synced", lambda m: setattr(m, "synced", max(m.synced, last)))


def check(m):
    for job, told in enumerate(m.told):
        times = m.log.count(job)
        if times > 1:
            raise Wrong(f"the job of {job} was put twice")
        if told == "put" and job not in m.log[:m.disk]:
            raise Wrong(f"the put of {job} was acknowledged, and is not on disk")
        if told == "not put" and times:
            raise Wrong(f"{job} was told that its job is not put, and it is")


def kill(m, index):
    m.put("alive", index, False)
    if m.gate == index:
        m.gate = None


def main(words):
    count = 2
    if words[:1] == ["--processes"]:
        count, words = int(words[1]), words[2:]
    broken = set(words)
    if broken - BREAKS.keys():
        sys.exit("the breaks: " + ", ".join(BREAKS))
    each = (IDLE,) * count
    memory = Memory(
        gate=None, leader=None, posted=frozenset(), taken=frozenset(), batch=0, state=each, jobs=each, number=each,
        left=(frozenset(),) * count, calls=each, alive=(True,) * count, told=(None,) * count,
        log=(), batches=0, committed=0, synced=0, disk=0, failures=1, times=1)
    puts = Puts(broken)
    makers = [lambda me=me: puts.put(me, me) for me in range(count)]
    try:
        search = Search(memory, makers, kill, 1, check)
        if search.nap:
            raise Wrong(f"only a clock helps, though nobody has died: {search.nap}")
    except Wrong as wrong:
        print(wrong)
        return 1
    print(f"{len(search.origin)} states")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
