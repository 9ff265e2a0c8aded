"""A standby's own verdict is an estimate; a primary's waits until its standbys have written what it saw."""

import json
import os
import signal
import subprocess
import threading

import pytest

from private_postgres import PrivatePostgres, free_loopback_port
from support.secrets_table import SecretsTable
from support.waiting import wait_until
from test_verify import verify


@pytest.fixture
def standby(server, server_directory):
    """A streaming standby of the shared server, gone after the test."""
    standby = PrivatePostgres(server_directory / "standby")
    standby.directory.mkdir()
    user = standby._run_as()
    if user:
        os.chown(standby.directory, user["user"], user["group"])
    subprocess.run(
        [str(standby.bin / "pg_basebackup"), "-D", str(standby.data), "-h", server.socket_directory, "-p", str(server.port),
         "-U", "postgres", "-R", "-X", "stream", "-c", "fast", "--no-sync"],
        check=True, cwd=standby.directory, **user,
    )  # fmt: skip
    with open(standby.data / "postgresql.conf", "a", encoding="utf-8") as configuration:
        configuration.write(f"port = '{free_loopback_port()}'\nunix_socket_directories = '{standby.directory}'\n")
    (standby.directory / "password").write_text(server.password)
    standby.start()
    try:
        yield standby
    finally:
        standby.stop()
        subprocess.run(["rm", "-rf", str(standby.directory)], check=True)


@pytest.fixture
def table(database, tool, kek_v2):
    table = SecretsTable(database).create().fill(kek_v2, range(50))
    tool.write_catalog(table)
    return table


def wait_until_replayed(database):
    wait_until(
        lambda: database.value("SELECT count(*) FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_flush_lsn()") == 1,
        "the standby has caught up",
    )  # fmt: skip


def test_on_a_standby_the_verdict_is_an_estimate(database, make_tool, table, standby):
    wait_until_replayed(database)
    tool = make_tool(standby.url(database.name))
    tool.write_catalog(table)
    for depth in ("labels", "values"):
        outcome = verify(tool, "--depth", depth).expect(2)
        assert "an estimate" in outcome.stdout and "a standby" in outcome.stdout
        assert any(line.split()[-1:] == ["50"] for line in outcome.stdout.splitlines()), "it counts all the same"


def test_a_standby_that_has_written_it(database, tool, table, standby):
    wait_until_replayed(database)
    assert "on 1 standbys" in verify(tool).expect(0).stdout


def test_a_standby_that_this_role_may_not_see(database, make_tool, table, standby):
    role = database.create_role("reader")
    database.execute(f"GRANT SELECT ON {table.sql_name} TO {role}")
    tool = make_tool(database.url_as(role))
    tool.write_catalog(table)
    assert "pg_read_all_stats" in verify(tool).expect(2).stdout
    database.execute(f"GRANT pg_read_all_stats TO {role}")
    verify(tool).expect(0)


def test_a_standby_that_stands_still(database, tool, table, standby):
    """Its WAL receiver is stopped: the verdict waits, and holds as soon as it has caught up."""
    wait_until_replayed(database)
    receiver = int(
        subprocess.check_output(["pgrep", "-P", str(standby._running_pid()), "-f", "walreceiver"], text=True).split()[0]
    )
    os.kill(receiver, signal.SIGSTOP)
    try:
        database.execute("CREATE TABLE more_wal AS SELECT 1")
        process = tool.start_command("verify", "--catalog", tool.catalog)
        wait_until(lambda: "have written" in process.stderr_so_far(), "it waits for the standby")
        threading.Event().wait(1)
        assert process.is_running()
    finally:
        os.kill(receiver, signal.SIGCONT)
    assert "on 1 standbys" in process.wait().expect(0).stdout


def test_a_standby_that_is_known_by_its_slot_alone(database, tool, table):
    """It may come back, or take over, with what it saw last. A slot that nobody has ever used is no standby."""
    never_used, gone = f"never_used_{database.name}", f"gone_{database.name}"
    database.execute("SELECT pg_create_physical_replication_slot(%s)", (never_used,))
    try:
        verify(tool).expect(0)
        database.execute("SELECT pg_create_physical_replication_slot(%s, true)", (gone,))
        outcome = verify(tool, "--report", tool.directory / "report.json").expect(2)
        assert f"replication slot {gone} is not connected" in outcome.stdout and "drop the slot" in outcome.stdout
        assert never_used not in outcome.stdout
        report = json.loads((tool.directory / "report.json").read_text())
        assert [gone in sentence for sentence in report["durability"]["absent_standbys"]] == [True]
        assert outcome.seconds < 30, "nobody is waited for where nobody is connected"
        database.execute("SELECT pg_drop_replication_slot(%s)", (gone,))
        verify(tool).expect(0)
    finally:
        database.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name IN (%s, %s)", (never_used, gone))  # fmt: skip


def test_a_synchronous_standby_that_is_missing(database, tool, table):
    """Commits would wait for it for ever; the verification's own does not."""
    server_wide = database.connect(autocommit=True).cursor()
    server_wide.execute("ALTER SYSTEM SET synchronous_standby_names = 'spare'")
    server_wide.execute("SELECT pg_reload_conf()")
    try:
        wait_until(lambda: database.value("SHOW synchronous_standby_names") == "spare", "the setting is in force")
        outcome = verify(tool).expect(2)
        assert "synchronous_standby_names (spare) requires 1" in outcome.stdout
    finally:
        server_wide.execute("ALTER SYSTEM RESET synchronous_standby_names")
        server_wide.execute("SELECT pg_reload_conf()")


def walreceiver(standby) -> int:
    pids = subprocess.check_output(["pgrep", "-P", str(standby._running_pid()), "-f", "walreceiver"], text=True)
    return int(pids.split()[0])


@pytest.mark.slow
@pytest.mark.parametrize("comes_back", [True, False])
def test_a_standby_that_the_server_drops(database, server, tool, table, standby, comes_back):
    """Out of sight is not caught up. The wait has an end all the same, and the verdict is then not proven."""
    wait_until_replayed(database)
    server_wide = database.connect(autocommit=True).cursor()
    server_wide.execute("ALTER SYSTEM SET wal_sender_timeout = '2s'")
    server_wide.execute("SELECT pg_reload_conf()")
    receiver = walreceiver(standby)
    os.kill(receiver, signal.SIGSTOP)
    try:
        database.execute("CREATE TABLE more_wal AS SELECT 1")
        process = tool.start_command("verify", "--catalog", tool.catalog)
        wait_until(lambda: "have written" in process.stderr_so_far(), "it waits for the standby")
        wait_until(lambda: database.value("SELECT count(*) FROM pg_stat_replication") == 0, "the server drops it")
        threading.Event().wait(1)
        assert process.is_running(), "nothing is proven by a standby that is gone"
        if not comes_back:
            outcome = process.wait(timeout=90).expect(2)
            assert "have not written" in outcome.stdout and "(connection lost)" in outcome.stdout, str(outcome)
    finally:
        os.kill(receiver, signal.SIGCONT)
        server_wide.execute("ALTER SYSTEM RESET wal_sender_timeout")
        server_wide.execute("SELECT pg_reload_conf()")
    if comes_back:
        assert "on 1 standbys" in process.wait().expect(0).stdout
