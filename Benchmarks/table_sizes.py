"""Ten times the rows take ten times the time: rate, memory and the enumeration's part for tables of several sizes.

The base case of `scripts/bench write` on each size, each measure on a fresh copy of the table's files, in the server's
memory, right after a checkpoint; the floor before each. The server's memory is meant to hold the largest table, so that size is the one thing
that changes. The enumeration's part is its statements' time in the server, of that of the statements that lock,
read, update and commit what it found, by pg_stat_statements (which counts while time is measured, as memory is
sampled: some microseconds a statement, and a batch has six).

    scripts/bench sizes [--rows 100000,1000000,10000000] [--rounds 3] [--shared-buffers 10GB] [--json FILE]
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import tempfile

import machine
from bench_server import SUBJECT, BenchServer
from sealed_tables import Shape, cut_ranges, load_envelopes
from statement_times import StatementTimes
from tool_process import Tool, output_of
from write_cases import Case
from write_measures import TABLE, WriteMeasures

REWRAPPING = ("lock and read the range's rows", "update", "begin, set, gate and fence", "commit")


def enumeration_part(found) -> float | None:
    """Of what the rewrapping takes of the server's time."""
    times = {entry["kind"]: entry["milliseconds"] for entry in found}
    rewrapping = sum(times.get(kind, 0) for kind in REWRAPPING)
    return times.get("enumerate", 0) / rewrapping if rewrapping else None


def measure_size(server, tool, rows, rounds, directory) -> dict:
    case = Case("base", "base case", "base", Shape(f"rows_{rows}"))
    values = {}

    def load(connection):
        values[case.template] = load_envelopes(connection, TABLE, rows, tool.old, case.shape)
        cut_ranges(connection, TABLE)

    server.make_template(case.template, load)
    measures = WriteMeasures(server, tool, None, output_of("run", "--help"), values, None, directory)
    measures.measure_start_up(case)
    counting = StatementTimes(server)
    found = []
    for number in range(1, rounds + 1):
        floor = measures.floor(case.shape, case.template, case.floor_connections, rows)
        with counting.counting():
            result = measures.measure(case, rows, sample_memory=True)
        result |= {"floor": floor, "enumeration": enumeration_part(counting.found(SUBJECT))}
        found.append(result)
        print(f"{rows:,} rows, round {number}: {result['rate']:,.0f} rows/s, floor {floor:,.0f}", file=sys.stderr, flush=True)
    server.drop_subject()
    server.run(f"DROP DATABASE {case.template}")
    return {"rows": rows, "rounds": found}


def line(size, first) -> list:
    def median(name, over=None):
        return statistics.median(found[name] / (found[over] if over else 1) for found in size["rounds"])

    rates = [found["rate"] for found in size["rounds"]]
    shares = [found["enumeration"] for found in size["rounds"] if found["enumeration"] is not None]
    against = statistics.median(rates) / statistics.median(found["rate"] for found in first["rounds"])
    return [
        f"{size['rows']:,}", f"{median('seconds'):.2f}", f"{statistics.median(rates):,.0f}",
        f"{min(rates):,.0f}–{max(rates):,.0f}", f"{against:.2f}", f"{median('rate', 'floor'):.2f}",
        f"{median('rate_of_all', 'floor'):.2f}", f"{median('memory_mib'):.0f}", f"{median('cpu_microseconds'):.2f}",
        f"{statistics.median(shares):.3f}" if shares else "–",
    ]  # fmt: skip


COLUMNS = ["rows", "seconds", "rows/s", "min–max", "of the first", "of the floor", "whole", "MiB", "µs CPU", "enumeration"]


def show(results):
    described = results["machine"]
    print(f"{described['processor']}, {described['cores']} cores, {described['memory']}; {described['disk']}; "
          f"PostgreSQL {described['postgresql']}; load {results['load']:.1f}")  # fmt: skip
    print("settings: " + ", ".join(f"{name}={value}" for name, value in results["settings"].items()) + "\n")
    lines = [COLUMNS, *(line(size, results["sizes"][0]) for size in results["sizes"])]
    widths = [max(len(row[n]) for row in lines) for n in range(len(COLUMNS))]
    for row in lines:
        print("  ".join(text.rjust(widths[n]) for n, text in enumerate(row)))


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/bench sizes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rows", type=lambda text: [int(part) for part in text.split(",")], default=[100_000, 1_000_000, 10_000_000]
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shared-buffers", default=f"{machine.memory_mib() * 2 // 5}MB", help="default: 40 %% of memory")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reencrypt-bench-") as name:
        os.chmod(name, 0o755)
        directory = pathlib.Path(name)
        with BenchServer(directory / "postgres", {"shared_buffers": options.shared_buffers}) as server:
            tool = Tool(directory, TABLE)
            results = {
                "kind": "sizes",
                "machine": machine.describe() | {"postgresql": server.version()},
                "settings": server.settings,
                "load": machine.load(),
                "sizes": [measure_size(server, tool, rows, options.rounds, directory) for rows in options.rows],
            }
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=1) + "\n")
    show(results)


if __name__ == "__main__":
    main()
