"""An application that holds locks neither fails the run nor is failed by it, and its rows are done afterwards."""

import os
import threading
import time

import pytest
from psycopg2 import Binary

from envelope_reference import seal
from support.secrets_table import SecretsTable
from support.waiting import wait_until

LOCK_SECONDS = float(os.environ.get("REENCRYPT_TEST_LOCK_SECONDS", "20"))
ROWS = 500


@pytest.fixture
def table(database, tool, kek_v1):
    table = SecretsTable(database).create().fill(kek_v1, range(ROWS))
    tool.write_catalog(table)
    return table


def update(cursor, table, number, value):
    cursor.execute(
        f"UPDATE {table.sql_name} SET {table.column} = %s WHERE id = %s", (Binary(value.bytes), number)
    )  # fmt: skip


@pytest.mark.watchdog(LOCK_SECONDS + 100)
@pytest.mark.slow
def test_an_application_that_locks_more_and_more(database, tool, table, kek_v1, kek_v2):
    """The deadlock's temptation: it holds one row, and takes others of the same range while the tool works.

    A tool that waited for the held row with others in its hand would be waited for in turn, and the server would
    end one of the two; whoever waits past `deadlock_timeout` first is it. It must never be the application.
    """
    application = database.connect()
    written = {}
    with application.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("SET lock_timeout = 0")
        written[250] = seal(kek_v2, b"written by the application: 250")
        update(cursor, table, 250, written[250])
        started = time.monotonic()
        run = tool.start_run("--batch-size", 50)
        wait_until(lambda: table.count_under(kek_v2) > 0 or not run.is_running(), "the run has done its first range")
        # Backwards and forwards through the range of the held row and its neighbours.
        numbers = [n for step in range(1, 80) for n in (250 - step, 250 + step)]
        for index, number in enumerate(numbers):
            written[number] = seal(kek_v2 if index % 3 else kek_v1, f"written by the application: {number}".encode())
            update(cursor, table, number, written[number])
            pause = LOCK_SECONDS * (index + 1) / len(numbers) - (time.monotonic() - started)
            time.sleep(max(0, pause))
            assert run.is_running(), f"the run ended while rows were locked\n{run.wait()}"
    application.commit()
    table.sealed.update(written)

    outcome = run.wait().expect(0)

    assert outcome.seconds >= LOCK_SECONDS
    table.assert_opens_with(kek_v2)
    assert outcome.report["records"]["failed"] == 0
    assert "deadlock" not in outcome.stderr.lower()


@pytest.mark.watchdog(LOCK_SECONDS + 100)
@pytest.mark.slow
def test_rows_locked_for_a_long_time(database, tool, table, kek_v2):
    """All others are done at once; the locked ones as soon as they are let go."""
    application = database.connect()
    with application.cursor() as cursor:
        cursor.execute(f"SELECT FROM {table.sql_name} WHERE id % 100 = 17 FOR UPDATE")
        started = time.monotonic()
        run = tool.start_run("--batch-size", 20)
        wait_until(lambda: table.count_under(kek_v2) == ROWS - 5, "all rows but the locked ones are done")
        free_after = time.monotonic() - started
        assert free_after < max(5, LOCK_SECONDS / 2), "rows that were free waited for rows that were not"
        time.sleep(max(0, LOCK_SECONDS - free_after))
        assert run.is_running(), f"the run ended while rows were locked\n{run.wait()}"
    application.rollback()
    run.wait().expect(0)
    table.assert_opens_with(kek_v2)


@pytest.mark.parametrize("mode", ["SHARE", "ACCESS EXCLUSIVE"])
def test_a_locked_table(database, tool, table, kek_v2, mode):
    """A migration or a backup that locks the whole table for a while."""
    application = database.connect()
    with application.cursor() as cursor:
        # One row holds the run up, so that the table's lock surely comes in the middle of its work.
        cursor.execute(f"SELECT FROM {table.sql_name} WHERE id = 17 FOR UPDATE")
        run = tool.start_run("--batch-size", 20)
        wait_until(lambda: table.count_under(kek_v2) == ROWS - 1, "all rows but the locked one are done")
        cursor.execute(f"LOCK TABLE {table.sql_name} IN {mode} MODE")
        time.sleep(LOCK_SECONDS / 4)
        assert run.is_running(), f"the run ended while the table was locked\n{run.wait()}"
    application.commit()
    run.wait().expect(0)
    table.assert_opens_with(kek_v2)


def test_foreign_key_checks_are_no_obstacle(database, tool, table, kek_v2):
    """A transaction that inserted a referencing row holds FOR KEY SHARE; NO KEY UPDATE does not conflict with it."""
    database.execute(f"CREATE TABLE uses (provider bigint REFERENCES {table.sql_name})")
    application = database.connect()
    with application.cursor() as cursor:
        cursor.execute(f"INSERT INTO uses SELECT id FROM {table.sql_name}")
        tool.run(timeout=30).expect(0)
    application.commit()
    table.assert_opens_with(kek_v2)


@pytest.mark.alone
def test_the_application_is_not_kept_waiting(database, tool, table, kek_v1, kek_v2):
    """While one row holds the run up, every other can be written at once: a handed-back range is let go."""
    holder, application = database.connect("holder"), database.connect("application", autocommit=True)
    with holder.cursor() as cursor:
        cursor.execute(f"SELECT FROM {table.sql_name} WHERE id = 10 FOR UPDATE")
        run = tool.start_run("--batch-size", 500)
        wait_until(lambda: table.count_under(kek_v2) == ROWS - 1, "all rows but the locked one are done")
        longest = 0.0
        with application.cursor() as own:
            for number in (n for _ in range(4) for n in range(ROWS) if n != 10):
                table.sealed[number] = seal(kek_v2, b"again %d" % number)
                started = time.monotonic()
                update(own, table, number, table.sealed[number])
                longest = max(longest, time.monotonic() - started)
        assert longest < 1.0, f"an update waited {longest:.2f} s"
    holder.rollback()
    run.wait().expect(0)
    table.assert_opens_with(kek_v2)


def test_many_lockers_that_come_and_go(database, tool, table, kek_v2):
    """Short locks everywhere, all the while: hand-backs and retries must end, and end with everything done."""
    stop, errors = threading.Event(), []

    def lock_now_and_then(first):
        connection = database.connect(f"locker {first}")
        number = first
        try:
            while not stop.is_set():
                with connection, connection.cursor() as cursor:
                    number = (number * 7 + 13) % ROWS
                    cursor.execute(
                        f"SELECT FROM {table.sql_name} WHERE id BETWEEN %s AND %s ORDER BY id FOR UPDATE",
                        (number, number + 20),
                    )
                    stop.wait(0.05)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=lock_now_and_then, args=(first,)) for first in (3, 50, 200)]
    for thread in threads:
        thread.start()
    try:
        # Either it finds every row free at some moment, or it says that it did not.
        tool.run("--batch-size", 25, timeout=90).expect(0)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert errors == []
    table.assert_opens_with(kek_v2)
