"""A connection to PostgreSQL that swallows everything, without a word: noticed, and left for a new one.

What swallows is a proxy whose kernel still acknowledges every packet, so no keepalive and no time-out of TCP can tell.
"""

import time

import pytest

from support.secrets_table import SecretsTable
from support.step_proxy import Step, StepProxy
from support.waiting import wait_until

# The silence that is borne, the time in which the server is asked, and what the machine is busy with.
NOTICED_WITHIN_SECONDS = 15


STEPS = [Step("SELECT", after=True), Step("COMMIT", after=False)]


@pytest.mark.watchdog(120)
@pytest.mark.parametrize("process_is_gone", [False, True], ids=["process waits", "process is gone"])
@pytest.mark.parametrize("step", STEPS, ids=str)
def test_a_lane_in_a_black_hole_comes_back(database, make_tool, kek_v1, kek_v2, step, process_is_gone):
    """One lane is caught in its transaction. Its server process waits, with rows locked, or has gone unheard."""
    table = SecretsTable(database).create().fill(kek_v1, range(400))
    reached = []

    def on_reached():
        reached.append(time.monotonic())
        if process_is_gone:
            database.rows(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                "AND application_name LIKE 'reencrypt-secrets%' AND pid <> pg_backend_pid()"
            )

    proxy = StepProxy("127.0.0.1", database.server.port, step, on_reached,
                      lambda: "Processing table" in run.stderr_so_far())  # fmt: skip
    tool = make_tool(database.url_through(proxy.port))
    tool.write_catalog(table)
    try:
        run = tool.start_run("--batch-size", 20, "--concurrency", 2)
        outcome = run.wait(60).expect(0)
        assert reached, "no lane came to the step"
        assert time.monotonic() - reached[0] < NOTICED_WITHIN_SECONDS, outcome
    finally:
        proxy.close()
    table.assert_opens_with(kek_v2)


@pytest.mark.watchdog(120)
def test_a_worker_in_a_black_hole_can_be_stopped(database, queue_tool, table):
    """SIGTERM ends it in time, though its lane waits for an answer that will not come."""
    is_armed = lambda: "Working on job" in worker.stderr_so_far()  # noqa: E731
    proxy = StepProxy("127.0.0.1", database.server.port, Step("UPDATE", after=False), lambda: None, is_armed)
    try:
        worker = queue_tool.worker("--concurrency", 1, database_url=database.url_through(proxy.port))
        coordinator = queue_tool.coordinator("-b", 20)
        wait_until(proxy.reached.is_set, "the worker is caught")
        worker.send(15)
        worker.wait(NOTICED_WITHIN_SECONDS).expect(143)
        coordinator.send(15)
        coordinator.wait(NOTICED_WITHIN_SECONDS)
    finally:
        proxy.close()


@pytest.mark.watchdog(60)
def test_a_slow_statement_is_waited_for(database, make_tool, kek_v1, kek_v2):
    """The server works: silence of more than the five seconds is no black hole."""
    table = SecretsTable(database).create().fill(kek_v1, range(40))
    database.execute(
        f"CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(8); RETURN NULL; END';"
        f"CREATE TRIGGER dawdle AFTER UPDATE ON {table.name} FOR EACH STATEMENT EXECUTE FUNCTION dawdle()"
    )
    tool = make_tool(database.url)
    tool.write_catalog(table)
    outcome = tool.run().expect(0)
    assert outcome.report["records"]["rewrapped"] == 40 and "silent" not in outcome.stderr, outcome
    table.assert_opens_with(kek_v2)
