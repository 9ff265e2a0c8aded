"""Rows that another implementation wrote, in every column and key type and every legal spelling.

After `run` each value opens with the new key alone to the same plaintext, and apart from the two members' values
not a byte of it has changed. Values that were current already are not touched at all.
"""

import random

import pytest
from psycopg2 import Binary
from psycopg2.extras import execute_values

from envelope_reference import (
    CANONICAL,
    KeyEncryptionKey,
    Sealed,
    Spelling,
    differs_only_in,
    key_id,
    open_envelope,
    parse,
    random_spelling,
    seal,
)
from support.isolated_database import IsolatedDatabase
from support.key_shapes import CASELESS_COLLATION, KEY_SHAPES, require_icu
from support.legal_spellings import unknown_members
from support.secrets_table import SecretsTable, quoted

COLUMN_TYPES = ["bytea", "text", "varchar", "varchar(100000)", "json", "jsonb"]
OLD_ROWS, CURRENT_ROWS, NULL_ROWS = 50, 12, 6
PLAINTEXT_SIZES = [0, 1, 21, 255, 4096]


def sealed_rows(column_type, old, current, seed) -> list:
    """Old values in every spelling, current ones that no prefix recognises, and NULLs, in a random order."""
    rng = random.Random(seed)
    members = unknown_members(column_type)

    def sealed(kek, number, canonical):
        plaintext = f"{seed}-{kek.key_id}-{number}-".encode() + rng.randbytes(rng.choice(PLAINTEXT_SIZES))
        return seal(kek, plaintext, CANONICAL if canonical else random_spelling(rng, members))

    rows = [sealed(old, number, canonical=number < 3) for number in range(OLD_ROWS)]
    rows += [sealed(current, number, canonical=number < 2) for number in range(CURRENT_ROWS)]
    rows += [None] * NULL_ROWS
    rng.shuffle(rows)
    return rows


class TypedTable:
    """A table of one key shape and one column type; `ordinal` says which row is which, whatever the key."""

    def __init__(self, database, shape, column_type, rows):
        self.database, self.shape, self.rows = database, shape, rows
        self.base_type = column_type.split("(")[0]
        key_columns = ", ".join(f"{name} {sql_type} NOT NULL" for name, sql_type in shape.columns)
        self.key_names = [name for name, _ in shape.columns]
        database.execute(
            f"{shape.setup} CREATE TABLE secrets (ordinal integer, {key_columns}, secret {column_type}, "
            f"PRIMARY KEY ({', '.join(self.key_names)}))"
        )
        casts = ", ".join("%s::" + sql_type.split(" COLLATE")[0] for _, sql_type in shape.columns)
        with database.transaction() as cursor:
            execute_values(
                cursor,
                "INSERT INTO secrets VALUES %s",
                [(ordinal, *key, self._parameter(row))
                 for ordinal, (key, row) in enumerate(zip(shape.keys(len(rows)), rows))],
                template=f"(%s, {casts}, %s::{self.base_type})",
            )  # fmt: skip

    def _parameter(self, row):
        if row is None:
            return None
        return Binary(row.bytes) if self.base_type == "bytea" else row.text

    @property
    def catalog_entry(self):
        key = self.key_names[0] if len(self.key_names) == 1 else self.key_names
        return {"name": "secrets", "id_column": key, "encrypted_columns": ["secret"]}

    def stored(self):
        """ordinal → (stored text, row version, for jsonb all members but the two)."""
        text = "secret::text"
        if self.base_type == "bytea":
            text = "convert_from(secret, 'UTF8')"
        others = "(secret - 'key_id' - 'dek_wrapped')::text" if self.base_type == "jsonb" else "NULL"
        rows = self.database.rows(f"SELECT ordinal, {text}, (ctid, xmin)::text, {others} FROM secrets")
        return {ordinal: found for ordinal, *found in rows}


def assert_rotated(table: TypedTable, before, new_key):
    after = table.stored()
    assert len(after) == len(table.rows)
    for ordinal, sealed in enumerate(table.rows):
        (text_before, version_before, others_before), (text, version, others) = before[ordinal], after[ordinal]
        if sealed is None:
            assert text is None
            continue
        assert open_envelope(text, new_key) == sealed.plaintext, f"row {ordinal}"
        if sealed.key_id == new_key.key_id:
            assert text == text_before, f"the current value of row {ordinal} was changed"
            assert version == version_before, f"the current value of row {ordinal} was written again"
        elif table.base_type == "jsonb":
            assert others == others_before, f"another member of row {ordinal} was changed"
        else:
            assert differs_only_in(sealed, text), f"other bytes of row {ordinal} were changed:\n{sealed.text}\n{text}"


@pytest.mark.parametrize("column_type", COLUMN_TYPES)
@pytest.mark.parametrize("shape", KEY_SHAPES, ids=lambda shape: shape.label)
def test_every_column_and_key_type(database, tool, kek_v1, kek_v2, shape, column_type):
    shape.require(database)
    rows = sealed_rows(column_type, kek_v1, kek_v2, f"{shape.label}/{column_type}")
    table = TypedTable(database, shape, column_type, rows)
    before = table.stored()
    tool.write_catalog(table)

    # A batch much smaller than the table: every key type must find its way from range to range.
    outcome = tool.run("--batch-size", 7).expect(0)

    assert_rotated(table, before, kek_v2)
    counts = outcome.report["records"]
    assert counts["total_first_census"] == OLD_ROWS + CURRENT_ROWS
    assert (counts["rewrapped"], counts["failed"]) == (OLD_ROWS, 0)


@pytest.mark.parametrize("column_type", ["bytea", "text", "jsonb"])
def test_large_values(database, tool, kek_v1, kek_v2, column_type):
    """Values that live outside the row (TOAST), up to a mebibyte."""
    table = SecretsTable(database, column_type=column_type).create()
    sizes = [2_000, 8_000, 16_384, 300_000, 1_048_576]
    table.insert((size, seal(kek_v1, random.Random(size).randbytes(size))) for size in sizes)
    tool.write_catalog(table)
    tool.run().expect(0)
    table.assert_opens_with(kek_v2)


def test_settings_of_the_database_do_not_matter(database, tool, kek_v1, kek_v2):
    """Defaults that change how values, times and transactions look to a session."""
    database.execute("CREATE SCHEMA elsewhere")
    for name, value in {
        "bytea_output": "escape",
        "datestyle": "German, DMY",
        "timezone": "America/St_Johns",
        "default_transaction_isolation": "serializable",
        "default_transaction_deferrable": "on",
        "extra_float_digits": "-15",
        "synchronous_commit": "off",
        "plan_cache_mode": "force_custom_plan",
        "client_min_messages": "debug1",
        "lock_timeout": "1h",
    }.items():
        database.set(name, value)
    shape = next(shape for shape in KEY_SHAPES if shape.label == "timestamptz")
    table = TypedTable(database, shape, "bytea", sealed_rows("bytea", kek_v1, kek_v2, "settings"))
    before = table.stored()
    tool.write_catalog(table)
    tool.run("--batch-size", 9).expect(0)
    assert_rotated(table, before, kek_v2)


@pytest.mark.parametrize("column_type", ["text", "bytea"])
def test_database_in_another_encoding(server, make_tool, kek_v1, kek_v2, column_type):
    """In a LATIN1 database a text value is stored in other bytes than it travels in."""
    database = IsolatedDatabase(server, "ENCODING 'LATIN1' LOCALE 'C'")
    tool = make_tool(database.url)
    try:
        table = SecretsTable(database, column_type=column_type, id_type="text").create()
        spelling = Spelling(unknown=((0, '"prénom"', '"Zoë ÿ ß"'), (4, '"key_id2"', '"kek-v2"')))
        table.insert((f"clé-{number}", seal(kek_v1, b"%d" % number, spelling)) for number in range(40))
        tool.write_catalog(table)
        tool.run("--batch-size", 7).expect(0)
        table.assert_opens_with(kek_v2)
        for identity, value in table.stored().items():
            text = value.decode() if isinstance(value, bytes) else value
            assert differs_only_in(table.sealed[identity], text)
    finally:
        tool.kill_all()
        database.drop()


def test_key_ids_that_differ_in_case_only(database, make_tool, kek_v2):
    """A caseless collation on the column makes 'KEK-V2' equal 'kek-v2' for the server; they are two keys."""
    require_icu(database)
    shouting = KeyEncryptionKey.generate("KEK-V2")
    database.execute(CASELESS_COLLATION)
    table = SecretsTable(database, column_type="text COLLATE caseless").create()
    table.fill(shouting, range(40)).fill(kek_v2, range(40, 60))
    tool = make_tool(database.url, previous=[shouting])
    tool.write_catalog(table)
    tool.run().expect(0)
    table.assert_opens_with(kek_v2)


def test_key_ids_that_begin_alike(database, make_tool):
    """kek-v1 is a prefix of kek-v10, and a label may hold every legal character."""
    target = KeyEncryptionKey.generate("kek-v1")
    names = ["kek-v10", "kek-v", "kek-v1.", "kek_v1", "KEK-v1", "a", "x" * 64]
    olds = [KeyEncryptionKey.generate(name) for name in names]
    table = SecretsTable(database).create()
    for position, kek in enumerate(olds):
        table.fill(kek, range(position * 10, position * 10 + 10))
    tool = make_tool(database.url, primary=target, previous=olds)
    tool.write_catalog(table)
    tool.run().expect(0)
    table.assert_opens_with(target)


def test_rotates_back_again(database, make_tool, kek_v1, kek_v2):
    """A rollback is a rotation with the keys exchanged; there and back leaves all but the two values."""
    rows = sealed_rows("text", kek_v1, kek_v1, "back")
    table = TypedTable(database, KEY_SHAPES[0], "text", rows)
    for primary, previous in ((kek_v2, kek_v1), (kek_v1, kek_v2)):
        tool = make_tool(database.url, primary=primary, previous=[previous])
        tool.write_catalog(table)
        tool.run().expect(0)
    for ordinal, (text, _, _) in table.stored().items():
        sealed: Sealed = rows[ordinal]
        if sealed is not None:
            assert key_id(text) == "kek-v1"
            assert open_envelope(text, kek_v1) == sealed.plaintext
            assert differs_only_in(sealed, text)


def test_every_wrap_has_a_nonce_of_its_own(database, tool, kek_v1, kek_v2):
    """A repeated nonce under one key gives the key away; the same old value in every row invites one."""
    table = SecretsTable(database).create()
    same = seal(kek_v1, b"the same everywhere")
    table.insert((number, same) for number in range(3_000))
    tool.write_catalog(table)
    tool.run().expect(0)
    wrapped = [parse(value)["dek_wrapped"] for value in table.stored().values()]
    assert len({value[:12] for value in wrapped}) == len(wrapped)


def test_names_that_need_quotes(database, tool, kek_v1, kek_v2):
    """Schemas, tables and columns of any name, and columns named like what generated SQL might use itself."""
    names = ["Api Key", 'quo"ted', "select", "ids", "value", "values", "old", "t", "ctid_", "$1", "schlüssel", "a.b",
             "x'y"]  # fmt: skip
    schema, name = 'Odd "Schema', 'Ta"ble. one'
    columns = ", ".join(f"{quoted(column)} bytea" for column in names)
    database.execute(
        f"CREATE SCHEMA {quoted(schema)}; "
        f'CREATE TABLE {quoted(schema)}.{quoted(name)} ("Id ""x""" bigint PRIMARY KEY, {columns})'
    )
    sealed = {}
    with database.transaction() as cursor:
        for number in range(30):
            row = {column: seal(kek_v1, f"{column}-{number}".encode()) for column in names}
            sealed[number] = row
            places = ", ".join(["%s"] * (len(names) + 1))
            cursor.execute(
                f"INSERT INTO {quoted(schema)}.{quoted(name)} VALUES ({places})",
                [number, *(Binary(row[column].bytes) for column in names)],
            )
    tool.write_catalog(
        {"name": f"{quoted(schema)}.{quoted(name)}", "id_column": 'Id "x"', "encrypted_columns": names}
    )
    outcome = tool.run("--batch-size", 7).expect(0)
    selected = ", ".join(map(quoted, names))
    for number, *values in database.rows(f'SELECT "Id ""x""", {selected} FROM {quoted(schema)}.{quoted(name)}'):
        for column, value in zip(names, values):
            assert open_envelope(value, kek_v2) == sealed[number][column].plaintext
    assert outcome.report["records"]["rewrapped"] == 30 * len(names)


def test_unquoted_names_are_not_folded(database, tool, kek_v1, kek_v2):
    """In the catalog `LlmProviders` means exactly that, and llmproviders is another table."""
    upper = SecretsTable(database, name="LlmProviders", column="ApiKey").create().fill(kek_v1, range(10))
    lower = SecretsTable(database, name="llmproviders", column="apikey").create().fill(kek_v1, range(10))
    tool.write_catalog({"name": "LlmProviders", "encrypted_columns": ["ApiKey"]})
    tool.run().expect(0)
    upper.assert_opens_with(kek_v2)
    lower.assert_opens_with(kek_v1)
