"""The results of `scripts/bench write`: medians and spreads, and the tables that show them."""

import statistics

from write_cases import GROUPS

COLUMNS = ["", "rows/s", "min–max", "of the floor", "min–max", "whole", "µs CPU", "B to server", "B from", "WAL B", "heap",
           "indexes", "MiB"]  # fmt: skip


def spread(case, name, over=None):
    """Median, least and most over the rounds, of a figure or of its ratio to another one; None where it has none."""
    values = [
        found[name] / (found[over] if over else 1) for found in case["rounds"] if name in found and (not over or found[over])
    ]
    return (statistics.median(values), min(values), max(values)) if values else None


def ratio(case):
    return spread(case, "rate", "floor")


def rate_text(number) -> str:
    return f"{number:,.0f}"


def row_of(case) -> list:
    """A line of the table, as texts."""
    rate, share, whole = spread(case, "rate"), ratio(case), spread(case, "rate_of_all", "floor")
    counted = case.get("counted") or {}

    def median(name, form):
        found = spread(case, name)
        return form.format(found[0]) if found else "–"

    def count(name, form):
        return form.format(counted[name]) if counted.get(name) else "–"

    digits = 2 if share[0] >= 0.1 else 3
    return [
        case["title"],
        rate_text(rate[0]),
        f"{rate_text(rate[1])}–{rate_text(rate[2])}",
        f"{share[0]:.{digits}f}",
        f"{share[1]:.{digits}f}–{share[2]:.{digits}f}",
        f"{whole[0]:.{digits}f}",
        median("cpu_microseconds", "{:.2f}"),
        count("bytes_to_server", "{:,.0f}"),
        count("bytes_from_server", "{:,.0f}"),
        median("wal_bytes", "{:,.0f}"),
        median("heap_growth", "{:.2f}"),
        median("index_growth", "{:.2f}"),
        count("memory_mib", "{:.0f}"),
    ]


def grouped(results):
    for group in GROUPS:
        cases = [case for case in results["cases"] if case["group"] == group]
        if cases:
            yield group, cases


def text_table(results) -> str:
    lines = [COLUMNS]
    for group, cases in grouped(results):
        lines.append([f"-- {group}"])
        lines += [row_of(case) for case in cases]
    widths = [max(len(line[n]) for line in lines if len(line) > 1) for n in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(
            text.ljust(widths[n]) if n == 0 else text.rjust(widths[n]) for n, text in enumerate(line)
        ).rstrip()
        for line in lines
    )


def markdown_table(columns, rows) -> str:
    lines = [columns, ["---"] + ["--:"] * (len(columns) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def floors_text(results) -> list:
    """`floor of what, over how many connections: rows/s`."""
    lines = []
    for name, rates in results["floors"].items():
        shape, connections = name.split("/")
        low, high = min(rates), max(rates)
        lines.append((shape.removeprefix("shape_"), connections, statistics.median(rates), low, high))
    return lines


def phases(case) -> dict:
    """Medians of where a run's time goes, in seconds."""
    draining = [
        found["seconds"] - found["seconds_before"] - found["seconds_after"] for found in case["rounds"]
    ]
    return {
        "before": spread(case, "seconds_before")[0],
        "draining": statistics.median(draining),
        "after": spread(case, "seconds_after")[0],
    }


def statement_lines(case) -> list:
    """Kind, statements, µs a row and share of what the case's statements cost the server; nothing where not counted."""
    found = (case.get("counted") or {}).get("statements") or []
    total = sum(entry["milliseconds"] for entry in found)
    rows = case["rows"]
    return [
        [entry["kind"], f"{entry['statements']:,}", f"{1e3 * entry['milliseconds'] / rows:.2f}",
         f"{entry['milliseconds'] / total:.0%}"]
        for entry in found
    ]  # fmt: skip
