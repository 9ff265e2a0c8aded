"""Names that Unicode takes for one and PostgreSQL for two: an accent that is composed with its letter, or stands apart."""

import pytest

from envelope_reference import key_id, seal
from support.secrets_table import quoted
from test_verify import verify

COMPOSED, APART = "cl\u00e9", "cle\u0301"


@pytest.fixture(params=[(COMPOSED, APART), (APART, COMPOSED)], ids=["composed", "apart"])
def names(request):
    """The name that the catalog lists, and the other one."""
    return request.param


@pytest.mark.parametrize("first", [0, 1])
def test_a_column_is_told_from_one_with_a_confusable_name(database, tool, names, kek_v1, first):
    listed, other = names
    columns = ", ".join(f"{quoted(name)} text" for name in (names if first == 0 else names[::-1]))
    database.execute(f"CREATE TABLE vault (id bigint PRIMARY KEY, {columns})")
    old = seal(kek_v1, b"secret").text
    database.execute("INSERT INTO vault VALUES (1, %s, %s)", (old, old))
    tool.write_catalog({"name": "vault", "encrypted_columns": [listed]})
    tool.run().expect(0)
    assert key_id(database.value(f"SELECT {quoted(listed)} FROM vault")) == "kek-v2"
    assert database.value(f"SELECT {quoted(other)} FROM vault") == old
    outcome = tool.command("verify", "--catalog", tool.catalog).expect(2)
    assert f"{other} holds envelopes under kek-v1 and is in no catalog" in outcome.stdout


def test_both_columns_and_both_tables_in_one_catalog(database, tool, names, kek_v1):
    old = seal(kek_v1, b"secret").text
    for name in names:
        database.execute(
            f"CREATE TABLE {quoted(name)} (id bigint PRIMARY KEY, {quoted(COMPOSED)} text, {quoted(APART)} text)"
        )
        database.execute(f"INSERT INTO {quoted(name)} VALUES (1, %s, %s), (2, %s, NULL)", (old, old, old))
    tool.write_catalog(*({"name": name, "encrypted_columns": [*names]} for name in names))
    tool.run().expect(0)
    for table in names:
        for column in names:
            values = database.value(f"SELECT array_agg({quoted(column)}) FROM {quoted(table)}")
            assert {key_id(value) for value in values if value} == {"kek-v2"}
    census = [line.split()[-4:] for line in verify(tool).expect(0).stdout.splitlines() if " kek-v2 " in line]
    assert sorted(census[1:]) == sorted(
        [table, column, "kek-v2", "2" if column == COMPOSED else "1"] for table in names for column in names
    )


def test_a_fence_on_the_other_column_is_no_fence(database, tool, names, kek_v2):
    listed, other = names
    database.execute(f"CREATE TABLE vault (id bigint PRIMARY KEY, {quoted(COMPOSED)} text, {quoted(APART)} text)")
    database.execute("INSERT INTO vault VALUES (1, %s, NULL)", (seal(kek_v2, b"secret").text,))
    tool.write_catalog({"name": "vault", "encrypted_columns": [other]})
    tool.command("fence", "add", "--catalog", tool.catalog).expect(0)
    assert "a fence refuses" in verify(tool).stdout
    tool.write_catalog({"name": "vault", "encrypted_columns": [listed]})
    assert "no fence" in verify(tool).stdout


def test_an_id_column_is_told_from_one_with_a_confusable_name(database, tool, names, kek_v1):
    listed, other = names
    database.execute(
        f"CREATE TABLE vault ({quoted(other)} int, {quoted(listed)} bigint PRIMARY KEY, secret text);"
        f"CREATE UNIQUE INDEX a_nullable_one ON vault ({quoted(other)})"
    )
    database.execute("INSERT INTO vault VALUES (7, 1, %s)", (seal(kek_v1, b"secret").text,))
    tool.write_catalog({"name": "vault", "id_column": listed, "encrypted_columns": ["secret"]})
    tool.run().expect(0)
    assert key_id(database.value("SELECT secret FROM vault")) == "kek-v2"


def test_a_table_is_told_from_one_with_a_confusable_name(database, tool, names, kek_v1):
    listed, other = names
    old = seal(kek_v1, b"secret").text
    for name in names:
        database.execute(f"CREATE TABLE {quoted(name)} (id bigint PRIMARY KEY, secret text)")
        database.execute(f"INSERT INTO {quoted(name)} VALUES (1, %s)", (old,))
    tool.write_catalog({"name": listed, "encrypted_columns": ["secret"]})
    tool.run().expect(0)
    assert key_id(database.value(f"SELECT secret FROM {quoted(listed)}")) == "kek-v2"
    assert database.value(f"SELECT secret FROM {quoted(other)}") == old
    outcome = tool.command("verify", "--catalog", tool.catalog).expect(2)
    assert f"{other}.secret holds envelopes under kek-v1 and is in no catalog" in outcome.stdout
