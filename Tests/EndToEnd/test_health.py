"""`--health-listen`: ready by what the work itself did, live while it tries; and ends where only a person can help."""

import http.client
import json
import os
import re
import signal
import socket

import pytest

from support.secrets_table import SecretsTable
from support.waiting import wait_until
from test_verify_on_standbys import standby  # noqa: F401

LISTENING = re.compile(r"Listening for HTTP .*port=\"?(\d+)")


class Health:
    """Asks a process for its health."""

    def __init__(self, process):
        self.process = process
        found = wait_until(lambda: LISTENING.search(process.stderr_so_far()), "it listens")
        self.port = int(found.group(1))

    def get(self, path, method="GET"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def ready(self):
        status, body = self.get("/ready")
        body = json.loads(body)
        assert (status, body["status"]) in ((200, "ok"), (503, "unavailable")), (status, body)
        return status == 200, body.get("reason")

    def is_live(self):
        return self.get("/live")[0] == 200

    def wait_until_ready(self, timeout=10):
        wait_until(lambda: self.ready()[0], "it is ready", timeout)

    def wait_until_ready_or_over(self, timeout):
        def is_ready_or_over():
            try:
                return self.ready()[0]
            except OSError:
                return not self.process.is_running()

        wait_until(is_ready_or_over, "it is ready, or has ended", timeout)

    def wait_until_not_ready(self, word, timeout):
        """Not ready for the reason that is expected, and live all the while."""

        def is_down():
            assert self.is_live(), self.get("/live")
            is_ready, reason = self.ready()
            return not is_ready and word in reason

        wait_until(is_down, f"it is not ready: {word}", timeout, interval=0.1)


LISTEN = ("--health-listen", "127.0.0.1:0")


@pytest.mark.slow
def test_without_redis_they_are_live_and_not_ready(queue_tool, redis_server, queue, table, kek_v2):
    """A worker without a job, one at work, the coordinator that leads it, and a spare one; then Redis is silent."""
    worker = queue_tool.worker(*LISTEN)
    idle = Health(worker)
    idle.wait_until_ready()
    holder = table.database.connect()
    with holder.cursor() as cursor:
        cursor.execute(f"SELECT FROM {table.sql_name} FOR UPDATE")
        leader = Health(queue_tool.coordinator("--batch-size", 20, *LISTEN))
        spare = Health(queue_tool.coordinator(*LISTEN))
        queue.wait_for_state("draining")
        everybody = (idle, leader, spare)
        for health in everybody:
            health.wait_until_ready()
            assert health.get("/other")[0] == 404
            assert health.get("/ready", "POST")[0] in (404, 405)
        os.kill(redis_server.pid, signal.SIGSTOP)
        try:
            for health in everybody:
                health.wait_until_not_ready("queue: no success for", 25)
        finally:
            os.kill(redis_server.pid, signal.SIGCONT)
        for health in everybody:
            health.wait_until_ready(15)
    holder.rollback()
    leader.process.wait().expect(0)
    spare.process.wait().expect(0)
    idle.wait_until_ready()
    table.assert_opens_with(kek_v2)


@pytest.mark.slow
def test_with_a_database_that_stands_still(database, queue_tool, queue, kek_v1, kek_v2):
    """The whole server, as behind a black hole: of connections alone that swallow everything, a new one is a way out."""
    table = SecretsTable(database).create().fill(kek_v1, range(20_000))
    queue_tool.tool.write_catalog(table)
    worker = Health(queue_tool.worker(*LISTEN))
    leader = Health(queue_tool.coordinator("--batch-size", 20, *LISTEN))
    queue.wait_until_done(200)
    worker.wait_until_ready()
    leader.wait_until_ready()
    found = database.rows(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name IN ('reencrypt-secrets worker', 'reencrypt-secrets leader')"
    )
    assert len(found) >= 3
    # The postmaster first: it makes no new process, and does not notice what becomes of the others.
    pids = [database.server._running_pid(), *(pid for pid, in found)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        worker.wait_until_not_ready("database: ", 35)
        leader.wait_until_not_ready("lead: no success for", 30)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    # What is left may be done before anybody asks.
    leader.wait_until_ready_or_over(30)
    worker.wait_until_ready(30)
    leader.process.wait().expect(0)
    table.assert_opens_with(kek_v2)


def test_wrong_and_taken_addresses_are_refused(queue_tool, table):
    for wrong in ("8080", ":8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:70000", "::1:80", "[]:80"):
        queue_tool.worker("--health-listen", wrong).wait(10).expect(64)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for command in (queue_tool.worker, queue_tool.coordinator):
            command("--health-listen", address).wait(10).expect_refusal("cannot listen for http", "in use")


def test_a_worker_that_is_told_to_stop_with_a_server_ends_in_time(queue_tool, queue, table):
    worker = queue_tool.worker(*LISTEN)
    Health(worker).wait_until_ready()
    worker.send(signal.SIGTERM)
    assert worker.wait(10).expect(143).seconds < 10


# MARK: where only a person can help


def test_without_a_privilege_both_end_at_the_start(database, make_queue_tool, table):
    role = database.create_role("rotator")
    database.execute(f"GRANT SELECT ON {table.sql_name} TO {role}")
    limited = make_queue_tool(database.url_as(role))
    limited.tool.write_catalog(table)
    for command in (limited.worker, limited.coordinator):
        command().wait(20).expect_refusal("lacks UPDATE", "grant")


def test_a_privilege_that_is_taken_away_in_mid_job_ends_the_worker(database, make_queue_tool, queue, kek_v1, kek_v2):
    table = SecretsTable(database).create().fill(kek_v1, range(5_000))
    role = database.create_role("rotator")
    database.execute(f"GRANT SELECT, UPDATE ON {table.sql_name} TO {role}")
    limited = make_queue_tool(database.url_as(role))
    limited.tool.write_catalog(table)
    coordinator = limited.coordinator("--batch-size", 20)
    worker = limited.worker()
    queue.wait_until_done(200)
    database.execute(f"REVOKE UPDATE ON {table.sql_name} FROM {role}")
    worker.wait(30).expect_refusal("permission denied", table.name, "catalog check")
    # Mended, the next one goes on: nothing was lost or booked as failed.
    database.execute(f"GRANT UPDATE ON {table.sql_name} TO {role}")
    limited.worker("--exit-when-done").wait(40).expect(0)
    coordinator.wait().expect(0)
    table.assert_opens_with(kek_v2)


def test_a_standby_is_refused_by_both(make_queue_tool, database, table, standby):  # noqa: F811
    there = make_queue_tool(standby.url(database.name))
    there.tool.write_catalog(table)
    for command in (there.worker, there.coordinator):
        command().wait(20).expect_refusal(("standby", "recovery", "read-only"))
