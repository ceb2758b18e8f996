"""marks.py - what workers share with the benchmark: how many jobs each has performed, when, how long they waited.

A job costs a worker two stores to a shared page, so that what is measured is the queue. Each worker has a slot of 64
bytes: the count, and the time of the last job (CLOCK_MONOTONIC, which all processes share). A job whose body begins
with l carries the time of its put; how long it waited goes to a file beside the page. wire.c writes the same.
"""
import mmap
import os
import pathlib
import struct
import time

SLOTS, WIDTH = 64, 64
BODY_BYTES = 100
EMPTY = "e" * BODY_BYTES


def timed():
    """The body of a job that tells how long it waited."""
    return f"l{time.monotonic_ns()}".ljust(BODY_BYTES)


class Marks:
    def __init__(self, path):
        self.path = pathlib.Path(path)
        if not self.path.exists():
            self.path.write_bytes(bytes(SLOTS * WIDTH))
        with open(path, "r+b") as file:
            self.page = mmap.mmap(file.fileno(), SLOTS * WIDTH)

    @property
    def log(self):
        return pathlib.Path(f"{self.path}-latency")

    def counts(self):
        return [struct.unpack_from("q", self.page, slot * WIDTH)[0] for slot in range(SLOTS)]

    def total(self):
        return sum(self.counts())

    def last(self):
        """When the last job was performed, in nanoseconds."""
        return max(struct.unpack_from("q", self.page, slot * WIDTH + 8)[0] for slot in range(SLOTS))

    def performed(self, body):
        now = time.monotonic_ns()
        if not isinstance(body, str):
            body = bytes(body).decode()
        if body[0] == "l":
            with open(self.log, "ab", buffering=0) as log:
                log.write(struct.pack("q", now - int(body[1:])))
        at = int(os.environ["PEER_SLOT"]) * WIDTH
        struct.pack_into("qq", self.page, at, struct.unpack_from("q", self.page, at)[0] + 1, now)

    def latencies(self):
        """Seconds that the timed jobs waited, since this was asked last."""
        data = self.log.read_bytes() if self.log.exists() else b""
        self.log.unlink(missing_ok=True)
        return [nanoseconds / 1e9 for nanoseconds, in struct.iter_unpack("q", data)]


_marks = None


def perform(body):
    """What every job does."""
    global _marks
    _marks = _marks or Marks(os.environ["PEER_MARKS"])
    _marks.performed(body)
