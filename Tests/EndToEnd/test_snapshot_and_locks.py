"""A snapshot that is older than the locks sees a table that was rewritten meanwhile as empty: no such 0."""

import contextlib
import threading

import psycopg2
import pytest

from envelope_reference import seal
from private_postgres import PrivatePostgres
from support.application_transaction import ApplicationTransaction
from support.isolated_database import IsolatedDatabase
from support.lies import expect_truth, liar
from support.lock_waits import oid_of, wait_until_it_waits
from support.queue_process import QueueTool
from support.secrets_table import SecretsTable
from support.statement_gate import StatementGate
from support.waiting import wait_until
from test_verify import verify

RECORDS = 300
# What an application may wait for us at most is a second; machines under test are slow.
LONGEST_WAIT_SECONDS = 4.0
SNAPSHOT = r"pg_export_snapshot"

# All take ACCESS EXCLUSIVE and give the table a new file, in a transaction that others can wait for.
REWRITES = {
    "add a volatile default": "ALTER TABLE {t} ADD COLUMN u uuid DEFAULT gen_random_uuid()",
    "change a type": "ALTER TABLE {t} ALTER COLUMN name TYPE varchar(99)",
    "truncate and reload": "CREATE TEMP TABLE kept ON COMMIT DROP AS TABLE {t}; TRUNCATE {t}; "
    "INSERT INTO {t} SELECT * FROM kept",
    "cluster": "CLUSTER {t} USING {i}",
    "set unlogged": "ALTER TABLE {t} SET UNLOGGED",
    "move and copy": "ALTER TABLE {t} RENAME TO moved; CREATE TABLE {t} (LIKE moved INCLUDING ALL); "
    "INSERT INTO {t} SELECT * FROM moved; DROP TABLE moved",
}


def rewrite_sql(kind, name="llm_providers") -> str:
    return REWRITES[kind].format(t=name, i=f"{name}_pkey")


@pytest.fixture
def application(database):
    return database.connect("application")


def begin(application, sql):
    """Leaves the transaction open, with its locks."""
    with application.cursor() as cursor:
        cursor.execute(sql)


def stored(database, *tables) -> list:
    return [value for name in tables for (value,) in database.rows(f"SELECT api_key_encrypted FROM {name}")]


# MARK: under way at the start


@pytest.fixture
def old_table(database, tool, kek_v1):
    table = SecretsTable(database).create().fill(kek_v1, range(RECORDS))
    tool.write_catalog(table)
    return table


def run_across(database, server, make_tool, table, sql, moment, start):
    """What becomes of a command while a rewrite is under way, which commits when the tool is seen to wait for it.

    At the start the first to wait may be a look at the table that reads nothing; where the tool begins its first
    census, that waits, with a snapshot or without one.
    """
    oid = oid_of(database, table.sql_name)
    pattern = r"REPEATABLE READ READ ONLY" if moment == "census" else r"there is no such statement"
    with StatementGate(server, pattern) as gate:
        tool = make_tool(database.url_through(gate.port))
        tool.write_catalog(table)
        if moment == "start":
            rewrite = ApplicationTransaction(database, sql).settle()
        process = start(tool)
        if moment == "census":
            with gate.held(process):
                rewrite = ApplicationTransaction(database, sql).settle()
        wait_until_it_waits(database, oid, process)
        rewrite.commit()
        return process.wait()


@pytest.mark.parametrize("kind", REWRITES)
@pytest.mark.parametrize("arguments", [[], ["--dry-run"]], ids=["run", "dry run"])
@pytest.mark.parametrize("moment", ["start", "census"])
def test_a_run_that_waits_for_a_rewrite(database, server, make_tool, old_table, kek_v2, kind, arguments, moment):
    outcome = run_across(
        database, server, make_tool, old_table, rewrite_sql(kind), moment, lambda tool: tool.start_run(*arguments)
    ).expect(0, 1, 2)
    if arguments:
        # A dry run says how much there is to do, or that it could not see it.
        assert stored(database, "llm_providers") and old_table.key_ids() == {"kek-v1": RECORDS}
        if outcome.exit_code == 0:
            assert f"DRY RUN: Would re-encrypt {RECORDS} of {RECORDS} records" in outcome.output, str(outcome)
        return
    expect_truth(outcome, stored(database, "llm_providers"), kek_v2, words=["llm_providers"])
    if outcome.exit_code == 0:
        assert f"Re-encrypted {RECORDS} of {RECORDS} records" in outcome.output, str(outcome)


@pytest.mark.parametrize("kind", ["add a volatile default", "truncate and reload"])
def test_a_coordinator_that_waits_for_a_rewrite(database, server, make_tool, queue, table, queue_tool, kek_v2, kind):
    queue_tool.worker("--exit-when-done")
    outcome = run_across(
        database, server, make_tool, table, rewrite_sql(kind), "census",
        lambda tool: QueueTool(tool, queue).coordinator(),
    )  # fmt: skip
    expect_truth(outcome, stored(database, "llm_providers"), kek_v2, words=["llm_providers"])
    if outcome.exit_code == 0:
        assert "Re-encrypted 2000 of 2000 records" in outcome.output, str(outcome)


@pytest.mark.parametrize("depth", ["keys", "values"])
@pytest.mark.parametrize("kind", REWRITES)
def test_a_verification_that_waits_for_a_rewrite(database, tool, application, kek_v1, kek_v2, kind, depth):
    table = SecretsTable(database).create().fill(liar(kek_v1, kek_v2), range(RECORDS))
    tool.write_catalog(table)
    oid = oid_of(database, table.sql_name)
    begin(application, rewrite_sql(kind))
    process = tool.start_command("verify", "--catalog", tool.catalog, "--depth", depth)
    wait_until_it_waits(database, oid, process)
    application.commit()
    process.wait().expect(1, 2)
    verify(tool, "--depth", depth).expect(2)


@contextlib.contextmanager
def vacuum_full(database, name):
    """VACUUM FULL at work on a table, with its lock, until the body is through: an index's function waits."""
    database.execute(
        f"""
        CREATE FUNCTION waits(bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS
            $$ BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN $1; END $$;
        CREATE INDEX slow ON {name} (waits(id))
        """
    )
    gate, worker = database.connect("gate"), database.connect("vacuum", autocommit=True)
    begin(gate, "SELECT pg_advisory_xact_lock(4711)")
    failures = []

    def work():
        try:
            begin(worker, f"VACUUM FULL {name}")
        except psycopg2.Error as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted"
    wait_until(lambda: database.value(waits) > 0, "VACUUM FULL is at work")
    try:
        yield
    finally:
        gate.rollback()
        thread.join(60)
    assert not failures, failures


def test_a_run_that_waits_for_vacuum_full(database, tool, old_table, kek_v2):
    oid = oid_of(database, old_table.sql_name)
    with vacuum_full(database, "llm_providers"):
        run = tool.start_run()
        wait_until_it_waits(database, oid, run)
    expect_truth(run.wait(), stored(database, "llm_providers"), kek_v2, words=["llm_providers"])


# MARK: the closing census


@pytest.fixture
def two_tables(database, kek_v1, make_tool):
    return [
        SecretsTable(database, name=name).create().fill(kek_v1, range(RECORDS)) for name in ("first", "second")
    ]


@pytest.mark.parametrize("kind", ["add a volatile default", "truncate and reload", "change a type"])
def test_a_rewrite_during_the_closing_census(database, server, make_tool, two_tables, kek_v1, kek_v2, kind):
    """Old values that were committed before the census, in a table that is rewritten while the census begins."""
    first, second = two_tables
    oid = oid_of(database, second.sql_name)
    is_through = lambda: first.count_under(kek_v1) == 0 and second.count_under(kek_v1) == 0  # noqa: E731
    with StatementGate(server, r"REPEATABLE READ READ ONLY", is_armed=is_through) as gate:
        tool = make_tool(database.url_through(gate.port))
        tool.write_catalog(first, second)
        run = tool.start_run()
        with gate.held(run):
            second.insert((10_000 + number, seal(kek_v1, b"late")) for number in range(50))
            rewrite = ApplicationTransaction(database, rewrite_sql(kind, "second")).settle()
        wait_until_it_waits(database, oid, run)
        rewrite.commit()
        outcome = run.wait()
    expect_truth(outcome, stored(database, "first", "second"), kek_v2, words=["second"])


# MARK: between the snapshot and the locks


@pytest.fixture
def fenced(database, tool, kek_v2):
    """All good, and a fence."""
    table = SecretsTable(database).create().fill(kek_v2, range(RECORDS))
    tool.write_catalog(table)
    tool.command("fence", "add", "--catalog", tool.catalog).expect(0)
    return table


def verify_across(server, database, make_tool, table, sql, parameters=None, gate_at=(SNAPSHOT, True), ignore=()):
    """`verify` during which `sql` is committed at the gate. Where it has to wait for the tool's lock, it comes when the
    tool gives way or ends. Gives what came of it, and whether the change had to wait."""
    with StatementGate(server, *gate_at) as gate:
        tool = make_tool(database.url_through(gate.port))
        tool.write_catalog(table, ignore=ignore)
        process = tool.start_command("verify", "--catalog", tool.catalog)
        with gate.held(process):
            change = ApplicationTransaction(database, sql, parameters, commits=True).settle()
        outcome = process.wait(90)
    change.commit()
    return outcome, change.had_to_wait


@pytest.mark.parametrize("kind", [kind for kind in REWRITES if kind != "move and copy"])
def test_a_fenced_table_that_is_rewritten_behind_the_snapshot(
    server, database, make_tool, fenced, kek_v1, kek_v2, kind
):
    """The fence refuses labels; lies pass it. The rewrite makes them invisible."""
    fenced.insert((1_000 + number, seal(liar(kek_v1, kek_v2), b"lie")) for number in range(20))
    outcome, _ = verify_across(server, database, make_tool, fenced, rewrite_sql(kind))
    expect_truth(outcome, stored(database, "llm_providers"), kek_v2)


@pytest.mark.parametrize("comes_back", [False, True], ids=["the fence stays away", "another fence comes"])
def test_a_fence_that_is_dropped_behind_the_snapshot(server, database, make_tool, fenced, kek_v1, kek_v2, comes_back):
    [(name, definition)] = database.rows(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conname LIKE 'reencrypt_fence%'"
    )

    insert = "INSERT INTO llm_providers (id, api_key_encrypted) VALUES (5000, %s), (5001, %s);"
    back = f"ALTER TABLE llm_providers ADD CONSTRAINT {name} {definition} NOT VALID"
    values = tuple(seal(kek, b"late").bytes for kek in (kek_v1, liar(kek_v1, kek_v2)))
    outcome, had_to_wait = verify_across(
        server, database, make_tool, fenced,
        f"ALTER TABLE llm_providers DROP CONSTRAINT {name};" + insert + (back if comes_back else ""), values,
    )  # fmt: skip
    if had_to_wait and outcome.exit_code == 0:
        return  # it came when the verdict had been given
    expect_truth(outcome, stored(database, "llm_providers"), kek_v2)


@pytest.mark.parametrize(
    ("pattern", "behind"), [(SNAPSHOT, True), (r"LOCK TABLE|LIMIT 0", False)], ids=["the snapshot", "the lock"]
)
@pytest.mark.parametrize("has_fence", [True, False], ids=["fenced", "unfenced"])
def test_names_that_are_exchanged_between_resolving_and_locking(
    server, database, make_tool, tool, kek_v1, kek_v2, pattern, behind, has_fence
):
    """The relation that is locked by name is another one than that which was sized."""
    small = SecretsTable(database).create().fill(kek_v2, range(3))
    large = SecretsTable(database, name="other").create().fill(kek_v2, range(200))
    large.insert((1_000 + number, seal(liar(kek_v1, kek_v2), b"lie")) for number in range(200))
    tool.write_catalog(small, large)
    if has_fence:
        tool.command("fence", "add", "--catalog", tool.catalog).expect(0)
    swap = (
        "ALTER TABLE llm_providers RENAME TO parked; ALTER TABLE other RENAME TO llm_providers; "
        "ALTER TABLE parked RENAME TO other"
    )
    # The other table is in no catalog: what is looked for outside of it must not find it first.
    outcome, had_to_wait = verify_across(
        server, database, make_tool, small, swap, gate_at=(pattern, behind),
        ignore=["public.other.api_key_encrypted"],
    )  # fmt: skip
    if had_to_wait and outcome.exit_code == 0:
        return  # it came when the verdict had been given
    expect_truth(outcome, stored(database, "llm_providers"), kek_v2)


def create_partitions(database, kek, count, rows_each=2):
    database.execute(
        "CREATE TABLE secrets (part int, id bigint, name text, api_key_encrypted bytea, PRIMARY KEY (part, id)) "
        "PARTITION BY LIST (part);"
        + "".join(f"CREATE TABLE secrets_{n} PARTITION OF secrets FOR VALUES IN ({n});" for n in range(count))
    )
    value = seal(kek, b"value").bytes
    with database.transaction() as cursor:
        cursor.execute(
            "INSERT INTO secrets SELECT part, id, 'x', %s FROM generate_series(0, %s) part, generate_series(1, %s) id",
            (value, count - 1, rows_each),
        )
    return {"name": "secrets", "id_column": ["part", "id"], "encrypted_columns": ["api_key_encrypted"]}


def test_one_of_250_partitions_is_rewritten_behind_the_snapshot(server, database, make_tool, tool, kek_v1, kek_v2):
    entry = create_partitions(database, kek_v2, 250)
    database.execute("INSERT INTO secrets VALUES (249, 99, 'x', %s)", (seal(liar(kek_v1, kek_v2), b"lie").bytes,))
    tool.write_catalog(entry)
    tool.command("fence", "add", "--catalog", tool.catalog).expect(0)
    outcome, _ = verify_across(server, database, make_tool, entry, "ALTER TABLE secrets_249 SET UNLOGGED")
    expect_truth(outcome, stored(database, "secrets"), kek_v2)


# MARK: room for the application


@pytest.mark.parametrize("bad", [0, 1], ids=["all good", "a lie"])
@pytest.mark.alone
def test_an_application_is_not_kept_waiting_by_a_verification(
    server, database, make_tool, tool, kek_v1, kek_v2, bad
):
    """DDL waits for the reader's lock, and all others wait behind the DDL: so the reader gives way."""
    first, second = (
        SecretsTable(database, name=name).create().fill(kek_v2, range(RECORDS)) for name in ("first", "second")
    )
    second.insert((1_000 + number, seal(liar(kek_v1, kek_v2), b"lie")) for number in range(bad))
    with StatementGate(server, r'"public"\."first".*ctid.*\$1') as gate:
        through = make_tool(database.url_through(gate.port))
        through.write_catalog(first, second)
        process = through.start_command("verify", "--catalog", through.catalog)
        with gate.held(process):
            change = ApplicationTransaction(
                database, "ALTER TABLE second ADD COLUMN n int", name="migration", commits=True
            ).settle()
            reader = ApplicationTransaction(database, "SELECT count(*) FROM second", commits=True)
            is_served = reader.is_over.wait(LONGEST_WAIT_SECONDS)
        outcome = process.wait(90)
    assert is_served, f"the application waited for longer than {LONGEST_WAIT_SECONDS} s\n{outcome}"
    reader.commit()
    change.commit()
    tool.write_catalog(first, second)
    if bad:
        outcome.expect(2)
        verify(tool).expect(2)
    else:
        outcome.expect(0, 2)
        verify(tool).expect(0)


@pytest.fixture
def narrow_database(server_directory):
    """A server with little room for locks."""
    settings = {
        "fsync": "off", "max_connections": "24", "max_locks_per_transaction": "10", "max_wal_senders": "0",
        "max_worker_processes": "1", "autovacuum": "off", "autovacuum_max_workers": "1", "wal_level": "minimal",
        "max_pred_locks_per_transaction": "10",
    }  # fmt: skip
    with PrivatePostgres(server_directory / "narrow", settings) as server:
        yield IsolatedDatabase(server)


@pytest.mark.parametrize("partitions", [200, 500])
def test_locks_leave_room_for_the_application(narrow_database, make_tool, kek_v2, partitions):
    """The table of locks is the whole server's; who finds it full is the application."""
    database = narrow_database
    step = 50
    entry = {"name": "secrets", "id_column": ["part", "id"], "encrypted_columns": ["api_key_encrypted"]}
    database.execute(
        "CREATE TABLE secrets (part int, id bigint, name text, api_key_encrypted bytea, PRIMARY KEY (part, id)) "
        "PARTITION BY LIST (part)"
    )
    value = seal(kek_v2, b"value").bytes
    for first in range(0, partitions, step):
        database.execute(
            "".join(f"CREATE TABLE secrets_{n} PARTITION OF secrets FOR VALUES IN ({n});"
                    for n in range(first, first + step))
        )  # fmt: skip
    for number in range(partitions):
        database.execute(f"INSERT INTO secrets_{number} SELECT %s, id, 'x', %s FROM generate_series(1, 300) id",
                         (number, value))  # fmt: skip
    database.execute("".join(f"CREATE TABLE plain_{n} (id int PRIMARY KEY);" for n in range(30)))
    tool = make_tool(database.url)
    tool.write_catalog(entry)
    connection = database.connect("application")
    process = tool.start_command("verify", "--catalog", tool.catalog, "--concurrency", "8")
    errors, rounds = [], 0
    while process.is_running():
        try:
            with connection.cursor() as cursor:
                for number in range(30):
                    cursor.execute(f"SELECT count(*) FROM plain_{number}")
        except psycopg2.Error as error:
            errors.append(str(error))
        connection.rollback()
        rounds += 1
    outcome = process.wait().expect(0, 1, 2)
    assert not errors, f"{len(errors)} of {rounds} transactions failed: {errors[0]}\n{outcome}"
    assert "out of shared memory" not in outcome.output, str(outcome)
    if outcome.exit_code != 0:
        assert "max_locks_per_transaction" in outcome.output, str(outcome)
