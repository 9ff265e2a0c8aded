"""What an operator does with a job: looks, pauses, cancels, retries, stops and starts its processes."""

import json
import os
import re
import signal
import threading
import time

import jsonschema
import pytest

from envelope_reference import KeyEncryptionKey, seal
from support.queue_process import Queue, tally, wait_until_ready
from support.resp_proxy import RespProxy
from support.rotation_tool import REPOSITORY
from support.secrets_table import SecretsTable
from support.waiting import wait_until

SMALL = ("--batch-size", 20)
LOCKED = 1_500


@pytest.fixture
def held(database, queue, queue_tool, table):
    """A coordinator whose job cannot end while an application holds a row."""
    application = database.connect("application")
    application.cursor().execute(f"SELECT FROM llm_providers WHERE id = {LOCKED} FOR UPDATE")
    coordinator = queue_tool.coordinator(*SMALL)
    queue.wait_for_state("draining")
    yield coordinator, application
    application.rollback()


def all_but_locked(queue):
    queue.wait_until_done(1_999)


# MARK: looking


def test_status_says_what_the_job_does(queue, queue_tool, held, table):
    coordinator, application = held
    worker = queue_tool.worker("--exit-when-done")
    all_but_locked(queue)
    text = queue_tool.command("status").expect(0).stdout
    assert "llm_providers" in text and "draining" in text and "kek-v2" in text and "1,999 of 2,000" in text
    shown = queue_tool.status()
    assert shown["queue"] == "default"
    assert shown["progress"]["records_done"] == "1999" and shown["progress"]["state"] == "draining"
    assert shown["tables"]["llm_providers"]["records_done"] == "1999"
    assert len(shown["workers"]) == 1
    application.rollback()
    coordinator.wait().expect(0)
    worker.wait(20).expect(0)
    assert queue_tool.status()["progress"]["state"] == "complete"
    assert "complete" in queue_tool.command("status", "--watch").expect(0).stdout


def test_without_a_job(queue, queue_tool, table):
    assert "no job" in queue_tool.command("status").expect(0).stdout.lower()
    for command in ("pause", "resume", "cancel", "failures retry"):
        queue_tool.command(command).expect_refusal("no job")
    assert queue_tool.command("failures").expect(0).stdout == ""
    for command in ("status", "worker", "coordinator"):
        queue_tool.command(command, REDIS_URL=None).expect_refusal("REDIS_URL")
    queue_tool.tool.command("status", "--queue", "a b", environment=queue_tool.environment()).expect(64)


def test_a_finished_job_is_in_history(queue, queue_tool, table, kek_v2):
    coordinator = queue_tool.coordinator()
    queue_tool.worker()
    outcome = coordinator.wait().expect(0)
    report = queue.history()[0]
    assert report["outcome"] == "complete" and report["records"]["rewrapped"] == 2_000
    census = {tuple(json.loads(key)): int(n) for key, n in queue.redis.hash(queue.key("census")).items()}
    assert census == {("llm_providers", "api_key_encrypted", "kek-v2"): 2_000}
    assert "kek-v2" in outcome.stdout


# MARK: pause, resume, cancel


def test_pause_and_resume(queue, queue_tool, held, table, kek_v2):
    coordinator, application = held
    application.rollback()
    queue_tool.command("pause").expect(0)
    worker = queue_tool.worker("--exit-when-done")
    time.sleep(1.5)
    assert queue.progress()["paused"] == 1 and queue.done() == 0 and queue.leases() == []
    assert "paused" in queue_tool.command("status").stdout
    queue_tool.command("resume").expect(0)
    coordinator.wait().expect(0)
    worker.wait(20).expect(0)
    table.assert_opens_with(kek_v2)


def test_cancel(queue, queue_tool, held, table, kek_v1, kek_v2):
    coordinator, _ = held
    waiting = queue_tool.coordinator(*SMALL)
    wait_until(lambda: "Waiting for the lead" in waiting.stderr_so_far(), "a second coordinator waits")
    worker = queue_tool.worker("--exit-when-done")
    all_but_locked(queue)
    queue_tool.command("cancel").expect(0)
    coordinator.wait(20).expect(2)
    waiting.wait(20).expect(2)
    worker.wait(20).expect(2)
    assert queue.progress()["state"] == "cancelled"
    report = queue.history()[0]
    assert report["outcome"] == "cancelled"
    schema = json.loads((REPOSITORY / "docs/report.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate({**report, "failures": []}, schema, cls=jsonschema.Draft202012Validator)
    assert table.count_under(kek_v2) == 1_999, "what was re-encrypted stays so"
    queue_tool.command("cancel").expect_refusal("no job")


def test_cancel_without_a_coordinator_and_begin_anew(queue, queue_tool, held, back, table, kek_v1):
    coordinator, application = held
    queue_tool.worker()
    all_but_locked(queue)
    coordinator.kill()
    back.coordinator().wait(20).expect_refusal("refused")
    queue_tool.command("cancel").expect(0)
    application.rollback()
    queue_tool.tool.kill_all()
    second = back.coordinator()
    worker = back.worker("--exit-when-done")
    second.wait(30).expect(0)
    worker.wait(20).expect(0)
    table.assert_opens_with(kek_v1)


# MARK: failures


def test_failures_and_retry(queue, queue_tool, held, table, kek_v1, kek_v2):
    coordinator, application = held
    application.rollback()
    coordinator.send(signal.SIGTERM)
    coordinator.wait(15).expect(143)
    table.insert([(5_000, b"no envelope"), (5_001, seal(KeyEncryptionKey.generate("kek-v1"), b"lost").text)])
    # A fresh enumeration has to see them.
    queue_tool.command("cancel").expect(0)
    application.cursor().execute(f"SELECT FROM llm_providers WHERE id = {LOCKED} FOR UPDATE")
    coordinator = queue_tool.coordinator(*SMALL)
    worker = queue_tool.worker("--exit-when-done")
    queue.wait_until_done(2_001)
    text = queue_tool.command("failures").expect(0).stdout
    assert "llm_providers.api_key_encrypted (id=5000" in text and "id=5001, key=kek-v1" in text
    listed = [json.loads(line) for line in queue_tool.command("failures", "--json").expect(0).stdout.splitlines()]
    assert {one["id"] for one in listed} == {"5000", "5001"}
    assert all(one["reason"] and one["at"] > 0 and one["table"] == "llm_providers" for one in listed)
    assert queue.progress()["records_failed"] == queue.progress()["failures_total"] == 2

    table.database.execute(
        "UPDATE llm_providers SET api_key_encrypted = %s WHERE id = 5000", (seal(kek_v1, b"mended").bytes,)
    )
    assert "2" in queue_tool.command("failures retry").expect(0).stdout
    wait_until(
        lambda: (queue.progress()["records_rewrapped"], queue.progress()["records_failed"]) == (2_000, 1),
        "the mended one is done, the other failed again",
    )
    assert list(queue.failures()) == [("llm_providers", "5001", "api_key_encrypted")]
    application.rollback()
    coordinator.wait().expect(2)
    worker.wait(20).expect(2)
    progress = queue.progress()
    assert progress["state"] == "incomplete" and progress["records_failed"] == 1
    assert table.stored()[5_001] != b"no envelope"


# MARK: coordinators


@pytest.mark.usefixtures("either_order")
def test_a_second_coordinator_takes_over_from_a_killed_one(queue, queue_tool, held, table, kek_v2):
    coordinator, application = held
    second = queue_tool.coordinator(*SMALL)
    wait_until(lambda: "Waiting for the lead" in second.stderr_so_far(), "the second one waits")
    worker = queue_tool.worker("--exit-when-done")
    all_but_locked(queue)
    before = queue.progress()
    coordinator.kill()
    started = time.monotonic()
    wait_until(lambda: "Taking up the unfinished job" in second.stderr_so_far(), "the second one leads", 45)
    assert time.monotonic() - started < 15
    application.rollback()
    second.wait().expect(0)
    worker.wait(20).expect(0)
    after = queue.progress()
    assert after["job"] == before["job"] and after["records_rewrapped"] == after["records_total"] == 2_000
    table.assert_opens_with(kek_v2)


def test_a_worker_that_is_cut_off_keeps_nobody_from_leading(database, queue, queue_tool, held, table):
    """It was asking whether the job is led, and held the job's lock for the moment of the question."""
    coordinator, _ = held
    record = json.loads(queue.redis.command("HGET", queue.key("state"), "record"))
    coordinator.kill()
    stranded = database.connect("cut off").cursor()
    wait_until(
        lambda: stranded.execute("SELECT pg_try_advisory_xact_lock_shared(%s)", (record["lock_key"],))
        or stranded.fetchone()[0],
        "nobody leads",
    )
    second = queue_tool.coordinator()
    wait_until(lambda: "Taking up" in second.stderr_so_far(), "the second one leads", timeout=5)


@pytest.mark.slow
@pytest.mark.watchdog(150)
def test_a_second_coordinator_takes_over_from_a_frozen_one(queue, queue_tool, held, table, kek_v2):
    coordinator, application = held
    second = queue_tool.coordinator(*SMALL)
    wait_until(lambda: "Waiting for the lead" in second.stderr_so_far(), "the second one waits")
    coordinator.send(signal.SIGSTOP)
    wait_until(lambda: "Taking up the unfinished job" in second.stderr_so_far(), "the second one leads", 45)
    worker = queue_tool.worker("--exit-when-done")
    all_but_locked(queue)
    coordinator.send(signal.SIGCONT)
    time.sleep(2)
    application.rollback()
    second.wait(30).expect(0)
    coordinator.wait(30).expect(0)
    worker.wait(20).expect(0)
    assert len(queue.history()) == 1
    assert queue.progress()["records_rewrapped"] == 2_000


def test_a_waiting_coordinator_ends_with_the_jobs_exit_code(queue, queue_tool, held, table):
    coordinator, application = held
    second = queue_tool.coordinator(*SMALL)
    wait_until(lambda: "Waiting for the lead" in second.stderr_so_far(), "the second one waits")
    queue_tool.worker()
    application.rollback()
    coordinator.wait().expect(0)
    second.wait(20).expect(0)
    assert len(queue.history()) == 1, "the second one made a job of its own"


def test_a_waiting_coordinator_of_an_incomplete_job(queue, queue_tool, table):
    table.insert([(5_000, b"no envelope")])
    coordinator = queue_tool.coordinator(*SMALL)
    queue.wait_for_state("draining")
    second = queue_tool.coordinator(*SMALL)
    wait_until(lambda: "Waiting for the lead" in second.stderr_so_far(), "the second one waits")
    queue_tool.worker()
    coordinator.wait().expect(2)
    second.wait(20).expect(2)
    assert len(queue.history()) == 1


def test_a_coordinator_with_other_settings_is_refused(database, queue, queue_tool, make_queue_tool, held, back, table):
    back.coordinator().wait(20).expect_refusal("refused", "kek-v2")
    queue_tool.coordinator("--mode", "reencrypt").wait(20).expect_refusal("refused", "mode")
    more = SecretsTable(database, name="webhooks").create()
    other = make_queue_tool()
    other.tool.write_catalog(table, more)
    other.coordinator().wait(20).expect_refusal("refused", "catalog")
    impostor = make_queue_tool(primary=KeyEncryptionKey.generate("kek-v2"))
    impostor.tool.write_catalog(table)
    impostor.coordinator().wait(20).expect_refusal("refused", "differs")
    assert held[0].is_running() and queue.done() == 0


def test_a_led_table_is_refused_to_other_queues_and_to_run(redis_server, queue_tool, make_queue_tool, held, table):
    other = make_queue_tool(on=Queue(redis_server, "other"))
    other.tool.write_catalog(table)
    other.coordinator().wait(20).expect_refusal("llm_providers", ("another", "held"))
    queue_tool.tool.run(timeout=20).expect_refusal("llm_providers", ("another", "held"))
    queue_tool.tool.run("--dry-run", timeout=20).expect(0)
    assert held[0].is_running()


def test_two_queues_side_by_side(database, redis_server, queue, queue_tool, make_queue_tool, table, kek_v1, kek_v2):
    second_table = SecretsTable(database, name="webhooks").create().fill(kek_v1, range(1_000))
    second_queue = Queue(redis_server, "other-queue.2")
    other = make_queue_tool(on=second_queue)
    other.tool.write_catalog(second_table)
    coordinators = [queue_tool.coordinator(*SMALL), other.coordinator(*SMALL)]
    hands = [one.worker("--exit-when-done") for one in (queue_tool, other)]
    for process in coordinators + hands:
        process.wait(40).expect(0)
    assert queue.progress()["records_rewrapped"] == 2_000
    assert second_queue.progress()["records_rewrapped"] == 1_000
    table.assert_opens_with(kek_v2)
    second_table.assert_opens_with(kek_v2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_stopped_coordinator_leaves_the_job(queue, queue_tool, held, table, kek_v2, number):
    coordinator, application = held
    worker = queue_tool.worker("--exit-when-done")
    all_but_locked(queue)
    job = queue.progress()["job"]
    coordinator.send(number)
    outcome = coordinator.wait(15).expect(128 + number)
    assert "stays on the queue" in outcome.stderr
    assert queue.progress()["state"] == "draining"
    application.rollback()
    queue_tool.coordinator(*SMALL).wait(30).expect(0)
    worker.wait(20).expect(0)
    assert queue.progress()["job"] == job
    table.assert_opens_with(kek_v2)


# MARK: workers


@pytest.mark.parametrize("lock", ["a row", "the table"])
def test_a_worker_stops_within_ten_seconds(database, queue, queue_tool, held, table, kek_v2, lock):
    coordinator, application = held
    if lock == "the table":
        application.rollback()
        application.cursor().execute("LOCK TABLE llm_providers IN ACCESS EXCLUSIVE MODE")
    workers = [queue_tool.worker() for _ in range(2)]
    if lock == "a row":
        all_but_locked(queue)
    else:
        wait_until(lambda: queue.progress()["batches_delayed"] > 0, "a range is blocked")
    started = time.monotonic()
    for worker in workers:
        worker.send(signal.SIGTERM)
    outcomes = [worker.wait(12).expect(143) for worker in workers]
    assert time.monotonic() - started < 10
    assert queue.leases() == [], "a range was kept"
    assert queue.progress()["batches_leased"] == 0
    application.rollback()
    last = queue_tool.worker("--exit-when-done")
    coordinator.wait().expect(0)
    outcomes.append(last.wait(20).expect(0))
    progress = queue.progress()
    assert progress["records_rewrapped"] == progress["records_total"] == 2_000
    assert sum(tally(outcome)["rewrapped"] for outcome in outcomes) == 2_000, "a stopped worker tells no tally"


def test_workers_started_before_the_job(queue, queue_tool, table, kek_v2):
    hands = [queue_tool.worker("--exit-when-done") for _ in range(2)]
    for hand in hands:
        wait_until(lambda hand=hand: "Connected to database" in hand.stderr_so_far(), "it waits")
    time.sleep(1)
    assert all(hand.is_running() for hand in hands)
    queue_tool.coordinator().wait(30).expect(0)
    for hand in hands:
        hand.wait(20).expect(0)
    table.assert_opens_with(kek_v2)


def test_a_worker_goes_from_job_to_job(queue, queue_tool, table, kek_v1):
    worker = queue_tool.worker()
    queue_tool.coordinator().wait(30).expect(0)
    table.insert([(number, seal(kek_v1, b"more")) for number in range(10_000, 10_100)])
    queue_tool.coordinator().wait(30).expect(0)
    worker.send(signal.SIGTERM)
    assert tally(worker.wait(15).expect(143))["rewrapped"] == 2_100
    assert len(queue.history()) == 2


def test_a_claim_for_an_earlier_job_takes_nothing(queue, queue_tool, table, kek_v1):
    """A lane asks now and then; meanwhile its job may have ended and the next one begun."""
    is_held, may_pass = threading.Event(), threading.Event()

    def hold(request):
        if request.name == "claim" and queue.progress().get("state") == "complete" and not may_pass.is_set():
            is_held.set()
            may_pass.wait(30)

    with RespProxy(queue.server.port, hold) as proxy:
        worker = queue_tool.worker("--concurrency", 1, redis_port=proxy.port)
        wait_until_ready([worker])
        queue_tool.coordinator().wait(30).expect(0)
        wait_until(is_held.is_set, "a claim for the first job is on its way")
        table.insert([(number, seal(kek_v1, b"more")) for number in range(10_000, 10_100)])
        coordinator = queue_tool.coordinator()
        wait_until(lambda: queue.progress()["state"] == "draining" and queue.progress()["batches_pending"], "next job")
        started = time.monotonic()
        may_pass.set()
        coordinator.wait(50).expect(0)
        assert time.monotonic() - started < 10, "the range was lost until its lease ran out"
    assert int(queue.redis.command("HGET", queue.key("state"), "lease_expiries") or 0) == 0


def test_a_worker_that_looks_while_the_job_changes(queue, queue_tool, back, table, kek_v2):
    """The record of the last job, of the opposite target, and the state of the new one are no pair."""
    back.coordinator().wait(20).expect(0)
    is_held, may_pass = threading.Event(), threading.Event()

    def hold(request):
        asks_for_state = request.name in ("HGET", "HMGET", "EXEC") and b"state" in request.arguments
        if asks_for_state and not may_pass.is_set():
            is_held.set()
            may_pass.wait(30)

    with RespProxy(queue.server.port, hold) as proxy:
        worker = queue_tool.worker("--exit-when-done", redis_port=proxy.port)
        try:
            wait_until(is_held.is_set, "the worker looks", 5)
        except AssertionError:
            pytest.skip("the tool looks in another way than this test can hold up")
        coordinator = queue_tool.coordinator()
        queue.wait_for_state("draining")
        may_pass.set()
        coordinator.wait(30).expect(0)
        worker.wait(20).expect(0)
    table.assert_opens_with(kek_v2)


def test_a_retired_worker_leaves_the_list(queue, queue_tool, table):
    """Heartbeats of a part in a job that is over must not list it again."""
    worker = queue_tool.worker()
    queue_tool.coordinator().wait(30).expect(0)
    wait_until(lambda: queue.redis.command("ZCARD", queue.key("workers")) == 0, "it leaves the list")
    time.sleep(11)
    assert queue.redis.command("ZCARD", queue.key("workers")) == 0
    worker.kill()


@pytest.mark.watchdog(150)
@pytest.mark.slow
def test_redis_is_away_for_eight_seconds(redis_server, queue, queue_tool, table, kek_v2):
    table.insert([(number, seal_quickly(table)) for number in range(10_000, 14_000)])
    coordinator = queue_tool.coordinator("--batch-size", 5)
    hands = [queue_tool.worker("--concurrency", 1, "--exit-when-done") for _ in range(2)]
    queue.wait_until_done(500)
    os.kill(redis_server.pid, signal.SIGSTOP)
    try:
        time.sleep(8)
    finally:
        os.kill(redis_server.pid, signal.SIGCONT)
    coordinator.wait(90).expect(0)
    for hand in hands:
        assert "Waiting for Redis" in hand.wait(20).expect(0).stderr
    progress = queue.progress()
    assert progress["records_rewrapped"] + progress["records_superseded"] == 6_000
    table.assert_opens_with(kek_v2)


def seal_quickly(table):
    """Any value that is sealed already: ids tell the rows apart, their plaintexts need not differ."""
    return next(iter(table.sealed.values()))


def test_redis_is_out_of_memory_for_a_while(redis_server, queue, queue_tool, held, table, kek_v2):
    """Who leads, who waits for the lead and who works: all of them wait, and end as if nothing had been."""
    leading, application = held
    waiting = queue_tool.coordinator()
    wait_until(lambda: "Waiting for the lead" in waiting.stderr_so_far(), "the second one waits")
    queue.redis.command("CONFIG", "SET", "maxmemory", 1_000_000)
    for process in (leading, waiting):
        wait_until(lambda process=process: "Waiting for Redis" in process.stderr_so_far(), "it has noticed")
    time.sleep(2)
    assert leading.is_running() and waiting.is_running(), waiting.stderr_so_far()
    queue.redis.command("CONFIG", "SET", "maxmemory", 0)
    application.rollback()
    queue_tool.worker("--exit-when-done").wait(30).expect(0)
    for process in (leading, waiting):
        process.wait(30).expect(0)
    table.assert_opens_with(kek_v2)


@pytest.mark.alone
def test_the_only_coordinator_comes_back_at_once(database, queue, queue_tool, tables, kek_v2):
    """Its session is ended while ranges wait. Nobody else could lead; until it notices, no worker may write."""
    coordinator = queue_tool.coordinator("--batch-size", 10)
    queue_tool.worker("--concurrency", 1, "--exit-when-done")
    queue.wait_until_done(tables.records // 10)
    database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'reencrypt-secrets leader'"
    )
    done, began = queue.done(), time.monotonic()
    wait_until(lambda: queue.done() > done + 100, "work goes on", timeout=20)
    assert time.monotonic() - began < 5
    coordinator.wait(60).expect(0)
    tables.assert_opens_with(kek_v2)


def test_redis_is_not_there_at_the_start(redis_server, queue_tool, table):
    redis_server.stop()
    for command in ("coordinator", "worker"):
        queue_tool.start(command).wait(20).expect_refusal("REDIS_URL")
    queue_tool.command("status").expect_refusal("REDIS_URL")


# MARK: secrets


def test_no_secret_is_in_a_log_or_in_redis(queue, queue_tool, held, table, kek_v1, kek_v2):
    coordinator, application = held
    plaintexts = [sealed.plaintext.decode() for sealed in list(table.sealed.values())[:50]]
    worker = queue_tool.worker("--exit-when-done", "--log-level", "trace")
    all_but_locked(queue)
    table.insert([(5_000, b'{"version":1,"secret":"secret-of-nobody"}')])
    found = everything_in(queue)
    application.rollback()
    outcomes = [coordinator.wait(), worker.wait(20)]
    found += everything_in(queue)
    texts = [outcome.output for outcome in outcomes] + [text for _, text in found]
    forbidden = plaintexts + ["secret-of-nobody", "dek_wrapped", "ciphertext"]
    for kek in (kek_v1, kek_v2):
        forbidden.append(kek.setting.split(":", 1)[1])
    stored = table.stored()
    for identity in list(table.sealed)[:50]:
        value = json.loads(stored[identity])
        forbidden += [value["dek_wrapped"], value["ciphertext"], table.sealed[identity].dek.hex()]
    password = re.search(r":([^:@]+)@", queue.server.url()).group(1)
    for text in texts:
        for word in forbidden:
            assert word not in text
    for outcome in outcomes:
        assert password not in outcome.output


def everything_in(queue) -> list:
    """Every key with its whole content as text."""
    readers = {
        b"hash": ("HGETALL",), b"list": ("LRANGE", 0, -1), b"zset": ("ZRANGE", 0, -1), b"stream": ("XRANGE", "-", "+"),
        b"string": ("GET",),
    }  # fmt: skip
    found = []
    for key in queue.redis.command("KEYS", "*"):
        command, *rest = readers[queue.redis.command("TYPE", key)]
        found.append((key, key.decode() + repr(queue.redis.command(command, key, *rest))))
    assert len(found) >= 5
    return found
