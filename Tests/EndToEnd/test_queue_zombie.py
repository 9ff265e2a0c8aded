"""A worker that is stopped in its transaction, and wakes after its job was completed and rolled back by a second
job: it writes nothing."""

import signal
import threading
import time

import pytest

from support.queue_process import end_leaders, repeating
from support.resp_proxy import RespProxy
from support.secrets_table import SecretsTable
from support.step_proxy import Step, StepProxy
from support.waiting import wait_until

ROWS_HERE = 1_000
# One stopped worker a step. Between the answer to the first statements and the UPDATE lies "before UPDATE".
STEPS = [
    Step("BEGIN", after=False),
    Step("BEGIN", after=True),
    Step("SELECT", after=False),
    Step("SELECT", after=True),
    Step("UPDATE", after=False),
    Step("UPDATE", after=True),
    Step("COMMIT", after=False),
    Step("COMMIT", after=True),
]
# A woken worker has this long to do what it must not.
WATCHED_SECONDS = 4


@pytest.fixture
def rows(database, queue_tool, back, kek_v1):
    table = SecretsTable(database).create().fill(kek_v1, range(ROWS_HERE))
    for one in (queue_tool, back):
        one.tool.write_catalog(table)
    return table


class Zombie:
    """A worker of one lane that is stopped when its transaction comes to a step."""

    def __init__(self, database, queue_tool, step):
        self.step = step
        # Not in the transactions in which it looks around before it has a range in hand.
        is_armed = lambda: "Working on job" in self.worker.stderr_so_far()  # noqa: E731
        self.proxy = StepProxy("127.0.0.1", database.server.port, step, self._stop, is_armed)
        self.worker = queue_tool.worker(
            "--concurrency", 1, "--log-level", "debug", database_url=database.url_through(self.proxy.port)
        )

    def _stop(self):
        self.worker.send(signal.SIGSTOP)

    def wake(self):
        self.worker.send(signal.SIGCONT)
        self.proxy.release()


def roll_back(queue, back, table, kek_v1):
    coordinator = back.coordinator("--batch-size", 50)
    worker = back.worker("--exit-when-done")
    coordinator.wait(80).expect(0)
    worker.wait(20).expect(0)
    assert table.count_under(kek_v1) == len(table.sealed)


@pytest.mark.watchdog(240)
@pytest.mark.slow
def test_a_zombie_of_a_finished_job_writes_nothing(database, queue, queue_tool, back, rows, kek_v1, kek_v2):
    coordinator = queue_tool.coordinator("--batch-size", 50)
    queue.wait_for_state("draining")
    zombies = [Zombie(database, queue_tool, step) for step in STEPS]
    for zombie in zombies:
        wait_until(zombie.proxy.reached.is_set, f"a worker is stopped {zombie.step}")
        # Not counted: on a slow machine the first one's lease has run out by the last.
        assert queue.leases(), "a worker was stopped without a range in hand"
    # Others take their ranges; rows that they hold locked are free once the server has ended their sessions.
    healthy = queue_tool.worker("--exit-when-done")
    with repeating(lambda: queue.expire_leases([s for s in queue.leases() if s <= ROWS_HERE // 50]), interval=2):
        coordinator.wait(90).expect(0)
    healthy.wait(20).expect(0)
    assert rows.count_under(kek_v2) == ROWS_HERE

    roll_back(queue, back, rows, kek_v1)
    stored, versions, progress = rows.stored(), rows.versions(), queue.progress()
    for zombie in zombies:
        zombie.wake()
    time.sleep(WATCHED_SECONDS)
    assert rows.stored() == stored
    assert rows.versions() == versions, "a zombie has written"
    assert queue.progress() == progress, "a zombie was counted"
    for zombie in zombies:
        assert zombie.worker.is_running(), f"{zombie.step}: {zombie.worker.wait()}"
        zombie.worker.send(signal.SIGTERM)
    for zombie in zombies:
        zombie.worker.wait(15).expect(143)
        zombie.proxy.close()


@pytest.mark.slow
@pytest.mark.watchdog(240)
@pytest.mark.parametrize("step", [Step("BEGIN", after=False), Step("UPDATE", after=False)], ids=str)
def test_a_zombie_that_wakes_during_the_rollback(database, queue, queue_tool, back, rows, kek_v1, kek_v2, step):
    """The second job is at work, so somebody leads the table: but not the zombie's job."""
    coordinator = queue_tool.coordinator("--batch-size", 50)
    queue.wait_for_state("draining")
    zombie = Zombie(database, queue_tool, step)
    wait_until(zombie.proxy.reached.is_set, f"a worker is stopped {step}")
    healthy = queue_tool.worker("--exit-when-done")
    with repeating(lambda: queue.expire_leases([s for s in queue.leases() if s <= ROWS_HERE // 50]), interval=2):
        coordinator.wait(90).expect(0)
    healthy.wait(20).expect(0)

    # One row that an application holds keeps the second job from its end.
    application = database.connect("application")
    application.cursor().execute("SELECT FROM llm_providers WHERE id = 7 FOR UPDATE")
    second = back.coordinator("--batch-size", 50)
    worker = back.worker("--exit-when-done")
    wait_until(lambda: rows.count_under(kek_v1) == ROWS_HERE - 1, "all rows but the locked one are rolled back", 60)
    versions = rows.versions()
    zombie.wake()
    time.sleep(WATCHED_SECONDS)
    assert rows.versions() == versions, "the zombie has written"
    application.rollback()
    second.wait(60).expect(0)
    worker.wait(20).expect(0)
    assert rows.count_under(kek_v1) == ROWS_HERE
    zombie.worker.kill()
    zombie.proxy.close()


@pytest.mark.watchdog(150)
def test_an_acknowledgement_of_a_finished_job_counts_in_no_other(queue, queue_tool, back, rows, kek_v1, kek_v2):
    may_pass, caught = threading.Event(), []

    def hold(request):
        if request.name == "acknowledge":
            caught.append(request)
            may_pass.wait(100)

    coordinator = queue_tool.coordinator("--batch-size", 50)
    with RespProxy(queue.server.port, hold, keeps=lambda name: name == "acknowledge") as proxy:
        late = queue_tool.worker("--concurrency", 1, redis_port=proxy.port)
        wait_until(lambda: caught, "a transaction is committed")
        late.send(signal.SIGSTOP)
        queue.expire_leases()
        healthy = queue_tool.worker("--exit-when-done")
        coordinator.wait(30).expect(0)
        healthy.wait(20).expect(0)
        roll_back(queue, back, rows, kek_v1)
        progress = queue.progress()
        may_pass.set()
        late.send(signal.SIGCONT)
        wait_until(lambda: proxy.kept("acknowledge"), "the late acknowledgement is answered")
        assert {request.answer for request in proxy.kept("acknowledge")} == {b"stale"}
        assert queue.progress() == progress
        late.kill()


def complete_by_another(queue_tool):
    """The job of a coordinator that leads no more."""
    heir = queue_tool.coordinator("--batch-size", 50)
    worker = queue_tool.worker("--exit-when-done")
    heir.wait(60).expect(0)
    worker.wait(20).expect(0)


@pytest.fixture
def frozen(database, queue, queue_tool, rows):
    """A coordinator that was stopped in its job, which another one has brought to its end since."""
    frozen = queue_tool.coordinator("--batch-size", 50)
    queue.wait_for_state("draining")
    frozen.send(signal.SIGSTOP)
    end_leaders(database)
    complete_by_another(queue_tool)
    return frozen


@pytest.mark.watchdog(150)
def test_a_frozen_coordinator_ends_with_its_job(queue, frozen, rows, kek_v2):
    job, versions = queue.progress(), rows.versions()
    frozen.send(signal.SIGCONT)
    frozen.wait(40).expect(0)
    assert queue.progress() == job
    assert rows.versions() == versions
    assert len(queue.history()) == 1


@pytest.mark.watchdog(150)
def test_a_frozen_coordinator_launches_nothing_when_it_wakes(queue, back, frozen, rows, kek_v1):
    """Its job was completed by another and then rolled back: what it wakes to is not its job, and must stay so."""
    roll_back(queue, back, rows, kek_v1)
    second, versions = queue.progress(), rows.versions()
    idle = back.worker()  # as a fleet that waits for the next job
    frozen.send(signal.SIGCONT)
    time.sleep(WATCHED_SECONDS)
    assert queue.progress() == second, f"it has taken the queue\n{frozen.stderr_so_far()}"
    assert idle.is_running(), f"a worker of the rollback was driven away\n{idle.wait()}"
    frozen.wait(40)
    assert queue.progress() == second
    assert rows.versions() == versions


@pytest.mark.watchdog(150)
def test_locks_that_are_free_again_prove_nothing(database, queue, queue_tool, back, rows, kek_v1):
    """As above, and it gets its locks again before Redis tells it anything."""
    answers = threading.Event()
    answers.set()
    with RespProxy(queue.server.port, lambda _: answers.wait(20) and None) as proxy:
        frozen = queue_tool.coordinator("--batch-size", 50, redis_port=proxy.port)
        queue.wait_for_state("draining")
        answers.clear()
        frozen.send(signal.SIGSTOP)
        end_leaders(database)
        complete_by_another(queue_tool)
        roll_back(queue, back, rows, kek_v1)
        second, versions = queue.progress(), rows.versions()
        frozen.send(signal.SIGCONT)
        wait_until(lambda: "have been taken again" in frozen.stderr_so_far(), "it has its locks again", 20)
        answers.set()
        frozen.wait(40).expect(2)
    assert queue.progress() == second
    assert rows.versions() == versions


@pytest.mark.watchdog(150)
def test_a_frozen_coordinator_leaves_a_running_job_alone(database, queue, back, frozen, rows, kek_v1):
    """The rollback is at work when it wakes."""
    application = database.connect("application")
    application.cursor().execute("SELECT FROM llm_providers WHERE id = 7 FOR UPDATE")
    second = back.coordinator("--batch-size", 50)
    worker = back.worker("--exit-when-done")
    wait_until(lambda: rows.count_under(kek_v1) == ROWS_HERE - 1, "all rows but the locked one are rolled back")
    job, rewrapped = queue.progress()["job"], queue.progress()["records_rewrapped"]
    frozen.send(signal.SIGCONT)
    end = time.monotonic() + WATCHED_SECONDS
    while time.monotonic() < end:
        assert queue.progress()["job"] == job, f"it has taken the queue\n{frozen.stderr_so_far()}"
        time.sleep(0.02)
    assert queue.progress()["records_rewrapped"] >= rewrapped
    application.rollback()
    second.wait(60).expect(0)
    worker.wait(20).expect(0)
    assert rows.count_under(kek_v1) == ROWS_HERE
