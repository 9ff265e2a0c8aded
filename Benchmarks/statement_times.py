"""What the server spends on which kind of statement, by pg_stat_statements."""

import contextlib
import re

from bench_server import MARK

# By what a statement holds, the first that fits; the rest is told apart by its beginning.
KINDS = [
    ("lock and read the range's rows", r"FOR NO KEY UPDATE"),
    ("update", r"^\s*UPDATE\b"),
    ("commit", r"^\s*(COMMIT|END)\b"),
    ("vacuum", r"^\s*VACUUM\b"),
    ("enumerate", r"row_number\(\) OVER|\bLATERAL\b"),
    ("census", r"GROUP BY"),
    ("begin, set, gate and fence", r"^\s*(BEGIN|SET|RESET|DISCARD)|advisory"),
]


def kind_of(statement: str) -> str:
    for kind, pattern in KINDS:
        if re.search(pattern, statement, re.I | re.S):
            return kind
    return "other"


class StatementTimes:
    """Counts between `counting()`'s begin and end. Times are waiting included, sums over all sessions."""

    def __init__(self, server):
        self.server = server
        self.available = "pg_stat_statements" in server.extensions
        if self.available:
            server.run("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")

    @contextlib.contextmanager
    def counting(self):
        if self.available:
            self.server.set("pg_stat_statements.track", "top")
            self.server.run("SELECT pg_stat_statements_reset()")
        try:
            yield
        finally:
            if self.available:
                self.server.set("pg_stat_statements.track", "none")

    def found(self, database) -> list:
        """`kind, statements, milliseconds, text of the costliest`, the costliest kind first."""
        if not self.available:
            return []
        kinds = {}
        for query, calls, milliseconds in self.server.rows(
            """
            SELECT query, calls, total_exec_time + total_plan_time FROM pg_stat_statements
            WHERE dbid = (SELECT oid FROM pg_database WHERE datname = %s) AND strpos(query, %s) = 0
            ORDER BY total_exec_time DESC
            """,
            (database, MARK),
        ):
            entry = kinds.setdefault(kind_of(query), {"statements": 0, "milliseconds": 0.0, "example": query})
            entry["statements"] += calls
            entry["milliseconds"] += milliseconds
        return [{"kind": kind} | entry for kind, entry in sorted(kinds.items(), key=lambda i: -i[1]["milliseconds"])]
