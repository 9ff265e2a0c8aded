"""Names that Unicode takes for one and PostgreSQL for two: an accent that is composed with its letter, or stands apart."""

import pytest

from envelope_reference import key_id, seal
from secrets_table import quoted

COMPOSED, APART = "cl\u00e9", "cle\u0301"


@pytest.fixture(params=[(COMPOSED, APART), (APART, COMPOSED)], ids=["composed", "apart"])
def names(request):
    """The name that the catalog lists, and the other one."""
    return request.param


@pytest.mark.parametrize("first", [0, 1])
def test_columns(database, tool, names, kek_v1, first):
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


def test_ids(database, tool, names, kek_v1):
    listed, other = names
    database.execute(
        f"CREATE TABLE vault ({quoted(other)} int, {quoted(listed)} bigint PRIMARY KEY, secret text);"
        f"CREATE UNIQUE INDEX a_nullable_one ON vault ({quoted(other)})"
    )
    database.execute("INSERT INTO vault VALUES (7, 1, %s)", (seal(kek_v1, b"secret").text,))
    tool.write_catalog({"name": "vault", "id_column": listed, "encrypted_columns": ["secret"]})
    tool.run().expect(0)
    assert key_id(database.value("SELECT secret FROM vault")) == "kek-v2"


def test_tables(database, tool, names, kek_v1):
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
