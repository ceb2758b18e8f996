"""processes.py - servers, producers and workers as processes that end with the benchmark, whatever happens.

The benchmark is the subreaper of all that it starts, so that what a server leaves behind is its child and is found. If
it is killed itself, the kernel ends its children (PR_SET_PDEATHSIG).
"""
import contextlib
import ctypes
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = TOP / ".build-peers"
PYTHON = BUILD / "venv/bin/python"
WIRE = BUILD / "wire"
PDEATHSIG, SUBREAPER = 1, 36
_libc = ctypes.CDLL(None)
_started = set()  # the processes of spawn: whoever has their Popen waits for them


class Wrong(Exception):
    """A figure that would mean nothing, or a peer that does not do its work: a sentence for the reader."""


def adopt():
    """From here on orphans of this process's children are its children, and a request to end is an exception."""
    _libc.prctl(SUBREAPER, 1)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))


def _die_with_parent():
    _libc.prctl(PDEATHSIG, signal.SIGTERM)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def spawn(words, folder, env=None, cwd=None, **streams):
    """A child; its words go to `log` in the folder unless they are asked for."""
    with open(pathlib.Path(folder) / "log", "ab") as log:
        streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, **streams}
        child = subprocess.Popen(list(map(str, words)), env=env, cwd=cwd, preexec_fn=_die_with_parent,
                                 start_new_session=True, text=True, **streams)
    _started.add(child.pid)
    return child


def run(words, **options):
    """Runs a command to its end; what it printed. A failure is Wrong, with its words."""
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, **options)
    if done.returncode:
        raise Wrong(f"{words[0]} ended with status {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


def wait_for_port(port, server, seconds=60):
    wait(lambda: _answers(port) or server.poll() is not None, f"{server.args[0]} did not open its port", seconds)
    if server.poll() is not None:
        raise Wrong(f"{server.args[0]} ended with status {server.returncode} instead of opening its port")


def _answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def wait(true, otherwise, seconds=30, step=0.003):
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise Wrong(f"{otherwise() if callable(otherwise) else otherwise} in {seconds} s")
        time.sleep(step)


def tree(pid):
    """A process and all below it, the lowest first."""
    return [each for child in children(pid) for each in tree(child)] + [pid]


def children(pid):
    found = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            found += map(int, pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return found


def tell(pid, number):
    """A signal to a process and to all below it."""
    for each in tree(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, number)


def stop(child, first=signal.SIGTERM, patience=8):
    """Asks a child to end, and after a while makes it and all below it."""
    whole = tree(child.pid)
    tell(child.pid, signal.SIGCONT)
    if child.poll() is None:
        child.send_signal(first)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(patience)
    for each in whole[:-1] + ([child.pid] if child.poll() is None else []):
        with contextlib.suppress(ProcessLookupError):
            if _descends(each):
                os.kill(each, signal.SIGKILL)
    child.wait()
    _started.discard(child.pid)
    bury()


def _descends(pid):
    """Whether a process is still one of ours: its number may have been given to another meanwhile."""
    return pid in tree(os.getpid())


def bury():
    """Takes leave of the dead orphans that have come to this process; tsp and nq leave thousands."""
    for child in set(children(os.getpid())) - _started:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, os.WNOHANG)


def stop_all(patience=10):
    """Ends whatever is below this process, and waits for it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in tree(os.getpid())[:-1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        end = time.monotonic() + patience
        with contextlib.suppress(ChildProcessError):
            while time.monotonic() < end:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    time.sleep(0.01)
            continue
        return


class Producer:
    """A process that puts jobs: made ready first, begun later. See client.py for the words."""

    def __init__(self, words, folder, env):
        self.folder = folder
        self.child = spawn(words, folder, env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.child.stdout.readline() != "ready\n":
            raise Wrong(f"{words[0]} did not become ready; its words are in {folder}/log: {tail(folder)}")

    def begin(self):
        self.child.stdin.write("\n")
        self.child.stdin.flush()

    def end(self):
        """The seconds it took."""
        words, _ = self.child.communicate(timeout=120)
        _started.discard(self.child.pid)
        if self.child.returncode:
            raise Wrong(f"a producer ended with status {self.child.returncode}: {tail(self.folder)}")
        return float(words)


class Clerk:
    """A process that counts what waits in a queue and clears it."""

    def __init__(self, words, folder, env):
        self.folder = folder
        self.child = spawn(words, folder, env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, word):
        self.child.stdin.write(word + "\n")
        self.child.stdin.flush()
        answer = self.child.stdout.readline()
        if not answer:
            raise Wrong(f"the clerk ended: {tail(self.folder)}")
        return json.loads(answer)


def tail(folder):
    log = pathlib.Path(folder) / "log"
    return log.read_text(errors="replace").strip()[-600:] if log.is_file() else ""
