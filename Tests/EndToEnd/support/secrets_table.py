"""A table of secrets whose plaintexts are known outside the database."""

import dataclasses

from psycopg2 import Binary
from psycopg2.extras import execute_values

from envelope_reference import EnvelopeError, Sealed, key_id, open_envelope, seal

# How the stored bytes come back exactly: jsonb has no bytes of its own, its text form stands for them.
_READ = {"bytea": "{}", "text": "{}", "varchar": "{}", "json": "{}::text", "jsonb": "{}::text"}


def quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def plaintext_of(number) -> bytes:
    return f"secret-of-{number}".encode()


@dataclasses.dataclass
class SecretsTable:
    """One encrypted column and its single-column key. Tests of stranger shapes write their own SQL."""

    database: object
    name: str = "llm_providers"
    column: str = "api_key_encrypted"
    column_type: str = "bytea"
    id_column: str = "id"
    id_type: str = "bigint"
    schema: str = "public"
    more_columns: str = "name text"
    name_id_column: bool = True
    sealed: dict = dataclasses.field(default_factory=dict)

    @property
    def sql_name(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    @property
    def catalog_name(self) -> str:
        plain = self.name.isidentifier() and self.schema == "public"
        return self.name if plain else self.sql_name

    @property
    def catalog_entry(self) -> dict:
        entry = {"name": self.catalog_name, "encrypted_columns": [self.column]}
        if self.name_id_column:
            entry["id_column"] = self.id_column
        return entry

    @property
    def base_type(self) -> str:
        return self.column_type.split("(")[0].split(" ")[0]

    def create(self):
        more = f", {self.more_columns}" if self.more_columns else ""
        self.database.execute(
            f"CREATE TABLE {self.sql_name} ({quoted(self.id_column)} {self.id_type} PRIMARY KEY{more}, "
            f"{quoted(self.column)} {self.column_type})"
        )
        return self

    # MARK: writing

    def insert(self, entries):
        """`entries`: (id, Sealed | raw text | raw bytes | None). Remembers what was sealed."""
        prepared = []
        for identity, value in entries:
            if isinstance(value, Sealed):
                self.sealed[identity] = value
                value = value.text
            if value is not None and self.base_type == "bytea":
                value = Binary(value.encode() if isinstance(value, str) else value)
            prepared.append((identity, value))
        with self.database.transaction() as cursor:
            execute_values(
                cursor,
                f"INSERT INTO {self.sql_name} ({quoted(self.id_column)}, {quoted(self.column)}) VALUES %s",
                prepared,
                template=f"(%s, %s::{self.base_type})",
                page_size=500,
            )

    def fill(self, kek, numbers, plaintext=plaintext_of):
        """One canonical value a number, which is also its id."""
        self.insert((number, seal(kek, plaintext(number))) for number in numbers)
        return self

    # MARK: reading

    def stored(self) -> dict:
        """id → the stored value exactly: bytes for bytea, else text; None for NULL."""
        read = _READ[self.base_type].format(quoted(self.column))
        rows = self.database.rows(f"SELECT {quoted(self.id_column)}, {read} FROM {self.sql_name}")
        return {identity: bytes(value) if isinstance(value, memoryview) else value for identity, value in rows}

    def versions(self) -> dict:
        """id → the row version: differs after any write, even of the same bytes."""
        rows = self.database.rows(f"SELECT {quoted(self.id_column)}, ctid::text, xmin::text FROM {self.sql_name}")
        return {identity: (ctid, xmin) for identity, ctid, xmin in rows}

    def key_ids(self) -> dict:
        """key id → number of values; what is no envelope counts under None, NULL not at all."""
        counts = {}
        for value in self.stored().values():
            if value is None:
                continue
            try:
                label = key_id(value)
            except EnvelopeError:
                label = None
            counts[label] = counts.get(label, 0) + 1
        return counts

    def count_under(self, kek) -> int:
        """How many canonical values begin with this key's label, by SQL: cheap enough to poll."""
        column = quoted(self.column)
        text = f"convert_from({column}, 'UTF8')" if self.base_type == "bytea" else f"{column}::text"
        pattern = f'"key_id": ?"{kek.key_id}"'
        return self.database.value(f"SELECT count(*) FROM {self.sql_name} WHERE {text} ~ %s", (pattern,))

    # MARK: judging

    def assert_opens_with(self, *keks, plaintexts=None):
        """Every value opens with `keks` alone to the plaintext it was sealed from (or that of `plaintexts`)."""
        expected = {identity: sealed.plaintext for identity, sealed in self.sealed.items()}
        expected.update(plaintexts or {})
        stored = self.stored()
        assert set(expected) <= set(stored), "rows are missing"
        for identity, plaintext in expected.items():
            assert open_envelope(stored[identity], *keks) == plaintext, f"id {identity!r} opens to something else"
