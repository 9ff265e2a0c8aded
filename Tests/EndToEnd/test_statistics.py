"""The planner's statistics keep whole values: old envelopes stay there until the next ANALYZE."""

import pytest
from psycopg2 import Binary

from envelope_reference import seal
from support.secrets_table import SecretsTable

SAMPLED = """
    SELECT count(*) FROM (
        SELECT unnest(most_common_vals::text::text[]) AS v FROM pg_stats UNION ALL
        SELECT unnest(histogram_bounds::text::text[]) FROM pg_stats
    ) AS s WHERE position('kek-v1' IN v) > 0 OR position(encode('kek-v1', 'hex') IN v) > 0
"""


def verify(tool):
    return tool.command("verify", "--catalog", tool.catalog)


def old_ones(database) -> int:
    return database.value(SAMPLED)


@pytest.mark.parametrize("column_type", ["bytea", "text", "varchar(4000)"])
def test_a_rotation_renews_the_statistics(database, tool, kek_v1, column_type):
    table = SecretsTable(database, column_type=column_type).create().fill(kek_v1, range(200))
    database.execute(f"ANALYZE {table.sql_name}")
    assert old_ones(database) > 100
    tool.write_catalog(table)
    tool.run().expect(0)
    assert old_ones(database) == 0
    verify(tool).expect(0)


def test_verify_looks_at_them(database, tool, kek_v1, kek_v2):
    table = SecretsTable(database).create().fill(kek_v1, range(200))
    database.execute(f"ALTER TABLE {table.sql_name} SET (autovacuum_enabled = off)")
    database.execute(f"ANALYZE {table.sql_name}")
    database.execute(f"DELETE FROM {table.sql_name}")
    table.sealed.clear()
    table.fill(kek_v2, range(200))
    tool.write_catalog(table)
    outcome = verify(tool).expect(2)
    assert "public.llm_providers.api_key_encrypted" in outcome.stdout.split("What speaks against it")[1]
    assert "pg_stats" in outcome.stdout and "kek-v1" in outcome.stdout and "ANALYZE" in outcome.stdout
    database.execute(f"ANALYZE {table.sql_name}")
    verify(tool).expect(0)


def test_a_rotation_that_finds_nothing_to_do_renews_them_too(database, tool, kek_v1, kek_v2):
    table = SecretsTable(database).create().fill(kek_v1, range(200))
    database.execute(f"ANALYZE {table.sql_name}")
    database.execute(f"DELETE FROM {table.sql_name}")
    table.sealed.clear()
    table.fill(kek_v2, range(200))
    tool.write_catalog(table)
    tool.run().expect(0)
    assert old_ones(database) == 0


def test_a_partitioned_table(database, tool, kek_v1):
    database.execute("CREATE TABLE tree (id bigint PRIMARY KEY, api_key_encrypted bytea) PARTITION BY RANGE (id)")
    database.execute("CREATE TABLE low PARTITION OF tree FOR VALUES FROM (0) TO (100)")
    database.execute("CREATE TABLE high PARTITION OF tree FOR VALUES FROM (100) TO (200)")
    table = SecretsTable(database, name="tree").fill(kek_v1, range(200))
    database.execute("ANALYZE tree")
    assert {name for (name,) in database.rows("SELECT tablename FROM pg_stats WHERE attname = 'api_key_encrypted'")} == {
        "tree", "low", "high",
    }  # fmt: skip
    tool.write_catalog(table)
    tool.run().expect(0)
    assert old_ones(database) == 0
    verify(tool).expect(0)


def test_a_partition_in_the_catalog_renews_its_root(database, tool, kek_v1):
    database.execute("CREATE TABLE tree (id bigint PRIMARY KEY, api_key_encrypted bytea) PARTITION BY RANGE (id)")
    database.execute("CREATE TABLE low PARTITION OF tree FOR VALUES FROM (0) TO (1000)")
    SecretsTable(database, name="tree").fill(kek_v1, range(200))
    database.execute("ANALYZE tree")
    tool.write_catalog({"name": "low", "encrypted_columns": ["api_key_encrypted"]})
    tool.run().expect(0)
    assert old_ones(database) == 0


def test_inheriting_children(database, tool, kek_v1):
    database.execute("CREATE TABLE tree (id bigint PRIMARY KEY, name text, api_key_encrypted bytea)")
    database.execute("CREATE TABLE child (PRIMARY KEY (id)) INHERITS (tree)")
    SecretsTable(database, name="child").fill(kek_v1, range(200))
    table = SecretsTable(database, name="tree").fill(kek_v1, range(200, 400))
    database.execute("ANALYZE tree")
    database.execute("ANALYZE child")
    tool.write_catalog(table)
    tool.run().expect(0)
    assert old_ones(database) == 0
    verify(tool).expect(0)


@pytest.fixture
def emptied(database, tool, kek_v1, kek_v2):
    """A table outside the catalog that held old values when it was analysed."""
    table = SecretsTable(database).create().fill(kek_v2, range(5))
    other = SecretsTable(database, name="audit", column="payload").create().fill(kek_v1, range(200))
    database.execute(f"ALTER TABLE {other.sql_name} SET (autovacuum_enabled = off)")
    database.execute(f"ANALYZE {other.sql_name}")
    tool.write_catalog(table)
    return other


def test_values_that_have_gone_from_a_column_outside(database, tool, emptied):
    database.execute(f"DELETE FROM {emptied.sql_name}")
    objections = verify(tool).expect(2).stdout.split("What speaks against it")[1]
    assert "(pg_stats) of public.audit.payload" in objections
    database.execute(f"DROP TABLE {emptied.sql_name}")
    verify(tool).expect(0)


def test_a_column_that_is_ignored_is_none_of_ours(tool, emptied):
    emptied.database.execute(f"DELETE FROM {emptied.sql_name}")  # while values of ours are in it, verify objects to them
    tool.write_catalog(SecretsTable(emptied.database), ignore=["public.audit.payload"])
    verify(tool).expect(0)


EXTENDED = """
    SELECT count(*) FROM (
        SELECT unnest(most_common_vals)::text AS v FROM pg_stats_ext UNION ALL
        SELECT unnest(histogram_bounds::text::text[]) FROM pg_stats_ext_exprs UNION ALL
        SELECT unnest(histogram_bounds::text::text[]) FROM pg_stats WHERE tablename = 'digest'
    ) AS s WHERE position('kek-v1' IN v) > 0 OR position(encode('kek-v1', 'hex') IN v) > 0
"""


def test_extended_statistics_and_expression_indexes(database, tool, kek_v1):
    """ANALYZE of the columns alone renews neither."""
    table = SecretsTable(database, column_type="text").create().fill(kek_v1, range(50))
    database.execute(f"UPDATE {table.sql_name} SET name = {table.column}")
    database.execute(f"CREATE STATISTICS pair (mcv) ON name, {table.column} FROM {table.sql_name}")
    database.execute(f"CREATE STATISTICS whole ON (upper({table.column}) || 'x') FROM {table.sql_name}")
    database.execute(f"CREATE INDEX digest ON {table.sql_name} (({table.column} || 'x'))")
    database.execute(f"UPDATE {table.sql_name} SET name = id::text")
    database.execute(f"ANALYZE {table.sql_name}")
    assert database.value(EXTENDED) > 0
    tool.write_catalog(table)
    tool.run().expect(0)
    assert database.value(EXTENDED) == 0
    verify(tool).expect(0)


def test_where_the_role_may_not_a_line_names_the_statement(database, make_tool, kek_v1, kek_v2):
    table = SecretsTable(database).create().fill(kek_v1, range(200))
    database.execute(f"ALTER TABLE {table.sql_name} SET (autovacuum_enabled = off)")
    database.execute(f"ANALYZE {table.sql_name}")
    role = database.create_role("rotator")
    database.execute(f"GRANT SELECT, UPDATE ON {table.sql_name} TO {role}")
    rotator = make_tool(database.url_as(role))
    rotator.write_catalog(table)
    outcome = rotator.run().expect(0)
    statement = 'ANALYZE "public"."llm_providers" ("api_key_encrypted")'
    assert any(statement in message for message in outcome.messages)
    assert statement in verify(rotator).expect(2).stdout
    database.execute(statement)
    verify(rotator).expect(0)


def test_a_lock_holds_the_end_up_for_a_moment_alone(database, tool, kek_v1):
    table = SecretsTable(database).create().fill(kek_v1, range(200))
    database.execute(f"ALTER TABLE {table.sql_name} SET (autovacuum_enabled = off)")
    database.execute(f"ANALYZE {table.sql_name}")
    tool.write_catalog(table)
    with database.connect().cursor() as cursor:
        cursor.execute(f"LOCK TABLE {table.sql_name} IN SHARE UPDATE EXCLUSIVE MODE")
        outcome = tool.run().expect(0)
        assert any("ANALYZE" in message and "55P03" in message for message in outcome.messages)


def test_statistics_of_a_parent_that_the_role_may_not_read(database, make_tool, kek_v1, kek_v2):
    """pg_stats passes over what the role may not read, without a word."""
    database.execute(
        "CREATE TABLE parted (id bigint PRIMARY KEY, secret bytea) PARTITION BY RANGE (id);"
        "CREATE TABLE leaf PARTITION OF parted FOR VALUES FROM (0) TO (1000)"
    )
    with database.transaction() as cursor:
        for number in range(100):
            cursor.execute("INSERT INTO parted VALUES (%s, %s)", (number, Binary(seal(kek_v1, b"old").bytes)))
    database.execute("ANALYZE parted")
    with database.transaction() as cursor:
        for number in range(100):
            value = Binary(seal(kek_v2, b"new").bytes)
            cursor.execute("UPDATE parted SET secret = %s WHERE id = %s", (value, number))
    database.execute("ANALYZE leaf")
    role = database.create_role("reader")
    database.execute(f"GRANT SELECT ON leaf TO {role}; GRANT USAGE ON SCHEMA public TO {role}")
    tool = make_tool(database.url_as(role))
    tool.write_catalog({"name": "public.parted", "encrypted_columns": ["secret"]})
    outcome = tool.command("verify", "--catalog", tool.catalog).expect(2)
    assert "public.parted.secret may hold old values" in outcome.stdout


@pytest.mark.parametrize(
    "definition",
    [
        "CREATE STATISTICS kept (mcv) ON tenant, secret FROM secrets",
        "CREATE INDEX kept ON secrets ((substring(secret from 1 for 200)))",
    ],
    ids=["extended", "expression"],
)
def test_statistics_that_the_role_may_not_read(database, make_tool, kek_v2, definition):
    database.execute("CREATE TABLE secrets (id bigint PRIMARY KEY, tenant int, secret bytea)")
    with database.transaction() as cursor:
        for number in range(100):
            cursor.execute("INSERT INTO secrets VALUES (%s, 1, %s)", (number, Binary(seal(kek_v2, b"new").bytes)))
    role = database.create_role("reader")
    database.execute(f"GRANT SELECT ON secrets TO {role}; GRANT USAGE ON SCHEMA public TO {role}; ANALYZE secrets")
    tool = make_tool(database.url_as(role))
    tool.write_catalog({"name": "public.secrets", "encrypted_columns": ["secret"]})
    tool.command("verify", "--catalog", tool.catalog).expect(0)
    database.execute(f"{definition}; ANALYZE secrets")
    outcome = tool.command("verify", "--catalog", tool.catalog).expect(2)
    assert "may hold old values, and this role may not read them" in outcome.stdout
