"""Relations whose rows are not stored in their own heap, and files that say nothing about the rows."""

import pytest

from support.secrets_table import SecretsTable

ACCESS_METHOD = "CREATE ACCESS METHOD elsewhere TYPE TABLE HANDLER heap_tableam_handler"
WORDS = "a relation whose rows are not stored in its own heap"


def commands(tool):
    """Every command that would otherwise speak for the table."""
    catalog = ("--catalog", tool.catalog)
    yield tool.command("catalog", "check", *catalog)
    yield tool.run()
    yield tool.run("--dry-run")
    yield tool.command("verify", *catalog)
    yield tool.command("fence", "add", *catalog)


def test_another_access_method(database, tool, kek_v1):
    database.execute(ACCESS_METHOD)
    table = SecretsTable(database)
    database.execute(
        f"CREATE TABLE {table.sql_name} (id bigint PRIMARY KEY, name text, api_key_encrypted bytea) USING elsewhere"
    )
    table.fill(kek_v1, range(5))
    tool.write_catalog(table)
    for outcome in commands(tool):
        outcome.expect_refusal(WORDS, "elsewhere", table.name)


@pytest.mark.parametrize("kind", ["partition", "child"])
def test_a_leaf_with_another_access_method(database, tool, kek_v2, kind):
    database.execute(ACCESS_METHOD)
    if kind == "partition":
        database.execute(
            "CREATE TABLE tree (id bigint PRIMARY KEY, api_key_encrypted bytea) PARTITION BY RANGE (id)"
        )
        database.execute("CREATE TABLE leaf PARTITION OF tree FOR VALUES FROM (0) TO (1000) USING elsewhere")
    else:
        database.execute("CREATE TABLE tree (id bigint PRIMARY KEY, api_key_encrypted bytea)")
        database.execute("CREATE TABLE leaf (PRIMARY KEY (id)) INHERITS (tree) USING elsewhere")
    SecretsTable(database, name="tree").fill(kek_v2, range(5))
    tool.write_catalog({"name": "tree", "encrypted_columns": ["api_key_encrypted"]})
    for outcome in commands(tool):
        outcome.expect_refusal(WORDS, "leaf")


def test_outside_of_the_catalog_all_of_it_is_searched(database, tool, kek_v1, kek_v2):
    """Blocks mean nothing there, so no block is passed over: the relation is read by its rows."""
    database.execute(ACCESS_METHOD)
    table = SecretsTable(database).create().fill(kek_v2, range(5))
    tool.write_catalog(table)
    database.execute("CREATE TABLE forgotten (id bigint PRIMARY KEY, name text, api_key text) USING elsewhere")
    SecretsTable(database, name="forgotten", column="api_key", column_type="text").fill(kek_v1, range(5))
    outcome = tool.command("verify", "--catalog", tool.catalog).expect(2)
    assert "public.forgotten.api_key holds envelopes under kek-v1" in outcome.stdout
