"""Measures how throughput grows with a worker's lanes where the database is far away.

A proxy puts latency between the worker and a private PostgreSQL. One job, one worker after the other, each with
another number of lanes; the rate is read from the progress keys in Redis over a few seconds. Efficiency is the
rate a lane, over the rate of a single lane: 1.0 is perfect, and the database's own limit ends it somewhere.

    scripts/bench lanes [--latency-ms 10] [--lanes 1,2,4,8,16] [--seconds 4] [--batch-size 10] [--json]

`--latency-ms` is the round trip. A small batch keeps two cores from being the limit before the lanes are.
The tool is REENCRYPT_BINARY, by default the release build of this checkout.
"""

import argparse
import json
import sys
import time

from delaying_proxy import DelayingProxy
from queue_site import queue_site

WARM_UP_SECONDS = 1.0
ROWS_A_SECOND_EXPECTED = 1_000


def measure(made, lanes, port, seconds) -> float:
    """Records a second of a worker of so many lanes, once all of them are at work."""
    with made.running("worker", "--concurrency", lanes, port=port):
        before = made.done()
        made.wait(lambda: made.done() > before, f"a worker of {lanes} lanes has begun")
        time.sleep(min(WARM_UP_SECONDS, seconds))
        start, first = time.monotonic(), made.done()
        time.sleep(seconds)
        rate = (made.done() - first) / (time.monotonic() - start)
    if made.progress()["state"] not in ("enumerating", "draining"):
        sys.exit("the table is done too early: pass more --rows")
    return rate


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/bench lanes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--latency-ms", type=float, default=10)
    parser.add_argument("--lanes", type=lambda text: [int(part) for part in text.split(",")], default=[1, 2, 4, 8, 16])
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--batch-size", type=int, default=10)
    parser.add_argument("--rows", type=int, help="default: enough for all measurements")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    a_lane = ROWS_A_SECOND_EXPECTED * options.batch_size / 10
    rows = options.rows or int(sum(options.lanes) * a_lane * (options.seconds + 2))
    results = []
    with queue_site(rows) as made, DelayingProxy("127.0.0.1", made.postgres.port, options.latency_ms / 2000) as proxy:
        with made.running("coordinator", "--profile", "maintenance", "--batch-size", options.batch_size):
            made.wait(lambda: made.progress().get("state") in ("enumerating", "draining"), "the job runs")
            for lanes in options.lanes:
                results.append({"lanes": lanes, "records_per_second": measure(made, lanes, proxy.port, options.seconds)})
    single = results[0]["records_per_second"] / results[0]["lanes"]
    for result in results:
        result["efficiency"] = result["records_per_second"] / result["lanes"] / single if single else 0.0
    if options.json:
        print(json.dumps({"round_trip_ms": options.latency_ms, "batch_size": options.batch_size, "results": results}))
        return
    print(f"round trip {options.latency_ms:g} ms, {options.batch_size} rows a batch")
    print("lanes  records/s  efficiency")
    for result in results:
        print(f"{result['lanes']:5}  {result['records_per_second']:9.0f}  {result['efficiency']:10.2f}")


if __name__ == "__main__":
    main()
