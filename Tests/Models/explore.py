"""explore.py - tries every order of the steps of a few processes, with a kill before each of them.

A process is a generator that yields its steps: what it does to the memory that all share, in one go, and when it can.
What it finds there is the value of the yield. Between two steps anybody else may run. Two states are the same when the
memory is, and each process stands at the same place with the same variables: so all of them are a few ten thousand.
After the explicit-state model checkers, Holzmann, "The Model Checker SPIN", 1997.
"""
import collections
import copy
import types


class Wrong(Exception):
    """What must never be."""


class Step:
    """One step. `ways`: how it may go; `do` is told. `wakes`: a sleep that a clock ends if nothing else does."""

    def __init__(self, label, do=lambda memory: None, when=lambda memory: True, ways=None, wakes=False):
        self.label, self.do, self.when, self.ways, self.wakes = label, do, when, ways, wakes

    def results(self, memory):
        """What each way gives, and the memory after it."""
        for way in self.ways(memory) if self.ways else [None]:
            after = copy.copy(memory)
            yield (self.do(after, way) if self.ways else self.do(after)), after


class Memory(types.SimpleNamespace):
    """What the processes share: numbers, tuples and sets that do not change."""

    def put(self, name, index, value):
        """A word of several."""
        words = getattr(self, name)
        setattr(self, name, words[:index] + (value,) + words[index + 1:])

    def key(self):
        return tuple(vars(self).items())


class Process:
    """Where a process stands, found again by what it was given so far."""

    def __init__(self, make, past):
        self.make, self.past = make, past
        run = make()
        self.step = next(run)
        for value in past:
            try:
                self.step = run.send(value)
            except StopIteration:
                self.step = None
        self.place = Process.frames(run)

    @staticmethod
    def frames(run):
        found = []
        while getattr(run, "gi_frame", None):
            names = run.gi_frame.f_locals
            found.append((run.gi_code.co_name, run.gi_frame.f_lasti, tuple(names.items())))
            run = run.gi_yieldfrom
        return tuple(found)


DEAD = object()


class Search:
    """All that can happen. `kill(memory, index)` is what a death leaves, `check(memory)` raises Wrong."""

    def __init__(self, memory, makers, kill, kills, check):
        self.makers, self.kill, self.check = makers, kill, check
        self.known, self.origin, self.before, self.over = {}, {}, {}, []
        # The first state in which only a clock helps, though nobody has died.
        self.nap = None
        self.front = collections.deque()
        first = tuple(self.process(index, ()) for index in range(len(makers)))
        self.note(None, "", memory, first, kills)
        while self.front:
            self.expand(*self.front.popleft())
        self.look_for_ends()

    def process(self, index, past):
        made = Process(self.makers[index], past)
        return self.known.setdefault((index, made.place), made)

    def note(self, origin, label, memory, processes, kills, is_kill=False):
        key = (memory.key(), tuple(p if p is DEAD else p.place for p in processes), kills)
        if not is_kill:
            self.before.setdefault(key, []).append(origin)
        if key in self.origin:
            return
        self.origin[key] = (origin, label)
        try:
            self.check(memory)
        except Wrong as wrong:
            raise Wrong(f"{wrong}: {self.trace(key)}")
        self.front.append((key, memory, processes, kills))

    def expand(self, key, memory, processes, kills):
        moved, sleepers = False, []
        for index, process in enumerate(processes):
            if process is DEAD or process.step is None:
                continue
            step = process.step
            if kills and process.past:
                after = copy.copy(memory)
                self.kill(after, index)
                dead = processes[:index] + (DEAD,) + processes[index + 1:]
                self.note(key, f"{index} dies", after, dead, kills - 1, is_kill=True)
            if step.when(memory):
                moved = True
                self.move(key, index, step.label, step.results(memory), processes, kills)
            elif step.wakes:
                sleepers.append(index)
        if moved:
            return
        if all(p is DEAD or p.step is None for p in processes):
            self.over.append(key)
        if sleepers and DEAD not in processes and not self.nap:
            self.nap = self.trace(key)
        for index in sleepers:
            self.move(key, index, "looks by itself", [(None, copy.copy(memory))], processes, kills)

    def move(self, key, index, label, results, processes, kills):
        for value, after in results:
            went = self.process(index, processes[index].past + (value,))
            others = processes[:index] + (went,) + processes[index + 1:]
            self.note(key, f"{index} {label}", after, others, kills)

    def look_for_ends(self):
        """From each state there must be a way to an end on which nobody else dies."""
        good, left = set(self.over), list(self.over)
        while left:
            for key in self.before.get(left.pop(), ()):
                if key not in good and key is not None:
                    good.add(key)
                    left.append(key)
        for key in self.origin:
            if key not in good:
                raise Wrong(f"somebody waits for ever: {self.trace(key)}")

    def trace(self, key):
        labels = []
        while key is not None:
            key, label = self.origin[key]
            labels.append(label)
        return ", ".join(labels[-2::-1])
