"""Measures what the tool leaves to others: an application's latency, a standby's lag, the size of the table.

latency: an application does 300 reads and updates a second on the table that is rotated. Its p50, p99 and p99.9 without
the tool and with each profile, in the same round; and how long its statements waited for a lock (looked at every 5 ms).
lag: a streaming standby that replays slowly (it is stopped for most of each 50 ms), `--max-lag 2s`; the standby's true lag, by
a clock that is written on the primary and read on the standby, as a curve.
growth: the heap before and after a whole rotation, with VACUUM and without.

    scripts/bench application [--parts latency,lag,growth] [--rows 600000] [--rounds 3] [--seconds 6] [--csv FILE] [--json]

The tool is REENCRYPT_BINARY, by default the release build of this checkout.
"""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import psycopg2

import machine
from bench_server import SUBJECT, BenchServer
from private_postgres import PrivatePostgres
from sealed_tables import load_envelopes
from tool_process import Tool

TABLE = "llm_providers"
TEMPLATE = "rows"
RATE, CONNECTIONS = 300, 8
PROFILES = ["polite", "balanced", "maintenance"]
STANDBY = "standby"


def load(rows, kek):
    def fill(connection):
        load_envelopes(connection, TABLE, rows, kek)
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {TABLE} ADD COLUMN note bigint NOT NULL DEFAULT 0")

    return fill


def percentile(values, share) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


# MARK: latency


class LockWaits:
    """The longest wait seen of each statement of the application, in ms."""

    def __init__(self, server):
        self.longest = {}
        self._server, self._stop = server, threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _look(self):
        connection = self._server.connect()
        with connection.cursor() as cursor:
            while not self._stop.wait(0.005):
                cursor.execute(
                    "SELECT pid, waitstart, extract(epoch FROM clock_timestamp() - waitstart) * 1000 FROM pg_locks "
                    "JOIN pg_stat_activity USING (pid) WHERE NOT granted AND waitstart IS NOT NULL "
                    "AND application_name = 'application'"
                )
                for pid, since, waited in cursor.fetchall():
                    self.longest[pid, since] = max(float(waited), self.longest.get((pid, since), 0.0))
        connection.close()


def measure_latency(server, tool, profile, seconds) -> dict:
    """A round: the application alone, then with the tool beside it."""
    server.make_subject(TEMPLATE)
    server.run(f"ALTER TABLE {TABLE} SET (autovacuum_enabled = false)", database=SUBJECT)
    application = subprocess.Popen(
        [sys.executable, pathlib.Path(__file__).with_name("application_load.py"),
         server.url(), TABLE, str(RATE), str(CONNECTIONS)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    # Its output is larger than a pipe holds.
    output = []
    reader = threading.Thread(target=lambda: output.append(application.stdout.read()))
    reader.start()
    # The looks at locks cost something too: both halves have them.
    with LockWaits(server) as waits:
        time.sleep(1.5)
        idle = (time.time(), time.time() + seconds)
        time.sleep(seconds)
        before = server.wal_position()
        with tool.running("run", "--profile", profile, database_url=server.url()) as process:
            # Until it writes: start and census are part of neither.
            while server.wal_position() - before < 4_000_000 and process.runs():
                time.sleep(0.01)
            first = time.time()
            while process.runs() and time.time() < first + seconds:
                time.sleep(0.01)
            busy = (first, time.time())
    application.stdin.close()
    reader.join()
    application.wait()
    statements = json.loads(output[0])
    done = server.rows(
        f"SELECT count(*) FROM {TABLE} WHERE position('kek-v2' IN encode(substring(api_key_encrypted FROM 1 FOR 64), 'escape')) > 0",
        database=SUBJECT,
    )[0][0]
    found = {"profile": profile, "seconds": busy[1] - busy[0], "records_per_second": done / (busy[1] - busy[0])}
    for name, (start, end) in (("idle", idle), ("busy", busy)):
        times = [took for due, took in statements if start <= due < end]
        found[name] = {"statements": len(times)} | {
            label: percentile(times, share) for label, share in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999))
        }
    all_waits = sorted(waits.longest.values(), reverse=True)
    # Statements that were never seen waiting waited for less than the interval between two looks.
    rank = max(0, found["busy"]["statements"] // 1_000)
    found["lock_wait_p99.9"] = all_waits[rank] if rank < len(all_waits) else 0.0
    found["lock_wait_longest"] = all_waits[0] if all_waits else 0.0
    return found


def latency(server, tool, options) -> list:
    rounds = []
    for _ in range(options.rounds):
        rounds += [measure_latency(server, tool, profile, options.seconds) for profile in PROFILES]
    return rounds


def print_latency(rounds, out):
    print(f"An application of {RATE} statements a second over {CONNECTIONS} connections; medians of the rounds, ms", file=out)
    header = ("profile", "records/s", "p50", "p99", "p99.9", "p99 idle", "p99 / idle (spread)", "lock wait p99.9", "longest")
    print("{:12}{:>10}{:>8}{:>8}{:>8}{:>10}{:>22}{:>17}{:>9}".format(*header), file=out)
    for profile in PROFILES:
        mine = [found for found in rounds if found["profile"] == profile]
        if not mine:
            continue
        median = lambda read: statistics.median(map(read, mine))  # noqa: E731
        ratios = [found["busy"]["p99"] / max(found["idle"]["p99"], 1e-9) for found in mine]
        print(
            f"{profile:12}{median(lambda f: f['records_per_second']):10.0f}{median(lambda f: f['busy']['p50']):8.2f}"
            f"{median(lambda f: f['busy']['p99']):8.2f}{median(lambda f: f['busy']['p99.9']):8.2f}"
            f"{median(lambda f: f['idle']['p99']):10.2f}"
            f"{f'{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})':>22}"
            f"{median(lambda f: f['lock_wait_p99.9']):17.1f}{max(f['lock_wait_longest'] for f in mine):9.1f}",
            file=out,
        )


# MARK: lag


@contextlib.contextmanager
def slow_replay(standby, share=0.15, period=0.05):
    """The standby's replay runs for this share of each period: it becomes the slowest part."""
    postmaster = standby._running_pid()
    names = subprocess.check_output(["ps", "-o", "pid=,args=", "--ppid", str(postmaster)], text=True)
    startup = next(int(line.split()[0]) for line in names.splitlines() if "startup" in line)
    stop = threading.Event()

    def slow():
        while not stop.is_set():
            os.kill(startup, signal.SIGSTOP)
            stop.wait(period * (1 - share))
            os.kill(startup, signal.SIGCONT)
            stop.wait(period * share)

    thread = threading.Thread(target=slow)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        os.kill(startup, signal.SIGCONT)


class LagCurve:
    """Every 0.2 s: time, the standby's true lag (s), WAL written (MB/s)."""

    def __init__(self, server, standby):
        self.points = []
        self._server, self._standby = server, standby
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write), threading.Thread(target=self._read)]

    def __enter__(self):
        self._server.run("CREATE TABLE IF NOT EXISTS clock (at double precision)", "DELETE FROM clock",
                         "INSERT INTO clock VALUES (0)", database=SUBJECT)  # fmt: skip
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self):
        connection = self._server.connect()
        with connection.cursor() as cursor:
            while not self._stop.wait(0.05):
                cursor.execute("UPDATE clock SET at = extract(epoch FROM clock_timestamp())")
        connection.close()

    def _read(self):
        connection = psycopg2.connect(self._standby.url(SUBJECT))
        connection.autocommit = True
        start, last_position = time.time(), self._server.wal_position()
        last = start
        with connection.cursor() as cursor:
            while not self._stop.wait(0.2):
                try:
                    cursor.execute("SELECT at FROM clock")
                    seen = cursor.fetchone()[0]
                except psycopg2.errors.SerializationFailure:
                    continue
                now, position = time.time(), self._server.wal_position()
                rate = (position - last_position) / 1e6 / max(now - last, 1e-3)
                last, last_position = now, position
                if seen > 0:
                    self.points.append((now - start, now - seen, rate))
        connection.close()


def lag(server, tool, directory, options) -> dict:
    standby = PrivatePostgres(directory / "standby", {}).start_as_standby_of(server.postgres, STANDBY)
    try:
        found = {}
        # The default's share of the lanes would be the limit.
        for name, limit in (("max-lag 2s", "2s"), ("no limit", "off")):
            arguments = ("--profile", "maintenance", "--max-lag", limit)
            server.make_subject(TEMPLATE)
            behind = "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn >= %s::pg_lsn"
            position = server.rows("SELECT pg_current_wal_lsn()")[0][0]
            while not server.rows(behind, (position,))[0][0]:
                time.sleep(0.1)
            with LagCurve(server, standby) as curve, slow_replay(standby):
                time.sleep(1)
                seconds = options.lag_seconds if name != "no limit" else min(8, options.lag_seconds)
                with tool.running("run", *arguments, database_url=server.url()) as process:
                    end = time.monotonic() + seconds
                    while process.runs() and time.monotonic() < end:
                        time.sleep(0.05)
            found[name] = curve.points
        return found
    finally:
        standby.stop()


def print_lag(found, options, out):
    for name, points in found.items():
        settled = points[len(points) // 4 :]
        rates = [rate for _, _, rate in settled]
        mean = statistics.mean(rates) if rates else 0
        spread = statistics.pstdev(rates) / mean if mean else 0
        print(
            f"\n{name}: lag at most {max((lag for _, lag, _ in points), default=0):.2f} s; WAL {mean:.1f} MB/s, "
            f"deviation {spread:.0%} of that after the first quarter",
            file=out,
        )
        if name == "no limit":
            continue
        for at, behind, rate in points[:: max(1, len(points) // 40)]:
            print(f"  {at:6.1f} s  lag {behind:5.2f} s {'#' * min(60, int(behind * 20)):60} {rate:7.1f} MB/s", file=out)
    if options.csv:
        with open(options.csv, "w", encoding="utf-8") as file:
            file.write("run,seconds,lag_seconds,wal_mb_per_second\n")
            for name, points in found.items():
                file.writelines(f"{name},{at:.2f},{behind:.3f},{rate:.2f}\n" for at, behind, rate in points)


# MARK: growth


def growth(server, tool, options) -> list:
    results = []
    for arguments in ((), ("--vacuum", "5%"), ("--profile", "polite"), ("--vacuum", "off")):
        server.make_subject(TEMPLATE)
        before = server.rows("SELECT pg_relation_size(%s), pg_indexes_size(%s)", (TABLE, TABLE), SUBJECT)[0]
        process = tool.start("run", *arguments, database_url=server.url()).expect_success()
        after = server.rows("SELECT pg_relation_size(%s), pg_indexes_size(%s)", (TABLE, TABLE), SUBJECT)[0]
        results.append({
            "options": " ".join(arguments) or "(default)", "heap": after[0] / before[0], "indexes": after[1] / before[1],
            "records_per_second": options.rows / (process.ended - process.started),
        })  # fmt: skip
    return results


def print_growth(results, out):
    print("\nSize after a whole rotation, over that before it; records/s with start and censuses", file=out)
    print(f"{'options':20}{'heap':>8}{'indexes':>9}{'records/s':>11}", file=out)
    for found in results:
        print(f"{found['options']:20}{found['heap']:8.2f}{found['indexes']:9.2f}{found['records_per_second']:11.0f}", file=out)


@contextlib.contextmanager
def template_server(directory, settings, rows, tool):
    with BenchServer(directory, settings) as server:
        server.make_template(TEMPLATE, load(rows, tool.old))
        yield server


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/bench application", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", type=lambda text: text.split(","), default=["latency", "lag", "growth"])
    parser.add_argument("--rows", type=int, default=600_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--lag-seconds", type=float, default=30)
    parser.add_argument("--csv", help="the lag curves, one line a sample")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = {"machine": machine.describe(), "rows": options.rows}
    with tempfile.TemporaryDirectory(prefix="reencrypt-room-") as name:
        os.chmod(name, 0o755)
        directory = pathlib.Path(name)
        tool = Tool(directory, TABLE)
        # WAL files are used again, as on a server that has been at work for a while; making a new one stalls everybody.
        with template_server(directory / "alone", {}, options.rows, tool) as server:
            if "latency" in options.parts:
                results["latency"] = latency(server, tool, options)
            if "growth" in options.parts:
                results["growth"] = growth(server, tool, options)
        if "lag" in options.parts:
            settings = {"max_wal_senders": "5", "wal_keep_size": "8GB"}
            with template_server(directory / "primary", settings, options.rows, tool) as server:
                results["lag"] = lag(server, tool, directory, options)
    out = sys.stderr if options.json else sys.stdout
    print(", ".join(f"{key}: {value}" for key, value in results["machine"].items()), file=out)
    for part, show in (("latency", print_latency), ("growth", print_growth)):
        if part in results:
            show(results[part], out)
    if "lag" in results:
        print_lag(results["lag"], options, out)
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
