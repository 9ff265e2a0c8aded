"""What Redis counts is what the database shows, and what was acknowledged; whatever the wire and the workers do."""

import signal
import threading

import pytest

from support.four_tables import ROWS
from support.queue_process import repeating, tally, wait_until_ready
from support.resp_proxy import DROP_ANSWER, DROP_REQUEST, RespProxy
from support.waiting import wait_until

# A million rows by hand take their time.
PATIENCE = 60 + ROWS // 5_000
pytestmark = pytest.mark.watchdog(120 + 5 * PATIENCE)


def is_acknowledgement(name):
    return name == "acknowledge"


def counted_records(proxies) -> int:
    """The sum of what Redis has answered `counted` to, as it went by."""
    return sum(int(request.arguments[3]) for proxy in proxies for request in proxy.kept("acknowledge", b"counted"))


def finished(queue, fall, *, exactly=True) -> dict:
    """The job's progress, which must bear out the fall of the census."""
    progress = queue.progress()
    assert progress["state"] == "complete"
    assert progress["records_failed"] == 0
    if exactly:
        assert progress["records_rewrapped"] == fall
        assert progress["records_superseded"] == 0
    assert progress["records_rewrapped"] + progress["records_superseded"] == fall
    assert progress["records_done"] == progress["records_total"]
    assert progress["batches_done"] == progress["batches_total"]
    return progress


def committed_records(tables, old) -> int:
    """The records that workers have rewrapped, once the server is through with what it was sent.

    A lane is at its next range while a report is under way: more than the one may be committed and not reported.
    """
    wait_until(
        lambda: tables.database.value(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'"
            " AND application_name LIKE 'reencrypt-secrets worker%'"
        )
        == 0,
        "no worker's statement runs",
    )
    return tables.records - tables.count_under(old)


@pytest.mark.slow
def test_counts_agree_with_any_number_of_workers(queue, queue_tool, back, tables, kek_v1, kek_v2):
    """Forth and back, so that each number of workers has all records to do."""
    for round_number, workers in enumerate([1, 2, 4, 8]):
        tool, old, new = [(queue_tool, kek_v1, kek_v2), (back, kek_v2, kek_v1)][round_number % 2]
        before = tables.count_under(old)
        with RespProxy(queue.server.port, keeps=is_acknowledgement) as proxy:
            hands = [
                tool.worker("--concurrency", 1, "--exit-when-done", redis_port=proxy.port) for _ in range(workers)
            ]
            wait_until_ready(hands)
            coordinator = tool.coordinator("--batch-size", 100)
            coordinator.wait(PATIENCE).expect(0)
            outcomes = [hand.wait(20).expect(0) for hand in hands]
        fall = before - tables.count_under(old)
        assert fall == before == tables.records == tables.count_under(new)
        finished(queue, fall)
        assert counted_records([proxy]) == fall
        assert sum(tally(outcome)["rewrapped"] for outcome in outcomes) == fall
    tables.assert_opens_with(kek_v1)


def test_dropped_acknowledgements(queue, queue_tool, tables, kek_v1, kek_v2):
    """Every tenth never reaches Redis, and of every tenth the answer is lost: workers resend until they are told."""
    seen = []

    def drop_some(request):
        if request.name != "acknowledge":
            return None
        seen.append(request)
        return {3: DROP_REQUEST, 8: DROP_ANSWER}.get(len(seen) % 10)

    with RespProxy(queue.server.port, drop_some, keeps=is_acknowledgement) as proxy:
        hands = [queue_tool.worker("--exit-when-done", redis_port=proxy.port) for _ in range(3)]
        wait_until_ready(hands)
        coordinator = queue_tool.coordinator("--batch-size", 100)
        coordinator.wait(PATIENCE).expect(0)
        tallies = [tally(hand.wait(20).expect(0)) for hand in hands]
    fall = tables.records - tables.count_under(kek_v1)
    assert fall == tables.records
    progress = finished(queue, fall)
    assert counted_records([proxy]) == fall
    duplicates = len(proxy.kept("acknowledge", b"duplicate"))
    assert duplicates >= progress["batches_done"] // 12, "no answer was dropped"
    told = [one["counted"] + one["duplicate"] for one in tallies]
    assert sum(told) == progress["batches_done"], "a worker gave up before it was told"
    assert sum(one["stale"] for one in tallies) == 0


def test_pushes_whose_answer_is_lost(queue, queue_tool, tables, kek_v1):
    """The coordinator pushes again, and what was pushed already is not handed out twice."""
    seen = []

    def drop_some(request):
        if request.name != "enqueue":
            return None
        seen.append(request)
        return {0: DROP_ANSWER, 2: DROP_REQUEST}.get(len(seen) % 4)

    with RespProxy(queue.server.port, drop_some, keeps=lambda name: name == "enqueue") as proxy:
        worker = queue_tool.worker("--exit-when-done")
        wait_until_ready([worker])
        queue_tool.coordinator("--batch-size", 100, redis_port=proxy.port).wait(PATIENCE).expect(0)
        worker.wait(20).expect(0)
        assert proxy.kept("enqueue", b"repeated"), "no answer was dropped"
    progress = finished(queue, tables.records - tables.count_under(kek_v1))
    assert progress["records_total"] == progress["records_rewrapped"] == tables.records


@pytest.mark.usefixtures("either_order")
def test_workers_killed_between_commit_and_acknowledgement(queue, queue_tool, tables, kek_v1, kek_v2):
    caught = []

    def hold(request):
        if request.name == "acknowledge":
            caught.append(request)
            return DROP_REQUEST
        return None

    coordinator = queue_tool.coordinator("--batch-size", 100)
    for _ in range(3):
        caught.clear()
        with RespProxy(queue.server.port, hold) as proxy:
            victim = queue_tool.worker("--concurrency", 1, redis_port=proxy.port)
            wait_until(lambda: caught, "a transaction is committed and about to be acknowledged")
            victim.kill()
        queue.expire_leases()
    lost = committed_records(tables, kek_v1)
    assert lost >= int(caught[0].arguments[3])
    survivor = queue_tool.worker("--exit-when-done")
    coordinator.wait(PATIENCE).expect(0)
    survivor.wait(20).expect(0)
    fall = tables.records - tables.count_under(kek_v1)
    assert fall == tables.records
    progress = finished(queue, fall, exactly=False)
    assert progress["records_superseded"] == lost > 0


def test_every_batch_delivered_twice_overlapping(queue, queue_tool, tables, kek_v1, kek_v2):
    """Each lease runs out as soon as it is seen, so that a second lane has the range while the first works on it."""
    expired = set()

    def expire():
        fresh = [sequence for sequence in queue.leases() if sequence not in expired]
        queue.expire_leases(fresh)
        expired.update(fresh)

    with repeating(expire, interval=0.001):
        hands = [queue_tool.worker("--exit-when-done") for _ in range(3)]
        wait_until_ready(hands)
        coordinator = queue_tool.coordinator("--batch-size", 100)
        coordinator.wait(PATIENCE).expect(0)
    for hand in hands:
        hand.wait(20).expect(0)
    fall = tables.records - tables.count_under(kek_v1)
    assert fall == tables.records
    finished(queue, fall, exactly=False)
    assert int(queue.redis.command("HGET", queue.key("state"), "lease_expiries")) > 20, "nothing was delivered twice"
    tables.assert_opens_with(kek_v2)


def test_late_acknowledgement_of_a_stopped_worker(queue, queue_tool, tables, kek_v1):
    """Stopped with a committed range in hand, its lease runs out, another delivers it again, then it wakes."""
    may_pass, caught = threading.Event(), []

    def hold(request):
        if request.name == "acknowledge" and not may_pass.is_set():
            caught.append(request)
            may_pass.wait(60)
        return None

    coordinator = queue_tool.coordinator("--batch-size", 100)
    with RespProxy(queue.server.port, hold, keeps=is_acknowledgement) as proxy:
        late = queue_tool.worker("--concurrency", 1, "--exit-when-done", redis_port=proxy.port)
        wait_until(lambda: caught, "a transaction is committed and about to be acknowledged")
        late.send(signal.SIGSTOP)
        committed = committed_records(tables, kek_v1)
        held = len(queue.leases())
        queue.expire_leases()
        other = queue_tool.worker("--concurrency", 1)
        queue.wait_until_done(tables.records // 2)
        may_pass.set()
        late.send(signal.SIGCONT)
        coordinator.wait(PATIENCE).expect(0)
        told = late.wait(20).expect(0)
        other.send(signal.SIGTERM)
        other.wait(15).expect(143)
    fall = tables.records - tables.count_under(kek_v1)
    progress = finished(queue, fall, exactly=False)
    # The range that it had read ahead it may commit after it has woken.
    refused = [int(request.arguments[3]) for request in proxy.kept("acknowledge", b"duplicate")]
    assert progress["records_superseded"] == sum(refused) >= committed >= int(caught[0].arguments[3])
    assert 1 <= tally(told)["duplicate"] == len(refused) <= held
