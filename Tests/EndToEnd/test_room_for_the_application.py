"""What a job leaves to the application: pace, standbys, guards of the server, VACUUM."""

import itertools
import threading
import time

import psycopg2
import pytest

from support.waiting import wait_until
from test_verify_on_standbys import standby  # noqa: F401  pylint: disable=unused-import


def throttled(queue) -> str:
    return str(queue.progress().get("throttled") or "")


# MARK: pace


def test_max_records_per_second_over_all_workers(queue, queue_tool, table, kek_v2):
    coordinator = queue_tool.coordinator("--max-records-per-second", 1_000)
    workers = [queue_tool.worker("--exit-when-done") for _ in range(2)]
    seen = set()
    wait_until(lambda: seen.add(throttled(queue)) or not coordinator.is_running(), "it has ended", interval=0.05)
    outcome = coordinator.wait().expect(0)
    for worker in workers:
        worker.wait(20).expect(0)
    # 2,000 records; the first range and what may be caught up are free.
    assert outcome.seconds > 1.5
    assert "max-records-per-second" in seen and throttled(queue) == ""
    table.assert_opens_with(kek_v2)


def test_max_records_per_second_of_run(tool, table, kek_v2):
    tool.write_catalog(table)
    assert tool.run("--max-records-per-second", 1_000).expect(0).seconds > 1.5
    assert tool.run("--max-records-per-second", 0).exit_code == 64
    table.assert_opens_with(kek_v2)


def test_a_query_of_the_operators_holds_the_job(database, queue, queue_tool, table, kek_v2):
    database.execute("CREATE TABLE switch AS SELECT true AS hold")
    coordinator = queue_tool.coordinator("--throttle-query", "SELECT hold FROM switch; ")
    queue_tool.worker()
    wait_until(lambda: throttled(queue) == "throttle-query", "it is held")
    assert "throttled: throttle-query" in queue_tool.command("status").expect(0).stdout
    database.execute("ALTER TABLE switch RENAME TO away")
    wait_until(lambda: "throttle-query failed" in throttled(queue), "an error holds as well")
    assert "42P01" in throttled(queue)
    assert queue.done() == 0 and queue.leases() == [] and coordinator.is_running()
    database.execute("ALTER TABLE away RENAME TO switch")
    database.execute("UPDATE switch SET hold = false")
    coordinator.wait().expect(0)
    table.assert_opens_with(kek_v2)


def test_the_query_changes_nothing(database, tool, table):
    database.execute("CREATE TABLE calls (at int)")
    database.execute(
        "CREATE FUNCTION call() RETURNS boolean LANGUAGE sql AS 'INSERT INTO calls VALUES (1) RETURNING false'"
    )
    tool.write_catalog(table)
    process = tool.start_run("--throttle-query", "SELECT call()")
    wait_until(lambda: "25006" in process.stderr_so_far(), "it is refused in a read-only transaction")
    process.kill()
    assert database.value("SELECT count(*) FROM calls") == 0


def test_lock_waits_of_an_application(database, queue, queue_tool, table):
    """Ranges are made slow, and an application updates the very rows."""
    database.execute(
        """
        CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.02); RETURN NEW; END';
        CREATE TRIGGER slow BEFORE UPDATE OF api_key_encrypted ON llm_providers
            FOR EACH ROW EXECUTE FUNCTION slow()
        """
    )
    queue_tool.coordinator("--batch-size", 60)
    queue_tool.worker("--concurrency", 1)
    connection = database.connect("application", autocommit=True)
    stop = threading.Event()

    def work():
        with connection.cursor() as cursor:
            for number in itertools.cycle(range(0, 2_000, 7)):
                if stop.is_set():
                    return
                cursor.execute("UPDATE llm_providers SET name = 'n' WHERE id = %s", (number,))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        wait_until(
            lambda: throttled(queue) == "lock waits of applications on table llm_providers", "the wait is seen", 60
        )
    finally:
        stop.set()
        thread.join(60)


@pytest.mark.parametrize("arguments", [
    ("--max-lag", "soon"), ("--max-slot-wal", "10"), ("--vacuum", "0%"), ("--profile", "rude"),
    ("--max-lag", "off", "--lag-standbys", "a"),
])  # fmt: skip
def test_what_is_no_limit_is_refused(tool, arguments):
    tool.command("run", *arguments).expect(64)


def test_a_profile_and_its_batches(database, queue, queue_tool, table, kek_v2):
    coordinator = queue_tool.coordinator("--profile", "polite")
    queue_tool.worker()
    coordinator.wait().expect(0)
    table.assert_opens_with(kek_v2)


# MARK: standbys


def test_lag_of_a_standby_that_does_not_replay(database, queue, queue_tool, tables, standby):  # noqa: F811
    replica = psycopg2.connect(standby.url())
    replica.autocommit = True
    with replica.cursor() as cursor:
        cursor.execute("SELECT pg_wal_replay_pause()")
        coordinator = queue_tool.coordinator("--max-lag", "1s", "--guard-grace", "1s")
        queue_tool.worker()
        wait_until(lambda: "of standby walreceiver above 1 s" in throttled(queue), "the lag is seen")
        assert throttled(queue).startswith("lag ")
        wait_until(lambda: "Held: lag" in coordinator.stderr_so_far() or throttled(queue) > "lag 3", "it grows")
        # At most a trickle from here.
        before = queue.done()
        time.sleep(2)
        assert queue.done() - before < 300
        cursor.execute("SELECT pg_wal_replay_resume()")
    replica.close()
    coordinator.wait(90).expect(0)


def test_a_named_standby_has_to_be_there(queue, queue_tool, table):
    coordinator = queue_tool.coordinator("--max-lag", "1s", "--lag-standbys", "berlin")
    wait_until(lambda: throttled(queue) == "standby berlin is not connected", "it waits for the standby")
    assert coordinator.is_running() and queue.done() == 0


# MARK: guards


def test_a_slot_that_retains_wal_ends_the_job(database, queue, queue_tool, table):
    slot = f"left_{database.name}"
    database.execute("SELECT pg_create_physical_replication_slot(%s, true)", (slot,))
    try:
        database.execute("CREATE TABLE filler AS SELECT repeat('x', 1000) FROM generate_series(1, 5000)")
        coordinator = queue_tool.coordinator("--max-slot-wal", "1MB", "--guard-grace", "2s")
        worker = queue_tool.worker("--exit-when-done")
        wait_until(lambda: f"replication slot {slot} retains" in throttled(queue), "the reason is shown")
        outcome = coordinator.wait().expect(2)
        assert f"replication slot {slot} retains" in outcome.stderr and "max-slot-wal" in outcome.stderr
        worker.wait(20).expect(2)
        report = queue.history()[0]
        assert report["outcome"] == "incomplete" and slot in report["reason"]
        assert report["records"]["rewrapped"] == 0
    finally:
        database.execute("SELECT pg_drop_replication_slot(%s)", (slot,))
    coordinator = queue_tool.coordinator("--max-slot-wal", "1MB", "--guard-grace", "2s")
    queue_tool.worker()
    coordinator.wait().expect(0)


def test_an_old_transaction_ends_the_job(database, tool, table):
    tool.write_catalog(table)
    application = database.connect("reports")
    application.cursor().execute("SELECT txid_current()")
    time.sleep(1.2)
    outcome = tool.run(
        # Slow enough that there is a job to end when the server is first looked at.
        "--max-horizon-age", "1s", "--guard-grace", "1s", "--max-records-per-second", 200
    ).expect(2)
    assert "application_name 'reports'" in outcome.report["reason"] and "max-horizon-age" in outcome.report["reason"]
    application.rollback()
    tool.run("--max-horizon-age", "1s", "--guard-grace", "1s").expect(0)


def test_free_disk_where_it_can_be_seen(database, server, make_tool, table):
    tool = make_tool(database.url)
    tool.write_catalog(table)
    tool.run("--min-free-disk", "1GB").expect_refusal("unix socket", "min-free-disk")
    local = make_tool(f"postgresql://postgres@/{database.name}?host={server.socket_directory}&port={server.port}")
    local.write_catalog(table)
    assert "free on the server's disk" in local.run("--min-free-disk", "900000TB", "--guard-grace", "1s").expect(2).stderr
    local.run("--min-free-disk", "1kB").expect(0)


# MARK: VACUUM


@pytest.fixture
def wide_table(database, queue_tool, back, tool, table, kek_v1):
    """Enough rows for several VACUUMs, none of them autovacuum's."""
    table.fill(kek_v1, range(2_000, 20_000))
    database.execute("ALTER TABLE llm_providers SET (autovacuum_enabled = false)")
    connection = database.connect(autocommit=True)
    connection.cursor().execute("VACUUM ANALYZE llm_providers")
    tool.write_catalog(table)
    return table


def growth(database, tool, *arguments) -> float:
    size = "SELECT pg_relation_size('llm_providers')"
    before = database.value(size)
    tool.run("--max-records-per-second", 8_000, *arguments).expect(0)
    return database.value(size) / before


def test_vacuum_keeps_the_table_small(database, tool, wide_table):
    assert growth(database, tool) < 1.35


def test_without_vacuum_it_doubles(database, tool, wide_table):
    assert growth(database, tool, "--vacuum", "off") > 1.8
    assert database.value("SELECT vacuum_count FROM pg_stat_user_tables WHERE relname = 'llm_providers'") <= 1


def test_a_role_that_may_not_vacuum_goes_on(database, make_tool, wide_table):
    role = database.create_role("rotation")
    database.execute(f"GRANT SELECT, UPDATE ON {wide_table.sql_name} TO {role}")
    tool = make_tool(database.url_as(role))
    tool.write_catalog(wide_table)
    outcome = tool.run().expect(0)
    assert sum("is left to autovacuum" in message for message in outcome.messages) == 1


def test_vacuum_gives_way_to_whoever_waits(database, tool, wide_table):
    """It is made slow; an application's ALTER TABLE does not wait for its end."""
    database.execute(f"ALTER DATABASE {database.name} SET vacuum_cost_limit = 1")
    database.execute(f"ALTER DATABASE {database.name} SET vacuum_cost_page_miss = 100")
    process = tool.start_run("--max-records-per-second", 4_000, "--profile", "polite")
    running = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'VACUUM%' AND state = 'active'"
    altered = []

    def gives_way():
        """A VACUUM that is over by itself when the ALTER comes has nothing to give way to."""
        wait_until(lambda: database.value(running) == 1, "VACUUM runs", interval=0.02)
        start = time.monotonic()
        database.execute(f"ALTER TABLE llm_providers ADD COLUMN added_{len(altered)} int")
        altered.append(time.monotonic() - start)
        assert altered[-1] < 10
        return "gave way" in process.stderr_so_far()

    wait_until(gives_way, "it says so", interval=0.2)
    process.kill()
