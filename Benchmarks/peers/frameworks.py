"""frameworks.py - task queues with worker programs of their own: rq, celery (on Redis), procrastinate (PostgreSQL)."""
import os
import pathlib
import shutil

from . import processes
from .brokers import RedisServer
from .peer import Peer
from .processes import run, spawn, wait_for_port

VENV = processes.BUILD / "venv/bin"


class RQ(RedisServer):
    name = "rq"
    client = "rq"
    modules = ("rq", "redis")
    note = "its worker forks for each job"

    def version(self):
        return f"{Peer.version(self)} on Redis {super().version()}"

    def queue(self):
        import redis
        import rq
        return rq.Queue(connection=redis.Redis(port=self.port))

    def worker(self, slot):
        return [VENV / "rq", "worker", "-q", "-u", f"redis://127.0.0.1:{self.port}/0"]

    def connect(self):
        from rq import Queue
        queue, name = self.queue(), "peers.marks.perform"

        def many(bodies):
            for begin in range(0, len(bodies), 1000):
                queue.enqueue_many([Queue.prepare_data(name, (body,)) for body in bodies[begin:begin + 1000]])

        return lambda body: queue.enqueue(name, body), many

    def count(self):
        return self.queue().count

    def clear(self):
        self.queue().connection.flushall()
        return 0


class Celery(RedisServer):
    name = "celery"
    client = "celery"
    modules = ("celery", "redis")
    note = "acknowledges a job before it runs it, its default"
    bulk_api = False

    def version(self):
        return f"{Peer.version(self)} on Redis {super().version()}"

    def worker(self, slot):
        return [VENV / "celery", "-A", "peers.apps:celery", "worker", "-c", "1", "-l", "error", "-n", f"w{slot}@%h"]

    def connect(self):
        from . import apps
        task = apps.celery.task_of_the_benchmark
        return lambda body: task.apply_async((body,)), None

    def count(self):
        import redis
        return redis.Redis(port=self.port).llen("celery")

    def clear(self):
        import redis
        redis.Redis(port=self.port).delete("celery")
        return 0


class Procrastinate(Peer):
    name = "procrastinate"
    durability = "synced before the answer (PostgreSQL's default)"
    client = "procrastinate"
    modules = ("procrastinate", "psycopg")
    chunk = 5000

    @staticmethod
    def postgres():
        """The folder of the newest PostgreSQL's programs; None without one."""
        found = pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres")
        return max((path.parent for path in found), key=lambda path: int(path.parent.name), default=None)

    def missing(self):
        return super().missing() + ([] if self.postgres() else ["postgresql"])

    def version(self):
        return f"{super().version()} on PostgreSQL {run([self.postgres() / 'postgres', '--version']).split()[2]}"

    def start(self):
        home, become = self.folder / "data", []
        home.mkdir()
        if os.geteuid() == 0:  # PostgreSQL refuses to be root
            become = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--pdeathsig=INT"]
            shutil.chown(home, "postgres", "postgres")
        run([*become, self.postgres() / "initdb", "-D", home, "-A", "trust", "-E", "UTF8", "--no-locale",
             "-U", "postgres"], cwd="/")
        server = [self.postgres() / "postgres", "-D", home, "-p", self.port, "-h", "127.0.0.1", "-k", home]
        wait_for_port(self.port, spawn([*become, *server], self.folder, cwd="/"))
        run([VENV / "procrastinate", "--app=peers.apps.procrastinate", "schema", "--apply"],
            env={**os.environ, "PEER_PORT": str(self.port), "PYTHONPATH": str(processes.TOP / "Benchmarks")})

    def producer(self, way, jobs, threads=1):
        return ["env", f"PEER_THREADS={threads}", *super().producer(way, jobs, threads)]

    def worker(self, slot):
        return [VENV / "procrastinate", "--app=peers.apps.procrastinate", "worker", "--concurrency", "1"]

    def connect(self):
        from . import apps
        if not apps.__dict__.get("opened"):
            apps.procrastinate.open()
            apps.opened = True
        task = apps.procrastinate.task_of_the_benchmark

        def many(bodies):
            for begin in range(0, len(bodies), self.chunk):
                task.batch_defer(*[{"body": body} for body in bodies[begin:begin + self.chunk]])

        return lambda body: task.defer(body=body), many

    def link(self):
        import psycopg
        return psycopg.connect(f"postgresql://postgres@127.0.0.1:{self.port}/postgres", autocommit=True)

    def count(self):
        with self.link() as link:
            return link.execute("SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo'").fetchone()[0]

    def clear(self):
        with self.link() as link:
            link.execute("TRUNCATE procrastinate_jobs CASCADE")
        return 0
