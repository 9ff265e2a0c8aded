"""One run at a time on a table, and a run that lost the lead writes nothing."""

import contextlib
import signal
import time

import pytest

from envelope_reference import KeyEncryptionKey
from support.isolated_database import IsolatedDatabase
from support.secrets_table import SecretsTable
from support.waiting import wait_until

ROWS = 400
BATCH = ("--batch-size", 20)
# A woken run has this long to do what it must not.
WATCHED_SECONDS = 6


@pytest.fixture
def table(database, tool, kek_v1):
    table = SecretsTable(database).create().fill(kek_v1, range(ROWS))
    tool.write_catalog(table)
    return table


@contextlib.contextmanager
def held_up(database, tool, table, key, identity=200):
    """A run that has done every row but one, which an application holds: it leads, and cannot end."""
    application = database.connect("application")
    with application.cursor() as cursor:
        cursor.execute(f"SELECT FROM {table.sql_name} WHERE id = %s FOR UPDATE", (identity,))
        run = tool.start_run(*BATCH)
        wait_until(lambda: table.count_under(key) == ROWS - 1, "all rows but the locked one are done")
        yield run
    application.rollback()


def test_a_second_run_is_refused(database, tool, make_tool, table, kek_v1, kek_v2):
    second = make_tool(database.url)
    second.write_catalog(table)
    with held_up(database, tool, table, kek_v2) as run:
        second.run(timeout=30).expect_refusal(table.name, ("another", "already", "led", "leads"))
        assert run.is_running()
    run.wait().expect(0)
    table.assert_opens_with(kek_v2)


def test_a_run_waits_for_every_transaction_of_an_earlier_one(database, tool, table, kek_v1, kek_v2):
    """A worker of a job that is over may still be within a transaction: it holds the table's gate."""
    oid = database.value("SELECT 'llm_providers'::regclass::oid::bigint")
    earlier = database.connect("an earlier worker")
    # The classes are those of AdvisoryLock: of gates, and below of tables.
    earlier.cursor().execute("SELECT pg_advisory_xact_lock_shared(%s, %s)", (0x52454E47, oid))
    run = tool.start_run(*BATCH)
    waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 1380273748 AND granted"
    wait_until(lambda: database.value(waits) == 1, "the run has taken the table's lock")
    time.sleep(2)
    assert run.is_running() and table.count_under(kek_v1) == ROWS, "it has not waited"
    earlier.rollback()
    run.wait().expect(0)
    assert table.count_under(kek_v2) == ROWS


def test_a_run_with_the_opposite_target_is_refused(database, tool, make_tool, table, kek_v1, kek_v2):
    back = make_tool(database.url, primary=kek_v1, previous=[kek_v2])
    back.write_catalog(table)
    with held_up(database, tool, table, kek_v2):
        back.run(timeout=30).expect_refusal(table.name)
        assert table.count_under(kek_v2) == ROWS - 1, "two runs with opposite targets were at work"


def test_a_partition_of_a_led_table_is_led(database, tool, make_tool, kek_v1, kek_v2):
    """The lock is the topmost ancestor's: naming a leaf is no way around it."""
    database.execute(
        """
        CREATE TABLE secrets (id int PRIMARY KEY, api_key_encrypted bytea) PARTITION BY RANGE (id);
        CREATE TABLE secrets_low PARTITION OF secrets FOR VALUES FROM (0) TO (200);
        CREATE TABLE secrets_high PARTITION OF secrets FOR VALUES FROM (200) TO (1000);
        """
    )
    table = SecretsTable(database, name="secrets").fill(kek_v1, range(ROWS))
    tool.write_catalog(table)
    second = make_tool(database.url)
    second.write_catalog({"name": "secrets_low", "encrypted_columns": ["api_key_encrypted"]})
    with held_up(database, tool, table, kek_v2) as run:
        second.run(timeout=30).expect(1)
    run.wait().expect(0)


def test_a_dry_run_takes_no_lock(database, tool, make_tool, table, kek_v2):
    dry = make_tool(database.url)
    dry.write_catalog(table)
    with held_up(database, tool, table, kek_v2) as run:
        outcome = dry.run("--dry-run", timeout=30).expect(0)
        assert outcome.messages[-1] == f"DRY RUN: Would re-encrypt 1 of {ROWS} records"
    run.wait().expect(0)


def test_the_lead_ends_with_the_process(database, tool, make_tool, table, kek_v2):
    with held_up(database, tool, table, kek_v2) as run:
        run.send(signal.SIGKILL)
        run.wait()
    tool.run(timeout=60).expect(0)
    table.assert_opens_with(kek_v2)


def leader_sessions(database) -> list:
    """Sessions that hold an exclusive advisory lock."""
    return [pid for (pid,) in database.rows(
        "SELECT DISTINCT pid FROM pg_locks JOIN pg_database ON pg_database.oid = database "
        "WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND granted AND datname = current_database()"
    )]  # fmt: skip


@pytest.mark.watchdog(200)
def test_a_frozen_run_that_wakes_writes_nothing(database, tool, make_tool, table, kek_v1, kek_v2):
    """A process is stopped, loses its lead as a silent one does, and a rollback runs. When it wakes it still has its
    connections, its keys and its ranges; it must not turn a single row again."""
    back = make_tool(database.url, primary=kek_v1, previous=[kek_v2])
    back.write_catalog(table)
    with held_up(database, tool, table, kek_v2, identity=200) as frozen:
        frozen.send(signal.SIGSTOP)
        # What `idle_session_timeout` does after 30 s to a leader that does not touch its session.
        for pid in leader_sessions(database):
            database.execute("SELECT pg_terminate_backend(%s)", (pid,))
        wait_until(lambda: leader_sessions(database) == [], "the lead is lost")
    with held_up(database, back, table, kek_v1, identity=100) as rollback:
        frozen.send(signal.SIGCONT)
        deadline = time.monotonic() + WATCHED_SECONDS
        while time.monotonic() < deadline:
            assert table.count_under(kek_v2) <= 1, "the woken run turned rows again that the rollback had done"
            time.sleep(0.05)
        if not frozen.is_running():
            outcome = frozen.wait()
            assert outcome.exit_code in (1, 2), f"the woken run claims success\n{outcome}"
        frozen.kill()
    rollback.wait().expect(0)
    table.assert_opens_with(kek_v1)


def test_the_leads_of_other_databases_do_not_matter(server, database, tool, make_tool, table, kek_v1, kek_v2):
    other = IsolatedDatabase(server)
    try:
        elsewhere = SecretsTable(other).create().fill(kek_v1, range(50))
        second = make_tool(other.url)
        second.write_catalog(elsewhere)
        with held_up(database, tool, table, kek_v2) as run:
            second.run(timeout=30).expect(0)
        run.wait().expect(0)
        elsewhere.assert_opens_with(kek_v2)
    finally:
        other.drop()


def test_an_unrelated_advisory_lock_does_not_matter(database, tool, table, kek_v2):
    """Applications use small numbers as keys of their own."""
    application = database.connect()
    with application.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(n) FROM generate_series(0, 20) n")
        cursor.execute(f"SELECT pg_advisory_lock('{table.sql_name}'::regclass::oid::bigint)")
    tool.run(timeout=30).expect(0)
    table.assert_opens_with(kek_v2)


def test_a_key_that_the_rollback_lacks(database, make_tool, table, kek_v1):
    """A run whose keys do not include the data's is refused before it takes any lead."""
    stranger = make_tool(database.url, primary=KeyEncryptionKey.generate("kek-v3"), previous=[])
    stranger.write_catalog(table)
    stranger.run().expect_refusal("kek-v1")
    assert leader_sessions(database) == []
