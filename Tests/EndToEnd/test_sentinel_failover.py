"""The primary of Redis is lost in mid-job and Sentinels make its replica the primary: the job completes all the same."""

import tempfile

import pytest

from private_sentinels import PrivateSentinels
from progress_equations import broken_equations
from support.queue_process import Queue, QueueTool, tally, wait_until_ready
from resp_client import RedisClient
from support.secrets_table import SecretsTable
from support.waiting import wait_until

RECORDS = 3_000
# The last row; an application holds it, so that the job does not end before the failover.
LAST = RECORDS - 1


@pytest.fixture
def sentinels():
    with tempfile.TemporaryDirectory(prefix="reencrypt-sentinels-") as directory:
        with PrivateSentinels(directory) as sentinels:
            yield sentinels


@pytest.fixture
def queue(sentinels):
    """What the primary shows, until `follow` looks at the new one."""
    queue = Queue(sentinels.primary)
    yield queue
    queue.redis.close()


@pytest.fixture
def table(database, queue_tool, kek_v1):
    table = SecretsTable(database).create().fill(kek_v1, range(RECORDS))
    queue_tool.tool.write_catalog(table)
    return table


def follow(queue, server):
    """The queue as another server shows it."""
    queue.redis.close()
    queue.redis = RedisClient(server.url())


def start(queue_tool, sentinels):
    where = {"REDIS_URL": sentinels.url()}
    workers = [queue_tool.worker("--concurrency", 1, "--exit-when-done", **where) for _ in range(2)]
    wait_until_ready(workers)
    return queue_tool.coordinator("--batch-size", 10, **where), workers


def assert_exact(queue, queue_tool, table, coordinator, workers, kek_v2):
    """The rows, the counters and what the workers say agree."""
    coordinator.wait(60).expect(0)
    outcomes = [worker.wait(30).expect(0) for worker in workers]
    assert table.key_ids() == {"kek-v2": RECORDS}
    table.assert_opens_with(kek_v2)
    progress = queue.progress()
    assert progress["state"] == "complete"
    assert progress["records_failed"] == 0
    assert progress["records_done"] == progress["records_total"]
    assert not broken_equations(progress, "progress")
    # Each record was rewrapped once: what an answer was lost for is found current and not written again.
    assert sum(tally(outcome)["rewrapped"] for outcome in outcomes) == RECORDS
    queue_tool.verify().expect(0)


@pytest.mark.parametrize("seed", ["is there", "is lost too"])
def test_a_job_outlives_its_primary(sentinels, queue, queue_tool, database, table, kek_v2, seed):
    application = database.connect()
    with application.cursor() as cursor:
        cursor.execute("SELECT FROM llm_providers WHERE id = %s FOR UPDATE", (LAST,))
    coordinator, workers = start(queue_tool, sentinels)
    queue.wait_until_done(RECORDS // 4)
    if seed == "is lost too":
        # The first of the list, which everybody asks first.
        sentinels.sentinels[0].stop(immediate=True)
    sentinels.primary.stop(immediate=True)
    wait_until(sentinels.has_failed_over, "a failover", timeout=60)
    follow(queue, sentinels.replica)
    application.rollback()
    assert_exact(queue, queue_tool, table, coordinator, workers, kek_v2)


def test_a_job_that_starts_while_the_seed_is_down(sentinels, queue, queue_tool, table, kek_v2):
    sentinels.sentinels[0].stop(immediate=True)
    coordinator, workers = start(queue_tool, sentinels)
    assert_exact(queue, queue_tool, table, coordinator, workers, kek_v2)
    assert queue.progress()["records_done"] == RECORDS
