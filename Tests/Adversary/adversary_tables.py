"""The tables of a round, their values, and how each value is written."""

import dataclasses
import itertools

from psycopg2 import Binary
from psycopg2.extras import execute_values

from envelope_reference import KeyEncryptionKey, random_spelling, seal, seal_canonical

TYPES = ("bytea", "text", "varchar", "json", "jsonb")
TENANTS = 3
OLD, NEW = KeyEncryptionKey.generate("kek-v1"), KeyEncryptionKey.generate("kek-v2")
# Wraps with the old key's bytes under the new key's label: a lie.
_LIAR = KeyEncryptionKey(NEW.key_id, OLD.key)
_tags = itertools.count(1)


def old(rng=None, tag="late") -> str:
    """An envelope under the old key; in one of the legal spellings where `rng` is given and says so."""
    plaintext = f"{tag} {next(_tags)}".encode()
    if rng is not None and rng.random() < 0.3:
        return seal(OLD, plaintext, random_spelling(rng)).text
    return seal_canonical(OLD, plaintext)


def new(tag="new") -> str:
    return seal_canonical(NEW, f"{tag} {next(_tags)}".encode())


def lie(tag="lie") -> str:
    """Labelled with the new key, its data key wrapped by the old one."""
    return seal_canonical(_LIAR, f"{tag} {next(_tags)}".encode())


def two_labels() -> str:
    """The canonical prefix of the new key, and a second member `key_id` with the old one."""
    prefix = '"key_id":"kek-v2",'
    return lie("two labels").replace(prefix, prefix + '"key_id":"kek-v1",')


@dataclasses.dataclass
class Table:
    """`<name> (tenant int, id bigint, note text, n int, secret <type>)`."""

    name: str
    column_type: str
    shape: str = "plain"

    @property
    def value(self) -> str:
        """The SQL of one value that comes as a text parameter."""
        return "convert_to(%s, 'UTF8')" if self.column_type == "bytea" else f"%s::{self.column_type}"

    @property
    def key(self) -> str:
        return "tenant, id" if self.shape == "partitioned" else "id"

    @property
    def leaves(self) -> list:
        if self.shape == "partitioned":
            return [f"{self.name}_{n}" for n in range(TENANTS)]
        return [self.name, f"{self.name}_child"] if self.shape == "inherited" else [self.name]

    @property
    def columns(self) -> str:
        return (f"tenant int NOT NULL, id bigint NOT NULL, note text, n int DEFAULT 1, secret {self.column_type}, "
                f"PRIMARY KEY ({self.key})")  # fmt: skip

    def definitions(self) -> list:
        if self.shape == "partitioned":
            return [f"CREATE TABLE {self.name} ({self.columns}) PARTITION BY LIST (tenant)"] + [
                f"CREATE TABLE {leaf} PARTITION OF {self.name} FOR VALUES IN ({n})" for n, leaf in enumerate(self.leaves)
            ]
        own = [f"CREATE TABLE {self.name} ({self.columns})"]
        if self.shape == "inherited":
            own.append(f"CREATE TABLE {self.name}_child (PRIMARY KEY (id)) INHERITS ({self.name})")
        return own

    def insertion(self, into, rows) -> list:
        """Statements that insert (tenant, id, value) rows, 100 at once."""
        rows = list(rows)
        statements = []
        for start in range(0, len(rows), 100):
            part = rows[start : start + 100]
            one = f"(%s, %s, {self.value})"
            parameters = [field for row in part for field in row]
            statements.append((f"INSERT INTO {into} (tenant, id, secret) VALUES {', '.join([one] * len(part))}", parameters))
        return statements

    def fill(self, cursor, values):
        """`values`: one for each row, spread over tenants and leaves."""
        for leaf_number, leaf in enumerate(self.leaves):
            rows = [(leaf_number, number, self._bound(value)) for number, value in enumerate(values, 1)
                    if number % len(self.leaves) == leaf_number]  # fmt: skip
            template = "(%s, %s, %s)" if self.column_type == "bytea" else f"(%s, %s, %s::{self.column_type})"
            execute_values(cursor, f"INSERT INTO {leaf} (tenant, id, secret) VALUES %s", rows, template, page_size=500)

    def _bound(self, value):
        return Binary(value.encode()) if self.column_type == "bytea" and value is not None else value

    @property
    def catalog_entry(self) -> dict:
        key = ["tenant", "id"] if self.shape == "partitioned" else "id"
        return {"name": self.name, "id_column": key, "encrypted_columns": ["secret"]}


def tables(rng) -> list:
    return [
        Table("vault", rng.choice(TYPES)),
        Table("ledger", rng.choice(TYPES), "partitioned"),
        Table("registry", rng.choice(TYPES), "inherited"),
    ]
