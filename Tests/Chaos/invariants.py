"""What must hold at the end of a round, looked at without any code of the product."""

import collections

from chaos_tables import TABLES, Row
from envelope_reference import EnvelopeError, key_id, open_envelope

COLUMNS = ("secret", "second")


def read_all(cursor) -> dict:
    """Table → id → (tenant, note, secret, second), values as text, all in one snapshot."""
    found = {}
    cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    for table in TABLES:
        cursor.execute(
            f"SELECT id, tenant_id, note, {table.text_of('secret')}, {table.text_of('second')} FROM {table.name}"
        )
        found[table.name] = {row[0]: row[1:] for row in cursor.fetchall()}
    cursor.execute("COMMIT")
    return found


def census(found) -> dict:
    """(table, column, key id) → records."""
    counts = collections.Counter()
    for name, rows in found.items():
        for row in rows.values():
            for column, value in zip(COLUMNS, row[2:]):
                if value is not None:
                    counts[name, column, key_id(value)] += 1
    return dict(counts)


def old_records(counts, target) -> int:
    return sum(number for (_, _, key), number in counts.items() if key != target.key_id)


def compare_with_oracle(found, oracle, keks) -> list:
    """Every row that was committed is there, nothing else is, and every value opens to its plaintext."""
    problems = []
    for name, rows in oracle.items():
        for identity in sorted(rows.keys() ^ found[name].keys())[:5]:
            problems.append(f"{name} {identity} is {'lost' if identity in rows else 'not the application’s'}")
        for identity, row in rows.items():
            if identity not in found[name]:
                continue
            tenant, note, secret, second = found[name][identity]
            try:
                opened = Row(tenant, note, open_envelope(secret, *keks),
                             None if second is None else open_envelope(second, *keks))  # fmt: skip
            except EnvelopeError as error:
                problems.append(f"{name} {identity} does not open: {error}")
                continue
            if opened != row:
                problems.append(f"{name} {identity} holds {opened}, last committed was {row}")
    return problems


def compare_with_report(counts, report, target) -> list:
    """The verifier's census, count by count, and its verdict."""
    theirs = {(g["table"], g["column"], g["key_id"]): g["records"] for g in report["census"] if g["records"]}
    problems = []
    if theirs != counts:
        problems.append(f"the verifier counts {theirs}, Python {counts}")
    is_proven = report["verdict"]["exit_code"] == 0
    if is_proven != (old_records(counts, target) == 0):
        problems.append(f"the verdict is {report['verdict']['result']}, Python counts {counts}")
    return problems
