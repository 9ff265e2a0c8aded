"""How fast values are rewritten, beside what the server can do at all and what users would do instead.

A private PostgreSQL with fixed settings. Every measure gets a fresh copy of its table, files and all, in the server's
memory, after a checkpoint. The cases change one factor of a base case: bytea, 331-byte envelopes, time-ordered uuid
keys, fillfactor 100, one index, rewrap, one process of two lanes, adaptive batches, durable commits, no TLS, no VACUUM.

The floor is measured in every round, before and after every few cases, on the same table: UPDATE … SET column =
<a constant of the same size> in 1,000-row key ranges, over two connections (over one, where there is one lane), inside
the server. "rows/s" and "of the floor" are of the time in which rows were written, from the first commit to the last;
"whole" is the whole command with its start, the census before it and the census behind it, to the same floor.

    scripts/bench write [--rows 300000] [--rounds 5] [--only REGEX] [--quick] [--json FILE]
"""

import argparse
import contextlib
import json
import os
import pathlib
import random
import re
import sys
import tempfile
import time

import machine
import pgcrypto_tables
from bench_server import SUBJECT, BenchServer
from private_redis import PrivateRedis
from sealed_tables import cut_ranges, load_envelopes
from statement_times import StatementTimes
from tool_process import Tool, output_of
from write_cases import QUEUE, SHAPES, cases
from write_measures import TABLE, WriteMeasures
from write_results import floors_text, phases, rate_text, statement_lines, text_table

CASES_BETWEEN_FLOORS = 3


def progress(text):
    print(text, file=sys.stderr, flush=True)


# MARK: preparation


def load_templates(server, tool, keys, chosen, asked) -> dict:
    """One database a shape. Returns a stored value of each."""
    values = {}
    shapes = {f"shape_{shape.name}": shape for shape in SHAPES}
    for template in sorted({case.template for case in chosen} | {case.floor_template for case in chosen}):
        progress(f"loading {template}")
        if template in shapes:
            shape = shapes[template]

            def load(connection, shape=shape, template=template):
                values[template] = load_envelopes(connection, TABLE, shape.rows(asked), tool.old, shape)
                cut_ranges(connection, TABLE)

        else:
            case = next(case for case in chosen if case.template == template)

            def load(connection, case=case):
                pgcrypto_tables.load(connection, TABLE, case.rows(asked), case.pgcrypto, keys)
                cut_ranges(connection, TABLE)

        server.make_template(template, load)
    return values


def stored_bytes(server, template) -> float:
    """What a value takes in the table: told apart from its length where it was compressed."""
    return float(server.rows("SELECT avg(pg_column_size(api_key_encrypted)) FROM "
                             f"(SELECT api_key_encrypted FROM {TABLE} LIMIT 1000) s", database=template)[0][0])  # fmt: skip


# MARK: rounds


def floor_groups(chosen) -> list:
    """Cases that are set against the same floor, a few at a time."""
    groups = {}
    for case in chosen:
        groups.setdefault((case.floor_template, case.floor_connections), []).append(case)
    return list(groups.items())


def tried(results, case, measure):
    """What `measure` finds, or None: one case that fails does not take the others with it."""
    try:
        return measure()
    except (Exception, SystemExit) as error:  # whatever it was, it is shown, and the command fails in the end
        results["failed"].append(f"{case.name}: {error}")
        progress(f"FAILED: {case.name}: {error}")
        return None


def play_round(measures, chosen, asked, number, results):
    """Every case once, in an order of the round's own; each against the floors before and after it."""
    order = random.Random(number)
    groups = floor_groups(chosen)
    order.shuffle(groups)
    for (template, connections), group in groups:
        group = order.sample(group, len(group))
        floors = results["floors"].setdefault(f"{template}/{connections}", [])

        def floor(case=group[0], template=template, connections=connections, floors=floors):
            rate = measures.floor(case.shape, template, connections, case.shape.rows(asked))
            floors.append(rate)
            progress(f"round {number}: floor of {template}, {connections} connections: {rate_text(rate)} rows/s")
            return rate

        before = floor()
        for start in range(0, len(group), CASES_BETWEEN_FLOORS):
            founds = []
            for case in group[start : start + CASES_BETWEEN_FLOORS]:
                found = tried(results, case, lambda case=case: measures.measure(case, asked))
                if found:
                    founds.append(found | {"round": number})
                    results["by_name"][case.name]["rounds"].append(founds[-1])
                    progress(f"round {number}: {case.name}: {rate_text(found['rate'])} rows/s")
            after = floor()
            for found in founds:
                found["floor"] = (before + after) / 2
            before = after


def play(server, redis, directory, options, chosen, tool_options) -> dict:
    tool = Tool(directory, TABLE)
    keys = pgcrypto_tables.PgcryptoKeys()
    values = load_templates(server, tool, keys, chosen, options.rows)
    measures = WriteMeasures(server, tool, redis, tool_options, values, keys, directory)
    results = {
        "kind": "write",
        "tool": output_of("--version").strip(),
        "machine": machine.describe() | {"postgresql": server.version()},
        "settings": server.settings,
        "rows": options.rows,
        "rounds": options.rounds,
        "load_before": machine.load(),
        "failed": [],
        "floors": {},
        "by_name": {},
    }
    for case in chosen:
        results["by_name"][case.name] = {
            "name": case.name, "title": case.title, "group": case.group, "rows": case.rows(options.rows),
            "value_bytes": stored_bytes(server, case.template), "rounds": [],
        }  # fmt: skip
    # Not timed, and a warm-up: log segments exist from here on, and the processor is awake.
    statements = StatementTimes(server)
    for case in chosen:
        progress(f"counting: {case.name}")


        def count(case=case):
            measures.measure_start_up(case)
            with statements.counting():
                found = measures.measure(case, options.rows, counted=True)
            return found | {"statements": statements.found(SUBJECT)}

        results["by_name"][case.name]["counted"] = tried(results, case, count)
    for number in range(1, options.rounds + 1):
        play_round(measures, chosen, options.rows, number, results)
        results["load_after"] = machine.load()
        results["cases"] = [case for case in results["by_name"].values() if case["rounds"]]
        # After every round: a measurement that is broken off is not lost.
        save(results | {"rounds": number}, options.json)
    server.drop_subject()
    return results


def save(results, file):
    if file:
        shown = {name: value for name, value in results.items() if name != "by_name"}
        pathlib.Path(file).write_text(json.dumps(shown, indent=1) + "\n")


# MARK: the command


def show(results):
    described = results["machine"]
    print(f"{results['tool']} on {described['processor']}, {described['cores']} cores, {described['memory']}; "
          f"{described['disk']}; {described['system']}; PostgreSQL {described['postgresql']}")  # fmt: skip
    print("settings: " + ", ".join(f"{name}={value}" for name, value in results["settings"].items()))
    print(f"{results['rows']:,} rows (large values: a twentieth), {results['rounds']} rounds; medians, least and most\n")
    print(text_table(results))
    print("\nfloors, in rows a second:")
    for shape, connections, median, low, high in floors_text(results):
        print(f"  {shape:16} {connections} connections  {rate_text(median):>10}  {rate_text(low)}–{rate_text(high)}")
    base = next((case for case in results["cases"] if case["name"] == "base"), None)
    if base:
        found = phases(base)
        print(f"\na run of the base case: {found['before']:.2f} s before the first commit (start, census, first range), "
              f"{found['draining']:.2f} s of writing, {found['after']:.2f} s after the last (census, end)")  # fmt: skip
        print("\nits statements in the server (not timed above; over all sessions, waiting included): µs a row, share")
        for kind, count, microseconds, share in statement_lines(base):
            print(f"  {kind:32} {count:>8} {microseconds:>8} {share:>6}")
    if max(results["load_before"], results["load_after"]) > 2.5 * described["cores"]:
        print("\nThe machine was busy with something else: judge ratios, not rates.")
    for failure in results["failed"]:
        print(f"\nFAILED: {failure}")


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/bench write", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, help="of the table (default 300000; with --quick 50000)")
    parser.add_argument("--rounds", type=int, help="default 5; with --quick 2")
    parser.add_argument("--only", default="", metavar="REGEX", help="the cases whose name it matches; --list shows them")
    parser.add_argument("--list", action="store_true", help="the names of the cases")
    parser.add_argument("--quick", action="store_true", help="fewer rows and rounds: whether it works, not how fast")
    parser.add_argument("--json", metavar="FILE", help="write the results, for `scripts/bench report`")
    parser.add_argument("--set", action="append", default=[], metavar="name=value", help="a setting of the server")
    options = parser.parse_args()
    options.rows = options.rows or (50_000 if options.quick else 300_000)
    options.rounds = options.rounds or (2 if options.quick else 5)
    if options.list:
        print("\n".join(f"{case.name:16} {case.title}" for case in cases()))
        return
    tool_options = output_of("run", "--help")
    chosen = [
        case
        for case in cases()
        if re.search(options.only, case.name) and all(option in tool_options for option in case.needs)
    ]
    if not chosen:
        sys.exit("--only matches no case that this binary can run; --list shows their names")
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reencrypt-bench-")))
        os.chmod(directory, 0o755)
        settings = dict(setting.split("=", 1) for setting in options.set)
        server = stack.enter_context(BenchServer(directory / "postgres", settings))
        redis = None
        if any(case.how == QUEUE for case in chosen):
            redis = stack.enter_context(PrivateRedis(directory / "redis"))
        if "pgcrypto" not in server.extensions:
            chosen = [case for case in chosen if not case.pgcrypto]
        results = play(server, redis, directory, options, chosen, tool_options)
    results["minutes"] = round((time.monotonic() - started) / 60, 1)
    save(results, options.json)
    show(results)
    sys.exit(1 if results["failed"] else 0)


if __name__ == "__main__":
    main()
