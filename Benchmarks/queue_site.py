"""A private PostgreSQL with a table of sealed secrets, a private Redis, and the tool's commands on them."""

import contextlib
import os
import pathlib
import sys
import tempfile
import time

import psycopg2

from private_postgres import PrivatePostgres
from private_redis import PrivateRedis
from resp_client import RedisClient
from sealed_tables import load_envelopes
from tool_process import Tool

TABLE = "llm_providers"
PROGRESS = "reencrypt:{default}:progress"


class QueueSite:
    """Servers, rows and keys. The server does not wait for its disk: the queue is what is measured."""

    def __init__(self, directory, rows):
        self.directory = directory
        self.postgres = PrivatePostgres(directory / "pg", {"fsync": "off", "max_wal_size": "8GB"}).start()
        self.redis_server = PrivateRedis(directory / "redis").start()
        self.redis = RedisClient(self.redis_server.url())
        self.tool = Tool(directory, TABLE)
        with psycopg2.connect(self.postgres.url()) as connection:
            load_envelopes(connection, TABLE, rows, self.tool.old)

    def close(self):
        self.redis.close()
        self.redis_server.stop()
        self.postgres.stop()

    def running(self, command, *arguments, port=None, **options):
        """A command of the tool, stopped at the end of the block."""
        return self.tool.running(
            command, *arguments,
            database_url=self.postgres.url(port=port), redis_url=self.redis_server.url(), **options,
        )  # fmt: skip

    def progress(self) -> dict:
        return self.redis.hash(PROGRESS)

    def done(self) -> int:
        return int(self.progress().get("records_done") or 0)

    def wait(self, condition, what, seconds=60):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                logs = "".join(path.read_text()[-1500:] for path in self.directory.glob("*.log"))
                sys.exit(f"not within {seconds} s: {what}\n{logs}")
            time.sleep(0.02)


@contextlib.contextmanager
def queue_site(rows):
    with tempfile.TemporaryDirectory(prefix="reencrypt-queue-") as directory:
        os.chmod(directory, 0o755)
        made = QueueSite(pathlib.Path(directory), rows)
        try:
            yield made
        finally:
            made.close()
