"""SIGINT and SIGTERM end a run after the batch in hand, with a report; starting again goes on."""

import signal
import socket

import pytest

from support.secrets_table import SecretsTable
from support.waiting import wait_until

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
# What a supervisor gives a process before it kills it.
GRACE_SECONDS = 25


@pytest.mark.parametrize("signal_number", EXIT_CODES, ids=lambda number: number.name)
def test_stopped_in_full_work_and_started_again(database, tool, kek_v1, kek_v2, signal_number):
    table = SecretsTable(database).create().fill(kek_v1, range(8_000))
    tool.write_catalog(table)
    run = tool.start_run("--batch-size", 5, "--concurrency", 1)
    wait_until(lambda: table.count_under(kek_v2) > 0, "the run has begun")
    run.send(signal_number)

    outcome = run.wait(GRACE_SECONDS).expect(EXIT_CODES[signal_number])

    table.assert_opens_with(kek_v1, kek_v2)
    done, left = table.count_under(kek_v2), table.count_under(kek_v1)
    assert left > 0, "the run was done before the signal"
    report = outcome.report
    assert report["outcome"] == "stopped"
    assert report["records"]["rewrapped"] == done
    assert report["records"]["failed"] == 0

    again = tool.run().expect(0)
    assert again.report["records"]["rewrapped"] == left
    table.assert_opens_with(kek_v2)


@pytest.mark.parametrize("signal_number", EXIT_CODES, ids=lambda number: number.name)
def test_stopped_while_an_application_holds_a_row(database, tool, kek_v1, kek_v2, signal_number):
    """It does not wait for the row: the range is handed back."""
    table = SecretsTable(database).create().fill(kek_v1, range(200))
    tool.write_catalog(table)
    application = database.connect()
    with application.cursor() as cursor:
        cursor.execute(f"SELECT FROM {table.sql_name} WHERE id = 50 FOR UPDATE")
        run = tool.start_run("--batch-size", 20)
        wait_until(lambda: table.count_under(kek_v2) == 199, "all rows but the locked one are done")
        run.send(signal_number)
        outcome = run.wait(GRACE_SECONDS).expect(EXIT_CODES[signal_number])
    application.rollback()
    assert outcome.report["records"]["failed"] == 0
    tool.run().expect(0)
    table.assert_opens_with(kek_v2)


@pytest.mark.parametrize("signal_number", EXIT_CODES, ids=lambda number: number.name)
def test_stopped_in_a_dry_run(database, tool, kek_v1, kek_v2, signal_number):
    """A lock on the table holds the dry run up, so that the signal surely comes before its end."""
    table = SecretsTable(database).create().fill(kek_v1, range(200))
    tool.write_catalog(table)
    application = database.connect()
    with application.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {table.sql_name} IN ACCESS EXCLUSIVE MODE")
        run = tool.start_run("--dry-run")
        wait_until(
            lambda: database.value("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'") > 0
            or not run.is_running(),
            "the dry run waits for the table",
        )
        if run.is_running():
            run.send(signal_number)
        run.wait(GRACE_SECONDS).expect(EXIT_CODES[signal_number])
    application.rollback()


def test_stopped_before_the_server_answers(tool, database, kek_v1):
    """While it connects, there is nothing to finish."""
    table = SecretsTable(database).create().fill(kek_v1, range(2))
    tool.write_catalog(table)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(20)
        url = database.url_through(silent.getsockname()[1])
        run = tool.start_run(environment=tool.environment(DATABASE_URL=url))
        connection, _ = silent.accept()
        run.send(signal.SIGTERM)
        # A shell shows both as 143: before it holds anything, the signal's own effect is as good.
        run.wait(GRACE_SECONDS).expect(143, -signal.SIGTERM)
        connection.close()
