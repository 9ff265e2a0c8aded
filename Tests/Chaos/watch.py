"""Looks at Redis ten times a second: when batches are done, whether the counters add up, whether leases are reaped."""

import bisect
import threading
import time

from resp_client import RedisAway, RedisError, fields
from progress_equations import broken_equations, COUNTERS
from support.queue_process import numbered

SAMPLE_SECONDS = 0.1
# A lease that ran out is found by whoever asks Redis next; workers do so at least every ten seconds.
REAP_SECONDS = 15
STARVED_SECONDS = 0.5


class Watch:
    def __init__(self, redis, queue_name, tables, findings):
        self.redis, self.tables, self.findings = redis, tables, findings
        self.prefix = f"reencrypt:{{{queue_name}}}:"
        self.done_at = []
        self.samples = 0
        self.overdue_since = {}
        self.leases = {}
        self.progress = {}
        # As it was last seen, by the job it speaks of; oldest first.
        self.by_job = {}
        self.expired = 0
        self.redrawn = 0
        self.lost = []
        self.starved = []
        self._last_event = "0"
        self._client = redis.client(timeout=2.0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self):
        self._stop.set()
        self._thread.join(10)
        self._client.close()

    def first_done_after(self, wall):
        """The moment (wall clock, s) of the first batch that was done after `wall`; None yet."""
        position = bisect.bisect_right(self.done_at, wall)
        return self.done_at[position] if position < len(self.done_at) else None

    def first_job_since(self, wall) -> dict:
        """The counters of the first job that was started after `wall` (wall clock, s); empty where none was seen."""
        started = [progress for progress in self.by_job.values() if (progress.get("started_at") or 0) > wall * 1000]
        return min(started, key=lambda progress: progress["started_at"], default={})

    def was_starved_since(self, wall) -> bool:
        """Whether for some time there was nothing to hand out, but batches that somebody has, or had and is lost:
        the end of a sweep waits for them."""
        return any(end >= wall and end - max(start, wall) > STARVED_SECONDS for start, end in self.starved)

    def follow_lost_leases(self, kind, limit):
        """All leases of this moment, of which a lost worker had some: until each has been reported, extended by
        somebody who lives, or reaped."""
        self.lost.append((kind, limit, time.monotonic(), dict(self.leases)))

    def _run(self):
        while not self._stop.wait(SAMPLE_SECONDS):
            try:
                self._sample()
            except (RedisAway, RedisError, OSError):
                self._client.close()
                self.overdue_since = {}
                self.leases = {}
                self.lost = []
            except Exception as error:  # pylint: disable=broad-except
                self.findings.violation("harness", f"the watch failed: {error!r}")
                return

    def _sample(self):
        keys = ["progress"] + [f"progress:{table}" for table in self.tables]
        replies = self._client.transaction(
            [("HGETALL", self.prefix + key) for key in keys]
            + [("ZRANGE", self.prefix + "leases", 0, -1, "WITHSCORES"), ("TIME",)]
            + [("XRANGE", self.prefix + "events", f"({self._last_event}" if self._last_event != "0" else "-", "+",
                "COUNT", "2000")]
        )  # fmt: skip
        *hashes, leases, clock, events = replies
        self._judge([numbered(fields(one)) for one in hashes])
        self._keep_events(events)
        self._keep_leases(leases, int(clock[0]) * 1000 + int(clock[1]) // 1000)

    def _judge(self, hashes):
        whole, parts = hashes[0], hashes[1:]
        self.progress = whole
        if not whole:
            return
        self.by_job[whole["job"]] = whole
        self.samples += 1
        now = time.time()
        outstanding = whole["batches_leased"] + whole["batches_delayed"]
        if whole["state"] == "draining" and whole["batches_pending"] == 0 and outstanding:
            if self.starved and now - self.starved[-1][1] < 4 * SAMPLE_SECONDS:
                self.starved[-1][1] = now
            else:
                self.starved.append([now, now])
        problems = broken_equations(whole, "progress")
        for name, part in zip(self.tables, parts):
            problems += broken_equations(part, name)
        for counter in COUNTERS:
            if whole[counter] != sum(part[counter] for part in parts):
                problems.append(f"{counter} is not the sum over the tables: {hashes}")
        for problem in problems[:3]:
            self.findings.violation("equations", problem)

    def _keep_events(self, events):
        for identity, entry in events:
            self._last_event = identity.decode()
            kind = fields(entry)["kind"]
            if kind == "batch_done":
                moment = int(self._last_event.split("-")[0]) / 1000
                bisect.insort(self.done_at, moment)
            elif kind == "generation_redrawn":
                self.redrawn += 1
            elif kind == "lease_expired":
                self.expired += 1

    def _keep_leases(self, reply, now):
        self.leases = {int(name): float(score) for name, score in zip(reply[::2], reply[1::2])}
        moment = time.monotonic()
        for entry in list(self.lost):
            kind, limit, since, held = entry
            for name in [name for name, score in held.items() if self.leases.get(name) != score]:
                del held[name]
            if not held:
                self.lost.remove(entry)
                self.findings.recovered(kind, moment - since, limit)
            elif moment - since > 2 * limit:
                self.lost.remove(entry)
                self.findings.violation(kind, f"after {moment - since:.0f} s these batches are still leased: {held}")
        overdue = {name for name, score in self.leases.items() if score < now}
        self.overdue_since = {name: self.overdue_since.get(name, moment) for name in overdue}
        for name, since in list(self.overdue_since.items()):
            if moment - since > REAP_SECONDS:
                self.findings.violation("leases", f"the lease of batch {name} ran out {moment - since:.0f} s ago, not reaped")
                self.overdue_since[name] = moment
