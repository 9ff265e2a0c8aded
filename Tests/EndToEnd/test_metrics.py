"""What Prometheus scrapes: valid by its own checker, true to the keys, absent where nothing is known."""

import json
import os
import re
import signal
import subprocess
import time

import pytest

from support.rotation_tool import REPOSITORY
from support.secrets_table import SecretsTable
from support.waiting import wait_until
from test_dashboard import LOCKED, Dashboard, dashboard, held  # noqa: F401
from test_health import Health

PROMTOOL = REPOSITORY / ".build/tools/promtool"
SERIES = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")


def checked(text) -> dict:
    """(name, labels) → value, once promtool has nothing to say against the text."""
    result = subprocess.run([PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True, timeout=20)
    assert result.returncode == 0, result.stdout + result.stderr
    assert not result.stdout + result.stderr
    found = {}
    for line in text.splitlines():
        match = SERIES.match(line)
        if match:
            found[match[1], match[2] or ""] = float(match[3])
    return found


def test_without_a_job_nothing_is_claimed(dashboard):  # noqa: F811
    assert checked(dashboard.get("metrics")[1]) == {("reencrypt_redis_up", ""): 1}


def test_metrics_of_a_job_in_mid_run_agree_with_its_progress(dashboard, queue, held):  # noqa: F811
    found = checked(dashboard.get("metrics")[1])
    progress = queue.progress("llm_providers")
    for outcome in ("rewrapped", "superseded", "failed"):
        labels = f'table="llm_providers",outcome="{outcome}"'
        assert found["reencrypt_records_total", labels] == progress[f"records_{outcome}"]
    assert found["reencrypt_remaining_records", 'table="llm_providers"'] == 2_000
    assert found["reencrypt_job_state", 'state="draining"'] == 1
    assert found["reencrypt_job_state", 'state="complete"'] == 0
    assert found["reencrypt_workers", ""] == 1
    assert found["reencrypt_paused", ""] == 0


def test_redis_away(dashboard, redis_server, held):  # noqa: F811
    dashboard.get("metrics")
    redis_server.stop(immediate=True)
    # What was known a second ago may be told once more, not longer.
    time.sleep(1.2)
    assert checked(dashboard.get("metrics")[1]) == {("reencrypt_redis_up", ""): 0}
    redis_server.start()


# MARK: workers and coordinators themselves

LISTEN = ("--metrics-listen", "127.0.0.1:0")


class Measured:
    """A process that is asked for its metrics."""

    def __init__(self, process):
        self.process = process
        self._server = Health(process)

    def text(self):
        status, body = self._server.get("/metrics")
        assert status == 200
        return body.decode()

    def values(self) -> dict:
        """Name without `reencrypt_worker_`, labels → value; valid by promtool."""
        return {(re.sub("^reencrypt_(worker|coordinator)_", "", name), labels): value for (name, labels), value in
                checked(self.text()).items()}  # fmt: skip

    def wait_for(self, name, labels, expected, timeout=15):
        """`expected` is a value, or what it has to satisfy."""
        test = expected if callable(expected) else lambda value: value == expected

        def is_so():
            value = self.values().get((name, labels))
            return value is not None and test(value)

        wait_until(is_so, f"{name}{{{labels}}} is as it should be", timeout, interval=0.1)


@pytest.fixture
def measured(database, queue, queue_tool, table):
    """Coordinator and two workers; the job cannot end while an application holds a row, all others are done."""
    application = database.connect("application")
    application.cursor().execute(f"SELECT FROM {table.sql_name} WHERE id = {LOCKED} FOR UPDATE")
    leader = Measured(queue_tool.coordinator("--batch-size", 20, *LISTEN))
    workers = [Measured(queue_tool.worker(*LISTEN)) for _ in range(2)]
    queue.wait_until_done(1_999)
    yield leader, workers, application
    application.rollback()


def summed(workers, name, labels):
    return sum(worker.values()[name, labels] for worker in workers)


OUTCOMES = ("rewrapped", "superseded", "failed")


def records_of(workers, table):
    return [summed(workers, "records_total", f'table="{table}",outcome="{outcome}"') for outcome in OUTCOMES]


def test_workers_add_up_to_the_job(measured, queue, table, kek_v2):
    leader, workers, application = measured

    def agree():
        progress = queue.progress(table.name)
        return records_of(workers, table.name) == [progress[f"records_{outcome}"] for outcome in OUTCOMES]

    wait_until(agree, "workers and queue agree")
    assert records_of(workers, table.name) == [1_999, 0, 0]
    for worker in workers:
        values = worker.values()
        assert values["lanes", ""] == 2
        done = values["batches_total", 'outcome="done"']
        assert values["batch_seconds_count", ""] == done
        assert all(values["connection_errors_total", f'server="{name}"'] == 0 for name in ("postgres", "redis"))
        if not done:
            # The other one was quicker.
            continue
        assert 0 < values["crypto_seconds_sum", ""] < values["batch_seconds_sum", ""]
        assert 0 < values["commit_seconds_sum", ""] < values["batch_seconds_sum", ""]
        assert values["queue_seconds_count", 'script="acknowledge"'] >= done
        assert values["queue_seconds_bucket", 'script="claim",le="+Inf"'] > 0
        assert values["acknowledgements_total", 'result="duplicate"'] == 0
        assert abs(values["last_progress_timestamp_seconds", ""] - time.time()) < 60
    # The row that is locked comes back again and again.
    wait_until(lambda: summed(workers, "batches_total", 'outcome="locked"') > 2, "the range is handed back", 30)

    # A dead worker's series end with it.
    workers[0].process.kill()
    with pytest.raises(OSError):
        workers[0].text()
    queue.expire_leases()
    done_there = records_of(workers[1:], table.name)
    application.rollback()
    leader.process.wait().expect(0)
    wait_until(lambda: records_of(workers[1:], table.name)[0] > done_there[0], "the last record is counted")
    table.assert_opens_with(kek_v2)


def test_what_a_coordinator_sees(measured, queue, queue_tool, table):
    leader, _, _ = measured
    values = leader.values()
    assert values["leading", ""] == 1
    assert values["remaining_records", f'table="{table.name}"'] == 2_000
    for state in ("done", "dead", "pending"):
        leader.wait_for("batches", f'state="{state}"', lambda value: value == queue.progress()[f"batches_{state}"])
    leader.wait_for("last_progress_timestamp_seconds", "", lambda value: abs(value - time.time()) < 60)
    leader.wait_for("paused", "", 0)
    queue_tool.command("pause").expect(0)
    leader.wait_for("paused", "", 1)
    queue_tool.command("resume").expect(0)
    leader.wait_for("paused", "", 0)

    # A spare one knows of nothing but itself.
    spare = Measured(queue_tool.coordinator(*LISTEN))
    spare.wait_for("leading", "", 0)
    time.sleep(4)
    assert {name for name, _ in spare.values()} == {"leading", "lease_expiries_total", "connection_errors_total"}


def test_lost_connections_are_counted(measured, queue, redis_server, database):
    leader, workers, _ = measured
    everybody = [leader, *workers]
    redis_server.stop(immediate=True)
    for one in everybody:
        one.wait_for("connection_errors_total", 'server="redis"', lambda value: value > 0)
        assert one.values()["connection_errors_total", 'server="postgres"'] == 0
    redis_server.start()
    wait_until(lambda: queue.progress().get("enumeration_done") == 1, "the queue is drawn again")

    def end_sessions_of(process):
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            f"AND application_name = 'reencrypt-secrets {process}'"
        )

    end_sessions_of("leader")
    leader.wait_for("connection_errors_total", 'server="postgres"', lambda value: value > 0, 30)

    def a_worker_has_noticed():
        # One that ends between two uses of it may be dialled again without a word.
        end_sessions_of("worker")
        return summed(workers, "connection_errors_total", 'server="postgres"') > 0

    wait_until(a_worker_has_noticed, "a worker has noticed", 60, interval=0.2)


def test_leases_that_ran_out(database, queue, queue_tool, kek_v1):
    table = SecretsTable(database).create().fill(kek_v1, range(20_000))
    queue_tool.tool.write_catalog(table)
    leader = Measured(queue_tool.coordinator("--batch-size", 20, *LISTEN))
    worker = queue_tool.worker()
    queue.wait_until_done(200)

    def is_stopped_with_leases():
        os.kill(worker.pid, signal.SIGSTOP)
        if queue.leases():
            return True
        os.kill(worker.pid, signal.SIGCONT)
        return False

    wait_until(is_stopped_with_leases, "the worker holds leases")
    assert leader.values()["lease_expiries_total", ""] == 0
    held_by_it = len(queue.leases())
    queue.expire_leases()
    leader.wait_for("lease_expiries_total", "", held_by_it)
    worker.kill()


def test_the_reason_of_a_throttle(queue, queue_tool, table):
    leader = Measured(queue_tool.coordinator("--batch-size", 20, "--max-records-per-second", 200, *LISTEN))
    queue_tool.worker()

    def is_named():
        values = leader.values()
        named = {labels for name, labels in values if name == "throttled" and values[name, labels] == 1}
        if named:
            assert named == {'reason="max_records_per_second"'}
        return bool(named)

    wait_until(is_named, "the reason is named", 10, interval=0.1)
    assert len([1 for name, _ in leader.values() if name == "throttled"]) == 10


def test_a_run_shows_both(database, tool, kek_v1, kek_v2):
    """Coordinator and worker of a rotation in one process, without a queue."""
    table = SecretsTable(database).create().fill(kek_v1, range(2_000))
    tool.write_catalog(table)
    application = database.connect("application")
    application.cursor().execute(f"SELECT FROM {table.sql_name} WHERE id = {LOCKED} FOR UPDATE")
    run = Measured(tool.start_run("--batch-size", 20, *LISTEN))
    rewrapped = f'table="{table.name}",outcome="rewrapped"'
    run.wait_for("records_total", rewrapped, 1_999, 30)
    run.wait_for("batches", 'state="done"', lambda value: value >= 99)
    values = run.values()
    assert values["leading", ""] == 1
    assert values["remaining_records", f'table="{table.name}"'] == 2_000
    assert values["lanes", ""] == 2
    assert 0 < values["crypto_seconds_sum", ""] < values["batch_seconds_sum", ""]
    database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = 'reencrypt-secrets leader'"
    )
    lost = "reencrypt_coordinator_connection_errors_total", 'server="postgres"'
    wait_until(lambda: checked(run.text())[lost] > 0, "the lost lead is counted", 30, interval=0.1)
    application.rollback()
    run.process.wait().expect(0)
    table.assert_opens_with(kek_v2)
    tool.run("--dry-run", *LISTEN).expect_refusal("--metrics-listen", exit_codes=(64,))


def test_labels_are_bounded_and_nothing_is_secret(measured, table, kek_v1, kek_v2):
    leader, workers, _ = measured
    known = {
        "table": {table.name},
        "outcome": {*OUTCOMES, "done", "split", "buried", "error", "locked", "unled", "stopping"},
        "result": {"counted", "duplicate", "stale"},
        "script": {"claim", "acknowledge", "hand_back", "split", "bury", "heartbeat"},
        "server": {"postgres", "redis"},
        "state": {"pending", "leased", "delayed", "dead", "done"},
    }
    for one in (leader, *workers):
        text = one.text()
        for name, value in re.findall(r'(\w+)="([^"]*)"', text):
            assert name in ("le", "reason") or value in known[name], (name, value)
        for kek in (kek_v1, kek_v2):
            assert kek.key_id not in text and kek.setting.split(":")[1] not in text


def test_one_server_for_both_options_or_two(queue_tool, table):
    one = queue_tool.worker(*LISTEN, "--health-listen", "127.0.0.1:0")
    together = Health(one)
    together.wait_until_ready()
    assert together.get("/metrics")[0] == 200
    assert one.stderr_so_far().count("Listening for HTTP") == 1

    two = queue_tool.worker("--metrics-listen", "localhost:0", "--health-listen", "127.0.0.1:0")
    listening = re.compile(r"Listening for HTTP .*paths=\"?([^\"]*?)\"? port=\"?(\d+)")
    wait_until(lambda: len(listening.findall(two.stderr_so_far())) == 2, "both listen")
    for paths, port in listening.findall(two.stderr_so_far()):
        apart = Health(two)
        apart.port = int(port)
        for path in ("/live", "/ready", "/metrics"):
            assert (apart.get(path)[0] == 404) == (path not in paths), (path, paths)


# MARK: what is built on them

RULES = REPOSITORY / "deploy/prometheus"
GRAFANA = REPOSITORY / "deploy/grafana/reencrypt-secrets.json"


def test_alert_rules():
    for command in (["check", "rules", "rules.yaml"], ["test", "rules", "rules.test.yaml"]):
        result = subprocess.run([PROMTOOL, *command], cwd=RULES, capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result.stdout + result.stderr


def test_each_alert_is_tested():
    alerts = set(re.findall(r"alert: (\w+)", (RULES / "rules.yaml").read_text()))
    assert alerts == set(re.findall(r"alertname: (\w+)", (RULES / "rules.test.yaml").read_text()))


def names_in(text):
    return set(re.findall(r"^# TYPE (\w+)", text, re.M))


def test_rules_and_grafana_and_what_is_served_agree_on_names(queue_tool, queue, measured):
    leader, workers, _ = measured
    documented = set(re.findall(r"`(reencrypt_\w+)`", (REPOSITORY / "docs/metrics.md").read_text()))
    leader.wait_for("last_progress_timestamp_seconds", "", lambda value: value > 0)
    texts = [Dashboard(queue_tool).get("metrics")[1], *(one.text() for one in (leader, *workers))]
    served = set().union(*map(names_in, texts))
    assert served <= documented, f"not documented: {served - documented}"
    # Unknown while nothing moves.
    missing = documented - served - {"reencrypt_eta_seconds", "reencrypt_records_per_second"}
    assert not missing, f"documented, and not served: {missing}"
    for path in (RULES / "rules.yaml", GRAFANA):
        used = set(re.findall(r"\breencrypt_\w+", path.read_text()))
        used = {re.sub("_(bucket|sum|count)$", "", name) if name not in documented else name for name in used}
        assert used and used <= documented, f"{path.name} uses {used - documented}"
    json.loads(GRAFANA.read_text())
