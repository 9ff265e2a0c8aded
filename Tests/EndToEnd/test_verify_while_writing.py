"""What one look at a live database cannot see: rows on the move, open transactions, later writers, other servers."""

import signal
import threading
import time

import pytest

from envelope_reference import seal
from support.secrets_table import SecretsTable
from support.waiting import wait_until
from test_verify import expect_named, verify

ROWS = 100


@pytest.fixture
def table(database, tool, kek_v2):
    table = SecretsTable(database).create().fill(kek_v2, range(ROWS))
    tool.write_catalog(table)
    return table


def start_verify(tool, *arguments):
    return tool.start_command("verify", "--catalog", tool.catalog, *arguments)


def insert(cursor, table, identity, kek):
    cursor.execute(
        f"INSERT INTO {table.sql_name} (id, {table.column}) VALUES (%s, %s)", (identity, seal(kek, b"x").bytes)
    )


def wait_for_words(process, words):
    wait_until(lambda: words in process.stderr_so_far() or not process.is_running(), f"{words!r} in the log")
    assert process.is_running(), f"it ended without {words!r}\n{process.wait()}"


# MARK: rows on the move


def test_an_old_row_that_moves_while_the_census_runs(database, tool, kek_v1, kek_v2):
    """Without one snapshot for all statements and connections, the row is in neither place when it is looked for."""
    database.execute(
        """
        CREATE TABLE moving (tenant int, id bigint, secret bytea, PRIMARY KEY (tenant, id)) PARTITION BY LIST (tenant);
        CREATE TABLE moving_1 PARTITION OF moving FOR VALUES IN (1);
        CREATE TABLE moving_2 PARTITION OF moving FOR VALUES IN (2);
        """
    )
    good = seal(kek_v2, b"x").bytes
    for tenant in (1, 2):
        database.execute("INSERT INTO moving SELECT %s, g, %s FROM generate_series(1, 8000) AS g", (tenant, good))
    database.execute("INSERT INTO moving VALUES (1, 0, %s)", (seal(kek_v1, b"old").bytes,))
    tool.write_catalog({"name": "moving", "id_column": ["tenant", "id"], "encrypted_columns": ["secret"]})
    connection = database.connect("mover", autocommit=True)
    stop = threading.Event()
    moves = [0]

    def move():
        with connection.cursor() as cursor:
            while not stop.is_set():
                cursor.execute("UPDATE moving SET tenant = 3 - tenant WHERE id = 0")
                moves[0] += 1

    mover = threading.Thread(target=move)
    mover.start()
    try:
        for depth in ("labels", "values") * 4:
            before = moves[0]
            outcome = verify(tool, "--depth", depth, "--concurrency", "3").expect(2)
            assert moves[0] > before, "the row did not move"
            assert "1 of 16001 records are not under kek-v2" in outcome.stdout, str(outcome)
            if depth == "values":
                assert "moving.secret (id=(" in outcome.stdout and "under kek-v1" in outcome.stdout
    finally:
        stop.set()
        mover.join()


# MARK: open transactions


def test_an_old_row_in_an_open_transaction(database, tool, table, kek_v1):
    application = database.connect("old-billing")
    with application.cursor() as cursor:
        insert(cursor, table, 1_000, kek_v1)
    process = start_verify(tool)
    wait_for_words(process, "old-billing")
    application.commit()
    expect_named(process.wait(), table, 1_000, "under kek-v1")


def test_a_transaction_that_is_rolled_back(database, tool, table, kek_v1):
    application = database.connect("old-billing")
    with application.cursor() as cursor:
        insert(cursor, table, 1_000, kek_v1)
    process = start_verify(tool)
    wait_for_words(process, "old-billing")
    application.rollback()
    process.wait().expect(0)


def test_a_transaction_that_stays_open(database, tool, table, kek_v1):
    application = database.connect("old-billing")
    with application.cursor() as cursor:
        insert(cursor, table, 1_000, kek_v1)
    outcome = verify(tool, "--wait-open-transactions", "1s").expect(2)
    assert "old-billing" in outcome.stdout and table.name in outcome.stdout
    assert str(application.info.backend_pid) in outcome.stdout


def test_a_transaction_that_is_none_of_ours(database, tool, table):
    """It has written to another table, or only read this one."""
    database.execute("CREATE TABLE other (id bigint)")
    application = database.connect("elsewhere")
    with application.cursor() as cursor:
        cursor.execute(f"INSERT INTO other VALUES (1); SELECT * FROM {table.sql_name}")
    start = time.monotonic()
    verify(tool).expect(0)
    assert time.monotonic() - start < 20


def test_an_old_row_in_a_prepared_transaction(database, tool, table, kek_v1):
    application = database.connect("two-phase")
    with application.cursor() as cursor:
        insert(cursor, table, 1_000, kek_v1)
        cursor.execute("PREPARE TRANSACTION 'payment-17'")
    application.rollback()
    try:
        outcome = verify(tool).expect(2)
        assert "payment-17" in outcome.stdout and table.name in outcome.stdout
        assert outcome.seconds < 20, "nobody waits for a prepared transaction"
        application.autocommit = True
        with application.cursor() as cursor:
            cursor.execute("COMMIT PREPARED 'payment-17'")
        expect_named(verify(tool), table, 1_000, "under kek-v1")
    finally:
        application.autocommit = True
        with application.cursor() as cursor:
            cursor.execute("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()")
            for (gid,) in cursor.fetchall():
                cursor.execute("ROLLBACK PREPARED %s", (gid,))


# MARK: later writers


def test_watching_sees_a_late_writer(database, tool, table, kek_v1, kek_v2):
    process = start_verify(tool, "--watch", "5s")
    wait_for_words(process, "Watching")
    application = database.connect("old-billing")
    with application.cursor() as cursor:
        insert(cursor, table, 1_000, kek_v1)
        application.commit()
        insert(cursor, table, 1_001, kek_v2)  # it goes on writing
    outcome = process.wait().expect(2)
    (line,) = [message for message in outcome.messages if message.startswith("Seen at")]
    for words in ("1 records", f"{table.name}.{table.column}", "kek-v1", "old-billing"):
        assert words in line
    assert "Seen" not in outcome.stdout.splitlines()[0]
    assert "kek-v1" in outcome.stdout


def test_watching_reports_only_what_is_new(tool, table, kek_v1):
    table.insert([(1_000, seal(kek_v1, b"x"))])
    outcome = verify(tool, "--watch", "1s").expect(2)
    assert not [message for message in outcome.messages if message.startswith("Seen at")]


def test_watching_can_be_stopped(tool, table):
    process = start_verify(tool, "--watch", "1h")
    wait_for_words(process, "Watching")
    process.send(signal.SIGINT)
    outcome = process.wait().expect(130)
    assert "Each of" not in outcome.stdout


def test_watching_a_quiet_database(tool, table):
    outcome = verify(tool, "--watch", "1500ms").expect(0)
    assert outcome.seconds >= 1.5
    assert "watched for 1.5 s more" in outcome.stdout
