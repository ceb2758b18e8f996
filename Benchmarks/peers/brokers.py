"""brokers.py - servers that keep a queue: beanstalkd, Redis, RabbitMQ, NATS JetStream."""
import os
import re
import socket

from . import processes
from .peer import PATH, Peer
from .processes import spawn, wait_for_port

class OnWire(Peer):
    """A server whose protocol wire.c speaks."""

    client = "C, its own protocol"
    protocol = ""
    counts_here = True

    def missing(self):
        return super().missing() + ([] if processes.WIRE.exists() else ["the C client wire"])

    def producer(self, way, jobs, threads=1):
        return [processes.WIRE, self.protocol, self.port, way, jobs, threads]

    def worker(self, slot):
        return [processes.WIRE, self.protocol, self.port, "work", slot]

    def ask(self, *lines):
        """Sends words, and reads until the server has nothing more to say."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as link:
            link.sendall("".join(line + "\r\n" for line in lines).encode())
            link.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: link.recv(1 << 16), b"")).decode()


class Beanstalkd(OnWire):
    name = "beanstalkd"
    durability = "synced every 50 ms (`-b`)"
    durable = False
    programs = ("beanstalkd",)
    protocol = "beanstalkd"
    options = ()

    def version(self):
        return processes.run(["beanstalkd", "-v"]).split()[-1]

    def start(self):
        log = self.folder / "binlog"
        log.mkdir()
        words = ["beanstalkd", "-l", "127.0.0.1", "-p", self.port, "-b", log, *self.options]
        wait_for_port(self.port, spawn(words, self.folder))

    def count(self):
        return int(re.search(r"current-jobs-ready: (\d+)", self.ask("stats"))[1])

    def clear(self):
        # There is no command to empty a tube: taken out and deleted, a thousand in flight at a time.
        with socket.create_connection(("127.0.0.1", self.port), 10) as link:
            answers = link.makefile("rb")
            while True:
                link.sendall(b"reserve-with-timeout 0\r\n" * 1000)
                taken = []
                for _ in range(1000):
                    if (words := answers.readline().split())[0] == b"RESERVED":
                        answers.read(int(words[2]) + 2)
                        taken.append(words[1])
                link.sendall(b"".join(b"delete %s\r\n" % each for each in taken))
                for _ in taken:
                    answers.readline()
                if len(taken) < 1000:
                    return 0


class BeanstalkdSynced(Beanstalkd):
    name = "beanstalkd -f0"
    durability = "synced before the answer (`-b -f0`)"
    durable = True
    options = ("-f0",)


class RedisServer(Peer):
    """A Redis of its own, with the append-only file."""

    durability = "synced before the answer (`appendfsync always`)"
    programs = ("redis-server",)
    sync = "always"

    def version(self):
        return re.search(r"v=([\d.]+)", processes.run(["redis-server", "--version"]))[1]

    def start(self):
        words = ["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--dir", self.folder, "--save", "",
                 "--appendonly", "yes", "--appendfsync", self.sync]
        wait_for_port(self.port, spawn(words, self.folder))


class RedisAlways(OnWire, RedisServer):
    name = "Redis list, always"
    note = "`LPUSH`, then `BLMOVE` and `LREM`"
    protocol = "redis"

    def count(self):
        return int(self.ask("LLEN jobs", "QUIT").split()[0].lstrip(":"))

    def clear(self):
        self.ask("DEL jobs held", "QUIT")
        return 0


class RedisEverySecond(RedisAlways):
    name = "Redis list, everysec"
    durability = "synced every second (`appendfsync everysec`)"
    durable = False
    sync = "everysec"


class RabbitMQ(Peer):
    name = "RabbitMQ quorum"
    durability = "synced before the confirm (quorum queue of one node)"
    client = "pika"
    programs = ("rabbitmq-server", "epmd")
    modules = ("pika",)
    note = "a prefetch of 100"
    prefetch = 100

    def version(self):
        # The program that tells starts a whole Erlang; the package knows as well.
        return processes.run(["dpkg-query", "-W", "-f", "${Version}", "rabbitmq-server"]).split("-")[0]

    def start(self):
        names, home = processes.free_port(), self.folder
        env = {**os.environ, "PATH": PATH, "HOME": str(home), "RABBITMQ_NODENAME": f"bench{os.getpid()}@localhost",
               "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1", "RABBITMQ_NODE_PORT": str(self.port),
               "RABBITMQ_DIST_PORT": str(processes.free_port()), "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
               "RABBITMQ_LOG_BASE": str(home / "logs"), "RABBITMQ_PID_FILE": str(home / "pid"),
               "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"), "RABBITMQ_CONFIG_FILE": str(home / "none"),
               "RABBITMQ_GENERATED_CONFIG_DIR": str(home / "generated"), "ERL_EPMD_PORT": str(names),
               "ERL_EPMD_ADDRESS": "127.0.0.1"}
        spawn(["epmd", "-port", names, "-address", "127.0.0.1"], home)
        wait_for_port(self.port, spawn(["/usr/lib/rabbitmq/bin/rabbitmq-server"], home, env, home))

    def channel(self):
        import pika
        where = pika.ConnectionParameters("127.0.0.1", self.port, heartbeat=0)
        channel = pika.BlockingConnection(where).channel()
        channel.queue_declare("jobs", durable=True, arguments={"x-queue-type": "quorum"})
        return channel

    def connect(self):
        import pika
        channel, kept = self.channel(), pika.BasicProperties(delivery_mode=2)
        channel.confirm_delivery()
        return lambda body: channel.basic_publish("", "jobs", body, kept), self.publish_many

    def publish_many(self, bodies):
        """All published, then all confirms awaited, which pika offers through its callbacks alone."""
        import pika
        kept = pika.BasicProperties(delivery_mode=2)

        def confirmed(frame):
            nonlocal left
            left = left - 1 if not frame.method.multiple else len(bodies) - frame.method.delivery_tag
            if left == 0:
                connection.close()

        def publish(channel):
            channel.confirm_delivery(confirmed)
            for body in bodies:
                channel.basic_publish("", "jobs", body, kept)

        left = len(bodies)
        connection = pika.SelectConnection(
            pika.ConnectionParameters("127.0.0.1", self.port, heartbeat=0),
            on_open_callback=lambda link: link.channel(on_open_callback=publish),
            on_close_callback=lambda link, _: link.ioloop.stop())
        connection.ioloop.start()

    def consume(self, perform):
        channel = self.channel()
        channel.basic_qos(prefetch_count=self.prefetch)

        def each(channel, method, _, body):
            perform(body)
            channel.basic_ack(method.delivery_tag)

        channel.basic_consume("jobs", each)
        channel.start_consuming()

    def count(self):
        channel = self.channel()
        count = channel.queue_declare("jobs", passive=True).method.message_count
        channel.connection.close()
        return count

    def clear(self):
        channel = self.channel()
        channel.queue_purge("jobs")
        channel.connection.close()
        return 0


class NATS(Peer):
    name = "NATS JetStream"
    durability = "synced every 2 minutes (file store)"
    durable = False
    client = "nats-py"
    programs = ("nats-server",)
    modules = ("nats-py",)
    note = "workers pull 100 at a time"
    fetched = 100

    def version(self):
        return processes.run(["nats-server", "--version"]).split()[-1].lstrip("v")

    def start(self):
        words = ["nats-server", "-a", "127.0.0.1", "-p", self.port, "-js", "-sd", self.folder / "js"]
        wait_for_port(self.port, spawn(words, self.folder))

    def link(self):
        """A loop of its own with a connection, and the stream, made unless it is there."""
        import asyncio
        import nats
        from nats.js.api import ConsumerConfig, RetentionPolicy, StorageType, StreamConfig
        loop = asyncio.new_event_loop()
        connection = loop.run_until_complete(nats.connect(f"nats://127.0.0.1:{self.port}"))
        stream = connection.jetstream(publish_async_max_pending=4000)
        loop.run_until_complete(stream.add_stream(StreamConfig(
            name="jobs", subjects=["job"], retention=RetentionPolicy.WORK_QUEUE, storage=StorageType.FILE)))
        loop.run_until_complete(stream.add_consumer("jobs", ConsumerConfig(
            durable_name="workers", ack_policy="explicit", max_ack_pending=20_000)))
        return loop, connection, stream

    def connect(self):
        loop, _, stream = self.link()

        async def many(bodies):
            for body in bodies:
                await stream.publish_async("job", body.encode())
            await stream.publish_async_completed()

        return (lambda body: loop.run_until_complete(stream.publish("job", body.encode())),
                lambda bodies: loop.run_until_complete(many(bodies)))

    def consume(self, perform):
        import asyncio
        import nats
        loop, _, stream = self.link()

        async def work():
            pull = await stream.pull_subscribe_bind("workers", "jobs")
            while True:
                try:
                    messages = await pull.fetch(self.fetched, timeout=5)
                except (nats.errors.TimeoutError, asyncio.TimeoutError):
                    continue
                for message in messages:
                    perform(message.data)
                    await message.ack()

        loop.run_until_complete(work())

    def count(self):
        loop, connection, stream = self.link()
        count = loop.run_until_complete(stream.stream_info("jobs")).state.messages
        loop.run_until_complete(connection.close())
        return count

    def clear(self):
        loop, connection, stream = self.link()
        loop.run_until_complete(stream.purge_stream("jobs"))
        loop.run_until_complete(connection.close())
        return 0
