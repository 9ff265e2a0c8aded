"""The equations that section 5 of the contract promises of `progress`, at every instant."""

COUNTERS = [
    "records_total", "records_done", "records_rewrapped", "records_superseded", "records_failed", "failures_total",
    "batches_total", "batches_done", "batches_pending", "batches_leased", "batches_delayed", "batches_dead",
]  # fmt: skip


def broken_equations(p, name) -> list:
    outstanding = p["batches_pending"] + p["batches_leased"] + p["batches_delayed"]
    checks = {
        "done = rewrapped + superseded + failed":
            p["records_done"] == p["records_rewrapped"] + p["records_superseded"] + p["records_failed"],
        "done <= total": p["records_done"] <= p["records_total"],
        "batches add up": p["batches_total"] == p["batches_done"] + outstanding + p["batches_dead"],
        "failures_total = records_failed": p["failures_total"] == p["records_failed"],
        "no counter is negative": all(p[counter] >= 0 for counter in COUNTERS),
    }  # fmt: skip
    return [f"{name}: {what}: {p}" for what, holds in checks.items() if not holds]
