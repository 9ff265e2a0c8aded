"""Puts results into docs/performance.md, and draws docs/performance.svg.

Of the measurements `write`, `sizes`, `physical` and `verify`, as each wrote them with `--json FILE`: what is given is replaced. The
page's prose is written by hand; what stands between `<!-- begin NAME -->` and `<!-- end NAME -->` is made here.

    scripts/bench report RESULTS.json… [--page docs/performance.md]
"""

import argparse
import json
import pathlib
import re
import statistics
import sys

from bar_chart import BarChart
from table_sizes import COLUMNS as SIZE_COLUMNS
from table_sizes import line
from tool_process import REPOSITORY
from write_results import (
    COLUMNS, floors_text, grouped, markdown_table, phases, rate_text, ratio, row_of, spread, statement_lines,
)  # fmt: skip

RIVALS = "instead of the tool"


def machine_part(results) -> str:
    found = results["machine"]
    settings = ", ".join(f"`{name}={value}`" for name, value in results["settings"].items())
    return "\n".join([
        "| | |", "|---|---|",
        f"| processor | {found['processor']}, {found['cores']} cores, shared by server and client |",
        f"| memory, disk | {found['memory']}; {found['disk']} |",
        f"| system | {found['system']} |",
        f"| PostgreSQL | {found['postgresql']} |",
        f"| settings beside the defaults | {settings} |",
        f"| tool | reencrypt-secrets {results['tool']} |",
        f"| rows, rounds | {results['rows']:,} (16 KiB values: a twentieth), {results['rounds']} |",
        f"| load before and after (one minute) | {results['load_before']:.1f}, {results['load_after']:.1f} |",
    ])  # fmt: skip


def table_part(results) -> str:
    columns = ["case", *COLUMNS[1:]]
    rows = []
    for group, cases in grouped(results):
        rows.append([f"**{group}**", *[""] * (len(columns) - 1)])
        rows += [row_of(case) for case in cases]
    return markdown_table(columns, rows)


def floors_part(results) -> str:
    return markdown_table(
        ["table", "connections", "rows/s", "min–max"],
        [
            [shape.replace("_", " "), connections, rate_text(median), f"{rate_text(low)}–{rate_text(high)}"]
            for shape, connections, median, low, high in floors_text(results)
        ],
    )


def phases_part(results) -> str:
    rows = []
    for case in results["cases"]:
        if case["group"] != RIVALS:
            found = phases(case)
            rows.append([case["title"], *(f"{found[phase]:.2f}" for phase in ("before", "draining", "after"))])
    return markdown_table(["case", "before the first commit, s", "writing, s", "after the last commit, s"], rows)


def statements_part(results) -> str:
    parts = []
    for name in ("base", "jsonb", "16k-external"):
        case = next((case for case in results["cases"] if case["name"] == name), None)
        if case and (lines := statement_lines(case)):
            parts.append(markdown_table([case["title"], "statements", "µs a row", "share"], lines))
    return "\n\n".join(parts) or "Not counted."


class Shown:
    """What the tool set out to reach, and what this run found."""

    def __init__(self, results):
        self.cases = {case["name"]: case for case in results["cases"]}
        self.rows = []

    def line(self, what, wanted, found, holds):
        self.rows.append([what, wanted, found, "yes" if holds else "**no**"])

    def ratio(self, name, what, least):
        if name in self.cases:
            middle, low, high = ratio(self.cases[name])
            wanted = f"≥ {least:.2f}" if least else "–"
            self.line(what, wanted, f"{middle:.2f} ({low:.2f}–{high:.2f})", middle >= (least or 0))

    def cpu(self, name, what, most):
        if name in self.cases:
            middle, low, high = spread(self.cases[name], "cpu_microseconds")
            self.line(what, f"≤ {most:.1f} µs", f"{middle:.2f} ({low:.2f}–{high:.2f})", middle <= most)

    def times(self, name, what, least):
        """The base case over another one, round by round."""
        if name in self.cases and "base" in self.cases:
            ours, theirs = ({found["round"]: found["rate"] for found in self.cases[of]["rounds"]} for of in ("base", name))
            found = [ours[number] / theirs[number] for number in ours.keys() & theirs.keys()]
            middle = statistics.median(found)
            self.line(what, f"≥ {least} times", f"{middle:.1f} ({min(found):.1f}–{max(found):.1f})", middle >= least)


def shown_part(results) -> str:
    shown = Shown(results)
    shown.ratio("base", "base case, of the floor", 0.70)
    shown.ratio("jsonb", "jsonb, of its floor", 0.55)
    shown.ratio("lanes-1", "one lane, of the one-connection floor", 0.68)
    shown.cpu("base", "client CPU a row, 331 bytes", 0.9)
    shown.cpu("16k-external", "client CPU a row, 16 KiB", 2.0)
    shown.ratio("16k-external", "16 KiB, stored uncompressed, of its floor", 0.80)
    shown.ratio("16k-extended", "16 KiB, where the server tries to compress", None)
    shown.times("row-by-row", "base case over an UPDATE a row", 50)
    shown.times("batched-python", "base case over the best Python script", 2)
    return markdown_table(["what", "wanted", "found: median (min–max)", "reached"], shown.rows)


def circumstances(results) -> str:
    found = results["machine"]
    settings = ", ".join(f"`{name}={value}`" for name, value in results["settings"].items())
    return f"{found['processor']}, {found['cores']} cores, PostgreSQL {found['postgresql']}, load {results['load']:.1f}; {settings}."


def sizes_part(results) -> str:
    rows = [line(size, results["sizes"][0]) for size in results["sizes"]]
    return circumstances(results) + "\n\n" + markdown_table(SIZE_COLUMNS, rows)


def physical_part(results) -> str:
    def ratio_text(value):
        return "–" if value is None else f"{value:.2f}"

    columns = ["order", "rows/s, whole run", "min–max", "of the floor", "by commits", "WAL B", "of the floor's"]
    rows = [
        [way, rate_text(found["rows_per_second"]), f"{rate_text(found['slowest'])}–{rate_text(found['fastest'])}",
         ratio_text(found["of_floor"]), ratio_text(found["of_floor_by_commits"]), rate_text(found["wal_bytes_a_row"]),
         ratio_text(found["wal_of_floor"])]
        for way, found in results["medians"].items()
    ]  # fmt: skip
    picks = {tuple(pick) for found in results["rounds"] for pick in found.get("auto", {}).get("picked", [])}
    picked = "".join(f"\n\n`auto` picked {order}: {reason}." for order, reason in sorted(picks))
    table = f"{results['rows']:,} rows, {results['size']}, {len(results['rounds'])} rounds. "
    return table + circumstances(results) + "\n\n" + markdown_table(columns, rows) + picked


def verification_part(results) -> str:
    def median(what, connections):
        return next(
            statistics.median(line["seconds"])
            for line in results["seconds"] if (line["what"], line["connections"]) == (what, connections)
        )  # fmt: skip

    rows = []
    for line in sorted(results["seconds"], key=lambda line: line["connections"]):
        found, connections = line["seconds"], line["connections"]
        middle = statistics.median(found)
        base = median("PostgreSQL's own count, found", connections)
        rows.append([
            line["what"], f"{connections}", f"{middle:.2f}", f"{min(found):.2f}–{max(found):.2f}",
            rate_text(results["rows"] / middle), f"{middle / base:.2f}",
        ])  # fmt: skip
    columns = ["what", "connections", "s", "min–max", "records/s", "of the count"]
    memory = markdown_table(
        ["peak memory, MiB", f"{results['small_rows']:,} rows", f"{results['rows']:,} rows"],
        [[depth, *(f"{mib:.0f}" for mib in found)] for depth, found in results["memory"].items()],
    )
    intro = f"{results['rows']:,} records, {results['rounds']} rounds. {circumstances(results)}"
    return "\n\n".join([intro, markdown_table(columns, rows), memory])


PARTS = {
    "write": {
        "machine": machine_part,
        "shown": shown_part,
        "table": table_part,
        "floors": floors_part,
        "phases": phases_part,
        "statements": statements_part,
    },
    "sizes": {"sizes": sizes_part},
    "physical": {"physical": physical_part},
    "verification": {"verification": verification_part},
}


def fill(page: str, results) -> str:
    for name, part in PARTS[results["kind"]].items():
        pattern = rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)"
        if not re.search(pattern, page, re.S):
            sys.exit(f"the page has no part '{name}'")
        page = re.sub(pattern, lambda found, part=part: f"{found[1]}\n{part(results)}\n\n{found[2]}", page, flags=re.S)
    return page


def chart(results) -> str:
    groups = []
    for group, cases in grouped(results):
        bars = []
        for case in cases:
            share = ratio(case)
            digits = 2 if share[0] >= 0.1 else 3
            text = f"{share[0]:.{digits}f}   {rate_text(spread(case, 'rate')[0])} rows/s"
            bars.append((case["title"], *share, text, group == RIVALS))
        groups.append((group, bars))
    subtitle = (
        f"{results['machine']['cores']} cores, PostgreSQL {results['machine']['postgresql'].split()[0]}, "
        f"{results['rows']:,} rows; medians of {results['rounds']} rounds, least and most"
    )
    return BarChart("Rows a second, of what the server can do at all", subtitle, groups).svg()


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/bench report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=pathlib.Path, nargs="+")
    parser.add_argument("--page", type=pathlib.Path, default=REPOSITORY / "docs/performance.md")
    options = parser.parse_args()
    for file in options.results:
        results = json.loads(file.read_text())
        if results.get("kind") not in PARTS:
            sys.exit(f"{file} holds no results of {', '.join(PARTS)}")
        options.page.write_text(fill(options.page.read_text(), results))
        if results["kind"] == "write":
            options.page.with_suffix(".svg").write_text(chart(results))
        print(f"{options.page.name} holds the results of {results['kind']}")


if __name__ == "__main__":
    main()
