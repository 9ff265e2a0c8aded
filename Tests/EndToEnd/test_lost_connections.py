"""The connection is cut at each statement, the server restarts, the process is killed: the right rows in the end,
or a clear refusal; never a false success."""

import random
import signal
import socket

import pytest

from private_postgres import PrivatePostgres
from support.isolated_database import IsolatedDatabase
from support.secrets_table import SecretsTable
from support.statement_proxy import Cut, StatementProxy
from support.waiting import wait_until

ROWS = 400
BATCH = ("--batch-size", 20)
SESSIONS_OF_THE_TOOL = (
    "FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' "
    "AND application_name NOT IN ('application', 'test')"
)


@pytest.fixture
def table(database, kek_v1):
    return SecretsTable(database).create().fill(kek_v1, range(ROWS))


@pytest.fixture
def proxy(server):
    with StatementProxy("127.0.0.1", server.port) as proxy:
        yield proxy


@pytest.fixture
def proxied_tool(database, make_tool, proxy, table):
    tool = make_tool(database.url_through(proxy.port))
    tool.write_catalog(table)
    return tool


def sessions_of_the_tool(database) -> int:
    return database.value(f"SELECT count(*) {SESSIONS_OF_THE_TOOL}")


def assert_no_false_success(outcome, table, kek_v1, kek_v2):
    """Whatever it says must be true, and no row may be worse than before."""
    table.assert_opens_with(kek_v1, kek_v2)
    if outcome.exit_code == 0:
        table.assert_opens_with(kek_v2)
        assert outcome.report["outcome"] == "complete"
    else:
        assert outcome.exit_code in (1, 2), outcome
        assert any(word in outcome.stderr.lower() for word in ("connection", "connect", "server closed")), outcome


@pytest.mark.parametrize("after", [False, True], ids=["before it arrives", "after it arrived"])
@pytest.mark.parametrize("statement", ["BEGIN", "SELECT", "UPDATE", "COMMIT"])
def test_cut_at_a_workers_statement(proxied_tool, proxy, table, kek_v1, kek_v2, statement, after):
    """A lost connection is retried and uses no failure budget: the run completes."""
    proxy.cut = Cut(statement, after, of_a_writer=statement == "BEGIN")
    outcome = proxied_tool.run(*BATCH)
    assert proxy.cuts_done == 1, f"nothing was cut; the statements were {sorted(set(proxy.statements_seen))}"
    assert_no_false_success(outcome, table, kek_v1, kek_v2)
    outcome.expect(0)
    counts = outcome.report["records"]
    assert counts["failed"] == 0
    # A commit whose answer was lost is found done: superseded, not lost and not counted twice.
    assert counts["rewrapped"] + counts["superseded"] == ROWS


@pytest.mark.parametrize("after", [False, True], ids=["before it arrives", "after it arrived"])
def test_cut_at_the_very_first_transaction(proxied_tool, proxy, table, kek_v1, kek_v2, after):
    proxy.cut = Cut("BEGIN", after)
    outcome = proxied_tool.run(*BATCH)
    assert proxy.cuts_done == 1, f"nothing was cut; the statements were {sorted(set(proxy.statements_seen))}"
    assert_no_false_success(outcome, table, kek_v1, kek_v2)
    proxied_tool.run(*BATCH).expect(0)
    table.assert_opens_with(kek_v2)


@pytest.mark.parametrize("statement", ["SELECT", "UPDATE", "COMMIT"])
def test_cut_again_and_again(proxied_tool, proxy, table, kek_v1, kek_v2, statement):
    proxy.cut = Cut(statement, after=True, times=6, every=3)
    outcome = proxied_tool.run(*BATCH)
    assert proxy.cuts_done >= 3, f"too little was cut; the statements were {sorted(set(proxy.statements_seen))}"
    assert_no_false_success(outcome, table, kek_v1, kek_v2)
    outcome.expect(0)


def test_a_commit_that_is_lost_in_reencrypt_mode(proxied_tool, proxy, table, kek_v2):
    """Done twice, a re-encryption would still be right; done never and reported done, it would not."""
    proxy.cut = Cut("COMMIT", after=True, times=3, every=4)
    proxied_tool.run("--mode", "reencrypt", *BATCH).expect(0)
    table.assert_opens_with(kek_v2)


@pytest.mark.watchdog(200)
def test_all_connections_dropped_and_new_ones_refused(database, proxied_tool, proxy, table, kek_v1, kek_v2):
    """A network that fails for some seconds in the middle of the run."""
    holder = database.connect()
    with holder.cursor() as cursor:
        cursor.execute(f"SELECT FROM {table.sql_name} WHERE id = 200 FOR UPDATE")
        run = proxied_tool.start_run(*BATCH)
        wait_until(lambda: table.count_under(kek_v2) == ROWS - 1, "all rows but the locked one are done")
        proxy.refusing = True
        proxy.drop_all()
        wait_until(lambda: sessions_of_the_tool(database) == 0, "the server has seen the connections end")
        holder.rollback()
        proxy.refusing = False
    outcome = run.wait(150)
    assert_no_false_success(outcome, table, kek_v1, kek_v2)
    outcome.expect(0)


@pytest.mark.watchdog(200)
def test_every_session_terminated_by_an_administrator(database, make_tool, table, kek_v2):
    """57P01 on all connections at once, the leader's among them."""
    tool = make_tool(database.url)
    tool.write_catalog(table)
    holder = database.connect()
    with holder.cursor() as cursor:
        cursor.execute(f"SELECT FROM {table.sql_name} WHERE id = 200 FOR UPDATE")
        run = tool.start_run(*BATCH)
        wait_until(lambda: table.count_under(kek_v2) == ROWS - 1, "all rows but the locked one are done")
        database.execute(f"SELECT pg_terminate_backend(pid) {SESSIONS_OF_THE_TOOL}")
        holder.rollback()
    run.wait(150).expect(0)
    table.assert_opens_with(kek_v2)


@pytest.mark.watchdog(300)
@pytest.mark.parametrize("immediate", [False, True], ids=["fast", "as in a crash"])
def test_the_server_restarts(server_directory, tmp_path, make_tool, kek_v1, kek_v2, immediate):
    with PrivatePostgres(server_directory / f"restarting-{immediate}", {"shared_buffers": "64MB"}) as own:
        database = IsolatedDatabase(own)
        table = SecretsTable(database).create().fill(kek_v1, range(ROWS))
        tool = make_tool(database.url)
        tool.write_catalog(table)
        holder = database.connect()
        with holder.cursor() as cursor:
            cursor.execute(f"SELECT FROM {table.sql_name} WHERE id = 200 FOR UPDATE")
            run = tool.start_run(*BATCH)
            wait_until(lambda: table.count_under(kek_v2) == ROWS - 1, "all rows but the locked one are done")
            own.stop(immediate=immediate)
            assert run.is_running(), f"gave up while the server was away\n{run.wait()}"
            own.start()
        holder.close()
        outcome = run.wait(150)
        assert_no_false_success(outcome, table, kek_v1, kek_v2)
        outcome.expect(0)


def test_killed_at_any_moment_and_started_again(database, make_tool, kek_v1, kek_v2):
    """SIGKILL in the middle leaves locks, sessions and half a batch behind; the next run needs nothing but to start."""
    table = SecretsTable(database).create().fill(kek_v1, range(12_000))
    tool = make_tool(database.url)
    tool.write_catalog(table)
    rng = random.Random(1)
    for _ in range(6):
        before = table.count_under(kek_v2)
        run = tool.start_run("--batch-size", 3, "--concurrency", 1)
        target = before + rng.randint(1, 500)
        wait_until(lambda: table.count_under(kek_v2) >= target or not run.is_running(), "the run has got on")
        if not run.is_running():
            break
        run.send(signal.SIGKILL)
        run.wait()
        table.assert_opens_with(kek_v1, kek_v2)
    assert table.count_under(kek_v1) > 0, "it was done before it was killed"
    tool.run().expect(0)
    table.assert_opens_with(kek_v2)


@pytest.mark.parametrize("trouble", ["refused", "wrong password", "unknown database", "silent"])
def test_no_connection_at_all(database, make_tool, proxy, table, trouble):
    """Exit 1, soon, with the reason and without the password."""
    urls = {
        "refused": database.url_through(1),
        "wrong password": database.url.replace(database.server.password, "wrong-password"),
        "unknown database": database.server.url("no_such_database"),
        "silent": database.url_through(proxy.port),
    }
    if trouble == "silent":
        # Accepts, and never answers: only a time-out of the tool's own ends this.
        with socket.create_server(("127.0.0.1", 0)) as silent:
            tool = make_tool(database.url_through(silent.getsockname()[1]))
            tool.write_catalog(table)
            outcome = tool.run(timeout=60)
    else:
        tool = make_tool(urls[trouble])
        tool.write_catalog(table)
        outcome = tool.run(timeout=60)
    outcome.expect_refusal(("connect", "password", "database", "time"))
    assert database.server.password not in outcome.output
    assert "wrong-password" not in outcome.output


@pytest.mark.watchdog(200)
def test_a_missing_synchronous_standby(server_directory, make_tool, kek_v1):
    """COMMIT would wait for ever with row locks held; better not to begin."""
    with PrivatePostgres(server_directory / "synchronous", {"shared_buffers": "64MB"}) as own:
        database = IsolatedDatabase(own)
        table = SecretsTable(database).create().fill(kek_v1, range(10))
        connection = database.connect(autocommit=True)
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit = off")
            cursor.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            cursor.execute("SELECT pg_reload_conf()")
        wait_until(lambda: database.value("SHOW synchronous_standby_names") == "nobody", "the setting is known")
        tool = make_tool(database.url)
        tool.write_catalog(table)
        tool.run(timeout=60).expect_refusal(("synchronous", "standby"))
        assert table.key_ids() == {"kek-v1": 10}
