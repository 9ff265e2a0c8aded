"""What section 5 of the contract promises of the counters, judged on values that were read at one instant."""

COUNTERS = [
    "records_total", "records_done", "records_rewrapped", "records_superseded", "records_failed", "failures_total",
    "batches_total", "batches_done", "batches_pending", "batches_leased", "batches_delayed", "batches_dead",
]  # fmt: skip


def numbered(texts) -> dict:
    return {name: int(texts[name]) for name in COUNTERS}


def broken_equations(whole, parts, pending, known, leased, delayed) -> list:
    """Of the queue, of each table, and between them; `pending` and the others are the lengths of the structures."""
    broken = []
    for p in (whole, *parts):
        outstanding = p["batches_pending"] + p["batches_leased"] + p["batches_delayed"]
        checks = {
            "done = rewrapped + superseded + failed":
                p["records_done"] == p["records_rewrapped"] + p["records_superseded"] + p["records_failed"],
            "done <= total": p["records_done"] <= p["records_total"],
            "batches add up": p["batches_total"] == p["batches_done"] + outstanding + p["batches_dead"],
            "failures_total = failed": p["failures_total"] == p["records_failed"],
            "none is negative": min(p.values()) >= 0,
        }  # fmt: skip
        broken += [f"{what}: {p}" for what, holds in checks.items() if not holds]
    broken += [
        f"{name} is not the sum over the tables"
        for name in COUNTERS
        if whole[name] != sum(part[name] for part in parts)
    ]
    structures = {
        "leases": leased == whole["batches_leased"],
        "delayed": delayed == whole["batches_delayed"],
        "pending": pending >= whole["batches_pending"],
        "batches": known == whole["batches_pending"] + whole["batches_leased"] + whole["batches_delayed"],
    }
    return broken + [f"{name}: length and counter differ: {whole}" for name, holds in structures.items() if not holds]
