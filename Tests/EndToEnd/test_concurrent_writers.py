"""Nothing that an application writes while the tool runs is overwritten.

Writers update, insert, delete and annotate rows all the while, a tenth of the values under the old key, so that
run after run must rewrite rows that are being written. An oracle outside the database knows the last committed
plaintext, note and tenant of every id. A tool that reads without a lock and writes by id loses tens of rows here.
"""

import os

import pytest

from envelope_reference import open_envelope
from support.application_writers import ApplicationWriters, WrittenTable, fill
from support.postgres_relay import PostgresRelay
from support.secrets_table import SecretsTable
from support.statement_proxy import StatementProxy
from support.waiting import wait_until

WRITES = int(os.environ.get("REENCRYPT_TEST_WRITES", "100000"))
ROWS = 20_000
LOCK_CLAUSE = b"FOR NO KEY UPDATE SKIP LOCKED"
# Two sweeps running without a new low end a run; many more than this means that it chases the writers.
MOST_SWEEPS = 40


def stored_rows(database, column_type) -> dict:
    text = "convert_from(secret, 'UTF8')" if column_type == "bytea" else "secret::text"
    rows = database.rows(f"SELECT id, {text}, note, tenant_id FROM secrets")
    return {identity: (value, note, tenant) for identity, value, note, tenant in rows}


def assert_holds_exactly(database, table, expected, *keks):
    stored = stored_rows(database, table.column_type)
    assert set(stored) == set(expected), "rows have come or gone"
    wrong = []
    for identity, (value, note, tenant) in stored.items():
        found = (open_envelope(value, *keks), note, tenant)
        if found != expected[identity]:
            wrong.append(f"id {identity}: holds {found}, last committed was {expected[identity]}")
    assert not wrong, f"{len(wrong)} rows were overwritten, among them: " + "; ".join(wrong[:5])


@pytest.mark.watchdog(600)
@pytest.mark.parametrize(
    ("table", "writes", "order"),
    [
        (WrittenTable("bytea", partitioned=False), WRITES, "auto"),
        # Rows that move between partitions while the tool locks them.
        (WrittenTable("jsonb", partitioned=True), WRITES // 4, "auto"),
        # Rows that move between blocks, by every update.
        (WrittenTable("bytea", partitioned=False), WRITES // 8, "physical"),
        (WrittenTable("jsonb", partitioned=True), WRITES // 16, "physical"),
    ],
    ids=["plain bytea", "partitioned jsonb", "plain bytea in place order", "partitioned jsonb in place order"],
)
@pytest.mark.slow
def test_no_write_is_lost(database, tool, kek_v1, kek_v2, table, writes, order):
    rows = fill(database, table, kek_v1, range(ROWS))
    tool.write_catalog(table.catalog_entry)
    shapes = [(), ("--batch-size", 1000), ("--batch-size", 50, "--concurrency", 3), ("--batch-size", 300)]
    in_order = ("--order", order)
    writers = ApplicationWriters(database.url, table, rows, kek_v2, kek_v1, old_share=0.1).start()
    try:
        exits = []
        while writers.concurrent_writes < writes and writers.all_alive:
            writers.observed(True)
            outcome = tool.run(*shapes[len(exits) % len(shapes)], *in_order, timeout=120).expect(0, 2)
            writers.observed(False)
            exits.append(outcome.exit_code)
            assert outcome.report["records"]["failed"] == 0, outcome
            assert outcome.report["sweeps"] <= MOST_SWEEPS
            assert (outcome.exit_code == 0) == (outcome.report["outcome"] == "complete"), outcome
        concurrent_writes = writers.concurrent_writes
        expected = writers.stop()
    finally:
        writers.kill()
    assert concurrent_writes >= writes
    assert 2 in exits, "the writers never kept a run from completing: too slow to show anything"
    assert_holds_exactly(database, table, expected, kek_v1, kek_v2)

    tool.run(*in_order).expect(0)

    assert_holds_exactly(database, table, expected, kek_v2)
    print(f"{concurrent_writes} writes during {len(exits)} runs")


@pytest.mark.parametrize("locked", [True, False], ids=["as it is", "without its lock clause"])
def test_rows_are_locked_between_read_and_write(server, database, make_tool, kek_v1, kek_v2, locked):
    """The UPDATE is held on its way to the server; what the SELECT before it read must be locked meanwhile.

    The second case blanks the lock clause out of the tool's SELECT and finds nothing locked: the test can fail.
    (Writes need not be lost then: an UPDATE by row address is spared by the server's own recheck, as long as no
    address is used again. That is luck of the server's version, not a promise.)
    """
    table = SecretsTable(database).create().fill(kek_v1, range(40))
    application = database.connect()
    with StatementProxy("127.0.0.1", server.port, removed=None if locked else LOCK_CLAUSE) as proxy:
        tool = make_tool(database.url_through(proxy.port))
        tool.write_catalog(table)
        proxy.updates_may_pass.clear()
        run = tool.start_run("--batch-size", 10, "--concurrency", 1)
        wait_until(lambda: proxy.updates_waiting > 0, "an UPDATE is on its way")
        with application, application.cursor() as cursor:
            cursor.execute(f"SELECT id FROM {table.sql_name} FOR UPDATE SKIP LOCKED")
            free = {identity for (identity,) in cursor}
        held = set(range(40)) - free
        assert len(held) == (10 if locked else 0)
        assert locked == (proxy.removals_done == 0), "the tool's SELECT has another lock clause: adapt LOCK_CLAUSE"
        proxy.updates_may_pass.set()
        run.wait().expect(0)
    table.assert_opens_with(kek_v2)


class WritesBeforeEachCensus(PostgresRelay):
    """Each snapshot of the tool begins once the writers have committed something since the tool asked for it."""

    def __init__(self, server, writers):
        self.writers = writers
        super().__init__(server.port)

    def meet(self, message, sql, session) -> bool:
        if sql is not None and "REPEATABLE READ READ ONLY" in sql:
            session.flush()
            before = self.writers.concurrent_writes
            wait_until(lambda: self.writers.concurrent_writes > before, "the application goes on writing")
        session.pass_on(message)
        return True


@pytest.mark.watchdog(240)
def test_ends_while_writers_go_on_under_the_old_key(server, database, make_tool, kek_v1, kek_v2):
    """Exit 2 within bounded sweeps, and the reason; 0 once they have stopped."""
    table = WrittenTable("bytea", partitioned=False)
    rows = fill(database, table, kek_v1, range(2_000))
    writers = ApplicationWriters(database.url, table, rows, kek_v2, kek_v1, old_share=1.0, processes=3).start()
    writers.observed(True)
    try:
        with WritesBeforeEachCensus(server, writers) as relay:
            tool = make_tool(database.url_through(relay.port))
            tool.write_catalog(table.catalog_entry)
            outcome = tool.run(timeout=120).expect(2)
        expected = writers.stop()
    finally:
        writers.kill()
    report = outcome.report
    assert report["outcome"] == "incomplete"
    assert 2 <= report["sweeps"] <= MOST_SWEEPS
    assert report["failures"] == []
    assert "writ" in report["reason"].lower(), f"does not say that someone still writes: {report['reason']!r}"
    assert "kek-v1" in outcome.stderr
    assert any(entry["key_id"] == "kek-v1" and entry["records"] > 0 for entry in report["census_after"])

    tool = make_tool(database.url)
    tool.write_catalog(table.catalog_entry)
    assert tool.run().expect(0).report["outcome"] == "complete"
    assert_holds_exactly(database, table, expected, kek_v2)
