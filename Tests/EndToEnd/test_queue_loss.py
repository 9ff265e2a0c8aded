"""Redis is expendable: whatever it loses, the job completes by itself, and never says so falsely."""

import signal
import threading
import time

import pytest

from envelope_reference import seal
from support.resp_proxy import DROP_ANSWER, Answer, RespProxy
from support.waiting import wait_until

SMALL = ("--batch-size", 10)


@pytest.fixture
def job(queue_tool, tables):
    """A coordinator and two workers, slow enough to have a middle."""
    coordinator = queue_tool.coordinator(*SMALL)
    hands = [queue_tool.worker("--concurrency", 1, "--exit-when-done") for _ in range(2)]
    return coordinator, hands


def assert_completed(job, queue, queue_tool, tables, kek_v1, kek_v2):
    coordinator, hands = job
    coordinator.wait(90).expect(0)
    assert tables.count_under(kek_v1) == 0, "a false 'complete'"
    assert tables.count_under(kek_v2) == tables.records
    for hand in hands:
        hand.wait(20).expect(0)
    progress = queue.progress()
    assert progress["state"] == "complete"
    assert progress["records_failed"] == 0
    queue_tool.verify().expect(0)
    tables.assert_opens_with(kek_v2)


@pytest.mark.usefixtures("either_order")
def test_everything_is_flushed(queue, queue_tool, job, tables, kek_v1, kek_v2):
    queue.wait_until_done(tables.records // 4)
    before = queue.progress()
    queue.redis.command("FLUSHALL")
    wait_until(lambda: queue.progress().get("job"), "the coordinator has told Redis of the job again")
    after = queue.progress()
    assert [after[name] for name in ("job", "started_at")] == [before[name] for name in ("job", "started_at")]
    assert_completed(job, queue, queue_tool, tables, kek_v1, kek_v2)
    assert queue.progress()["records_rewrapped"] < tables.records, "nothing was lost"


def test_flushed_again_and_again(queue, queue_tool, job, tables, kek_v1, kek_v2):
    for _ in range(4):
        wait_until(lambda: queue.done() > 200, "some records are done since the last loss")
        queue.redis.command("FLUSHALL")
    assert_completed(job, queue, queue_tool, tables, kek_v1, kek_v2)


def test_a_killed_server_comes_back_empty(redis_server, queue, queue_tool, job, tables, kek_v1, kek_v2):
    queue.wait_until_done(tables.records // 4)
    redis_server.stop(immediate=True)
    time.sleep(1.5)
    redis_server.start()
    assert_completed(job, queue, queue_tool, tables, kek_v1, kek_v2)


def test_a_killed_server_comes_back_with_an_older_snapshot(
    redis_server, queue, queue_tool, job, tables, kek_v1, kek_v2
):
    queue.wait_until_done(tables.records // 10)
    queue.redis.command("SAVE")
    queue.wait_until_done(tables.records // 2)
    redis_server.stop(immediate=True)
    redis_server.start()
    assert queue.done() < tables.records // 2, "the snapshot is not older"
    assert_completed(job, queue, queue_tool, tables, kek_v1, kek_v2)


def test_a_snapshot_of_an_earlier_job(redis_server, queue, queue_tool, back, tables, kek_v1, kek_v2):
    """The job that Redis remembers has the opposite target. Its rows must not be turned back."""
    first = queue_tool.coordinator(*SMALL)
    worker = queue_tool.worker("--exit-when-done")
    queue.wait_until_done(tables.records // 4)
    queue.redis.command("SAVE")
    first.wait(60).expect(0)
    worker.wait(20).expect(0)

    second = back.coordinator(*SMALL)
    hands = [back.worker("--concurrency", 1) for _ in range(2)]
    queue.wait_for_state("draining", "enumerating")
    queue.wait_until_done(tables.records // 4)
    redis_server.stop(immediate=True)
    redis_server.start()
    # A worker that sees the wrong job may leave, as its contract says; another one is started then.
    while second.is_running():
        hands = [hand if hand.is_running() else back.worker("--concurrency", 1) for hand in hands]
        time.sleep(0.1)
    second.wait().expect(0)
    assert tables.count_under(kek_v2) == 0
    tables.assert_opens_with(kek_v1)


@pytest.mark.parametrize("order", ["beginSweep", "verifying", "finish"])
def test_flushed_at_a_turn_of_the_job(queue, queue_tool, tables, kek_v1, kek_v2, order):
    """The loss falls between two steps of the coordinator, where nothing is being enumerated."""
    flushed = []

    def flush(request):
        is_turn = {
            "beginSweep": request.name == "begin_sweep" and b"sweep" in request.arguments,
            "verifying": request.name == "tick" and request.arguments[3] == b"verifying",
            "finish": request.name == "finish_job",
        }[order]
        if is_turn and not flushed:
            flushed.append(queue.redis.command("FLUSHALL"))

    with RespProxy(queue.server.port, flush) as proxy:
        coordinator = queue_tool.coordinator("--batch-size", 500, redis_port=proxy.port)
        queue_tool.worker()
        coordinator.wait(60).expect(0)
    assert flushed
    assert tables.count_under(kek_v1) == 0
    assert queue.progress()["state"] == "complete"
    assert queue.history()[0]["outcome"] == "complete"


def test_flushed_during_the_last_census(queue, queue_tool, tables, kek_v1, kek_v2):
    """The census of a large table takes minutes, and Redis may be lost meanwhile."""
    passed = threading.Event()

    def flush(request):
        if request.name == "tick" and request.arguments[3] == b"verifying":
            passed.set()
        elif passed.is_set() and request.name == "tick":
            passed.clear()
            queue.redis.command("FLUSHALL")

    with RespProxy(queue.server.port, flush) as proxy:
        coordinator = queue_tool.coordinator("--batch-size", 500, redis_port=proxy.port)
        queue_tool.worker()
        coordinator.wait(60).expect(0)
    assert tables.count_under(kek_v1) == 0
    assert queue.progress()["state"] == "complete"


@pytest.mark.watchdog(60)
def test_the_last_push_is_lost_after_it_was_confirmed(queue, queue_tool, tables, kek_v1):
    """As by a failover to a replica that was a moment behind: nothing else shows that the enumeration ended."""
    lost = []

    def lose(request):
        if request.name == "enqueue" and request.arguments[4] == b"1" and not lost:
            lost.append(request)
            return Answer(b"$2\r\nok\r\n")
        return None

    with RespProxy(queue.server.port, lose) as proxy:
        coordinator = queue_tool.coordinator("--batch-size", 500, redis_port=proxy.port)
        queue_tool.worker()
        coordinator.wait(30).expect(0)
    assert lost
    assert tables.count_under(kek_v1) == 0


def test_a_lost_job_stays_paused(queue, queue_tool, job, tables, kek_v1, kek_v2):
    queue.wait_until_done(tables.records // 4)
    queue_tool.command("pause").expect(0)
    time.sleep(1.5)  # the coordinator has seen it
    queue.redis.command("FLUSHALL")
    wait_until(lambda: queue.progress().get("enumeration_done") is not None, "the job is told again")
    assert queue.progress()["paused"] == 1
    queue_tool.command("resume").expect(0)
    assert_completed(job, queue, queue_tool, tables, kek_v1, kek_v2)


def test_progress_is_deleted_before_anything_is_handed_out(queue, queue_tool, tables, kek_v1, kek_v2):
    """Nothing is outstanding then, so that nothing is missed but the job itself."""
    deleted = []

    def delete(request):
        if request.name == "enqueue" and not deleted:
            deleted.append(queue.redis.command("DEL", queue.key("progress")))

    with RespProxy(queue.server.port, delete) as proxy:
        coordinator = queue_tool.coordinator(*SMALL, redis_port=proxy.port)
        hands = [queue_tool.worker("--exit-when-done")]
        assert_completed((coordinator, hands), queue, queue_tool, tables, kek_v1, kek_v2)
    assert deleted


@pytest.mark.parametrize("key", ["progress", "state", "batches", "held"])
def test_a_single_key_is_deleted(queue, queue_tool, job, tables, kek_v1, kek_v2, key):
    queue.wait_until_done(tables.records // 4)
    before = queue.progress()
    queue.redis.command("DEL", queue.key(key))
    assert_completed(job, queue, queue_tool, tables, kek_v1, kek_v2)
    after = queue.progress()
    assert [after[name] for name in ("job", "started_at")] == [before[name] for name in ("job", "started_at")]


@pytest.mark.parametrize(
    "key, field, value",
    [
        ("progress", "batches_pending", -5),
        ("progress", "batches_done", 1 << 60),
        ("progress", "records_rewrapped", -7),
        ("progress", "sweep", "many"),
        ("state", "cost_rows", -1),
        ("state", "next_sequence", -100),
        ("state", "lease_expiries", "9" * 30),
    ],
)
def test_a_counter_is_written_over(queue, queue_tool, job, tables, kek_v1, kek_v2, key, field, value):
    """By hand or by a forger: the numbers begin anew, as after a loss."""
    queue.wait_until_done(tables.records // 4)
    queue.redis.command("HSET", queue.key(key), field, value)
    assert_completed(job, queue, queue_tool, tables, kek_v1, kek_v2)
    after = queue.progress()
    assert 0 <= after["batches_done"] == after["batches_total"] < 1 << 53
    assert 0 <= after["records_rewrapped"] <= tables.records


@pytest.mark.watchdog(150)
def test_a_lost_set_of_leases(queue, queue_tool, tables, kek_v1):
    """The key of the leases alone is deleted, and the worker that held one is gone."""
    coordinator = queue_tool.coordinator(*SMALL)
    victim = queue_tool.worker("--concurrency", 1)
    queue.wait_until_done(tables.records // 10)
    wait_until(queue.leases, "the worker has a range in hand", interval=0.0005)
    victim.send(signal.SIGSTOP)
    has_lease = queue.leases()
    victim.kill()
    queue.redis.command("DEL", queue.key("leases"))
    survivor = queue_tool.worker("--exit-when-done")
    coordinator.wait(75).expect(0)
    survivor.wait(20).expect(0)
    assert has_lease is not None
    assert tables.count_under(kek_v1) == 0


@pytest.mark.parametrize("script", ["begin_job", "begin_sweep", "enqueue", "census", "finish_job"])
def test_an_answer_to_the_coordinator_is_lost(queue, queue_tool, table, kek_v2, script):
    """Each of its steps may be made twice."""
    lost = []

    def lose(request):
        if request.name == script and not lost:
            lost.append(request)
            return DROP_ANSWER
        return None

    with RespProxy(queue.server.port, lose) as proxy:
        coordinator = queue_tool.coordinator("--batch-size", 100, redis_port=proxy.port)
        queue_tool.worker()
        coordinator.wait(30).expect(0)
    assert lost
    progress = queue.progress()
    assert progress["records_rewrapped"] == progress["records_total"] == len(table.sealed)
    assert len(queue.history()) == 1
    table.assert_opens_with(kek_v2)


def test_rows_written_under_the_old_key_meanwhile_are_found(database, queue, queue_tool, table, kek_v1, kek_v2):
    """Redis is empty and says that all is done; the census of the database says something else."""
    application = database.connect()
    with application.cursor() as cursor:
        # A locked row keeps the sweep from its end until the rows are there.
        cursor.execute(f"SELECT FROM {table.sql_name} ORDER BY id DESC LIMIT 1 FOR UPDATE")
        coordinator = queue_tool.coordinator("--batch-size", 20)
        worker = queue_tool.worker("--exit-when-done")
        queue.wait_until_done(1_000)
        table.insert([(-number, seal(kek_v1, b"late")) for number in range(1, 300)])
    application.rollback()
    coordinator.wait().expect(0)
    worker.wait(20).expect(0)
    assert table.count_under(kek_v1) == 0
    assert queue.progress()["sweep"] >= 2
