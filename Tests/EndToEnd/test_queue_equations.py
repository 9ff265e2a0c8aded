"""What section 5 of the contract promises of `progress`, at every instant of a job in which everything happens."""

import random
import re
import signal
import threading
import time

import pytest

from envelope_reference import seal
from resp_client import RedisAway, RedisClient, fields
from support.four_tables import ROWS
from progress_equations import COUNTERS, broken_equations
from support.queue_process import RUNNING, numbered
from support.secrets_table import SecretsTable
from support.waiting import wait_until

SAMPLE_SECONDS = 0.01
ALL_FIELDS = COUNTERS + [
    "job", "state", "paused", "throttled", "target_key", "mode", "sweep", "tables", "records_per_second",
    "eta_seconds", "workers", "enumeration_done", "started_at", "updated_at", "finished_at",
]  # fmt: skip


class Sampler:
    """Reads `progress` and those of the tables at one instant, every 10 ms."""

    def __init__(self, queue, tables):
        self.queue = queue
        self.tables = tables
        self.violations = []
        self.samples = 0
        self.states = []
        # While records are being handed out again by hand, totals may fall.
        self.allows_falls = False
        self._last = None
        self._redis = RedisClient(queue.server.url())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(10)

    def _run(self):
        keys = ["progress"] + [f"progress:{table}" for table in self.tables]
        while not self._stop.wait(SAMPLE_SECONDS):
            try:
                commands = [("HGETALL", self.queue.key(key)) for key in keys]
                commands += [("HLEN", self.queue.key("failures")), ("LLEN", self.queue.key("pending"))]
                *hashes, kept, pending = self._redis.transaction(commands)
                self._judge([numbered(fields(one)) for one in hashes], kept, pending)
            except RedisAway:
                self._last = None
            except Exception as error:  # pylint: disable=broad-except
                self.violations.append(f"could not be judged: {error!r}")
                return

    def _judge(self, hashes, kept, pending):
        whole, parts = hashes[0], hashes[1:]
        if not whole:
            self._last = None
            return
        self.samples += 1
        if not self.states or self.states[-1] != (whole["sweep"], whole["state"]):
            self.states.append((whole["sweep"], whole["state"]))
        missing = [name for name in ALL_FIELDS if name not in whole]
        if missing:
            self.violations.append(f"fields are missing: {missing}")
            return
        self.violations += broken_equations(whole, "progress")
        for name, part in zip(self.tables, parts):
            self.violations += broken_equations(part, name)
        for counter in COUNTERS:
            if whole[counter] != sum(part[counter] for part in parts):
                self.violations.append(f"{counter} is not the sum over the tables: {hashes}")
        if pending < whole["batches_pending"]:
            self.violations.append(f"{pending} messages are pending, {whole['batches_pending']} by the counter")
        if kept > whole["failures_total"]:
            self.violations.append(f"{kept} failures are kept, {whole['failures_total']} counted")
        if self._last is not None and self._last["job"] == whole["job"]:
            self._judge_falls(self._last, whole)
        self._last = whole

    def _judge_falls(self, before, now):
        never = ["records_rewrapped", "records_superseded", "batches_done", "sweep", "started_at"]
        if now["sweep"] == before["sweep"] and not self.allows_falls:
            never += ["records_total", "records_done", "records_failed", "enumeration_done"]
        self.violations += [
            f"{name} fell from {before[name]} to {now[name]} in sweep {now['sweep']}"
            for name in never
            if now[name] < before[name]
        ]
        if now["sweep"] > before["sweep"]:
            floor = before["records_done"] - before["records_failed"]
            if now["records_done"] < floor:
                self.violations.append(f"a sweep took more than the failed records out: {before} {now}")


def percentages(outcome) -> list:
    return [float(percent) for percent in re.findall(r"\(([\d.]+) %\)", outcome.stderr)]


@pytest.mark.watchdog(180)
def test_the_equations_hold_at_every_instant(database, queue, queue_tool, kek_v1, kek_v2):
    """Kills, zombies, late acknowledgements, splits, locked rows, failed records, a retry, a second sweep."""
    rng = random.Random(7)
    providers = SecretsTable(database).create().fill(kek_v1, range(ROWS // 4))
    webhooks = SecretsTable(database, name="webhooks", column="secret_encrypted", column_type="jsonb").create()
    webhooks.fill(kek_v1, range(ROWS // 4))
    # Failed records: values that are none. Splits: rows that the table refuses to store under the new key.
    providers.insert([(number, b"no envelope") for number in range(1_000_000, 1_000_020)])
    refused = "id % 977 <> 5 OR secret_encrypted->>'key_id' = 'kek-v1'"
    database.execute(f"ALTER TABLE webhooks ADD CONSTRAINT refused CHECK ({refused}) NOT VALID")
    queue_tool.tool.write_catalog(providers, webhooks)

    # An application holds a few rows: their ranges are handed on, delayed.
    application = database.connect("application")
    locked = application.cursor()
    locked.execute("SELECT FROM llm_providers WHERE id % 500 = 250 FOR UPDATE")

    with Sampler(queue, ["llm_providers", "webhooks"]) as sampler:
        coordinator = queue_tool.coordinator("--batch-size", 20)
        hands = [queue_tool.worker() for _ in range(2)]
        queue.wait_until_done(400)
        deadline = time.monotonic() + 60
        kills = 0
        while kills < 6:
            assert time.monotonic() < deadline
            time.sleep(rng.uniform(0.05, 0.2))
            zombie = hands[0]
            zombie.send(signal.SIGSTOP)
            queue.expire_leases()
            time.sleep(rng.uniform(0.05, 0.2))
            if kills % 2:
                zombie.send(signal.SIGCONT)  # its acknowledgements are late
                hands.append(hands.pop(0))
            else:
                zombie.kill()
                hands[0] = queue_tool.worker()
            kills += 1
        # Rows behind the cursor: only another sweep finds them.
        providers.insert([(-number, seal(kek_v1, b"late")) for number in range(1, 200)])
        wait_until(
            lambda: queue.progress()["enumeration_done"] == 1 and queue.progress()["records_failed"] >= 20,
            "all is handed out, and the unreadable values have failed",
        )
        # Some are mended and handed out again, while the locked rows keep the job running.
        database.execute(
            "UPDATE llm_providers SET api_key_encrypted = %s WHERE id BETWEEN 1000000 AND 1000009",
            (seal(kek_v1, b"mended").bytes,),
        )
        sampler.allows_falls = True
        queue_tool.command("failures retry").expect(0)
        time.sleep(0.1)
        sampler.allows_falls = False
        queue_tool.command("pause").expect(0)
        queue_tool.command("resume").expect(0)
        application.rollback()
        outcome = coordinator.wait(90).expect(2)
        for hand in hands:
            hand.send(signal.SIGTERM)
        for hand in hands:
            hand.wait(15).expect(143)
    assert sampler.violations == []
    assert sampler.samples > 100
    assert {state for _, state in sampler.states} >= {"enumerating", "draining", "verifying", "incomplete"}
    assert max(sweep for sweep, _ in sampler.states) >= 2
    events = set(queue.events())
    assert int(queue.redis.command("HGET", queue.key("state"), "splits")) > 0, "nothing was split"
    assert int(queue.redis.command("HGET", queue.key("state"), "lease_expiries")) > 0, "no lease ran out"
    assert "job_incomplete" in events
    assert all(percent <= 100 for percent in percentages(outcome))
    progress = queue.progress()
    refused_rows = database.value("SELECT count(*) FROM webhooks WHERE id %% 977 = 5", ())
    assert progress["records_failed"] == 10 + refused_rows
    assert len(queue.failures()) == progress["failures_total"]
    assert providers.count_under(kek_v1) == 0
    assert webhooks.count_under(kek_v1) == refused_rows


def test_what_is_unknown_is_empty(queue, queue_tool, table):
    """Not 0: a dashboard must be able to tell."""
    with Sampler(queue, [table.catalog_name]) as sampler:
        coordinator = queue_tool.coordinator()
        queue.wait_for_state(*RUNNING)
        first = queue.progress()
        assert first["finished_at"] == ""
        assert first["eta_seconds"] == ""
        worker = queue_tool.worker("--exit-when-done")
        coordinator.wait().expect(0)
        worker.wait(20).expect(0)
    assert sampler.violations == []
    last = queue.progress()
    assert last["records_per_second"] == "" and last["eta_seconds"] == ""
    assert last["started_at"] <= last["finished_at"] <= last["updated_at"]
