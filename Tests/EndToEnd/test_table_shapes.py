"""Partitioned and inherited tables, several encrypted columns in a row, keys found and named in several ways."""

import itertools

import pytest
from psycopg2 import Binary

from envelope_reference import open_envelope, seal
from support.secrets_table import SecretsTable
from support.waiting import wait_until

PARTITIONINGS = {
    "hash": """
        CREATE TABLE webhooks (tenant_id int, id bigint, secret {type}, PRIMARY KEY (tenant_id, id))
            PARTITION BY HASH (tenant_id);
        CREATE TABLE webhooks_0 PARTITION OF webhooks FOR VALUES WITH (MODULUS 3, REMAINDER 0);
        CREATE TABLE webhooks_1 PARTITION OF webhooks FOR VALUES WITH (MODULUS 3, REMAINDER 1);
        CREATE TABLE webhooks_2 PARTITION OF webhooks FOR VALUES WITH (MODULUS 3, REMAINDER 2);
    """,
    "range, two levels, a leaf in another schema": """
        CREATE SCHEMA archive;
        CREATE TABLE webhooks (tenant_id int, id bigint, secret {type}, PRIMARY KEY (tenant_id, id))
            PARTITION BY RANGE (tenant_id);
        CREATE TABLE archive.low PARTITION OF webhooks FOR VALUES FROM (MINVALUE) TO (3);
        CREATE TABLE "High" PARTITION OF webhooks FOR VALUES FROM (3) TO (MAXVALUE) PARTITION BY LIST (tenant_id);
        CREATE TABLE high_even PARTITION OF "High" FOR VALUES IN (4, 6, 8);
        CREATE TABLE high_rest PARTITION OF "High" DEFAULT;
    """,
    "leaves with columns in another order": """
        CREATE TABLE webhooks (tenant_id int, id bigint, secret {type}, PRIMARY KEY (tenant_id, id))
            PARTITION BY LIST (tenant_id);
        CREATE TABLE leaf_a (gone int, secret {type}, gone_too text, id bigint NOT NULL, tenant_id int NOT NULL);
        ALTER TABLE leaf_a DROP COLUMN gone, DROP COLUMN gone_too;
        ALTER TABLE webhooks ATTACH PARTITION leaf_a FOR VALUES IN (0, 1, 2, 3);
        CREATE TABLE leaf_b PARTITION OF webhooks DEFAULT;
    """,
}


@pytest.mark.usefixtures("either_order")
@pytest.mark.parametrize("column_type", ["bytea", "jsonb", "text"])
@pytest.mark.parametrize("partitioning", PARTITIONINGS)
def test_partitioned_tables(database, tool, kek_v1, kek_v2, partitioning, column_type):
    database.execute(PARTITIONINGS[partitioning].format(type=column_type))
    sealed = {(n % 9, n): seal(kek_v1, f"tenant {n % 9}, {n}".encode()) for n in range(180)}
    with database.transaction() as cursor:
        for (tenant, identity), value in sealed.items():
            stored = Binary(value.bytes) if column_type == "bytea" else value.text
            cursor.execute(f"INSERT INTO webhooks VALUES (%s, %s, %s::{column_type})", (tenant, identity, stored))
    tool.write_catalog({"name": "webhooks", "id_column": ["tenant_id", "id"], "encrypted_columns": ["secret"]})

    outcome = tool.run("--batch-size", 11).expect(0)

    text = "convert_from(secret, 'UTF8')" if column_type == "bytea" else "secret::text"
    rows = database.rows(f"SELECT tenant_id, id, {text} FROM webhooks")
    assert len(rows) == len(sealed)
    for tenant, identity, value in rows:
        assert open_envelope(value, kek_v2) == sealed[tenant, identity].plaintext
    assert outcome.report["records"]["total_first_census"] == len(sealed)


@pytest.mark.usefixtures("either_order")
def test_partitions_whose_rows_share_their_addresses(database, tool, kek_v1, kek_v2):
    """Each leaf's rows have the same ctids. An update by ctid through the root would give one leaf's rows the
    secrets of another, and they would open: there is no AAD that ties a value to its row."""
    database.execute(
        "CREATE TABLE secrets (leaf int, id int, secret bytea, PRIMARY KEY (leaf, id)) PARTITION BY LIST (leaf);"
        + "".join(f"CREATE TABLE secrets_{n} PARTITION OF secrets FOR VALUES IN ({n});" for n in range(8))
    )
    sealed = {}
    with database.transaction() as cursor:
        for identity, leaf in itertools.product(range(100), range(8)):
            # Every other leaf is current already: its rows must not even be written.
            kek = kek_v2 if leaf % 2 else kek_v1
            sealed[leaf, identity] = seal(kek, f"leaf {leaf}, row {identity}".encode())
            cursor.execute("INSERT INTO secrets VALUES (%s, %s, %s)",
                           (leaf, identity, Binary(sealed[leaf, identity].bytes)))  # fmt: skip
    shared = database.value("SELECT count(DISTINCT tableoid) FROM secrets WHERE ctid = '(0,1)'")
    assert shared == 8, "the leaves do not share addresses, so this would show nothing"
    tool.write_catalog({"name": "secrets", "encrypted_columns": ["secret"]})

    tool.run("--batch-size", 25, "--concurrency", 3).expect(0)

    for leaf, identity, value, version in database.rows("SELECT leaf, id, secret, xmin::text FROM secrets"):
        assert open_envelope(value, kek_v2) == sealed[leaf, identity].plaintext
        if leaf % 2:
            assert bytes(value) == sealed[leaf, identity].bytes


@pytest.mark.usefixtures("either_order")
def test_inherited_tables(database, tool, kek_v1, kek_v2):
    """Parent and child each hold their own row of one id: the key is unique in each alone."""
    database.execute(
        """
        CREATE TABLE secrets (id bigint PRIMARY KEY, secret text);
        CREATE TABLE special_secrets (extra text, PRIMARY KEY (id)) INHERITS (secrets);
        """
    )
    sealed = {}
    with database.transaction() as cursor:
        for table in ("secrets", "special_secrets"):
            for identity in range(40):
                sealed[table, identity] = seal(kek_v1, f"{table} {identity}".encode())
                cursor.execute(f"INSERT INTO {table} (id, secret) VALUES (%s, %s)",
                               (identity, sealed[table, identity].text))  # fmt: skip
    tool.write_catalog({"name": "secrets", "encrypted_columns": ["secret"]})

    outcome = tool.run("--batch-size", 7).expect(0)

    rows = database.rows("SELECT tableoid::regclass::text, id, secret FROM secrets")
    assert len(rows) == 80
    for table, identity, value in rows:
        assert open_envelope(value, kek_v2) == sealed[table, identity].plaintext
    assert outcome.report["records"]["rewrapped"] == 80


@pytest.mark.usefixtures("either_order")
def test_several_columns_are_one_update_a_row(database, tool, kek_v1, kek_v2):
    """Columns of different types, some old, some current, some NULL; each row is written once at most."""
    types = {"a": "bytea", "b": "text", "c": "jsonb", "d": "json", "e": "varchar(4000)"}
    columns = ", ".join(f"{name} {sql_type}" for name, sql_type in types.items())
    database.execute(f"CREATE TABLE secrets (id bigint PRIMARY KEY, {columns}) WITH (autovacuum_enabled = off)")
    states = [kek_v1, kek_v2, None]
    rows, old_records, old_rows = {}, 0, 0
    with database.transaction() as cursor:
        for number, combination in enumerate(itertools.product(states, repeat=len(types))):
            row = {
                name: None if kek is None else seal(kek, f"{number}.{name}".encode())
                for name, kek in zip(types, combination)
            }
            rows[number] = row
            old_records += combination.count(kek_v1)
            old_rows += kek_v1 in combination
            stored = [
                None if value is None else Binary(value.bytes) if types[name] == "bytea" else value.text
                for name, value in row.items()
            ]
            cursor.execute("INSERT INTO secrets VALUES (%s, %s, %s, %s::jsonb, %s::json, %s)", (number, *stored))
    tool.write_catalog({"name": "secrets", "encrypted_columns": list(types)})

    outcome = tool.run("--batch-size", 50).expect(0)

    for number, *values in database.rows("SELECT id, convert_from(a, 'UTF8'), b, c::text, d::text, e FROM secrets"):
        for name, value in zip(types, values):
            expected = rows[number][name]
            assert (value is None) == (expected is None)
            if value is not None:
                assert open_envelope(value, kek_v2) == expected.plaintext
    assert outcome.report["records"]["rewrapped"] == old_records

    def updates():
        return database.value("SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'secrets'")

    # The server counts late: a session reports what it did at the latest when it ends.
    wait_until(lambda: updates() >= old_rows, "the server has counted the updates")
    assert updates() == old_rows


@pytest.mark.usefixtures("either_order")
@pytest.mark.parametrize("column_type", ["bytea", "jsonb"])
def test_one_column_of_a_row_fails(database, tool, kek_v1, kek_v2, column_type):
    """The other column of the same row is rotated all the same."""
    database.execute(f"CREATE TABLE secrets (id bigint PRIMARY KEY, good {column_type}, bad {column_type})")
    poison = '{"version":2}'
    with database.transaction() as cursor:
        for number in range(50):
            good, bad = seal(kek_v1, b"good %d" % number), seal(kek_v1, b"bad %d" % number)
            values = (good.text, poison if number % 10 == 3 else bad.text)
            if column_type == "bytea":
                values = tuple(Binary(value.encode()) for value in values)
            cursor.execute(f"INSERT INTO secrets VALUES (%s, %s::{column_type}, %s::{column_type})", (number, *values))
    tool.write_catalog({"name": "secrets", "encrypted_columns": ["good", "bad"]})

    outcome = tool.run().expect(2)

    text = "convert_from({}, 'UTF8')" if column_type == "bytea" else "{}::text"
    for number, good, bad in database.rows(f"SELECT id, {text.format('good')}, {text.format('bad')} FROM secrets"):
        assert open_envelope(good, kek_v2) == b"good %d" % number
        if number % 10 == 3:
            assert bad.replace(" ", "") == poison
        else:
            assert open_envelope(bad, kek_v2) == b"bad %d" % number
    failed = {(entry["id"], entry["column"]) for entry in outcome.report["failures"]}
    assert failed == {(str(number), "bad") for number in range(3, 50, 10)}
    assert outcome.report["records"]["rewrapped"] == 95


def test_the_primary_key_is_the_default(database, tool, kek_v1, kek_v2):
    database.execute("CREATE TABLE secrets (part text, number int, secret text, PRIMARY KEY (number, part))")
    values = {n: seal(kek_v1, b"%d" % n) for n in range(60)}
    with database.transaction() as cursor:
        for n, value in values.items():
            cursor.execute("INSERT INTO secrets VALUES (%s, %s, %s)", (f"p{n % 5}", n // 5, value.text))
    tool.write_catalog({"name": "secrets", "encrypted_columns": ["secret"]})
    tool.run("--batch-size", 7).expect(0)
    for part, number, value in database.rows("SELECT part, number, secret FROM secrets"):
        assert open_envelope(value, kek_v2) == values[number * 5 + int(part[1:])].plaintext


@pytest.mark.usefixtures("either_order")
@pytest.mark.parametrize(
    "key",
    [
        "ALTER TABLE secrets ADD CONSTRAINT by_number UNIQUE (number)",
        "CREATE UNIQUE INDEX by_number ON secrets (number DESC)",
        "ALTER TABLE secrets ADD CONSTRAINT by_number UNIQUE (number) DEFERRABLE INITIALLY DEFERRED",
    ],
    ids=["constraint", "descending index", "deferrable"],
)
def test_another_unique_key_than_the_primary(database, tool, kek_v1, kek_v2, key):
    database.execute(
        "CREATE TABLE secrets (id uuid DEFAULT gen_random_uuid() PRIMARY KEY, number int NOT NULL, secret text);" + key
    )
    values = {n: seal(kek_v1, b"%d" % n) for n in range(60)}
    with database.transaction() as cursor:
        for n, value in values.items():
            cursor.execute("INSERT INTO secrets (number, secret) VALUES (%s, %s)", (n, value.text))
    tool.write_catalog({"name": "secrets", "id_column": "number", "encrypted_columns": ["secret"]})
    tool.run("--batch-size", 7).expect(0)
    for number, value in database.rows("SELECT number, secret FROM secrets"):
        assert open_envelope(value, kek_v2) == values[number].plaintext


def test_many_tables_in_one_run(database, tool, kek_v1, kek_v2):
    tables = [SecretsTable(database, name=f"table_{n}").create().fill(kek_v1, range(n)) for n in range(25)]
    tool.write_catalog(*tables)
    outcome = tool.run().expect(0)
    for table in tables:
        table.assert_opens_with(kek_v2)
        assert f"Processing table: {table.name}" in outcome.messages
    assert "Re-encrypted 300 of 300 records" in outcome.messages


def test_an_empty_table_and_one_of_nulls(database, tool, kek_v1):
    empty = SecretsTable(database, name="empty").create()
    nulls = SecretsTable(database, name="nulls").create()
    nulls.insert((n, None) for n in range(10))
    tool.write_catalog(empty, nulls)
    outcome = tool.run().expect(0)
    assert "Re-encrypted 0 of 0 records" in outcome.messages
    assert set(nulls.stored().values()) == {None}
