"""Plays the coordinator: pushes ranges while the window has room, ticks, and ends the job."""

import re
import time

from queue_scripts import JOB, TABLES, TOKEN, body
from resp_client import RedisClient

# Ranges a push, and pushes sent together. A coordinator's call waits its turn among those of a thousand workers.
PUSH, TOGETHER = 500, 8
TICK_SECONDS = 0.1
# The first part of a pass, in which workers come, is not measured.
WARM_UP = 0.2


class SimulatedCoordinator:
    """One job, enumerated for some seconds."""

    def __init__(self, scripts, url, window, records):
        self.scripts, self.window, self.records = scripts, window, records
        self.redis = RedisClient(url)
        self.generation = "4039ce4434bee5b9"
        self.pushes = self.pushed = 0

    def begin(self):
        tables = "[" + ",".join(f'"{name}"' for name in TABLES) + "]"
        self._run("lead", TOKEN)
        self._run("begin_job", TOKEN, JOB, "{}", "", "kek-v2", "rewrap", "", "0", tables)
        self._run("begin_sweep", TOKEN, self.generation, "sweep", 1, 0)
        self.push(self.window)

    def lead(self, seconds) -> dict:
        """Keeps the window full for so long. Returns what was done in that time, and what it cost Redis."""
        time.sleep(seconds * WARM_UP)
        began, done, cpu = self._mark()
        while time.monotonic() < began + seconds * (1 - WARM_UP):
            outstanding = self._outstanding()
            if outstanding <= self.window - PUSH:
                self.push(self.window - outstanding)
            else:
                time.sleep(0.01)
        ended, done_at_end, cpu_at_end = self._mark()
        batches = done_at_end - done
        return {
            "batches_per_second": batches / (ended - began),
            "redis_cpu": (cpu_at_end - cpu) / (ended - began),
            "redis_us_a_batch": 1e6 * (cpu_at_end - cpu) / batches,
        }

    def finish_enumeration(self):
        self.pushes += 1
        self._run("enqueue", TOKEN, self.generation, self.pushes, "{}", "1")

    def drain(self, within):
        """Waits until nothing is outstanding; what is left after so many seconds is lost, as `leftovers` tells."""
        deadline = time.monotonic() + within
        while self._outstanding() > 0 and time.monotonic() < deadline:
            time.sleep(TICK_SECONDS)

    def finish_job(self):
        self._run("finish_job", TOKEN, "complete", "{}", 20)

    def push(self, count):
        calls, until = [], self.pushed + count
        while self.pushed < until and len(calls) < max(TOGETHER, count // PUSH):
            arguments = []
            for number in range(self.pushed, min(self.pushed + PUSH, until)):
                table = TABLES[number % len(TABLES)]
                arguments += [table, self.records, body(table, number, self.records)]
            self.pushes += 1
            self.pushed += len(arguments) // 3
            calls.append(self.scripts.call("enqueue", TOKEN, self.generation, self.pushes, "{}", "0", *arguments))
        answers = self.redis.pipeline(calls)
        if set(answers) != {b"ok"}:
            raise SystemExit(f"pushes were answered {answers}")

    def leftovers(self) -> dict:
        """What should be empty at the end; the list may hold messages of batches that were reported late."""
        lengths = {"batches": "HLEN", "held": "HLEN", "leases": "ZCARD", "delayed": "ZCARD"}
        return {key: self.redis.command(command, self.scripts.prefix + key) for key, command in lengths.items()}

    def _run(self, name, *arguments):
        return self.redis.command(*self.scripts.call(name, *arguments))

    def _outstanding(self) -> int:
        reply = self._run("tick", TOKEN, 1000, 10, "")
        return int(reply[8]) + int(reply[15]) + int(reply[16])

    def _mark(self) -> tuple:
        """Now, batches done, and seconds of the server's CPU, in its own code and in the kernel."""
        done, used = self.redis.pipeline([("HGET", self.scripts.progress, "batches_done"), ("INFO", "cpu")])
        return time.monotonic(), int(done), sum(map(float, re.findall(rb"used_cpu_(?:sys|user):([\d.]+)", used)))
