"""libraries.py - queues in a SQLite file, from a library: huey, litequeue, persist-queue."""
import contextlib
import sqlite3
import time

from . import processes
from .peer import OnSQLite


class Huey(OnSQLite):
    name = "huey"
    durability = "synced before the answer (SqliteHuey, its default)"
    client = "huey"
    modules = ("huey",)
    bulk_api = False
    note = "its workers look every 0.1 s, and less often when there was nothing"

    def worker(self, slot):
        return [processes.PYTHON, "-m", "huey.bin.huey_consumer", "peers.apps.huey", "-w", "1", "-q"]

    def connect(self):
        from . import apps
        return apps.huey.task_of_the_benchmark, None

    def count(self):
        from . import apps
        return apps.huey.pending_count()

    def clear(self):
        from . import apps
        apps.huey.flush()
        return 0


class LiteQueue(OnSQLite):
    name = "litequeue"
    durability = "not synced (WAL with `synchronous=NORMAL`, fixed)"
    durable = False
    client = "litequeue"
    modules = ("litequeue",)

    def queue(self):
        import litequeue
        return litequeue.LiteQueue(self.file, timeout=30)

    def connect(self):
        queue = self.queue()

        def many(bodies):
            with queue.transaction():
                for body in bodies:
                    queue.put(body)

        return queue.put, many

    def consume(self, perform):
        queue = self.queue()
        while True:
            if (message := queue.pop()) is None:
                time.sleep(self.poll)
                continue
            perform(message.data)
            queue.done(message.message_id)

    def count(self):
        self.queue().close()  # makes the table
        with sqlite3.connect(self.file) as link:
            return link.execute("SELECT count(*) FROM Queue WHERE status = 0").fetchone()[0]

    def clear(self):
        self.queue().close()
        with sqlite3.connect(self.file, timeout=30) as link:
            link.execute("DELETE FROM Queue")
        return 0


class PersistQueue(OnSQLite):
    name = "persist-queue"
    durability = "synced before the answer (SQLiteAckQueue, WAL)"
    client = "persist-queue"
    modules = ("persist-queue",)
    workers = 1
    bulk_api = False
    note = "one worker, as its worker processes are not coordinated"

    _queue = None

    @property
    def file(self):
        return str(self.folder / "queue/data.db")

    def queue(self):
        import persistqueue
        return persistqueue.SQLiteAckQueue(str(self.folder / "queue"), multithreading=True, timeout=30)

    def connect(self):
        # Threads share one, as its manual says.
        self._queue = self._queue or self.queue()
        return self._queue.put, None

    def consume(self, perform):
        import persistqueue
        queue = self.queue()
        while True:
            try:
                item = queue.get(block=False)
            except persistqueue.Empty:
                time.sleep(self.poll)
                continue
            perform(item)
            queue.ack(item)

    def count(self):
        with self.table() as (link, table):
            return link.execute(f"SELECT count(*) FROM {table} WHERE status < 2").fetchone()[0]

    def clear(self):
        with self.table() as (link, table):
            link.execute(f"DELETE FROM {table}")
        return 0

    @contextlib.contextmanager
    def table(self):
        """A connection to its file, and the name of its table."""
        self.queue().close()  # makes it
        with sqlite3.connect(self.file, timeout=30) as link:
            found = link.execute("SELECT name FROM sqlite_master WHERE name LIKE 'ack_queue%' AND type = 'table'")
            yield link, found.fetchone()[0]
