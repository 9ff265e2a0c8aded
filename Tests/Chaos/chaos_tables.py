"""The tables that the application writes to, and their first rows."""

import dataclasses
import io

from envelope_reference import seal_canonical

TENANTS = 8


@dataclasses.dataclass(frozen=True)
class WrittenTable:
    """`<name> (tenant_id, id, note, secret, second)`; `second` may be NULL."""

    name: str
    column_type: str
    partitioned: bool = False

    def definition(self, tablespace) -> str:
        columns = f"(tenant_id int NOT NULL, id bigint NOT NULL, note text, secret {self.column_type} NOT NULL, "
        columns += f"second {self.column_type}, "
        if not self.partitioned:
            return f"CREATE TABLE {self.name} {columns} PRIMARY KEY (id)) {tablespace}"
        return f"CREATE TABLE {self.name} {columns} PRIMARY KEY (tenant_id, id)) PARTITION BY LIST (tenant_id);" + "".join(
            f"CREATE TABLE {self.name}_{n} PARTITION OF {self.name} FOR VALUES IN ({n});" for n in range(TENANTS)
        )

    @property
    def catalog_entry(self) -> dict:
        key = ["tenant_id", "id"] if self.partitioned else "id"
        return {"name": self.name, "id_column": key, "encrypted_columns": ["secret", "second"]}

    def text_of(self, column) -> str:
        return f"convert_from({column}, 'UTF8')" if self.column_type == "bytea" else f"{column}::text"

    @property
    def template(self) -> str:
        if self.column_type == "bytea":
            value = "convert_to(%s, 'UTF8')"
        else:
            value = f"%s::{self.column_type}"
        return f"(%s, %s, %s, {value}, {value})"


TABLES = [
    WrittenTable("providers", "bytea"),
    WrittenTable("hooks", "text", partitioned=True),
    WrittenTable("tokens", "jsonb"),
]
SMALL_TABLE = "tokens"


@dataclasses.dataclass(frozen=True)
class Row:
    tenant: int
    note: str
    secret: bytes
    second: bytes | None


def create_tables(cursor, small_tablespace):
    for table in TABLES:
        tablespace = "TABLESPACE small" if small_tablespace and table.name == SMALL_TABLE else ""
        cursor.execute(table.definition(tablespace))
    cursor.execute("CREATE TABLE chaos_commits (writer int PRIMARY KEY, number bigint NOT NULL)")


def fill(cursor, kek, rows, writers) -> dict:
    """All under `kek`; returns table → id → Row."""
    oracle = {}
    for table in TABLES:
        own = oracle[table.name] = {}
        lines = []
        for identity in range(1, rows + 1):
            second = f"second {table.name} {identity}".encode() if identity % 3 == 0 else None
            row = own[identity] = Row(identity % TENANTS, "initial", f"{table.name} {identity}".encode(), second)
            sealed = [_copied(table, seal_canonical(kek, row.secret)),
                      "\\N" if second is None else _copied(table, seal_canonical(kek, second))]  # fmt: skip
            lines.append(f"{row.tenant}\t{identity}\tinitial\t{sealed[0]}\t{sealed[1]}\n")
        cursor.copy_expert(f"COPY {table.name} FROM STDIN", io.StringIO("".join(lines)))
    cursor.execute("INSERT INTO chaos_commits SELECT n, 0 FROM generate_series(0, %s) n", (writers - 1,))
    return oracle


def _copied(table, envelope):
    return f"\\\\x{envelope.encode().hex()}" if table.column_type == "bytea" else envelope
