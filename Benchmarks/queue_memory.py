"""Measures how much memory a job takes: Redis for the queue, the coordinator and the worker for themselves.

A large table is enumerated, first without any worker until the coordinator waits (a full window), then drained by
simulated workers that claim and acknowledge without touching a row, up to the end of the enumeration. Redis's
`used_memory`, less what it was before, is sampled all the while. Then a real worker runs for a few seconds.

    scripts/bench queue [--rows 1000000] [--batch-size 100] [--seconds 5] [--json]
"""

import argparse
import json
import pathlib
import re
import time

from queue_site import PROGRESS, queue_site

SCRIPTS = pathlib.Path(__file__).resolve().parents[1] / "Sources/BatchQueue/Redis/Scripts"
LEASE_MS = 30_000
# How many records are left for the real worker.
REST = 50_000


class SimulatedWorker:
    """Claims as many as there are and reports each as done, in two round trips."""

    def __init__(self, redis):
        self.redis = redis
        prelude = (SCRIPTS / "prelude.lua").read_text()
        self.claim = redis.command("SCRIPT", "LOAD", prelude + (SCRIPTS / "claim.lua").read_text())
        self.acknowledge = redis.command("SCRIPT", "LOAD", prelude + (SCRIPTS / "acknowledge.lua").read_text())

    def work(self) -> int:
        job = self.redis.command("HGET", PROGRESS, "job") or ""
        reply = self.redis.command("EVALSHA", self.claim, 1, PROGRESS, 100, LEASE_MS, job)
        generation, batches = reply[4], reply[7:]
        reports = []
        for start in range(0, len(batches) - len(batches) % 4, 4):
            sequence, _, _, message = batches[start : start + 4]
            body = json.loads(message)
            records = body["n"]
            reports.append(
                ("EVALSHA", self.acknowledge, 1, PROGRESS, generation, sequence, message, records, 0, "", 0, 0,
                 records, 33_100, 100_000, body["leaf"])
            )  # fmt: skip
        for answer in self.redis.pipeline(reports) if reports else []:
            if answer != b"counted":
                raise SystemExit(f"an acknowledgement was answered {answer}")
        return len(reports)


def used_memory(redis) -> int:
    return int(re.search(rb"used_memory:(\d+)", redis.command("INFO", "memory")).group(1))


def outstanding(progress) -> int:
    return sum(int(progress[f"batches_{state}"]) for state in ("pending", "leased", "delayed"))


def measure(made, options) -> dict:
    redis = made.redis
    before = used_memory(redis)
    figures = {"rows": options.rows, "batch_size": options.batch_size}
    peak = 0
    arguments = ("--profile", "maintenance", "--batch-size", options.batch_size)
    with made.running("coordinator", *arguments, sample_memory=True) as coordinator:
        made.wait(lambda: made.progress().get("batches_total", "0") != "0", "something is enumerated", 600)
        length, since = -1, time.monotonic()
        while time.monotonic() - since < 2:  # the window is full once nothing comes any more
            if outstanding(made.progress()) != length:
                length, since = outstanding(made.progress()), time.monotonic()
            peak = max(peak, used_memory(redis) - before)
            time.sleep(0.05)
        figures["window_batches"] = length
        figures["window_mb"] = round((used_memory(redis) - before) / 1e6, 2)
        worker = SimulatedWorker(redis)
        most = length
        while int(made.progress()["records_done"]) < options.rows - REST:
            if not worker.work():
                time.sleep(0.02)
            peak = max(peak, used_memory(redis) - before)
            most = max(most, outstanding(made.progress()))
        figures["most_outstanding"] = most
        figures["peak_mb"] = round(peak / 1e6, 2)
        with made.running("worker", "--concurrency", 4, sample_memory=True) as worker:
            deadline = time.monotonic() + options.seconds
            while time.monotonic() < deadline and worker.runs():
                time.sleep(0.05)
        figures["worker_peak_rss_mb"] = round(worker.peak_mib, 1)
        figures["coordinator_peak_rss_mb"] = round(coordinator.peak_mib, 1)
    figures["keys"] = {
        key.decode().split(":")[-1]: redis.command("MEMORY", "USAGE", key, "SAMPLES", 0)
        for key in sorted(redis.command("KEYS", "reencrypt:*"))
    }
    return figures


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/bench queue", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=5, help="of the real worker")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with queue_site(options.rows) as made:
        figures = measure(made, options)
    if options.json:
        print(json.dumps(figures))
        return
    print(f"{figures['rows']} rows in batches of {figures['batch_size']}")
    print(f"a full window: {figures['window_batches']} batches, {figures['window_mb']} MB of Redis memory")
    print(f"the most over the whole enumeration: {figures['most_outstanding']} batches, {figures['peak_mb']} MB")
    print(f"peak memory: worker {figures['worker_peak_rss_mb']} MB, coordinator {figures['coordinator_peak_rss_mb']} MB")
    for name, size in figures["keys"].items():
        print(f"  {name:24} {size:>10} bytes at the end")


if __name__ == "__main__":
    main()
