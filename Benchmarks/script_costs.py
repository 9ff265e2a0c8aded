"""What each script costs Redis by itself: calls of one script alone, pipelined, by `INFO commandstats`."""

import re

from queue_scripts import JOB, QueueScripts
from resp_client import RedisClient
from simulated_coordinator import SimulatedCoordinator

CALLS = 5_000
PIPELINE = 100


class Stopwatch:
    """The server's own time in EVALSHA."""

    def __init__(self, redis):
        self.redis = redis

    def begin(self):
        self.redis.command("CONFIG", "RESETSTAT")

    def end(self) -> int:
        """Microseconds since the beginning."""
        usec = re.search(rb"cmdstat_evalsha:calls=\d+,usec=(\d+)", self.redis.command("INFO", "commandstats"))
        return int(usec.group(1))

    def __call__(self, commands) -> tuple:
        """Microseconds a call, and the answers."""
        self.begin()
        replies = []
        for start in range(0, len(commands), PIPELINE):
            replies += self.redis.pipeline(commands[start : start + PIPELINE])
        return self.end() / len(commands), replies


def script_costs(url) -> dict:
    redis = RedisClient(url)
    scripts = QueueScripts(redis, "costs")
    measure = Stopwatch(redis)
    measure.begin()
    SimulatedCoordinator(scripts, url, CALLS, 1000).begin()  # mostly pushes
    costs = {"enqueue, a range": measure.end() / CALLS}
    costs["claim"], claims = measure([scripts.call("claim", 1, 600_000, JOB)] * CALLS)
    beats = [scripts.call("heartbeat", f"w{n % 1000}", 30_000, "host", 1, "0.1.0", 2, 0, 0, 0, claim[7], claim[8])
             for n, claim in enumerate(claims)]  # fmt: skip
    costs["heartbeat"], _ = measure(beats)
    reports = [scripts.call("acknowledge", claim[4], claim[7], claim[10], 1000, 0, "", 0, 0, 1000, 331_000, 5_000, 16384)
               for claim in claims]  # fmt: skip
    costs["acknowledge"], answers = measure(reports)
    assert set(answers) == {b"counted"}, set(answers)
    costs["acknowledge, repeated"], _ = measure(reports[:1000])
    costs["claim, nothing there"], _ = measure([scripts.call("claim", 1, 600_000, JOB)] * 1000)
    costs["tick"], _ = measure([scripts.call("tick", "", "", "", "")] * 1000)
    return costs
