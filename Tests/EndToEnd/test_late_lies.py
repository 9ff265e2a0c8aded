"""A value that commits while `verify` is at work is opened like all others: a label is no proof."""

import pytest

from envelope_reference import seal
from support.application_transaction import ApplicationTransaction
from support.lies import liar
from support.secrets_table import SecretsTable
from support.statement_gate import StatementGate
from support.waiting import wait_until
from test_verify import expect_named, verify

ROWS = 100
SNAPSHOT = r"pg_export_snapshot"


@pytest.fixture
def table(database, tool, kek_v2):
    table = SecretsTable(database).create().fill(kek_v2, range(ROWS))
    tool.write_catalog(table)
    return table


def write(table, kek, way):
    """One value of `kek`, and its id: inserted, or in the place of a good one, or behind a record that goes."""
    value = seal(kek, b"late").bytes
    column = table.column
    insert = f"INSERT INTO {table.sql_name} (id, {column}) VALUES (1000, %s)"
    return {
        "insert": (insert, (value,), 1_000),
        "update": (f"UPDATE {table.sql_name} SET {column} = %s WHERE id = 7", (value,), 7),
        "insert and delete": (f"DELETE FROM {table.sql_name} WHERE id < 10; {insert}", (value,), 1_000),
        "merge": (f"{insert}; UPDATE {table.sql_name} SET {column} = {column}", (value,), 1_000),
    }[way]


WAYS = ["insert", "update", "insert and delete", "merge"]


@pytest.mark.parametrize("depth", ["keys", "values"])
@pytest.mark.parametrize("way", WAYS)
def test_a_lie_that_commits_while_it_is_waited_for(database, tool, table, kek_v1, kek_v2, way, depth):
    sql, parameters, identity = write(table, liar(kek_v1, kek_v2), way)
    application = ApplicationTransaction(database, sql, parameters, name="old-billing").settle()
    process = tool.start_command("verify", "--catalog", tool.catalog, "--depth", depth)
    wait_until(lambda: "old-billing" in process.stderr_so_far() or not process.is_running(), "it names the application")
    application.commit()
    expect_named(process.wait(), table, identity)


@pytest.mark.parametrize("way", WAYS)
def test_a_lie_that_commits_behind_the_snapshot(server, database, make_tool, table, kek_v1, kek_v2, way):
    """It has ended when the transactions that were open are asked for."""
    sql, parameters, identity = write(table, liar(kek_v1, kek_v2), way)
    application = ApplicationTransaction(database, sql, parameters, name="old-billing").settle()
    with StatementGate(server, SNAPSHOT, behind=True) as gate:
        tool = make_tool(database.url_through(gate.port))
        tool.write_catalog(table)
        process = tool.start_command("verify", "--catalog", tool.catalog)
        with gate.held(process):
            application.commit()
        expect_named(process.wait(), table, identity)


@pytest.mark.parametrize("savepoints", [1, 90], ids=["one", "more than a snapshot lists"])
@pytest.mark.parametrize("position", ["before", "in the first", "in the last"])
def test_a_lie_in_a_subtransaction(database, tool, table, kek_v1, kek_v2, savepoints, position):
    """Its rows carry an id of their own, which no list of running transactions need hold."""
    value = seal(liar(kek_v1, kek_v2), b"late").bytes
    insert = f"INSERT INTO {table.sql_name} (id, {table.column}) VALUES (1000, %s);"
    statements = [f"UPDATE {table.sql_name} SET name = 'n' WHERE id = {n};" for n in range(savepoints)]
    if position != "before":
        statements[0 if position == "in the first" else -1] += insert
    sql = (insert if position == "before" else f"UPDATE {table.sql_name} SET name = 'first' WHERE id = 99;") + "".join(
        f"SAVEPOINT s{n}; {statement} RELEASE s{n};" for n, statement in enumerate(statements)
    )
    application = ApplicationTransaction(database, sql, (value,), name="old-billing").settle()
    # A later transaction that has ended: the ids before it do not look as if they were still to come.
    database.execute("CREATE TABLE later ()")
    process = tool.start_command("verify", "--catalog", tool.catalog)
    wait_until(lambda: "old-billing" in process.stderr_so_far() or not process.is_running(), "it names the application")
    application.commit()
    expect_named(process.wait(), table, 1_000)


def test_a_lie_beside_an_old_record_that_goes(database, tool, table, kek_v1, kek_v2):
    """As many old labels as before: the numbers alone show nothing, and the lie is not named."""
    table.insert([(500, seal(kek_v1, b"old"))])
    value = seal(liar(kek_v1, kek_v2), b"late").bytes
    sql = f"UPDATE {table.sql_name} SET {table.column} = %s WHERE id = 500"
    application = ApplicationTransaction(database, sql, (value,), name="old-billing").settle()
    process = tool.start_command("verify", "--catalog", tool.catalog)
    wait_until(lambda: "old-billing" in process.stderr_so_far() or not process.is_running(), "it names the application")
    application.commit()
    process.wait().expect(2)
    expect_named(verify(tool), table, 500)


def test_a_prepared_lie(database, tool, table, kek_v1, kek_v2):
    connection = database.connect("two-phase")
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table.sql_name} (id, {table.column}) VALUES (1000, %s)",
            (seal(liar(kek_v1, kek_v2), b"late").bytes,),
        )
        cursor.execute("PREPARE TRANSACTION 'payment-18'")
    connection.commit()
    connection.autocommit = True
    try:
        assert "payment-18" in verify(tool).expect(2).stdout
    finally:
        with connection.cursor() as cursor:
            cursor.execute("COMMIT PREPARED 'payment-18'")
    expect_named(verify(tool), table, 1_000)


def test_a_good_value_that_commits_meanwhile(database, tool, table, kek_v2):
    sql, parameters, _ = write(table, kek_v2, "insert")
    application = ApplicationTransaction(database, sql, parameters, name="billing").settle()
    process = tool.start_command("verify", "--catalog", tool.catalog)
    wait_until(lambda: "billing" in process.stderr_so_far() or not process.is_running(), "it names the application")
    application.commit()
    process.wait().expect(0)
