"""Judges a queue from the side, over a connection of its own, until told to stop.

It reads the counters of the queue and of its tables and the lengths of its structures at one instant, and sees whether
the equations of section 5 of the contract hold; and what the queue's keys take of Redis' memory.
"""

import threading

from equations_of_a_snapshot import broken_equations, numbered
from queue_scripts import TABLES
from resp_client import RedisClient, fields

LOOK_SECONDS = 0.05
LOOKS_A_WEIGHING = 10
WEIGHED = ["progress", "state", "pending", "batches", "held", "leases", "delayed", "void", "failures", "events", "workers"]


class QueueJudge(threading.Thread):
    """`broken` is empty as long as all is well."""

    def __init__(self, scripts, url):
        super().__init__(daemon=True)
        self.scripts = scripts
        self.redis = RedisClient(url)
        self.looks = self.most_outstanding = self.most_memory = 0
        self.broken = []
        self._ended = threading.Event()

    def run(self):
        while not self._ended.wait(LOOK_SECONDS):
            self.look()
            if self.looks % LOOKS_A_WEIGHING == 1:
                self.most_memory = max(self.most_memory, self._memory())

    def stop(self):
        self._ended.set()
        self.join()

    def look(self) -> dict:
        prefix = self.scripts.prefix
        keys = [self.scripts.progress] + [f"{self.scripts.progress}:{table}" for table in TABLES]
        commands = [("HGETALL", key) for key in keys] + [
            ("LLEN", prefix + "pending"), ("HLEN", prefix + "batches"), ("ZCARD", prefix + "leases"),
            ("ZCARD", prefix + "delayed"),
        ]  # fmt: skip
        *hashes, pending, known, leased, delayed = self.redis.transaction(commands)
        whole, *parts = [numbered(fields(one)) for one in hashes]
        self.looks += 1
        self.broken += broken_equations(whole, parts, pending, known, leased, delayed)
        outstanding = whole["batches_pending"] + whole["batches_leased"] + whole["batches_delayed"]
        self.most_outstanding = max(self.most_outstanding, outstanding)
        return whole

    def _memory(self) -> int:
        """Bytes of all of the queue's keys; the workers' own hashes are alike, so that one is weighed for all."""
        names = [self.scripts.prefix + key for key in WEIGHED]
        sizes = self.redis.pipeline([("MEMORY", "USAGE", name, "SAMPLES", 50) for name in names])
        workers = self.redis.command("ZRANGE", self.scripts.prefix + "workers", 0, -1)
        if workers:
            one = self.redis.command("MEMORY", "USAGE", f"{self.scripts.prefix}worker:{workers[0].decode()}")
            sizes.append((one or 0) * len(workers))
        return sum(size or 0 for size in sizes)
