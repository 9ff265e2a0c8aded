"""Measures how throughput grows with a worker's lanes where the database is far away.

A proxy puts latency between the worker and a private PostgreSQL. One job, one worker after the other, each with
another number of lanes; the rate is read from the progress keys in Redis over a few seconds. Efficiency is the
rate a lane, over the rate of a single lane: 1.0 is perfect, and the database's own limit ends it somewhere.

    measure_lanes.py [--latency-ms 10] [--lanes 1,2,4,8,16] [--seconds 4] [--batch-size 10] [--json]

`--latency-ms` is the round trip. A small batch keeps two cores from being the limit before the lanes are.
The tool is REENCRYPT_BINARY, by default the release build of this checkout.
"""

import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import psycopg2

from delaying_proxy import DelayingProxy
from envelope_reference import KeyEncryptionKey
from measure_rate import binary_path, load_envelopes
from private_postgres import PrivatePostgres
from private_redis import PrivateRedis
from resp_client import RedisClient

TABLE = "llm_providers"
PROGRESS = "reencrypt:{default}:progress"
WARM_UP_SECONDS = 1.0
ROWS_A_SECOND_EXPECTED = 1_000


class Site:
    """Servers, rows and keys, and the tool's environment."""

    def __init__(self, directory, rows):
        self.directory = directory
        self.postgres = PrivatePostgres(directory / "pg", {"fsync": "off", "max_wal_size": "8GB"}).start()
        self.redis_server = PrivateRedis(directory / "redis").start()
        self.redis = RedisClient(self.redis_server.url())
        self.old, self.new = KeyEncryptionKey.generate("kek-v1"), KeyEncryptionKey.generate("kek-v2")
        with psycopg2.connect(self.postgres.url()) as connection:
            load_envelopes(connection, TABLE, rows, self.old)
        self.catalog = directory / "catalog.yaml"
        self.catalog.write_text(f"tables:\n  - name: {TABLE}\n    encrypted_columns: [api_key_encrypted]\nignore: []\n")

    def close(self):
        self.redis.close()
        self.redis_server.stop()
        self.postgres.stop()

    def start(self, command, *arguments, port=None) -> subprocess.Popen:
        environment = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": self.postgres.url(port=port),
            "REDIS_URL": self.redis_server.url(),
            "SECRETS_ENCRYPTION_KEY": self.new.setting,
            "SECRETS_ENCRYPTION_KEY_PREVIOUS": self.old.setting,
        }
        return subprocess.Popen(
            [str(binary_path()), command, "--catalog", str(self.catalog), *map(str, arguments)],
            cwd=self.directory, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=open(self.directory / f"{command}.log", "ab"),
        )  # fmt: skip

    @contextlib.contextmanager
    def running(self, command, *arguments, port=None):
        process = self.start(command, *arguments, port=port)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)

    def progress(self) -> dict:
        return self.redis.hash(PROGRESS)

    def done(self) -> int:
        return int(self.progress().get("records_done") or 0)

    def wait(self, condition, what, seconds=60):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                logs = "".join(path.read_text()[-1500:] for path in self.directory.glob("*.log"))
                sys.exit(f"not within {seconds} s: {what}\n{logs}")
            time.sleep(0.02)


@contextlib.contextmanager
def site(rows):
    with tempfile.TemporaryDirectory(prefix="reencrypt-lanes-") as directory:
        os.chmod(directory, 0o755)
        made = Site(pathlib.Path(directory), rows)
        try:
            yield made
        finally:
            made.close()


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
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
    with site(rows) as made, DelayingProxy("127.0.0.1", made.postgres.port, options.latency_ms / 2000) as proxy:
        with made.running("coordinator", "--batch-size", options.batch_size):
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
