"""Tables of sealed secrets, in the shapes that are measured.

A few thousand distinct envelopes are multiplied inside the server. The same envelope in many rows is no ease for the
tool: it unwraps and wraps each row's DEK all the same.
"""

import dataclasses
import os

from envelope_reference import seal_canonical

COLUMN = "api_key_encrypted"
# A plaintext of so many bytes makes a canonical envelope under a six-letter key id of 331 bytes, and of 16 KiB.
PLAINTEXT_331 = 89
PLAINTEXT_16K = 12_126
DISTINCT_BYTES = 4_096 * 331
FLOOR_RANGE_ROWS = 1_000

# 48 bits of time, the version, the rest from the row's number: version 7 without a function for it.
TIME_ORDERED = """(lpad(to_hex(1700000000000 + row), 12, '0') || '7' || lpad(to_hex(row % 4096), 3, '0')
                   || '8' || substr(md5(row::text), 1, 15))::uuid"""
# Version 4's order: none that the rows on disk follow.
RANDOM = "md5('key ' || row)::uuid"


@dataclasses.dataclass(frozen=True)
class Shape:
    """A table, as one factor changes it."""

    name: str = "base"
    type: str = "bytea"
    random_keys: bool = False
    fillfactor: int = 100
    further_indexes: bool = False
    plaintext_bytes: int = PLAINTEXT_331
    storage: str = "extended"
    # Of the rows that are asked for: large values are measured on fewer.
    share_of_rows: float = 1.0

    def rows(self, asked: int) -> int:
        return max(FLOOR_RANGE_ROWS, int(asked * self.share_of_rows))


def load_envelopes(connection, table, rows, kek, shape=Shape()):
    """Creates the table and fills it with valid envelopes under `kek`. Returns one of them, as the column's text."""
    size = 4 * (shape.plaintext_bytes + 16) // 3 + 191
    distinct = max(1, min(rows, DISTINCT_BYTES // size))
    sample = [seal_canonical(kek, os.urandom(shape.plaintext_bytes)).encode() for _ in range(distinct)]
    more = ", tenant_id integer NOT NULL, created_at timestamptz NOT NULL" if shape.further_indexes else ""
    value = "envelope" if shape.type == "bytea" else f"convert_from(envelope, 'UTF8')::{shape.type}"
    others = ", hashint8(row) % 5000, timestamptz '2024-01-01' + row * interval '1 second'" if more else ""
    key = (RANDOM if shape.random_keys else TIME_ORDERED).replace("%", "%%")
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE sample (n integer PRIMARY KEY, envelope bytea)")
        cursor.executemany("INSERT INTO sample VALUES (%s, %s)", list(enumerate(sample)))
        cursor.execute(
            f"CREATE TABLE {table} (id uuid, {COLUMN} {shape.type} NOT NULL{more}) WITH (fillfactor = {shape.fillfactor})"
        )
        cursor.execute(f"ALTER TABLE {table} ALTER COLUMN {COLUMN} SET STORAGE {shape.storage}")
        cursor.execute(
            f"""
            INSERT INTO {table}
            SELECT {key}, {value}{others.replace("%", "%%")}
            FROM generate_series(0, %s) AS series (row) JOIN sample ON n = row %% %s
            ORDER BY row
            """,
            (rows - 1, len(sample)),
        )
        cursor.execute("DROP TABLE sample")
        cursor.execute(f"ALTER TABLE {table} ADD PRIMARY KEY (id)")
        if shape.further_indexes:
            cursor.execute(f"CREATE INDEX ON {table} (tenant_id); CREATE INDEX ON {table} (created_at)")
    return sample[0].decode()


def cut_ranges(connection, table, rows_a_range=FLOOR_RANGE_ROWS):
    """The key ranges of the floor, in a table of their own."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            CREATE TABLE floor_ranges AS
            SELECT number, min(id::text)::uuid AS low, max(id::text)::uuid AS high
            FROM (SELECT id, (row_number() OVER (ORDER BY id) - 1) / {rows_a_range} AS number FROM {table}) ids
            GROUP BY number
            """
        )
