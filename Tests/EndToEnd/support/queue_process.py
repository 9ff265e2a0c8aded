"""A queue with its coordinators and workers as processes, and what Redis shows of it."""

import contextlib
import json
import re
import threading
import time

from resp_client import RedisAway, RedisClient, fields
from support.waiting import wait_until

TALLY = re.compile(
    r"Re-encrypted (\d+) records, (\d+) failed; batches: (\d+) counted, (\d+) duplicate, (\d+) stale"
)
RUNNING = ("enumerating", "draining", "verifying")


class Queue:
    """The keys of one queue on one server."""

    def __init__(self, redis_server, name="default"):
        self.server = redis_server
        self.name = name
        self.redis = RedisClient(redis_server.url())

    def key(self, name) -> str:
        return f"reencrypt:{{{self.name}}}:{name}"

    def progress(self, table=None) -> dict:
        """Counters as numbers; empty where there is none."""
        found = self.redis.hash(self.key("progress" if table is None else f"progress:{table}"))
        return numbered(found)

    def done(self) -> int:
        """Records done; 0 while Redis is away or empty."""
        try:
            return self.progress().get("records_done") or 0
        except RedisAway:
            return 0

    def wait_until_done(self, records, timeout=30.0):
        wait_until(lambda: self.done() >= records, f"{records} records are done", timeout, interval=0.004)

    def wait_for_state(self, *states, timeout=30.0):
        wait_until(lambda: self.progress().get("state") in states, f"the job is {states}", timeout)

    def leases(self) -> list:
        return [int(sequence) for sequence in self.redis.command("ZRANGE", self.key("leases"), 0, -1)]

    def expire_leases(self, sequences=None):
        """As if their workers had been silent for 30 seconds: whoever asks Redis next reaps them."""
        for sequence in self.leases() if sequences is None else sequences:
            self.redis.command("ZADD", self.key("leases"), "XX", 1, sequence)

    def failures(self) -> dict:
        """(table, id, column) → its entry."""
        found = self.redis.hash(self.key("failures"))
        return {tuple(map(str, json.loads(field))): json.loads(value) for field, value in found.items()}

    def events(self) -> list:
        """The stream's kinds, oldest first."""
        return [fields(entry[1])["kind"] for entry in self.redis.command("XRANGE", self.key("events"), "-", "+")]

    def history(self) -> list:
        return [json.loads(text) for text in self.redis.command("LRANGE", self.key("history"), 0, -1)]


def numbered(found: dict) -> dict:
    return {name: int(text) if re.fullmatch(r"-?\d+", text) else text for name, text in found.items()}


class QueueTool:
    """The binary's queue commands, with the settings of a `RotationTool` and a queue."""

    def __init__(self, tool, queue):
        self.tool = tool
        self.queue = queue

    def environment(self, redis_port=None, database_url=None, **changes) -> dict:
        """Through proxies where a port or an address is given."""
        changes.setdefault("REDIS_URL", self.queue.server.url(port=redis_port))
        if database_url is not None:
            changes["DATABASE_URL"] = database_url
        return self.tool.environment(**changes)

    def start(self, command, *arguments, catalog=True, redis_port=None, database_url=None, **changes):
        options = ["--queue", self.queue.name]
        if catalog:
            options += ["--catalog", self.tool.catalog]
        return self.tool.start_command(
            *command.split(), *options, *arguments,
            environment=self.environment(redis_port, database_url, **changes),
        )  # fmt: skip

    def coordinator(self, *arguments, **where):
        return self.start("coordinator", *arguments, **where)

    def worker(self, *arguments, **where):
        return self.start("worker", *arguments, **where)

    def command(self, command, *arguments, timeout=30, **where):
        """A command that needs no catalog: status, pause, failures …"""
        return self.start(command, *arguments, catalog=False, **where).wait(timeout)

    def status(self) -> dict:
        return json.loads(self.command("status", "--json").expect(0).stdout)

    def verify(self):
        return self.tool.command(
            "verify", "--depth", "labels", "--partial", "--catalog", self.tool.catalog, environment=self.environment()
        )


def wait_until_ready(workers):
    """A worker that comes when the job is over waits for the next one; a short job needs workers that are there."""
    for worker in workers:
        wait_until(lambda worker=worker: "Connected to database" in worker.stderr_so_far(), "a worker is ready")


def tally(outcome) -> dict:
    """What a worker says it has done, over all jobs and interruptions of its life."""
    names = ("rewrapped", "failed", "counted", "duplicate", "stale")
    total = dict.fromkeys(names, 0)
    for message in outcome.messages:
        found = TALLY.search(message)
        if found:
            for name, number in zip(names, found.groups()):
                total[name] += int(number)
    return total


@contextlib.contextmanager
def repeating(action, interval=0.01):
    """Runs `action` again and again beside the test; what it raises is raised at the end."""
    stop, raised = threading.Event(), []

    def loop():
        while not stop.is_set():
            try:
                action()
            except RedisAway:
                pass
            except Exception as error:  # pylint: disable=broad-except
                raised.append(error)
                return
            time.sleep(interval)

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)
    if raised:
        raise raised[0]


def end_leaders(database):
    """As the server does by itself when a leader has been silent for 30 seconds."""
    database.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name LIKE 'reencrypt-secrets leader%%'", ()
    )  # fmt: skip
