"""What moves, waits or idles between the steps of a verification."""

import re
import time

import pytest
from psycopg2 import Binary

from envelope_reference import seal
from support.application_transaction import ApplicationTransaction
from support.statement_gate import StatementGate
from support.waiting import wait_until
from test_verify import verify

# The question behind which the first snapshot has been read.
HORIZON = re.compile(r"^SELECT pg_current_snapshot\(\)::text$")
VALUES = r"FROM ONLY .* WHERE t.ctid >= "
# What an application may wait for us at most is a second; machines under test are slow.
LONGEST_WAIT_SECONDS = 4.0


def insert(database, table, ids, kek):
    with database.transaction() as cursor:
        for number in ids:
            value = Binary(seal(kek, b"value %d" % number).bytes)
            cursor.execute(f"INSERT INTO {table} (id, secret) VALUES (%s, %s)", (number, value))


@pytest.mark.parametrize(
    "move",
    [
        "ALTER TABLE secrets ATTACH PARTITION staging FOR VALUES FROM (1000) TO (2000)",
        "INSERT INTO secrets SELECT id - 500, secret FROM staging; DROP TABLE staging",
    ],
    ids=["attach", "insert and drop"],
)
def test_values_come_in_from_outside_between_two_looks(server, database, make_tool, kek_v1, kek_v2, move):
    database.execute(
        "CREATE TABLE secrets (id bigint PRIMARY KEY, secret bytea) PARTITION BY RANGE (id);"
        "CREATE TABLE secrets_1 PARTITION OF secrets FOR VALUES FROM (0) TO (1000);"
        "CREATE TABLE staging (id bigint PRIMARY KEY, secret bytea)"
    )
    insert(database, "secrets", range(100), kek_v2)
    insert(database, "staging", range(1000, 1100), kek_v1)

    def is_armed():
        return any(HORIZON.match(statement.strip()) for statement in gate.statements)

    with StatementGate(server, r"current_setting\('search_path'\)", is_armed=is_armed) as gate:
        tool = make_tool(database.url_through(gate.port))
        tool.write_catalog({"name": "public.secrets", "encrypted_columns": ["secret"]})
        process = tool.start_command("verify", "--catalog", tool.catalog)
        wait_until(lambda: gate.reached.is_set() or not process.is_running(), "the next session, or the end")
        if gate.reached.is_set():
            database.execute(move)
            gate.open()
        process.wait().expect(2)


@pytest.mark.parametrize("command", ["run", "verify"])
def test_a_partition_that_is_created_below_a_parent_that_cannot_be_read(database, make_tool, kek_v1, kek_v2, command):
    database.execute(
        "CREATE TABLE secrets (id bigint, part int, secret bytea, PRIMARY KEY (id, part)) PARTITION BY RANGE (id);"
        "CREATE TABLE middle PARTITION OF secrets FOR VALUES FROM (0) TO (1000) PARTITION BY RANGE (part);"
        "CREATE TABLE leaf PARTITION OF middle FOR VALUES FROM (0) TO (10)"
    )
    with database.transaction() as cursor:
        for number in range(50):
            value = Binary(seal(kek_v2, b"value").bytes)
            cursor.execute("INSERT INTO secrets VALUES (%s, 1, %s)", (number, value))
    role = database.create_role("app")
    database.execute(f"GRANT SELECT, UPDATE ON secrets, leaf TO {role}; GRANT USAGE ON SCHEMA public TO {role}")
    late = ApplicationTransaction(
        database,
        "CREATE TABLE late PARTITION OF middle FOR VALUES FROM (10) TO (20); INSERT INTO late VALUES (1, 11, %s)",
        (Binary(seal(kek_v1, b"late").bytes),),
    ).settle()
    tool = make_tool(database.url_as(role))
    tool.write_catalog({"name": "public.secrets", "encrypted_columns": ["secret"]})
    outcome = tool.run() if command == "run" else verify(tool, "--wait-open-transactions", "1s")
    late.commit()
    outcome.expect(1, 2)


@pytest.mark.parametrize("ddl", ["REINDEX INDEX secrets_pkey", "REINDEX TABLE secrets"])
@pytest.mark.alone
def test_an_application_does_not_wait_behind_a_reindex(server, database, make_tool, kek_v2, ddl):
    """Planning locks each index of a table: who wants one of them for itself waits for us as well."""
    database.execute("CREATE TABLE secrets (id bigint PRIMARY KEY, secret bytea)")
    insert(database, "secrets", range(100), kek_v2)
    with StatementGate(server, VALUES) as gate:
        tool = make_tool(database.url_through(gate.port))
        tool.write_catalog({"name": "public.secrets", "encrypted_columns": ["secret"]})
        process = tool.start_command("verify", "--catalog", tool.catalog)
        gate.wait_until_reached(process)
        ApplicationTransaction(database, ddl, commits=True).settle()
        start = time.monotonic()
        select = ApplicationTransaction(database, "SELECT count(*) FROM secrets WHERE id = 5", commits=True)
        assert select.is_over.wait(LONGEST_WAIT_SECONDS), "the application waits for the verification"
        assert time.monotonic() - start < LONGEST_WAIT_SECONDS
        gate.open()
        process.wait(90).expect(0)


def test_defaults_that_end_idle_sessions(server, database, make_tool, kek_v2):
    database.execute("CREATE TABLE secrets (id bigint PRIMARY KEY, secret bytea)")
    insert(database, "secrets", range(100), kek_v2)
    database.set("idle_session_timeout", "1s")
    database.set("idle_in_transaction_session_timeout", "1s")
    with StatementGate(server, VALUES) as gate:
        tool = make_tool(database.url_through(gate.port))
        tool.write_catalog({"name": "public.secrets", "encrypted_columns": ["secret"]})
        process = tool.start_command("verify", "--catalog", tool.catalog)
        gate.wait_until_reached(process)
        with database.connect("clock").cursor() as cursor:
            cursor.execute("SET idle_in_transaction_session_timeout = 0; SELECT pg_sleep(2.5)")
        gate.open()
        process.wait().expect(0)


PATH_CHANGES = {
    "create": "CREATE TABLE front.secrets (id bigint PRIMARY KEY, secret bytea); INSERT INTO front.secrets SELECT * FROM front.vault",
    "rename": "ALTER TABLE front.vault RENAME TO secrets",
    "set schema": "ALTER TABLE aside.secrets SET SCHEMA front",
    "rename a schema": "ALTER SCHEMA front RENAME TO away; ALTER SCHEMA aside RENAME TO front",
}


@pytest.mark.parametrize("command", ["run", "fence add"])
@pytest.mark.parametrize("change", PATH_CHANGES)
def test_another_table_is_about_to_take_the_name(database, make_tool, kek_v1, kek_v2, change, command):
    """None of these takes a lock on the table that the name leads to now."""
    database.execute(
        "CREATE SCHEMA front; CREATE SCHEMA aside; CREATE TABLE public.secrets (id bigint PRIMARY KEY, secret bytea);"
        "CREATE TABLE front.vault (LIKE public.secrets INCLUDING ALL); CREATE TABLE aside.secrets (LIKE public.secrets INCLUDING ALL)"
    )
    insert(database, "public.secrets", range(50), kek_v2)
    for table in ("front.vault", "aside.secrets"):
        insert(database, table, range(50), kek_v1)
    database.execute(f"ALTER DATABASE {database.name} SET search_path = front, public")
    late = ApplicationTransaction(database, PATH_CHANGES[change]).settle()
    tool = make_tool(database.url)
    tool.write_catalog({"name": "secrets", "encrypted_columns": ["secret"]})
    # One of them waits as long as the tool does where nobody says otherwise.
    wait = () if change == "create" else ("--wait-open-transactions", "1s")
    outcome = tool.command(*command.split(), "--catalog", tool.catalog, *wait, timeout=90)
    late.commit()
    outcome.expect(1, 2)
    assert "may attach a table" in outcome.stderr, str(outcome)


@pytest.mark.alone
def test_an_application_does_not_wait_behind_a_sample(database, tool, kek_v2):
    """A sample of large values outside the catalog takes seconds."""
    database.execute(
        "CREATE TABLE secrets (id bigint PRIMARY KEY, secret bytea);"
        "CREATE TABLE documents (id bigint PRIMARY KEY, body text);"
        "ALTER TABLE documents ALTER COLUMN body SET STORAGE EXTERNAL;"
        "INSERT INTO documents SELECT n, repeat(md5(n::text), 1900) FROM generate_series(1, 6000) n"
    )
    insert(database, "secrets", range(10), kek_v2)
    tool.write_catalog({"name": "public.secrets", "encrypted_columns": ["secret"]})
    process = tool.start_command("verify", "--catalog", tool.catalog)
    held = "SELECT count(*) FROM pg_locks WHERE relation = 'documents'::regclass AND granted"
    wait_until(lambda: database.value(held) > 0 or not process.is_running(), "the sample, or the end")
    start = time.monotonic()
    ApplicationTransaction(database, "ALTER TABLE documents ADD COLUMN n int", commits=True).settle()
    select = ApplicationTransaction(database, "SELECT count(*) FROM documents WHERE id = 5", commits=True)
    assert select.is_over.wait(LONGEST_WAIT_SECONDS), "the application waits for the sample"
    assert time.monotonic() - start < LONGEST_WAIT_SECONDS
    process.wait(90).expect(0, 2)
