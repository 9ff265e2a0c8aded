"""Simulates a thousand workers on one Redis and measures what the queue bears.

A private Redis, the product's own scripts, a simulated coordinator that keeps a full window, and simulated workers,
each with a connection of its own, that claim, work, report and send heartbeats; some vanish with a range, freeze beyond
their lease, or lose the answer to a report and repeat it. All the while the equations of the contract's section 5 are
read at one instant and judged. Two passes:

- *paced*: every worker works for a random time on a range, 60 ms on average. Shows the time a claim and a report take.
- *saturated*: nobody works, everybody waits for Redis. Shows what Redis can do at all.

Then the cost of each script by itself, by Redis' own clock.

    queue_scale.py [--workers 1000] [--seconds 15] [--work-ms 60] [--processes 1] [--lease-ms 6000] [--seed 1]
                   [--together] [--json]

Exits with 1 where an equation was broken, a range was lost or counted twice, or the window was passed.
The lease is short, so that many run out; heartbeats come every third of it, five times as often as the product's.
"""

import argparse
import collections
import json
import multiprocessing
import os
import pathlib
import resource
import sys
import tempfile
import time

from queue_judge import QueueJudge
from queue_scripts import QueueScripts
from script_costs import script_costs
from simulated_coordinator import SimulatedCoordinator
from simulated_workers import Faults, SimulatedWorkers

from private_redis import PrivateRedis
from resp_client import RedisClient

WINDOW = 10_000
RECORDS = 1_000


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else None


def play(connection, url, queue, options, index):
    scripts = QueueScripts(RedisClient(url), queue)
    before = os.times()
    outcome = SimulatedWorkers(scripts, url, options, index).run()
    after = os.times()
    outcome["cpu"] = after.user + after.system - before.user - before.system
    connection.send(outcome)


def simulate(url, name, options, work_ms) -> dict:
    """One pass over a queue of its own."""
    scripts = QueueScripts(RedisClient(url), name)
    coordinator = SimulatedCoordinator(scripts, url, WINDOW, RECORDS)
    coordinator.begin()
    judge = QueueJudge(scripts, url)
    judge.start()
    shares = [options.workers // options.processes + (i < options.workers % options.processes)
              for i in range(options.processes)]  # fmt: skip
    pipes, players = [], []
    began = time.monotonic()
    for index, share in enumerate(shares):
        settings = {
            "workers": share, "work_ms": work_ms, "lease_ms": options.lease_ms, "seed": options.seed,
            "heartbeat_s": options.lease_ms / 3000, "faults": Faults(),
            "together": options.together,
        }  # fmt: skip
        ours, theirs = multiprocessing.Pipe()
        players.append(multiprocessing.Process(target=play, args=(theirs, url, name, settings, index), daemon=True))
        players[-1].start()
        theirs.close()
        pipes.append(ours)
    figures = coordinator.lead(options.seconds)
    coordinator.finish_enumeration()
    coordinator.drain(within=20 + 5 * options.lease_ms / 1000)
    judge.stop()
    figures |= {
        "progress": judge.look(), "leftovers": coordinator.leftovers(), "looks": judge.looks,
        "most_outstanding": judge.most_outstanding, "memory_mb": judge.most_memory / 1e6,
        "records_pushed": coordinator.pushed * RECORDS,
    }  # fmt: skip
    coordinator.finish_job()
    outcomes = [pipe.recv() for pipe in pipes]
    for player in players:
        player.join()
    counts = collections.Counter()
    for outcome in outcomes:
        counts.update(outcome["counts"])
    for kind in ("claim", "acknowledge"):
        latency = [value for outcome in outcomes for value in outcome["latency"][kind]]
        figures[kind + "_p50_ms"] = 1000 * percentile(latency, 0.5)
        figures[kind + "_p99_ms"] = 1000 * percentile(latency, 0.99)
    figures["driver_cpu"] = sum(outcome["cpu"] for outcome in outcomes) / (time.monotonic() - began)
    figures["counts"] = dict(counts)
    figures["expired_leases"] = int(judge.redis.command("HGET", scripts.prefix + "state", "lease_expiries") or 0)
    figures["faults_found"] = judge.broken + accounts(figures, counts)
    return figures


def accounts(figures, counts) -> list:
    """Whether every record was counted once: by Redis, and by what the workers were told."""
    p, wrong = figures["progress"], []
    pushed = figures["records_pushed"]
    if p["records_total"] != pushed or p["records_done"] != pushed or p["records_superseded"] != 0:
        wrong.append(f"{pushed} records were pushed: {p}")
    for what in ("rewrapped", "failed"):
        least = counts[f"{what}, counted"]
        most = least + counts[f"{what}, perhaps counted"]
        if not least <= p[f"records_{what}"] <= most:
            wrong.append(f"workers were told of {least} to {most} {what}, Redis counts {p[f'records_{what}']}")
    if any(figures["leftovers"].values()):
        wrong.append(f"left over: {figures['leftovers']}")
    if figures["most_outstanding"] > WINDOW:
        wrong.append(f"{figures['most_outstanding']} ranges were outstanding")
    return wrong


def show(name, figures):
    counts = figures["counts"]
    print(f"{name}: {figures['batches_per_second']:,.0f} batches/s claimed and acknowledged")
    print(f"  claim       p50 {figures['claim_p50_ms']:.1f} ms, p99 {figures['claim_p99_ms']:.1f} ms")
    print(f"  acknowledge p50 {figures['acknowledge_p50_ms']:.1f} ms, p99 {figures['acknowledge_p99_ms']:.1f} ms")
    print(f"  Redis: {figures['redis_cpu']:.2f} of a core, {figures['redis_us_a_batch']:.0f} us a batch in all; "
          f"the simulated workers: {figures['driver_cpu']:.2f}")  # fmt: skip
    print(f"  at most {figures['most_outstanding']:,} ranges outstanding, {figures['memory_mb']:.1f} MB of keys; {counts.get('empty claims', 0):,} claims found nothing")
    print(f"  faults: {counts.get('vanished', 0)} workers vanished, {counts.get('frozen', 0)} froze, "
          f"{counts.get('lost answers', 0)} answers lost; {figures['expired_leases']} leases ran out")  # fmt: skip
    print(f"  {figures['progress']['batches_done']:,} batches counted once each; equations judged {figures['looks']} times: "
          + ("intact" if not figures["faults_found"] else "BROKEN"))  # fmt: skip
    for fault in figures["faults_found"][:5]:
        print("   ", fault)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--work-ms", type=float, default=60)
    parser.add_argument("--processes", type=int, default=1, help="that play the workers")
    parser.add_argument("--together", action="store_true", help="a report and the next claim leave in one packet")
    parser.add_argument("--lease-ms", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(files[1], max(files[0], 4 * options.workers + 100)), files[1]))
    with tempfile.TemporaryDirectory(prefix="queue-scale-") as folder:
        with PrivateRedis(pathlib.Path(folder) / "redis") as server:
            costs = script_costs(server.url())
            paced = simulate(server.url(), "paced", options, options.work_ms)
            saturated = simulate(server.url(), "saturated", options, 0)
    if options.json:
        print(json.dumps({"paced": paced, "saturated": saturated, "script_us": costs}))
    else:
        print(f"{options.workers:,} simulated workers, one Redis")
        show("paced", paced)
        show("saturated", saturated)
        print("microseconds of Redis a call, by itself: "
              + ", ".join(f"{name} {cost:.1f}" for name, cost in costs.items()))  # fmt: skip
    return 1 if paced["faults_found"] or saturated["faults_found"] else 0


if __name__ == "__main__":
    sys.exit(main())
