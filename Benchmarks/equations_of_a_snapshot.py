"""What section 5 of the contract promises of the counters, judged on values that were read at one instant."""

from progress_equations import COUNTERS
from progress_equations import broken_equations as broken_equations_of_one


def numbered(texts) -> dict:
    return {name: int(texts[name]) for name in COUNTERS}


def broken_equations(whole, parts, pending, known, leased, delayed) -> list:
    """Of the queue, of each table, and between them; `pending` and the others are the lengths of the structures."""
    broken = broken_equations_of_one(whole, "queue")
    for part in parts:
        broken += broken_equations_of_one(part, "table")
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
