"""How many browsers one dashboard bears: CPU of its process, connections to Redis, what arrives.

    dashboard_streams.py [--streams 200] [--seconds 120]

A private Redis holds a job whose numbers change ten times a second, as in the middle of a rotation; each stream reads
like a browser. The binary is REENCRYPT_BINARY, or the release build.
"""

import argparse
import os
import pathlib
import re
import selectors
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts/support"))

from private_redis import PrivateRedis  # noqa: E402
from resp_client import RedisClient  # noqa: E402

PREFIX = "reencrypt:{default}:"
TABLES = [f"table_{number}" for number in range(8)]


class ChangingJob:
    """What coordinator and eight workers would write."""

    def __init__(self, url):
        self.redis = RedisClient(url)
        self.done = 0
        self.started = int(time.time() * 1000)
        for table in TABLES:
            self.redis.command("HSET", PREFIX + "census", f'["{table}","secret","kek-v1"]', 1_000_000)

    def step(self):
        now = int(time.time() * 1000)
        self.done += 5_000
        counts = ["records_total", 8_000_000, "records_done", self.done, "records_rewrapped", self.done,
                  "records_superseded", 0, "records_failed", 0, "batches_pending", 900, "batches_leased", 16,
                  "batches_delayed", 0, "batches_dead", 0, "batches_done", self.done // 1_000]  # fmt: skip
        names = "[" + ",".join(f'"{table}"' for table in TABLES) + "]"
        self.redis.command(
            "HSET", PREFIX + "progress", *counts, "job", "0123456789abcdef", "state", "draining", "paused", 0,
            "throttled", "", "target_key", "kek-v2", "mode", "rewrap", "sweep", 1, "tables", names, "failures_total", 0,
            "records_per_second", 50_000, "eta_seconds", 120, "workers", 8, "enumeration_done", 1, "started_at",
            self.started, "updated_at", now, "finished_at", "")  # fmt: skip
        for table in TABLES:
            self.redis.command("HSET", PREFIX + f"progress:{table}", *counts)
        for number in range(8):
            self.redis.command("ZADD", PREFIX + "workers", now, f"host-{number}")
            self.redis.command("HSET", PREFIX + f"worker:host-{number}", "lanes", 2, "version", "0.1.0",
                               "records_done", self.done // 8, "records_per_second", 6_250)  # fmt: skip
        self.redis.command("LPUSH", PREFIX + "samples", f"[{now},{self.done},50000]")
        self.redis.command("LTRIM", PREFIX + "samples", 0, 1_999)
        self.redis.command("XADD", PREFIX + "events", "MAXLEN", "~", 1_000, "*", "kind", "batch_done", "sequence",
                           self.done, "table", TABLES[0])  # fmt: skip


def cpu_seconds(pid) -> float:
    parts = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def resident_kib(pid) -> int:
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1))


def measure(arguments, url, process, port):
    job = ChangingJob(url)
    job.step()
    waiting, received = selectors.DefaultSelector(), {}
    for _ in range(arguments.streams):
        stream = socket.create_connection(("127.0.0.1", port))
        stream.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        stream.setblocking(False)
        waiting.register(stream, selectors.EVENT_READ)
        received[stream] = [0, 0]
    began, before = time.monotonic(), cpu_seconds(process.pid)
    next_step = began
    while time.monotonic() - began < arguments.seconds:
        if time.monotonic() >= next_step:
            job.step()
            next_step += 0.1
        for key, _ in waiting.select(0.05):
            data = key.fileobj.recv(262_144)
            if not data:
                sys.exit("a stream ended")
            received[key.fileobj][0] += len(data)
            received[key.fileobj][1] += data.count(b"event: picture")
    seconds = time.monotonic() - began
    clients = job.redis.command("CLIENT", "LIST").count(b"name=reencrypt-secrets")
    fewest = min(pictures for _, pictures in received.values())
    print(f"{arguments.streams} streams for {seconds:.0f} s: {(cpu_seconds(process.pid) - before) / seconds:.3f} of a core, "
          f"{resident_kib(process.pid) / 1024:.0f} MiB, {clients} connection(s) to Redis")  # fmt: skip
    print(f"{sum(size for size, _ in received.values()) / seconds / 1e6:.2f} MB/s sent; each stream had at least "
          f"{fewest} pictures")  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=120)
    arguments = parser.parse_args()
    binary = os.environ.get("REENCRYPT_BINARY", ROOT / ".build/release/reencrypt-secrets")
    with tempfile.TemporaryDirectory(prefix="reencrypt-streams-") as folder, PrivateRedis(folder) as server:
        process = subprocess.Popen(
            [binary, "dashboard", "--listen", "127.0.0.1:0"], env={"REDIS_URL": server.url()}, cwd=folder,
            stdout=subprocess.PIPE, text=True)  # fmt: skip
        try:
            port = int(re.search(r":(\d+)/", process.stdout.readline()).group(1))
            measure(arguments, server.url(), process, port)
        finally:
            process.terminate()
            process.wait(10)


if __name__ == "__main__":
    main()
