"""client.py - a producer, a worker or a clerk of one peer, in a process of its own, in the virtual environment.

    python -m peers.client PEER put|bulk|paced JOBS THREADS
    python -m peers.client PEER work SLOT
    python -m peers.client PEER clerk

A producer connects, says "ready", begins at the first byte on standard input, and prints the seconds it took. A clerk
answers count and clear, a line each. StoreBenchmark and wire.c speak the same way.
"""
import json
import os
import pathlib
import random
import sys
import threading
import time
import traceback

from . import catalogue
from .marks import EMPTY, Marks, perform, timed


def put(peer, jobs, threads):
    puts = [peer.connect()[0] for _ in range(threads)]

    def each(put):
        try:
            for _ in range(jobs // threads):
                put(EMPTY)
        except BaseException:
            traceback.print_exc()
            os._exit(1)  # from a thread too: an exception there would only be printed

    crew = [threading.Thread(target=each, args=(put,)) for put in puts]

    def go():
        if threads == 1:
            return each(puts[0])
        for thread in crew:
            thread.start()
        for thread in crew:
            thread.join()

    return go


def bulk(peer, jobs, _):
    put_many = peer.connect()[1]
    bodies = [EMPTY] * jobs
    return lambda: put_many(bodies)


def paced(peer, jobs, _):
    put = peer.connect()[0]
    marks, pause = Marks(os.environ["PEER_MARKS"]), random.Random(7)

    def go():
        for _ in range(jobs):
            time.sleep(pause.uniform(0.002, 0.015))
            before = marks.total()
            put(timed())
            while marks.total() == before:
                time.sleep(0.0005)

    return go


def produce(peer, way, jobs, threads):
    go = {"put": put, "bulk": bulk, "paced": paced}[way](peer, jobs, threads)
    print("ready", flush=True)
    if not sys.stdin.readline():
        sys.exit(1)
    begin = time.monotonic()
    go()
    print(time.monotonic() - begin, flush=True)
    os._exit(0)  # connection pools have threads that would keep the process


def serve(peer):
    for line in sys.stdin:
        print(json.dumps({"count": peer.count, "clear": peer.clear}[line.strip()]()), flush=True)


def main():
    name, verb, *words = sys.argv[1:]
    peer = catalogue.by_class(name)(pathlib.Path(os.environ["PEER_FOLDER"]), int(os.environ["PEER_PORT"]))
    if verb == "clerk":
        serve(peer)
    elif verb == "work":
        peer.consume(perform)
    else:
        produce(peer, verb, int(words[0]), int(words[1]))


if __name__ == "__main__":
    main()
