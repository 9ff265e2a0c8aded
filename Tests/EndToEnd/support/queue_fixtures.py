"""Fixtures of the tests with a queue, registered in conftest.py."""

import tempfile

import pytest

from private_redis import PrivateRedis
from private_server import scratch_parent
from support.four_tables import ROWS, FourTables
from support.queue_process import Queue, QueueTool
from support.secrets_table import SecretsTable


@pytest.fixture
def redis_server():
    """A server of the test's own: it may be killed, stopped and emptied."""
    with tempfile.TemporaryDirectory(prefix="reencrypt-redis-", dir=scratch_parent()) as directory:
        with PrivateRedis(directory) as server:
            yield server


@pytest.fixture
def queue(redis_server):
    queue = Queue(redis_server)
    yield queue
    queue.redis.close()


@pytest.fixture
def make_queue_tool(make_tool, database, queue):
    def make(database_url=None, on=queue, **keys) -> QueueTool:
        return QueueTool(make_tool(database_url or database.url, **keys), on)

    return make


@pytest.fixture
def queue_tool(make_queue_tool):
    """From kek-v1 to kek-v2."""
    return make_queue_tool()


@pytest.fixture
def back(make_queue_tool, kek_v1, kek_v2):
    """The rollback: from kek-v2 to kek-v1."""
    return make_queue_tool(primary=kek_v1, previous=[kek_v2])


@pytest.fixture
def table(database, queue_tool, back, kek_v1):
    """One small table under kek-v1, in both tools' catalogs."""
    table = SecretsTable(database).create().fill(kek_v1, range(2_000))
    for one in (queue_tool, back):
        one.tool.write_catalog(table)
    return table


@pytest.fixture
def tables(database, queue_tool, back, kek_v1):
    """Four tables of different shapes under kek-v1, in both tools' catalogs."""
    tables = FourTables(database).create(kek_v1, ROWS)
    for one in (queue_tool, back):
        one.tool.write_catalog(*tables.catalog_entries)
    return tables
