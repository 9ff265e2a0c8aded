"""Physical against key order, where keys are random on disk and the table is larger than the server's buffers.

The subject: 331-byte envelopes in a bytea column under random uuid keys, `shared_buffers` a fraction of the table, a
checkpoint every 30 s or sooner, where `max_wal_size` (PostgreSQL's default, 1 GB) asks for one: how often blocks are logged
whole is what the orders differ in, and with a `max_wal_size` beyond the job's WAL they do not. `synchronous_commit=on`. In each round, one after the other and each on a fresh copy of the
table: the floor (`UPDATE … SET col = <constant of the same size>` in 1,000-row key ranges over two connections, inside
the server), then `run` with two lanes in key order, in physical order and with `--order auto`, whose pick is read from
its log; each round begins with another of them. Rows a second are from process start to exit, censuses included, and
beside it from the first commit to the last; the floor has no more than its commits. WAL is what the server wrote
meanwhile, full-page images included.

    scripts/bench physical [--rows 1000000] [--rounds 5] [--shared-buffers 64MB] [--checkpoint-seconds 30]
                           [--max-wal-size 1GB] [--ways floor,key,physical,auto] [--json FILE]
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import sys
import tempfile
import time

import machine
from bench_server import BenchServer
from commit_times import commit_times
from floor import floor_assignment, update_in_ranges
from sealed_tables import Shape, cut_ranges, load_envelopes
from tool_process import Tool

TABLE = "llm_providers"
TEMPLATE = "random_keys"
LANES = 2
WAYS = ("floor", "key", "physical", "auto")
PICK = re.compile(r"Order of \S+: (key|physical) \((.*)\)")


class OrderMeasures:
    def __init__(self, server, tool, rows):
        self.server, self.tool, self.rows = server, tool, rows
        self.value = None

    def load(self):
        def make(connection):
            self.value = load_envelopes(connection, TABLE, self.rows, self.tool.old, Shape(random_keys=True))
            cut_ranges(connection, TABLE)

        self.server.make_template(TEMPLATE, make)

    def measure(self, way) -> dict:
        self.server.make_subject(TEMPLATE)
        wal = self.server.wal_position()
        started = time.time()
        found = {}
        if way == "floor":
            seconds = update_in_ranges(self.server, TABLE, floor_assignment(self.value, "bytea"), LANES)
        else:
            process = self.tool.start(
                "run", "--concurrency", LANES, "--profile", "maintenance", "--order", way, database_url=self.server.url()
            ).expect_success()
            seconds = process.ended - process.started
            found["picked"] = PICK.findall(process.end_of_log())[-1:]
        found["wal"] = (self.server.wal_position() - wal) / self.rows
        times = commit_times(self.server, TABLE, started)
        if times.rows < self.rows:
            sys.exit(f"{way}: {times.rows} of {self.rows} rows were written")
        found |= {"rate": self.rows / seconds, "rate_of_commits": times.rate(LANES)}
        return found


def median(rounds, way, name, over=None):
    """`over`: as a ratio to that way's in the same round."""
    return statistics.median(found[way][name] / (found[over][name] if over else 1) for found in rounds)


def summary(rounds, ways) -> dict:
    base = "floor" if "floor" in ways else None
    result = {}
    for way in ways:
        rates = [found[way]["rate"] for found in rounds]
        result[way] = {
            "rows_per_second": median(rounds, way, "rate"),
            "slowest": min(rates),
            "fastest": max(rates),
            "of_floor": median(rounds, way, "rate", base) if base else None,
            "of_floor_by_commits": median(rounds, way, "rate_of_commits", base) if base else None,
            "wal_bytes_a_row": median(rounds, way, "wal"),
            "wal_of_floor": median(rounds, way, "wal", base) if base else None,
        }
    return result


def show(result, rounds):
    def ratio(value):
        return "" if value is None else f"{value:.2f}"

    print(f"{'way':<10} {'rows/s':>9} {'spread':>19} {'of floor':>9} {'commits':>9} {'WAL B/row':>10} {'of floor':>9}")
    for way, found in result.items():
        spread = f"{found['slowest']:,.0f}–{found['fastest']:,.0f}"
        print(
            f"{way:<10} {found['rows_per_second']:>9,.0f} {spread:>19} {ratio(found['of_floor']):>9} "
            f"{ratio(found['of_floor_by_commits']):>9} {found['wal_bytes_a_row']:>10,.0f} "
            f"{ratio(found['wal_of_floor']):>9}"
        )
    for order, reason in {tuple(pick) for found in rounds for pick in found.get("auto", {}).get("picked", [])}:
        print(f"auto picked {order}: {reason}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--shared-buffers", default="64MB")
    parser.add_argument("--checkpoint-seconds", type=int, default=30)
    parser.add_argument("--max-wal-size", default="1GB")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="writes all rounds, too")
    options = parser.parse_args()
    ways = options.ways.split(",")
    if not set(ways) <= set(WAYS):
        parser.error(f"--ways takes some of {','.join(WAYS)}")
    settings = {
        "shared_buffers": options.shared_buffers,
        "checkpoint_timeout": f"{options.checkpoint_seconds}s",
        "min_wal_size": "80MB",
        "max_wal_size": options.max_wal_size,
    }
    rounds = []
    with tempfile.TemporaryDirectory(prefix="reencrypt-order-") as directory:
        os.chmod(directory, 0o755)
        with BenchServer(pathlib.Path(directory) / "server", settings) as server:
            print("settings: " + ", ".join(f"{name}={value}" for name, value in server.settings.items()))
            described = machine.describe() | {"postgresql": server.version()}
            measures = OrderMeasures(server, Tool(directory, TABLE), options.rows)
            measures.load()
            size = server.rows("SELECT pg_size_pretty(pg_relation_size(%s))", (TABLE,), TEMPLATE)[0][0]
            print(f"{options.rows:,} rows, {size}")
            for number in range(options.rounds):
                turn = number % len(ways)
                found = {way: measures.measure(way) for way in ways[turn:] + ways[:turn]}
                rounds.append(found)
                print(f"round {number + 1}: " + ", ".join(f"{way} {found[way]['rate']:,.0f}" for way in ways))
    result = summary(rounds, ways)
    show(result, rounds)
    if options.json:
        options.json.write_text(
            json.dumps({
                "kind": "physical", "settings": settings, "rows": options.rows, "size": size, "machine": described,
                "load": machine.load(), "medians": result, "rounds": rounds,
            })  # fmt: skip
        )


if __name__ == "__main__":
    main()
