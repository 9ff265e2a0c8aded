"""Redis loses its data in the moment in which the lead is lost, or while a spare coordinator looks: one of the
coordinators goes on, and none goes away for good. But one that was away for long launches nothing."""

import signal
import threading
import time

import pytest

from private_postgres import PrivatePostgres
from support.isolated_database import IsolatedDatabase
from support.queue_process import end_leaders
from support.resp_proxy import RespProxy
from support.secrets_table import SecretsTable
from support.waiting import wait_until

# Slow enough for a spare to come in the middle of the job, on a fast machine too.
SMALL = ("--batch-size", 10, "--max-records-per-second", 2_000)
# A look of a waiting coordinator is 2 to 3 s from the last one.
LOOKS = 5
# QueueFollower.longestGap, in seconds.
LONGEST_GAP = 45


@pytest.fixture
def leader(queue, queue_tool, tables):
    """A coordinator whose job is in its middle, with two workers."""
    leader = queue_tool.coordinator(*SMALL)
    for _ in range(2):
        queue_tool.worker("--concurrency", 1)
    queue.wait_until_done(tables.records // 8)
    return leader


@pytest.fixture
def spare(leader, queue_tool):
    spare = queue_tool.coordinator(*SMALL)
    wait_until(lambda: "Waiting for the lead" in spare.stderr_so_far(), "the spare waits")
    return spare


def assert_completed(queue, tables, kek_v1, kek_v2):
    assert tables.count_under(kek_v1) == 0, "a false 'complete'"
    assert queue.progress()["state"] == "complete"
    tables.assert_opens_with(kek_v2)


@pytest.mark.watchdog(120)
@pytest.mark.parametrize("lost", ["everything", "progress"])
def test_a_spare_coordinator_looks_at_an_emptied_queue(queue, leader, spare, tables, kek_v1, kek_v2, lost):
    leader.send(signal.SIGSTOP)
    if lost == "everything":
        queue.redis.command("FLUSHALL")
    else:
        queue.redis.command("DEL", queue.key("progress"))
    time.sleep(LOOKS)
    assert spare.is_running(), spare.wait()
    leader.send(signal.SIGCONT)
    leader.wait(90).expect(0)
    spare.wait(20).expect(0)
    assert_completed(queue, tables, kek_v1, kek_v2)


def identity(queue):
    """What of a job outlasts a loss."""
    return [queue.progress()[name] for name in ("job", "started_at", "paused")]


@pytest.mark.watchdog(120)
def test_the_leader_and_the_data_are_lost_at_once(queue, queue_tool, leader, spare, tables, kek_v1, kek_v2):
    queue_tool.command("pause").expect(0)
    before = identity(queue)
    time.sleep(LOOKS)
    leader.kill()
    queue.redis.command("FLUSHALL")
    wait_until(lambda: queue.progress().get("enumeration_done") == 1, "the spare has told Redis of the job", 60)
    assert identity(queue) == before
    queue_tool.command("resume").expect(0)
    spare.wait(90).expect(0)
    assert_completed(queue, tables, kek_v1, kek_v2)


@pytest.mark.watchdog(150)
@pytest.mark.slow
def test_the_leaders_machine_and_the_data_are_lost_at_once(queue, leader, spare, tables, kek_v1, kek_v2):
    """Nobody ends its session: the server keeps its locks for 30 s."""
    leader.send(signal.SIGSTOP)
    queue.redis.command("FLUSHALL")
    spare.wait(120).expect(0)
    assert_completed(queue, tables, kek_v1, kek_v2)
    leader.kill()


@pytest.mark.watchdog(120)
def test_the_lead_and_the_data_are_lost_at_once(database, queue, leader, tables, kek_v1, kek_v2):
    """The only coordinator: nobody else is there to go on."""
    before = identity(queue)
    queue.redis.command("FLUSHALL")
    end_leaders(database)
    leader.wait(90).expect(0)
    assert identity(queue) == before
    assert_completed(queue, tables, kek_v1, kek_v2)


@pytest.mark.watchdog(120)
@pytest.mark.slow
def test_the_lead_is_lost_and_an_older_snapshot_comes_back(
    database, redis_server, queue, queue_tool, back, tables, kek_v1, kek_v2
):
    """Redis shows an earlier job that was completed: neither coordinators nor workers take its end for that of theirs."""
    hands = [back.worker("--concurrency", 1) for _ in range(2)]
    back.coordinator("--batch-size", 500).wait(60).expect(0)  # nothing to do: all is under kek-v1
    queue.redis.command("SAVE")
    for hand in hands:
        hand.kill()
    leader, spare = queue_tool.coordinator(*SMALL), queue_tool.coordinator(*SMALL)
    queue.wait_for_state("enumerating", "draining")
    hands = [queue_tool.worker("--concurrency", 1, "--exit-when-done") for _ in range(2)]
    queue.wait_until_done(tables.records // 8)
    for one in (leader, spare):
        one.send(signal.SIGSTOP)
    redis_server.stop(immediate=True)
    redis_server.start()
    end_leaders(database)
    assert queue.progress()["state"] == "complete", "the snapshot is not of the earlier job"
    time.sleep(LOOKS)
    for one in (leader, spare):
        one.send(signal.SIGCONT)
    for one in (leader, spare, *hands):
        one.wait(90).expect(0)
    assert_completed(queue, tables, kek_v1, kek_v2)


@pytest.mark.watchdog(120)
def test_a_job_is_cancelled_while_a_spare_takes_it_up(queue, queue_tool, leader, tables, kek_v1):
    cancelled = []

    def cancel(request):
        if request.name == "lead" and not cancelled:
            cancelled.append(queue_tool.command("cancel").expect(0))

    with RespProxy(queue.server.port, cancel) as proxy:
        spare = queue_tool.coordinator(*SMALL, redis_port=proxy.port)
        wait_until(lambda: "Waiting for the lead" in spare.stderr_so_far(), "the spare waits")
        leader.kill()
        spare.wait(60).expect(2)
    assert cancelled
    assert queue.progress()["state"] == "cancelled"
    assert tables.count_under(kek_v1) > 0


@pytest.mark.watchdog(120)
def test_one_that_is_held_up_before_its_job_begins(database, queue, queue_tool, back, table, kek_v1):
    """It leads, and has taken its census; before Redis answers, another completes the job, and a third rolls it back."""
    held_up, may_pass = threading.Event(), threading.Event()

    def hold(request):
        if request.name == "lead":
            held_up.set()
            may_pass.wait(100)

    with RespProxy(queue.server.port, hold) as proxy:
        late = queue_tool.coordinator("--batch-size", 100, redis_port=proxy.port)
        wait_until(held_up.is_set, "it is about to begin its job")
        late.send(signal.SIGSTOP)
        end_leaders(database)
        for tool in (queue_tool, back):
            coordinator, worker = tool.coordinator("--batch-size", 100), tool.worker("--exit-when-done")
            coordinator.wait(60).expect(0)
            worker.wait(20).expect(0)
        job, versions = queue.progress(), table.versions()
        queue_tool.worker()
        may_pass.set()
        late.send(signal.SIGCONT)
        late.wait(40).expect(2)
    assert queue.progress() == job
    assert table.versions() == versions


@pytest.mark.watchdog(120)
def test_coordinators_wait_while_the_database_restarts(server_directory, queue, make_queue_tool, kek_v1, kek_v2):
    with PrivatePostgres(server_directory / "spare", {"shared_buffers": "64MB"}) as own:
        database = IsolatedDatabase(own)
        table = SecretsTable(database).create().fill(kek_v1, range(2_000))
        tool = make_queue_tool(database.url)
        tool.tool.write_catalog(table)
        leader = tool.coordinator(*SMALL)
        queue.wait_for_state("draining")
        spare = tool.coordinator(*SMALL)
        wait_until(lambda: "Waiting for the lead" in spare.stderr_so_far(), "the spare waits")
        own.stop(immediate=True)
        time.sleep(LOOKS)
        assert spare.is_running() and leader.is_running(), spare.stderr_so_far() + leader.stderr_so_far()
        own.start()
        tool.worker()
        leader.wait(90).expect(0)
        spare.wait(20).expect(0)
        table.assert_opens_with(kek_v2)


@pytest.mark.watchdog(200)
@pytest.mark.slow
def test_one_that_was_away_for_long_launches_nothing_on_an_emptied_queue(
    database, queue, queue_tool, back, kek_v1, kek_v2
):
    """Its job was completed by another, rolled back, and Redis has forgotten all of it."""
    table = SecretsTable(database).create().fill(kek_v1, range(1_000))
    for one in (queue_tool, back):
        one.tool.write_catalog(table)
    frozen = queue_tool.coordinator("--batch-size", 50)
    queue.wait_for_state("draining")
    frozen.send(signal.SIGSTOP)
    since = time.monotonic()
    end_leaders(database)
    for tool in (queue_tool, back):
        coordinator, worker = tool.coordinator("--batch-size", 50), tool.worker("--exit-when-done")
        coordinator.wait(60).expect(0)
        worker.wait(20).expect(0)
    assert table.count_under(kek_v1) == 1_000
    queue.redis.command("FLUSHALL")
    time.sleep(max(0, since + LONGEST_GAP + 2 - time.monotonic()))
    versions = table.versions()
    queue_tool.worker()
    frozen.send(signal.SIGCONT)
    outcome = frozen.wait(40).expect(2)
    assert any("start the coordinator again" in message for message in outcome.messages), outcome
    assert table.versions() == versions
    assert queue.progress() == {}
